"""Fixtures that several folders share. Nothing is skipped: a missing ngspice fails, here and in CI."""

import os

import numpy as np
import pytest
from hypothesis import settings

from mtc_hw.characterise import cells_for
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import load_technology
from mtc_hw.neuron_file import load_neuron
from mtc_hw.simulate.pool import Workers, open_workers
from mtc_hw.spec import ModelSpec, Neurons, Readout

# No deadline, since a busy machine is no fault; in CI the same examples every time.
settings.register_profile("mtc_hw", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("mtc_hw")


@pytest.fixture(scope="session")
def technology():
    return load_technology("generic")


@pytest.fixture(scope="session")
def cells(technology):
    return cells_for(technology, 4e-6, 4e-6)


@pytest.fixture(scope="session")
def mapped(technology, cells):
    """A spec on the generic technology; ideal converters unless told otherwise."""

    def build(spec: ModelSpec, **options):
        return map_spec(spec, technology, cells, MappingOptions(**({"bits": None} | options)))

    return build


@pytest.fixture(scope="session")
def preset(mapped):
    """A shipped neuron: its file, its spec and its design."""

    def build(name: str, **options):
        file = load_neuron(name)
        spec = ModelSpec(file.neurons, np.zeros((1, 0)), np.zeros(1))
        return file, spec, mapped(spec, **options)

    return build


@pytest.fixture(scope="session")
def network(cells):
    """Four unlike neurons with two inputs and two outputs, the wide OTA's curves in leak and filters."""
    neurons = Neurons(
        alpha=np.array([[2.0, 1.8, 2.2, 1.0], [2.0, 2.1, 1.9, 0.0], [0.0, 0.6, 0.0, 0.0], [0.0, 0.4, 0.7, 0.0]]),
        delta=np.array([[0.0, 0.2, -0.1, 0.5], [0.0, 0.1, 0.3, 0.0], [0.0, -1.4, 0.0, 0.0], [0.0, -1.5, -1.2, 0.0]]),
        tau=np.array([[0.0, 2.0, 0.0, 0.0], [50.0, 40.0, 60.0, 1.0], [1.0, 500.0, 900.0, 1.0]]),
        leak_curve=cells.leak_curve,
        filter_curve=cells.filter_curve,
    )
    return ModelSpec(
        neurons,
        weights=np.array([[1.0, 0.3], [-0.7, 0.2], [1.4, -0.5], [0.5, 0.9]]),
        bias=np.array([-0.4, -0.9, 0.2, 0.0]),
        readout=Readout(np.array([[0.8, -0.3, 0.5, 1.1], [-0.2, 0.9, 0.4, -0.6]]), np.array([0.1, -0.2]), tau=20.0),
    )


@pytest.fixture(scope="session")
def runner():
    """Two workers of the library driver, started once for all tests."""
    with open_workers(Workers(jobs=2, timeout=60.0)) as run:
        yield run


@pytest.fixture(scope="session")
def small_network():
    """A hardly trained network of four neurons on the Mackey-Glass task."""
    from mtc_hw.model.options import TrainOptions
    from mtc_hw.model.tasks import mackey_glass_split
    from mtc_hw.model.train import train

    options = TrainOptions(hidden=4, iterations=10, candidates=1, batch=4)
    return train(mackey_glass_split(2000, 1000), options, progress=False).spec
