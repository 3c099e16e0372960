"""Calibration: a chip's trims from its own measurements, at either level; what cannot be measured is marked."""

import dataclasses

import numpy as np
import pytest
from faulty_instrument import Faulty

from mtc_hw.analysis.spikes import burst_statistics, spike_times
from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.observables import Curves
from mtc_hw.calibration.plan import CheckStep, Plan, load_plan
from mtc_hw.calibration.purpose import Purpose
from mtc_hw.calibration.result import TRIMS, Result, apply
from mtc_hw.course import POINTS, Course
from mtc_hw.courses import network_course, neuron_course
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.render import neuron_deck
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.simulate.network import run_networks
from mtc_hw.simulate.ode import integrate
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import ModelSpec, Neurons, RectifiedTanh

DC = load_plan("dc").with_refit(0).model_copy(update={"measurements": 48})  # two inputs and two outputs take 48
HANDS_OFF = Plan(name="none", steps=(CheckStep(method="check", curves=Curves(outputs=(-2.5, 0.0, 2.5))),))


def standing(design) -> Course:
    """All neurons at rest."""
    held = np.zeros((POINTS, design.count))
    return Course(held, np.stack([held] * 3), np.zeros((POINTS, design.input_code.shape[1], design.count)))


def calibrated(design, spec, chip, level, plan, runner, course) -> Result:
    return calibrate(design, Purpose(spec, course), NgspiceInstrument(chip, level, runner, course), plan)


@pytest.fixture(scope="module")
def trimmed(preset, runner):
    """A preset calibrated on its own nominal transistors: file, spec, design, residual before, result."""

    def build(name: str, bits: int | None = None):
        file, spec, design = preset(name, bits=bits)
        course = neuron_course(file)
        before, result = (
            calibrated(design, spec, design, "transistor", plan, runner, course) for plan in (HANDS_OFF, DC)
        )
        return file, spec, design, before.residual[0], result

    return build


def spikes_of(design, file, duration: float, runner) -> np.ndarray:
    deck = neuron_deck(design, 0, "transistor", file.stimulus, duration, file.initial, TRANSISTOR)
    trace = to_trace(runner([deck])[0].waveforms, design, 0)
    return spike_times(trace.time, trace.voltage[:, 0])


def reference(spec, file, duration: float) -> np.ndarray:
    trace = integrate(spec.neurons, file.stimulus, duration, file.initial)
    return spike_times(trace.time, trace.voltage[:, 0])


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("name", ["tonic", "bursting"])
def test_trimming_nominal_transistors_takes_the_current_s_error_away(trimmed, name, bits):
    *_, before, result = trimmed(name, bits)
    assert result.succeeded
    # What is left is mostly the leak's: the presets' is straight, the wide OTA's is not.
    assert result.residual[0] < before / 2.5
    assert result.residual[0] < 0.025


def test_trimmed_tonic_transistors_keep_the_model_s_interval(trimmed, runner):
    file, spec, design, _, result = trimmed("tonic")
    got, expected = (np.diff(s) for s in (
        spikes_of(apply(result, design), file, 800.0, runner),
        reference(spec, file, 800.0),
    ))  # fmt: skip
    assert len(expected) > 8
    assert np.median(got) == pytest.approx(np.median(expected), rel=0.05)


@pytest.mark.slow
def test_trimmed_bursting_transistors_keep_the_model_s_bursts(trimmed, runner):
    file, spec, design, _, result = trimmed("bursting")
    got = burst_statistics(spikes_of(apply(result, design), file, 6000.0, runner))
    expected = burst_statistics(reference(spec, file, 6000.0))
    assert got.intra_interval == pytest.approx(expected.intra_interval, rel=0.08)
    assert len(expected.sizes) > 3
    # The first burst is the start's, the last the run's end.
    assert np.median(got.sizes[1:-1]) == pytest.approx(np.median(expected.sizes[1:-1]), abs=2.0)


@pytest.mark.parametrize("sample", [0, 1])
@pytest.mark.parametrize("level", ["transistor", "behavioural"])
def test_a_mismatched_chip_comes_close_to_the_model(mapped, curved, runner, level, sample):
    spec, course = curved
    design = mapped(spec, bits=10)
    chip = perturb(design, seed=7, sample=sample)
    before, after = (calibrated(design, spec, chip, level, p, runner, course) for p in (HANDS_OFF, DC))
    assert after.residual[0] < before.residual[0] / 8.0


def test_without_a_knob_nothing_moves(preset, runner):
    _, spec, design = preset("tonic", bits=8)
    chip = perturb(design, 7, 0)
    result = calibrated(design, spec, chip, "transistor", HANDS_OFF, runner, standing(design))
    assert apply(result, design).digest == design.digest


@pytest.fixture(scope="module")
def curved(preset, cells):
    """The bursting preset with the cells' own curves, and its course."""
    file = preset("bursting")[0]
    neurons = dataclasses.replace(file.neurons, leak_curve=cells.leak_curve, filter_curve=cells.filter_curve)
    return ModelSpec(neurons, np.zeros((1, 0)), np.zeros(1)), neuron_course(
        dataclasses.replace(file, neurons=neurons)
    )


@pytest.mark.parametrize("level", ["behavioural", "transistor"])
def test_a_chip_that_fits_is_left_alone(mapped, curved, runner, level):
    """Trimmed once more, a trimmed chip hardly moves."""
    spec, course = curved
    design = mapped(spec)
    once = apply(calibrated(design, spec, design, level, DC, runner, course), design)
    twice = apply(calibrated(once, spec, once, level, DC, runner, course), once)
    here = design.present
    assert twice.bias()[here] == pytest.approx(once.bias()[here], rel=0.02)


def test_calibration_on_the_behavioural_level_brings_the_meaning_back(mapped, curved, runner):
    """With the cells' own curves the sweep's equations are the model's: trimming must find the model again."""
    spec, course = curved
    chip = perturb(mapped(spec), seed=3, sample=0)
    result = calibrated(chip, spec, chip, "behavioural", DC, runner, course)
    meant, was = as_spec(apply(result, chip)).neurons, as_spec(chip).neurons

    def error(neurons: Neurons) -> float:
        names = ("alpha", "leak", "rest")
        return max(np.abs(getattr(neurons, name) - getattr(spec.neurons, name)).max() for name in names)

    assert error(was) > 0.03
    assert error(meant) < 0.003
    assert meant.tau[1:] == pytest.approx(spec.neurons.tau[1:], rel=0.005)
    # The ultra-slow element moves little along the course: its delta and the constant current share what is left.
    heard = meant.delta - meant.offset[[0, 1, 1, 2]]
    assert heard[:3] == pytest.approx(spec.neurons.delta[:3], abs=0.005)
    assert heard[3] == pytest.approx(spec.neurons.delta[3], abs=0.02)


@pytest.fixture(scope="module")
def wave():
    series = np.cumsum(np.random.default_rng(3).normal(size=(500, 2)), axis=0)
    return 0.5 * series / series.std(axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["behavioural", "transistor"])
def test_a_calibrated_chip_s_network_predicts_nearer_to_the_model(mapped, network, runner, wave, level):
    """Neurons, inputs, synapses, sums and low-pass at once: the nominal design as equations is the reference."""
    curve = network.neurons.leak_curve
    spec = dataclasses.replace(network, synapse=RectifiedTanh(0.1), input_curve=curve)
    design = mapped(spec, bits=10)
    chip, course = perturb(design, 3, 1), network_course(spec, wave)
    result = calibrated(design, spec, chip, level, DC, runner, course)
    assert result.succeeded
    ideal = run_networks([mapped(spec)], "behavioural", wave, runner)[0].prediction
    raw, after = (r.prediction for r in run_networks([chip, apply(result, chip)], level, wave, runner))
    errors = [np.sqrt(np.mean((each - ideal)[100:] ** 2)) for each in (raw, after)]
    assert errors[1] < 0.2 * errors[0] and errors[1] < 0.02


class Losing(Faulty):
    """Loses neuron 0 on the calls named."""

    def __init__(self, chip, runner, lost: set[int]) -> None:
        super().__init__(NgspiceInstrument(chip, "behavioural", runner, standing(chip)))
        self.on = lost

    def measure(self, codes, request):
        self.lost = [0] if self.calls in self.on else []
        return super().measure(codes, request)


def lossy(mapped, network, runner, lost):
    """A design and what a calibration finds whose instrument loses neuron 0 on these calls."""
    design = mapped(network, bits=8)
    instrument = Losing(perturb(design, 1, 0), runner, lost)
    result = calibrate(design, Purpose(network, standing(design)), instrument, DC)
    assert instrument.calls == 5  # three looks, the readout before and after its trim
    return design, result


@pytest.mark.parametrize("lost", [{0, 1, 2}, {0}])
def test_a_neuron_that_cannot_be_measured_keeps_its_codes(mapped, network, runner, lost):
    design, result = lossy(mapped, network, runner, lost)
    assert result.success[0] == np.False_ and "not measured" in result.reason[0]
    assert result.reason[1:] == ("",) * 3 and result.success[1:].all()
    codes = apply(result, design)
    for name in ("bias_trim", "reference_trim", "readout_code"):
        assert np.array_equal(getattr(codes, name)[:, 0], getattr(design, name)[:, 0])
        assert (getattr(codes, name) != getattr(design, name))[:, 1:].any(axis=0).all()
    assert result.offset_trim[0] == 0.0 and not result.input_trim[0].any()
    assert np.isnan(result.residual).tolist() == [True, False, False, False]


@pytest.mark.parametrize("lost", [{1}, {2}])
def test_a_neuron_lost_on_the_way_is_marked(mapped, network, runner, lost):
    _, result = lossy(mapped, network, runner, lost)
    assert result.success.tolist() == [False, True, True, True]
    assert "not measured" in result.reason[0]


def test_a_plan_that_takes_more_than_it_allows_is_refused(mapped, network, runner):
    design = mapped(network, bits=8)
    plan = DC.model_copy(update={"measurements": 47})
    with pytest.raises(DataError, match=r"^plan dc takes 48 measurements of neuron 1 and allows 47; look at fewer"):
        calibrated(design, network, design, "behavioural", plan, runner, standing(design))


def test_the_history_tells_every_look(mapped, network, runner):
    design = mapped(network, bits=8)
    chip = perturb(design, 1, 0)
    result = calibrated(design, network, chip, "behavioural", DC, runner, standing(design))
    assert [each.step for each in result.history] == ["1 curves", "2 curves", "3 check"]
    assert not any(getattr(result.history[0], name).any() for name in TRIMS)
    for name in TRIMS:
        assert np.array_equal(getattr(result.history[2], name), getattr(result, name)), name
    errors = np.array([each.observed[0] for each in result.history])
    assert (errors[1] < errors[0]).all() and np.array_equal(errors[2], result.residual)


@pytest.mark.parametrize("level", ["behavioural", "transistor"])
def test_an_element_too_weak_for_a_code_stays_off(mapped, runner, level):
    alpha = np.array([[2.0], [2.0], [0.005], [0.0]])
    neurons = Neurons(alpha, np.zeros((4, 1)), np.array([[0.0], [50.0], [2500.0]]))
    spec = ModelSpec(neurons, np.zeros((1, 0)), np.zeros(1))
    design = mapped(spec, bits=8)
    assert design.present[2, 0] and design.bias_code[2, 0] == 0.0
    result = calibrated(design, spec, design, level, DC, runner, standing(design))
    assert result.bias_trim[2, 0] == 0.0
    assert np.isfinite(result.bias_trim).all() and np.isfinite(result.reference_trim).all()
