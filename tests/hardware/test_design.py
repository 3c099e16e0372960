import dataclasses

import numpy as np
import pytest

from mtc_hw.hardware.design import BRANCHES, LEAK, as_spec, branch_gain, branch_offset, parasitic
from mtc_hw.hardware.mismatch import perturb


def test_taking_a_neuron_takes_its_share_of_everything(mapped, network):
    design = perturb(mapped(network), seed=3, sample=0)
    whole = as_spec(design)
    for index in range(design.count):
        one = as_spec(design.take(index))
        for name in ("alpha", "delta", "tau", "leak", "rest", "offset"):
            assert np.array_equal(getattr(one.neurons, name), getattr(whole.neurons, name)[..., index : index + 1])
        assert np.array_equal(one.weights, whole.weights[index : index + 1])
        assert np.array_equal(one.readout.weights, whole.readout.weights[:, index : index + 1])


@pytest.mark.parametrize(
    "change",
    [
        lambda d: {"bias_code": d.bias_code + 1e-9},
        lambda d: {"readout_tau": d.readout_tau * 2.0},
        lambda d: {"technology": d.technology.model_copy(update={"temperature": 28.0})},
        lambda d: {"synapse": dataclasses.replace(d.synapse, threshold=0.1)},
        lambda d: {"readout_code": d.readout_code.reshape(-1, 1)},
        lambda d: {"deviations": perturb(d, 0, 0).deviations},
    ],
    ids=["codes", "scalar", "technology", "nested", "shape", "chip"],
)
def test_the_digest_changes_with_every_value(mapped, network, change):
    design = mapped(network)
    assert dataclasses.replace(design, **change(design)).digest != design.digest


def test_the_digest_does_not_tell_a_numpy_scalar_from_a_number(mapped, network):
    design = mapped(network)
    assert dataclasses.replace(design, readout_tau=np.float64(design.readout_tau)).digest == design.digest


def test_without_a_chip_there_are_no_deviations(mapped, network):
    design = mapped(network)
    assert not branch_offset(design).any()
    bias = design.bias()
    for branch in range(len(BRANCHES)):
        assert np.array_equal(branch_gain(design)[branch], design.cell(branch).gain_at(bias[branch]))


def test_a_larger_membrane_slows_the_membrane_and_no_filter(mapped, network):
    design = mapped(network)
    more = parasitic(design.cells, design.present)[0] + design.capacitor[0]
    capacitor = design.capacitor + np.outer([1.0, 0.0, 0.0, 0.0], more)
    before, after = as_spec(design), as_spec(dataclasses.replace(design, capacitor=capacitor))
    for name in ("alpha", "leak"):
        assert getattr(after.neurons, name) == pytest.approx(getattr(before.neurons, name) / 2.0, rel=1e-12)
    assert after.weights == pytest.approx(before.weights / 2.0, rel=1e-12)
    assert after.bias == pytest.approx(before.bias / 2.0, rel=1e-12)
    assert np.array_equal(after.neurons.tau, before.neurons.tau)


def test_every_present_ota_adds_capacitance_where_it_is_connected(mapped, network):
    design = mapped(network)
    added = parasitic(design.cells, design.present)
    plain, wide = 0, 1
    out, sense = design.cells.output_parasitic, design.cells.input_parasitic
    # Neuron 0: fast element on v itself, slow element on its filter.
    assert added[0, 0] == pytest.approx(2 * out[plain] + out[wide] + sense[plain] + 2 * sense[wide])
    assert added[2, 0] == pytest.approx(sense[plain] + sense[wide] + out[wide])
    assert added[1, 0] == added[3, 0] == 0.0


def test_an_absent_ota_has_no_bias(mapped, network):
    design = mapped(network, bits=8)
    assert not design.bias()[~design.present].any()
    assert (design.bias()[design.present] > 0).all()
    assert design.present[LEAK].all()
