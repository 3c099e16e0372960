import dataclasses

import numpy as np
import pytest

from mtc_hw.hardware.design import (
    BRANCHES,
    LEAK,
    as_spec,
    load_capacitance,
    pole_parasitic,
    row_constant,
    row_gain,
    row_offset,
)
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
        lambda d: {"readout_unit": d.readout_unit * 2.0},
        lambda d: {"input_curve": d.cells.leak_curve},
        lambda d: {"technology": d.technology.model_copy(update={"temperature": 28.0})},
        lambda d: {"synapse": dataclasses.replace(d.synapse, threshold=0.1)},
        lambda d: {"readout_code": d.readout_code.reshape(-1, 1)},
        lambda d: {"deviations": perturb(d, 0, 0).deviations},
    ],
    ids=["codes", "scalar", "curve", "technology", "nested", "shape", "chip"],
)
def test_the_digest_changes_with_every_value(mapped, network, change):
    design = mapped(network)
    assert dataclasses.replace(design, **change(design)).digest != design.digest


def test_the_digest_does_not_tell_a_numpy_scalar_from_a_number(mapped, network):
    design = mapped(network)
    assert dataclasses.replace(design, readout_unit=np.float64(design.readout_unit)).digest == design.digest


def test_without_a_chip_there_are_no_deviations(mapped, network):
    design = mapped(network)
    assert not row_offset(design).any() and not row_constant(design).any()
    bias = design.row_bias()
    for row, (_, kind) in enumerate(design.rows):
        assert np.array_equal(row_gain(design)[row], getattr(design.cells, kind).gain_at(bias[row]))


def test_rows_are_branches_then_inputs_then_synapses(mapped, network):
    design = mapped(network, bits=8)
    names = [name for name, _ in design.rows]
    assert names == [*BRANCHES, "input_0", "input_1", "synapse_0", "synapse_1"]
    bias = design.row_bias()
    assert bias.shape == (12, design.count) and (bias >= 0).all()
    assert np.array_equal(bias[:8], design.bias())
    assert bias[8:10] == pytest.approx(np.abs(design.input_code.T) * design.input_dac.lsb)
    assert bias[10:] == pytest.approx(np.abs(design.readout_code) * design.readout_dac.lsb)


def test_a_chip_s_inputs_and_synapses_deviate_as_its_branches_do(mapped, network):
    design = mapped(network, bits=8)
    chip = perturb(design, 2, 0)
    moved = np.log(row_gain(chip) / row_gain(design))
    assert (moved[8:] != 0.0).all() and (row_offset(chip)[8:] != 0.0).all()
    meant, was = as_spec(chip), as_spec(design)
    assert meant.weights == pytest.approx(was.weights * np.exp(moved[8:10].T), rel=1e-12)
    assert meant.readout.weights == pytest.approx(was.readout.weights * np.exp(moved[10:]), rel=1e-12)


def test_an_input_s_offset_is_a_constant_current(mapped, network):
    """w (x - o) is w x and a constant -w o."""
    design = mapped(network)
    deviations = perturb(design, 2, 0).deviations
    only = np.zeros((len(design.rows), 1, 1))
    only[8] = 1.0
    chip = dataclasses.replace(
        design,
        deviations=dataclasses.replace(
            deviations, threshold=deviations.threshold * only, width=deviations.width * only
        ),
    )
    meant, was = as_spec(chip), as_spec(design)
    felt = -np.abs(meant.weights[:, 0]) * row_offset(chip)[8] / design.scale.volt
    assert meant.bias - was.bias == pytest.approx(felt, rel=1e-9)
    assert np.array_equal(meant.weights[:, 1], was.weights[:, 1])


def test_the_low_pass_s_time_and_span_are_those_of_its_currents_and_capacitors(mapped, network):
    design = mapped(network, bits=8)
    bias = design.pole_dac.decode(design.pole_code)
    current = bias * design.cells.wide_ota.gain_at(bias)
    farad = design.pole_capacitor + pole_parasitic(design.cells)
    tau = farad * design.scale.volt / current
    assert design.readout_tau == pytest.approx(tau.mean(), rel=1e-12)
    assert tau / design.scale.second == pytest.approx(np.full(4, network.readout.tau), rel=0.005)
    assert design.readout_span == pytest.approx(design.readout_unit / current[0], rel=1e-12)
    slower = dataclasses.replace(design, pole_code=design.pole_dac.encode(bias / 4.0))
    assert slower.readout_tau == pytest.approx(4.0 * design.readout_tau, rel=0.05)


def test_a_design_without_a_readout_has_no_low_pass(preset):
    design = preset("tonic")[2]
    assert design.readout_tau == 0.0 and design.pole_code.shape == (0,)
    assert as_spec(design).readout is None


def test_a_larger_membrane_slows_the_membrane_and_no_filter(mapped, network):
    design = mapped(network)
    more = load_capacitance(design)[0]
    capacitor = design.capacitor + np.outer([1.0, 0.0, 0.0, 0.0], more)
    before, after = as_spec(design), as_spec(dataclasses.replace(design, capacitor=capacitor))
    for name in ("alpha", "leak"):
        assert getattr(after.neurons, name) == pytest.approx(getattr(before.neurons, name) / 2.0, rel=1e-12)
    assert after.weights == pytest.approx(before.weights / 2.0, rel=1e-12)
    assert after.bias == pytest.approx(before.bias / 2.0, rel=1e-12)
    assert np.array_equal(after.neurons.tau, before.neurons.tau)


def test_every_present_ota_adds_capacitance_where_it_is_connected(mapped, network):
    design = mapped(network)
    added = load_capacitance(design) - design.capacitor
    plain, wide, synapse = 0, 1, 2
    out, sense = design.cells.output_parasitic, design.cells.input_parasitic
    # Neuron 0: fast element on v itself, slow element on its filter; two inputs send into v, two synapses listen.
    own = 2 * out[plain] + out[wide] + sense[plain] + 2 * sense[wide]
    assert added[0, 0] == pytest.approx(own + 2 * out[wide] + 2 * sense[synapse])
    assert added[2, 0] == pytest.approx(sense[plain] + sense[wide] + out[wide])
    assert added[1, 0] == added[3, 0] == 0.0


def test_an_input_or_synapse_whose_code_is_zero_loads_nothing(mapped, network):
    design = mapped(network, bits=8)
    cells = design.cells
    fewer = dataclasses.replace(design, input_code=design.input_code * [0.0, 1.0])
    lost = load_capacitance(design) - load_capacitance(fewer)
    assert lost[0] == pytest.approx(np.full(4, cells.output_parasitic[1])) and not lost[1:].any()
    fewer = dataclasses.replace(design, readout_code=design.readout_code * [[0.0], [1.0]])
    lost = load_capacitance(design) - load_capacitance(fewer)
    assert lost[0] == pytest.approx(np.full(4, cells.input_parasitic[2])) and not lost[1:].any()


def test_an_absent_ota_has_no_bias(mapped, network):
    design = mapped(network, bits=8)
    assert not design.bias()[~design.present].any()
    assert (design.bias()[design.present] > 0).all()
    assert design.present[LEAK].all()
