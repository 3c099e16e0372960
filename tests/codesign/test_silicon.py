"""Chips that are set to other parameters and run."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.observables import Answer, Observables
from mtc_hw.codesign.silicon import GRID, CompiledChips, MeasuredChips, filtered, onto, reprogram
from mtc_hw.errors import DataError
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.model.run import run_spec
from mtc_hw.readout import lowpass

CODES = ("bias_code", "reference_code", "input_code", "offset_code")


@pytest.fixture(scope="module")
def design(mapped, small_network):
    return mapped(small_network, bits=8)


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(0).normal(size=(3, 41)).cumsum(axis=1) * 0.3


def quiet(chip):
    """A chip without mismatch."""
    still = dataclasses.replace(
        chip.deviations, threshold=0.0 * chip.deviations.threshold, width=0.0 * chip.deviations.width
    )
    return dataclasses.replace(chip, deviations=still)


def test_a_layout_set_to_its_own_network_has_its_own_codes(design, small_network):
    again = reprogram(design, small_network)
    assert all(np.array_equal(getattr(again, name), getattr(design, name)) for name in CODES)


def test_a_layout_keeps_its_capacitors_and_converters(design, small_network):
    slower = dataclasses.replace(small_network.neurons, tau=8.0 * small_network.neurons.tau)
    other = reprogram(design, dataclasses.replace(small_network, neurons=slower))
    assert np.array_equal(other.capacitor, design.capacitor) and other.filter_dac == design.filter_dac
    assert (other.bias()[6:] <= design.bias()[6:]).all() and (other.bias()[6] < design.bias()[6]).any()


def test_what_a_converter_does_not_reach_gets_the_nearest_code(design, small_network):
    far = dataclasses.replace(small_network, bias=small_network.bias + 100.0)
    assert (reprogram(design, far).offset_code == design.offset_dac.limits[1]).all()


def test_a_layout_is_not_set_to_a_network_with_other_elements(design, small_network):
    alpha = np.where(small_network.neurons.alpha > 0, small_network.neurons.alpha, 1.0)
    alpha[2:] = 0.0 if (small_network.neurons.alpha[2:] > 0).any() else 1.0
    other = dataclasses.replace(small_network, neurons=dataclasses.replace(small_network.neurons, alpha=alpha))
    with pytest.raises(DataError, match=r"^the network has other neurons, elements or inputs than the layout"):
        reprogram(design, other)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_filtered_is_the_low_pass(kind):
    signal = np.random.default_rng(1).uniform(size=(80, 5)).astype(kind)
    tau = np.array([3.0, 3.0, 3.0, 2.0, 5.0])
    found = filtered(signal, 0.4, tau)
    assert found.dtype == kind
    wanted = np.stack([lowpass(each, 0.4, own) for each, own in zip(signal.T, tau, strict=True)], axis=1)
    assert np.allclose(found, wanted, atol=1e-6, rtol=0)


def test_a_chip_without_mismatch_does_what_its_codes_mean(design, small_network, inputs):
    from mtc_hw.hardware.design import as_spec

    chips = CompiledChips((quiet(perturb(design, 0, 0)),), "ode")
    found = chips(small_network, inputs, [0, 0, 0])
    assert found.shape == (3, 41, 4)
    wanted = run_spec(as_spec(design), inputs[1], 1.0 / GRID / 4, exact=True).features
    assert np.abs(found[1] - wanted).max() < 0.02 * np.abs(wanted).max() + 1e-3


def test_a_window_does_not_know_the_others(design, small_network, inputs):
    chips = CompiledChips(tuple(perturb(design, 0, sample) for sample in range(3)))
    together = chips(small_network, inputs, [2, 0, 2])
    assert np.array_equal(together[1], chips(small_network, inputs[1:2], [0])[0])
    assert not np.array_equal(together[0], chips(small_network, inputs[:1], [1])[0])


def test_the_identity_is_that_of_chips_and_tier(design):
    one, two = ((perturb(design, 0, sample),) for sample in range(2))
    assert CompiledChips(one).identity == CompiledChips(one).identity
    assert len({CompiledChips(one).identity, CompiledChips(two).identity, CompiledChips(one, "ode").identity}) == 3


@pytest.mark.parametrize(
    ("chips", "tier", "said"),
    [((), "cells", "^no chips to train with"), ((1,), "transistor", "^tier is 'transistor'")],
)
def test_no_chips_and_slow_tiers_are_refused(chips, tier, said):
    with pytest.raises(DataError, match=said):
        CompiledChips(chips, tier)


class Lab:
    """An instrument on a virtual chip; it fails at some of its calls."""

    identity = "lab"

    def __init__(self, chip, network, failing=()):
        self.chips, self.network, self.failing, self.calls = CompiledChips((chip,)), network, failing, 0

    def measure(self, codes, request):
        self.calls += 1
        assert codes.deviations is None
        if self.calls in self.failing:
            return Observables()
        features = self.chips(self.network, request.driven.inputs.T, [0])[0]
        return Observables(driven=Answer(features, features[:, :1]))


def test_instruments_measure_window_by_window(design, small_network, inputs):
    chips = [perturb(design, 0, sample) for sample in range(2)]
    labs = tuple(Lab(chip, small_network, failing=(2,)) for chip in chips)
    found = MeasuredChips((design,) * 2, labs)(small_network, inputs, [0, 1, 1])
    wanted = CompiledChips(tuple(chips))(small_network, inputs, [0, 1, 1])
    assert np.array_equal(found[:2], wanted[:2])
    assert np.isnan(found[2]).all()
    assert [lab.calls for lab in labs] == [1, 2]


def test_each_instrument_needs_a_setting(design):
    with pytest.raises(DataError, match=r"^1 settings for 0 instruments"):
        MeasuredChips((design,), ())


def test_trims_stay_on_top_of_other_parameters(design, small_network, inputs):
    chip = perturb(design, 0, 0)
    turned = dataclasses.replace(chip, offset_trim=chip.offset_trim + 5.0)
    louder = dataclasses.replace(small_network, bias=small_network.bias + 0.2)
    moved = reprogram(turned, louder)
    assert np.array_equal(moved.offset_trim, turned.offset_trim)
    assert np.array_equal(onto(reprogram(design, louder), turned).offset_current(), moved.offset_current())
    plain, trimmed = (CompiledChips((each,))(louder, inputs, [0, 0, 0]) for each in (chip, turned))
    assert not np.array_equal(plain, trimmed)


def test_features_of_trimmed_chips_are_those_of_their_instruments(design, small_network, inputs):
    chips = []
    for sample in range(2):
        chip = perturb(design, 0, sample)
        slower = chip.pole_code.copy()
        slower[0] = slower[0] - 20.0 * sample
        chips.append(dataclasses.replace(chip, pole_code=slower, offset_trim=chip.offset_trim + sample))
    instruments = tuple(CompiledInstrument([chip], "cells") for chip in chips)
    settings = tuple(dataclasses.replace(chip, deviations=None) for chip in chips)
    slow = MeasuredChips(settings, instruments)(small_network, inputs, [0, 1, 1])
    fast = CompiledChips(tuple(chips))(small_network, inputs, [0, 1, 1])
    assert np.abs(fast - slow).max() < 0.02 * np.abs(slow).max()
