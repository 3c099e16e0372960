"""Parts of a measurement, and the laws between them."""

import dataclasses

import numpy as np
import pytest
from tanh_chip import EVERYTHING, TanhChip, bits, turned

from mtc_hw.calibration.observables import Request
from mtc_hw.calibration.parts import blank, joined, names, packed, pieces, sizes, split, unpacked, without
from mtc_hw.calibration.settable import fixed_digest, settable


@pytest.fixture(scope="module")
def design(mapped, network):
    return mapped(network, bits=8)


def test_parts_joined_are_the_whole(design):
    seen = TanhChip(design).measure(design, EVERYTHING)
    assert bits(joined(pieces(seen))) == bits(seen)
    assert len(pieces(seen)) == len(split(EVERYTHING)) == 5


def test_packed_parts_unpack_to_the_same_numbers(design):
    seen = TanhChip(design, dead=(1,)).measure(design, EVERYTHING)
    for part, piece in zip(split(EVERYTHING), pieces(seen), strict=True):
        flat = {name: values.ravel() for name, values in packed(piece).items()}
        assert tuple(flat) == names(part)
        assert bits(unpacked(design, part, flat)) == bits(piece)


def test_an_array_of_another_size_is_refused_by_its_name(design):
    seen = TanhChip(design).measure(design, EVERYTHING)
    for part, piece in zip(split(EVERYTHING), pieces(seen), strict=True):
        for name, values in packed(piece).items():
            with pytest.raises(ValueError, match=f"^{name}: "):
                unpacked(design, part, packed(piece) | {name: values.ravel()[:-1]})


def test_counts_that_are_no_counts_are_refused(design):
    part = split(EVERYTHING)[1]
    for counts in ([-1.0, 1.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [np.nan, 0.0, 0.0, 0.0]):
        with pytest.raises(ValueError, match=r"^firing: 4 numbers are not 4 counts"):
            unpacked(design, part, {"firing": np.array(counts)})


def test_times_that_do_not_rise_are_a_failed_neuron(design):
    values = np.array([2.0, 1.0, 0.0, 2.0, 1.0, 2.0, np.inf, 5.0, 4.0])
    (found,) = unpacked(design, split(EVERYTHING)[1], {"firing": values}).spikes
    assert [each.tolist() for each in (found[0], found[2])] == [[1.0, 2.0], []]
    assert np.isnan(found[1]).tolist() == np.isnan(found[3]).tolist() == [True]


def test_nothing_measured_has_the_shapes_of_everything(design):
    seen, nothing = TanhChip(design).measure(design, EVERYTHING), blank(design, EVERYTHING)
    assert nothing.curves.current.shape == seen.curves.current.shape
    assert nothing.driven.features.shape == seen.driven.features.shape
    assert nothing.driven.prediction.shape == seen.driven.prediction.shape
    assert nothing.readout.shape == seen.readout.shape
    assert not nothing.curves.complete(design).any()
    assert all(np.isnan(own).all() and own.size == 1 for each in nothing.spikes for own in each)
    assert sizes(design, split(EVERYTHING)[0]) == {"curves": seen.curves.current.size}


def test_a_lost_neuron_takes_the_prediction_along_and_no_other_neuron(design):
    seen = TanhChip(design).measure(design, EVERYTHING)
    left = without(seen, np.array([False, True, False, False]))
    assert left.curves.complete(design).tolist() == [True, False, True, True]
    assert np.isnan(left.driven.features).any(axis=0).tolist() == [False, True, False, False]
    assert np.isnan(left.driven.prediction).all()
    assert np.isnan(left.spikes[0][1]).all() and left.spikes[0][0] is seen.spikes[0][0]
    assert left.readout is seen.readout
    assert np.isnan(without(seen, np.zeros(4, bool), outputs=True).readout).all()
    assert bits(without(seen, np.zeros(4, bool))) == bits(seen)


def test_a_request_for_nothing_gives_nothing(design):
    assert split(Request()) == () and bits(blank(design, Request())) == []


def test_the_fixed_digest_knows_no_code_and_everything_else(design):
    assert fixed_digest(turned(design)) == fixed_digest(design)
    assert turned(design).digest != design.digest
    other = dataclasses.replace(design, capacitor=design.capacitor * 1.01)
    assert fixed_digest(other) != fixed_digest(design)


def test_every_code_is_settable_and_no_capacitor(design):
    kinds = {key.kind for key in settable(design)}
    assert kinds >= {"bias", "reference", "filter", "input", "offset", "readout", "readout_offset", "pole"}
    assert not kinds & {"capacitor", "width", "length"}
