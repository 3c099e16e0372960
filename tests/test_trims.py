"""Single transconductors trimmed from their own sweeps: equations give the model back, what is lost stays."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.calibration_plan import Trims, load_plan
from mtc_hw.course import POINTS, Course
from mtc_hw.hardware.design import LEAK, as_spec, row_gain
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.instrument import Bench
from mtc_hw.spec import ELEMENT_FILTER, RectifiedTanh
from mtc_hw.trims import Currents, match, with_currents

PLAN = load_plan("dc")


@pytest.fixture(scope="module", params=[1, 2])
def matched(mapped, network, runner, request):
    """The network, a mismatched chip of it with exact converters, and that chip with its matched currents."""
    spec = dataclasses.replace(network, synapse=RectifiedTanh(0.1), input_curve=network.neurons.leak_curve)
    chip = perturb(mapped(spec), 3, request.param)
    seen = Bench(chip, "behavioural", PLAN, runner, standing(chip))(chip)
    return spec, chip, with_currents(chip, match(chip, spec, seen, PLAN, np.ones(4, bool)))


def standing(design) -> Course:
    n = design.count
    held = np.zeros((POINTS, n))
    return Course(held, np.stack([held] * 3), np.zeros((POINTS, design.input_trim.shape[1], n)))


def test_elements_leak_and_filters_get_the_model_s_values_back(matched):
    spec, chip, trimmed = matched
    was, meant, wanted = as_spec(chip).neurons, as_spec(trimmed).neurons, spec.neurons
    here = chip.present
    assert np.abs(was.alpha / np.where(here[:4], wanted.alpha, 1.0) - 1.0)[here[:4]].max() > 0.02
    # The gain at the old bias: one round leaves how much the gain falls with the bias.
    assert meant.alpha[here[:4]] == pytest.approx(wanted.alpha[here[:4]], rel=0.005)
    assert meant.leak == pytest.approx(wanted.leak, rel=0.005)
    assert meant.tau[here[5:]] == pytest.approx(wanted.tau[here[5:]], rel=0.01)
    heard = meant.delta - meant.offset[list(ELEMENT_FILTER)]
    assert heard[here[:4]] == pytest.approx(wanted.delta[here[:4]], abs=0.003)
    assert meant.rest == pytest.approx(wanted.rest, abs=0.003)


def test_synapses_get_their_weights_back(matched):
    spec, chip, trimmed = matched
    assert np.abs(as_spec(chip).readout.weights / spec.readout.weights - 1.0).max() > 0.02
    # A synapse's random offset is no knob's; its gain makes up for what it costs on average.
    assert as_spec(trimmed).readout.weights == pytest.approx(spec.readout.weights, rel=0.1)
    exact = chip.readout_code * spec.readout.weights / as_spec(chip).readout.weights
    assert np.sign(trimmed.readout_code).tolist() == np.sign(exact).tolist()


def test_synapses_without_offset_get_exactly_their_weights_back(mapped, network, runner):
    spec = dataclasses.replace(network, synapse=RectifiedTanh(0.1))
    chip = perturb(mapped(spec), 3, 1)
    cells = chip.cells
    flat = dataclasses.replace(
        cells.synapse,
        offset_per_threshold=0.0 * cells.synapse.offset_per_threshold,
        offset_per_width=0.0 * cells.synapse.offset_per_width,
    )
    chip = dataclasses.replace(chip, cells=dataclasses.replace(cells, synapse=flat))
    seen = Bench(chip, "behavioural", PLAN, runner, standing(chip))(chip)
    trimmed = with_currents(chip, match(chip, spec, seen, PLAN, np.ones(4, bool)))
    assert np.log(row_gain(trimmed) / row_gain(chip))[-2:] == pytest.approx(np.zeros((2, 4)), abs=0.01)
    assert as_spec(trimmed).readout.weights == pytest.approx(spec.readout.weights, rel=0.003)


def test_inputs_and_offsets_wait_for_the_whole_current(matched):
    _, chip, trimmed = matched
    for name in ("input_trim", "offset_trim"):
        assert np.array_equal(getattr(trimmed, name), getattr(chip, name))


def test_currents_are_what_codes_stand_for(mapped, network):
    design = mapped(network, bits=8)
    again = with_currents(design, Currents.of(design))
    assert again.digest == design.digest


@pytest.mark.parametrize("hands_off", ["bias", "reference"])
def test_a_plan_without_a_knob_leaves_its_codes(mapped, network, runner, hands_off):
    design = mapped(network)
    chip = perturb(design, 1, 0)
    trims = Trims(**{hands_off: False})
    plan = PLAN.model_copy(update={"elements": trims, "linear": trims})
    seen = Bench(chip, "behavioural", plan, runner, standing(design))(chip)
    wanted, had = match(chip, network, seen, plan, np.ones(4, bool)), Currents.of(chip)
    still = (wanted.reference == had.reference).all(), (wanted.bias == had.bias)[:, 0].all()
    assert still == ((False, True) if hands_off == "bias" else (True, False))
    assert (wanted.synapses == had.synapses).all() == (hands_off == "bias")


def test_a_neuron_that_was_not_measured_keeps_everything(mapped, network, runner):
    design = mapped(network, bits=8)
    chip = perturb(design, 1, 0)
    seen = Bench(chip, "behavioural", PLAN, runner, standing(design))(chip)
    trimmed = with_currents(chip, match(chip, network, seen, PLAN, np.array([True, False, True, True])))
    for name in ("bias_trim", "reference_trim", "readout_code"):
        changed = (getattr(trimmed, name) != getattr(chip, name)).any(axis=0)
        assert not changed[1] and changed[[0, 2]].all(), name
    assert trimmed.present[LEAK].all()
