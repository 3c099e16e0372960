"""Calibration: a chip's codes from its own sweeps, at either level; records that keep them."""

import dataclasses
import json

import numpy as np
import pytest
from mtc_hw.calibrate import CalibrationRecord, apply, calibrate, load_record, save_record, with_readout
from mtc_hw.calibration_plan import FieldTrim, Plan, Trims, load_plan
from mtc_hw.instrument import Bench, Observables

from mtc_hw.analysis.spikes import burst_statistics, spike_times
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
from mtc_hw.spec import ModelSpec, Neurons, Readout, RectifiedTanh

DC = load_plan("dc")
HANDS_OFF = Plan(
    name="none",
    rounds=1,
    elements=Trims(bias=False, reference=False),
    linear=Trims(bias=False, reference=False),
    field=FieldTrim(rounds=0),
)


def standing(design) -> Course:
    """All neurons at rest."""
    held = np.zeros((POINTS, design.count))
    return Course(held, np.stack([held] * 3), np.zeros((POINTS, design.input_code.shape[1], design.count)))


def calibrated(design, spec, chip, level, plan, runner, course) -> CalibrationRecord:
    return calibrate(design, spec, Bench(chip, level, plan, runner, course), plan, course)


@pytest.fixture(scope="module")
def trimmed(preset, runner):
    """A preset calibrated on its own nominal transistors: file, spec, design, residual before, record."""

    def build(name: str, bits: int | None = None):
        file, spec, design = preset(name, bits=bits)
        course = neuron_course(file)
        before, record = (
            calibrated(design, spec, design, "transistor", plan, runner, course) for plan in (HANDS_OFF, DC)
        )
        return file, spec, design, before.residual[0], record

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
    *_, before, record = trimmed(name, bits)
    assert record.calibrated.all()
    # What is left is mostly the leak's: the presets' is straight, the wide OTA's is not.
    assert record.residual[0] < before / 2.5
    assert record.residual[0] < 0.025


def test_trimmed_tonic_transistors_keep_the_model_s_interval(trimmed, runner):
    file, spec, design, _, record = trimmed("tonic")
    got, expected = (np.diff(s) for s in (
        spikes_of(apply(record, design), file, 800.0, runner),
        reference(spec, file, 800.0),
    ))  # fmt: skip
    assert len(expected) > 8
    assert np.median(got) == pytest.approx(np.median(expected), rel=0.05)


@pytest.mark.slow
def test_trimmed_bursting_transistors_keep_the_model_s_bursts(trimmed, runner):
    file, spec, design, _, record = trimmed("bursting")
    got = burst_statistics(spikes_of(apply(record, design), file, 6000.0, runner))
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
    record = calibrated(design, spec, chip, "transistor", HANDS_OFF, runner, standing(design))
    assert apply(record, design).digest == design.digest


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
    record = calibrated(chip, spec, chip, "behavioural", DC, runner, course)
    meant, was = as_spec(apply(record, chip)).neurons, as_spec(chip).neurons

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
    record = calibrated(design, spec, chip, level, DC, runner, course)
    assert record.calibrated.all()
    ideal = run_networks([mapped(spec)], "behavioural", wave, runner)[0].prediction
    raw, after = (r.prediction for r in run_networks([chip, apply(record, chip)], level, wave, runner))
    errors = [np.sqrt(np.mean((each - ideal)[100:] ** 2)) for each in (raw, after)]
    assert errors[1] < 0.2 * errors[0] and errors[1] < 0.02


class Instrument:
    """Measures a chip, and loses neuron 0 on the calls named."""

    def __init__(self, chip, runner, lost: set[int]) -> None:
        self.measure, self.lost, self.calls = Bench(chip, "behavioural", DC, runner, standing(chip)), lost, 0

    def __call__(self, codes) -> Observables:
        seen, self.calls = self.measure(codes), self.calls + 1
        if self.calls - 1 not in self.lost:
            return seen
        current = seen.current.copy()
        current[..., 0] = np.nan
        return dataclasses.replace(seen, current=current)


@pytest.mark.parametrize("lost", [{0, 1, 2, 3}, {0}])
def test_a_neuron_that_cannot_be_measured_keeps_its_codes(mapped, network, runner, lost):
    design = mapped(network, bits=8)
    instrument = Instrument(perturb(design, 1, 0), runner, lost)
    record = calibrate(design, network, instrument, DC, standing(design))
    assert instrument.calls == 4
    assert record.calibrated.tolist() == [0.0, 1.0, 1.0, 1.0]
    for name in ("bias_trim", "reference_trim", "readout_code"):
        assert np.array_equal(getattr(record, name)[:, 0], getattr(design, name)[:, 0])
        assert not np.array_equal(getattr(record, name)[:, 1:], getattr(design, name)[:, 1:])
    assert record.offset_trim[0] == 0.0
    assert np.array_equal(record.input_trim[0], design.input_trim[0])
    assert np.isnan(record.residual[0]) and np.isfinite(record.residual[1:]).all()


@pytest.mark.parametrize("lost", [{1}, {2}, {3}])
def test_a_neuron_lost_on_the_way_is_marked(mapped, network, runner, lost):
    design = mapped(network, bits=8)
    record = calibrate(design, network, Instrument(perturb(design, 1, 0), runner, lost), DC, standing(design))
    assert record.calibrated.tolist() == [0.0, 1.0, 1.0, 1.0]


@pytest.fixture(scope="module")
def single(network):
    """One neuron with two inputs and two outputs."""
    readout = dataclasses.replace(network.readout, weights=network.readout.weights[:, :1])
    return dataclasses.replace(
        network, neurons=network.neurons.take(0), weights=network.weights[:1], bias=network.bias[:1], readout=readout
    )


def test_a_readout_that_cannot_be_measured_keeps_its_codes(mapped, single, runner):
    design = mapped(single, bits=8)
    measure = Bench(design, "transistor", HANDS_OFF, runner, standing(design))

    def blind(codes) -> Observables:
        seen = measure(codes)
        return dataclasses.replace(seen, answer=np.full_like(seen.answer, np.nan))

    seen, unseen = (calibrate(design, single, m, HANDS_OFF, standing(design)) for m in (measure, blind))
    assert np.array_equal(unseen.pole_code, design.pole_code)
    assert np.array_equal(unseen.readout_offset, design.readout_offset)
    assert not np.array_equal(seen.pole_code, design.pole_code)
    assert (seen.readout_offset != design.readout_offset).all()


@pytest.mark.parametrize("bits", [None, 10])
def test_a_trimmed_transistor_readout_answers_what_it_is_asked(mapped, single, runner, bits):
    design = mapped(single, bits=bits)
    measure = Bench(design, "transistor", HANDS_OFF, runner, standing(design))
    record = calibrate(design, single, measure, HANDS_OFF, standing(design))
    seen = measure(apply(record, design))
    gain, zero = np.polyfit(seen.prediction, seen.answer.T, 1)
    assert gain == pytest.approx(np.ones(2), abs=0.01)
    assert record.readout_offset + zero == pytest.approx(single.readout.offset, abs=0.005)


@pytest.mark.parametrize("level", ["behavioural", "transistor"])
def test_an_element_too_weak_for_a_code_stays_off(mapped, runner, level):
    alpha = np.array([[2.0], [2.0], [0.005], [0.0]])
    neurons = Neurons(alpha, np.zeros((4, 1)), np.array([[0.0], [50.0], [2500.0]]))
    spec = ModelSpec(neurons, np.zeros((1, 0)), np.zeros(1))
    design = mapped(spec, bits=8)
    assert design.present[2, 0] and design.bias_code[2, 0] == 0.0
    record = calibrated(design, spec, design, level, DC, runner, standing(design))
    assert record.bias_trim[2, 0] == 0.0
    assert np.isfinite(record.bias_trim).all() and np.isfinite(record.reference_trim).all()


@pytest.fixture
def record(mapped, network, runner):
    design = mapped(network, bits=8)
    return calibrated(design, network, design, "behavioural", HANDS_OFF, runner, standing(design))


def test_a_refitted_readout_is_in_the_record_s_codes(mapped, network, runner):
    """What a trim found out of each synapse stays: the new weights are the old ones' codes, scaled."""
    spec = dataclasses.replace(network, synapse=RectifiedTanh(0.1))
    design = mapped(spec, bits=12)
    chip = perturb(design, 3, 0)
    record = calibrated(design, spec, chip, "behavioural", DC, runner, standing(design))
    trimmed = as_spec(apply(record, chip)).readout
    weights = spec.readout.weights * np.array([[-0.5], [2.0]])
    refitted = Readout(weights, np.array([0.7, -0.4]), spec.readout.tau)
    meant = as_spec(apply(with_readout(record, design, refitted), chip)).readout
    assert meant.weights / weights == pytest.approx(trimmed.weights / spec.readout.weights, rel=0.02)
    moved = record.readout_offset - design.readout_offset
    assert meant.offset == pytest.approx(refitted.offset + moved, abs=0.005)


def test_a_record_comes_back_bit_for_bit(record, tmp_path):
    save_record(record, tmp_path / "deep" / "record.json")
    loaded = load_record(tmp_path / "deep" / "record.json")
    for each in dataclasses.fields(record):
        one, other = getattr(record, each.name), getattr(loaded, each.name)
        same = (
            np.array_equal(one, other) and one.shape == other.shape if isinstance(one, np.ndarray) else one == other
        )
        assert same, each.name


def test_a_record_of_bare_neurons_comes_back_with_its_empty_arrays(preset, runner, tmp_path):
    _, spec, design = preset("tonic")
    record = calibrated(design, spec, design, "behavioural", HANDS_OFF, runner, standing(design))
    save_record(record, tmp_path / "record.json")
    assert apply(load_record(tmp_path / "record.json"), design).digest == design.digest


def test_a_record_fits_every_chip_of_its_design(mapped, network, record):
    chip = perturb(mapped(network, bits=8), 9, 4)
    assert apply(record, chip).deviations is chip.deviations


def test_a_record_of_another_design_is_refused(mapped, network, record):
    with pytest.raises(
        DataError, match=r"^this calibration is of design [0-9a-f]{16}, not of [0-9a-f]{16}; calibrate"
    ):
        apply(record, mapped(network, bits=9))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d | {"version": 7}, "holds mtc_hw calibration 7, expected mtc_hw calibration 3; calibrate again"),
        (
            lambda d: d | {"format": "mtc_hw design"},
            "holds mtc_hw design 3, expected mtc_hw calibration 3; calibrate again",
        ),
        (lambda d: {}, "holds no mtc_hw calibration: 'format'; calibrate again"),
        (lambda d: [], "holds no mtc_hw calibration: list indices .*; calibrate again"),
        (lambda d: d | {"value": {}}, "holds no mtc_hw calibration: 'plan'; calibrate again"),
    ],
)
def test_what_holds_no_calibration_is_refused(record, tmp_path, change, text):
    path = tmp_path / "record.json"
    save_record(record, path)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=rf"^\S+record\.json {text}$"):
        load_record(path)


def test_a_missing_record_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"^\S+gone\.json holds no mtc_hw calibration: \[Errno 2\] .*; calibrate again$"
    ):
        load_record(tmp_path / "gone.json")
