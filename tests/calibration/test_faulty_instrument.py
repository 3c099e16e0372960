"""The faults that other tests hand to a calibration are those that they are to be."""

import dataclasses

import numpy as np
import pytest
from faulty_instrument import Faulty

from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.observables import Curves, Driven, Firing, Request
from mtc_hw.calibration.parts import blank
from mtc_hw.hardware.design import LEAK
from mtc_hw.hardware.variation import Variation
from mtc_hw.neuron_file import Stimulus
from mtc_hw.spec import RectifiedTanh

ALL = Request(
    curves=Curves(step=1.0, outputs=(-1.0, 1.0)),
    firing=(Firing(Stimulus(((0.0, 0.4),)), 300.0),),
    readout=True,
    driven=Driven(np.sin(np.arange(30)[:, None] * [0.2, 0.31])),
)


@pytest.fixture(scope="module")
def design(mapped, network):
    return mapped(dataclasses.replace(network, synapse=RectifiedTanh(0.1)), bits=8)


@pytest.fixture(scope="module", params=["ode", "cells"])
def instrument(request, design):
    return CompiledInstrument([Variation().draw(design, 5, 0)], request.param)


@pytest.fixture(scope="module")
def sound(instrument, design):
    return instrument.measure(design, ALL)


def test_a_dead_element_sends_nothing_and_its_neuron_fires_without_it(instrument, design, sound):
    found = Faulty(instrument, dead=[(1, 2)]).measure(design, ALL)
    assert not found.curves.current[1, :, :, 2].any()
    others = [0, 1, 3]
    assert np.array_equal(found.curves.current[..., others], sound.curves.current[..., others], equal_nan=True)
    assert not np.array_equal(found.spikes[0][2], sound.spikes[0][2])
    assert np.array_equal(found.driven.features[:, others], sound.driven.features[:, others])
    assert found.curves.complete(design).all()


def test_a_stuck_code_does_not_move(instrument, design):
    faulty = Faulty(instrument, stuck=[("bias_trim", (LEAK, 1), 20.0), ("offset_trim", 3, -15.0)])
    trims = design.bias_trim.copy(), design.offset_trim.copy()
    trims[0][LEAK, 1], trims[1][3] = 20.0, -15.0
    there = dataclasses.replace(design, bias_trim=trims[0], offset_trim=trims[1])
    found, wanted = faulty.measure(design, ALL), instrument.measure(there, ALL)
    assert np.array_equal(found.curves.current, wanted.curves.current, equal_nan=True)
    assert np.array_equal(found.driven.features, wanted.driven.features)
    assert not np.array_equal(found.driven.features, instrument.measure(design, ALL).driven.features)


def test_a_lost_neuron_is_not_a_number_in_anything(instrument, design, sound):
    found = Faulty(instrument, lost=[1]).measure(design, ALL)
    assert found.curves.complete(design).tolist() == [True, False, True, True]
    assert [np.isnan(train).any() for train in found.spikes[0]] == [False, True, False, False]
    assert np.isnan(found.driven.features).any(axis=0).tolist() == [False, True, False, False]
    assert np.array_equal(found.readout, sound.readout)


def test_an_instrument_that_hangs_answers_the_next_call(instrument, design, sound):
    faulty = Faulty(instrument, hanging={0})
    first, second = (faulty.measure(design, ALL) for _ in range(2))
    for found, wanted in ((first, blank(design, ALL)), (second, sound)):
        assert np.array_equal(found.curves.current, wanted.curves.current, equal_nan=True)
        assert found.driven.prediction.tobytes() == wanted.driven.prediction.tobytes()
        assert all(
            np.array_equal(a, b, equal_nan=True) for a, b in zip(found.spikes[0], wanted.spikes[0], strict=True)
        )
    assert not first.curves.complete(design).any() and np.isnan(first.readout).all()
