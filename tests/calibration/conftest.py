"""A small network's design, everything that can be asked of it, and how answers are compared."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.calibration.observables import Curves, Driven, Firing, Request
from mtc_hw.calibration.parts import packed, pieces
from mtc_hw.neuron_file import Initial, Stimulus


@pytest.fixture(scope="session")
def design(mapped, network):
    return mapped(network, bits=8)


@pytest.fixture(scope="session")
def everything():
    firing = (
        Firing(Stimulus(((0.0, 0.7), (50.0, -0.1))), 200.0),
        Firing(Stimulus(((0.0, 1 / 3),)), 100.0, Initial(fast=-1.0)),
    )
    series = np.random.default_rng(0).normal(size=(7, 2))
    return Request(Curves(sweep=(-2.0, 2.0), step=0.5, outputs=(-1.0, 0.0)), firing, True, Driven(series))


@pytest.fixture(scope="session")
def turned():
    """The design with some code of every kind moved."""

    def turn(design, by: float = 1.0):
        return dataclasses.replace(
            design,
            bias_code=np.where(design.present, design.bias_code - by, 0.0),
            reference_code=design.reference_code + by,
            input_code=design.input_code - by,
            offset_code=design.offset_code + by,
            readout_code=design.readout_code - by,
            readout_offset=design.readout_offset + 0.1 * by,
            pole_code=design.pole_code - by,
            readout_dac=dataclasses.replace(design.readout_dac, lsb=design.readout_dac.lsb * (1.0 + 0.1 * by)),
        )

    return turn


@pytest.fixture(scope="session")
def bits():
    """Every number of what was measured, as bytes: NaN equals NaN, and 0.0 not -0.0."""

    def of(seen):
        return [(name, array.shape, array.tobytes()) for each in pieces(seen) for name, array in packed(each).items()]

    return of


@pytest.fixture(scope="session")
def failed():
    """Names of the parts in which every number that says something is NaN."""

    def of(seen):
        arrays = [(name, array) for each in pieces(seen) for name, array in packed(each).items()]
        nothing = {name: [] for name, _ in arrays}
        for name, array in arrays:
            nothing[name].append(np.isnan(array[len(array) // 2 :] if name == "firing" else array).all())
        return {name for name, each in nothing.items() if all(each)}

    return of
