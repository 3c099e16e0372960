import dataclasses

import numpy as np
import pytest
from trimmed import trimmed

from mtc_hw.errors import SpecError
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.population import population
from mtc_hw.hardware.process import ProcessSpread
from mtc_hw.hardware.variation import Variation
from mtc_hw.spec import ModelSpec, Neurons, Readout, RectifiedTanh

BOTH = Variation(process=ProcessSpread(0.01, 0.01, 0.03, 0.03, 0.05))


@pytest.fixture(scope="module")
def eight(mapped, cells):
    """Eight unlike neurons with three inputs and two outputs."""
    rng = np.random.default_rng(4)
    present = np.array([[1.0] * 8, [1.0] * 8, [0, 1, 0, 1, 1, 0, 1, 1], [0, 1, 1, 0, 1, 0, 1, 1]])
    tau = np.stack([np.tile([0.0, 2.0], 4), rng.uniform(30, 60, 8), rng.uniform(300, 900, 8)])
    neurons = Neurons(
        present * rng.uniform(0.5, 2.5, (4, 8)),
        rng.uniform(-1.0, 1.0, (4, 8)),
        tau,
        leak_curve=cells.leak_curve,
        filter_curve=cells.filter_curve,
    )
    spec = ModelSpec(
        neurons,
        rng.normal(size=(8, 3)) * [1.0, 1.0, 0.0],
        rng.normal(size=8),
        synapse=RectifiedTanh(0.1),
        readout=Readout(rng.normal(size=(2, 8)), np.zeros(2), 20.0),
        input_curve=cells.leak_curve,
    )
    return mapped(spec, bits=8)


def assert_each_chip_is_there(design, level) -> None:
    chips = [trimmed(BOTH.draw(design, 5, sample), sample) for sample in range(3)]
    together, n = level(population(chips)), design.count
    for k, chip in enumerate(chips):
        alone, at = level(chip), slice(k * n, (k + 1) * n)
        for found, wanted in ((together.neurons, alone.neurons), (together.neurons.cells, alone.neurons.cells)):
            for each in dataclasses.fields(wanted) if wanted is not None else ():
                value = getattr(wanted, each.name)
                if isinstance(value, np.ndarray):
                    assert getattr(found, each.name)[..., at].tobytes() == value.tobytes(), each.name
        assert together.weights[at].tobytes() == alone.weights.tobytes()
        assert together.bias[at].tobytes() == alone.bias.tobytes()
        assert together.input_curve == alone.input_curve
        if alone.readout is not None:
            assert together.readout.weights[:, at].tobytes() == alone.readout.weights.tobytes()


@pytest.mark.parametrize("level", [as_spec, as_cells])
def test_a_population_holds_the_neurons_of_each_chip_bit_for_bit(eight, level):
    assert_each_chip_is_there(eight, level)


@pytest.mark.parametrize("level", [as_spec, as_cells])
@pytest.mark.parametrize("name", ["tonic", "bursting"])
def test_a_preset_s_population_does_too(preset, level, name):
    assert_each_chip_is_there(preset(name, bits=8)[2], level)


def test_each_neuron_knows_the_low_pass_of_its_chip(eight):
    chips = [BOTH.draw(eight, 5, sample) for sample in range(3)]
    together = population(chips)
    assert together.readout_taus.tolist() == [chip.readout_tau for chip in chips for _ in range(8)]
    assert together.readout_tau == chips[0].readout_tau != chips[1].readout_tau


def test_chips_of_another_design_and_none_are_refused(eight, preset):
    other = preset("tonic")[2]
    with pytest.raises(SpecError, match=r"^a chip has 8 rows of 1 neurons of network \w{16}, the first one 13 of 8 "):
        population([eight, other])
    with pytest.raises(SpecError, match=r"^some chips of a population have deviations and some none"):
        population([eight, BOTH.draw(eight, 5, 0)])
    with pytest.raises(SpecError, match=r"^a population needs one chip or more$"):
        population([])


def test_nominal_chips_of_different_codes_stand_side_by_side(eight):
    together = as_spec(population([eight, trimmed(eight, 1)]))
    assert (together.neurons.alpha[:, :8] == as_spec(eight).neurons.alpha).all()
    assert (together.neurons.alpha[:, 8:] == as_spec(trimmed(eight, 1)).neurons.alpha).all()
