import dataclasses
import json

import numpy as np
import pytest

from mtc_hw.analysis.spikes import burst_statistics, spike_times
from mtc_hw.calibrate import (
    CurrentTrim,
    Observables,
    Plan,
    Trims,
    apply,
    bench,
    calibrate,
    load_plan,
    load_record,
    save_record,
)
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.render import neuron_deck
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.simulate.ode import integrate
from mtc_hw.simulate.outcome import judge
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import ModelSpec, Neurons

HANDS_OFF = Plan(
    name="none",
    rounds=1,
    elements=Trims(bias=False, reference=False),
    linear=Trims(bias=False, reference=False),
    current=CurrentTrim(trim=False),
)


@pytest.fixture(scope="module")
def trimmed(preset, runner):
    """A preset calibrated on its own nominal transistors: file, spec, design, residual before, record."""

    def build(name: str, bits: int | None = None):
        file, spec, design = preset(name, bits=bits)
        before = calibrate(design, spec, bench(design, "transistor", HANDS_OFF, runner), HANDS_OFF)
        record = calibrate(design, spec, bench(design, "transistor", load_plan("dc"), runner), load_plan("dc"))
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
def test_trimming_nominal_transistors_takes_the_dc_error_away(trimmed, name, bits):
    *_, before, record = trimmed(name, bits)
    assert record.calibrated.all()
    assert record.residual[0] < before / 4.0
    assert record.residual[0] < 0.03


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
def test_a_mismatched_chip_comes_close_to_the_model(preset, runner, level, sample):
    _, spec, design = preset("tonic", bits=10)
    chip = perturb(design, seed=7, sample=sample)
    before, after = (calibrate(design, spec, bench(chip, level, p, runner), p) for p in (HANDS_OFF, load_plan("dc")))
    assert after.residual[0] < before.residual[0] / 8.0


def test_without_a_knob_nothing_moves(preset, runner):
    _, spec, design = preset("tonic", bits=8)
    record = calibrate(design, spec, bench(perturb(design, 7, 0), "transistor", HANDS_OFF, runner), HANDS_OFF)
    same = apply(record, design)
    assert same.digest == design.digest


@pytest.mark.parametrize("level", ["behavioural", "transistor"])
def test_a_chip_that_fits_is_left_alone(mapped, preset, cells, runner, level):
    """Trimmed once more, a trimmed chip hardly moves."""
    neurons = dataclasses.replace(preset("bursting")[1].neurons, leak_curve=cells.leak_curve)
    spec = ModelSpec(dataclasses.replace(neurons, filter_curve=cells.filter_curve), np.zeros((1, 0)), np.zeros(1))
    design = mapped(spec)
    once = apply(calibrate(design, spec, bench(design, level, load_plan("dc"), runner), load_plan("dc")), design)
    twice = apply(calibrate(once, spec, bench(once, level, load_plan("dc"), runner), load_plan("dc")), once)
    here = design.present
    assert twice.bias()[here] == pytest.approx(once.bias()[here], rel=0.02)


def test_calibration_on_the_behavioural_level_brings_the_meaning_back(mapped, preset, cells, runner):
    """With the cells' own curves the sweep's equations are the model's: trimming must find the model again."""
    neurons = dataclasses.replace(preset("bursting")[1].neurons, leak_curve=cells.leak_curve)
    spec = ModelSpec(dataclasses.replace(neurons, filter_curve=cells.filter_curve), np.zeros((1, 0)), np.zeros(1))
    chip = perturb(mapped(spec), seed=3, sample=0)
    record = calibrate(chip, spec, bench(chip, "behavioural", load_plan("dc"), runner), load_plan("dc"))
    meant, was = as_spec(apply(record, chip)).neurons, as_spec(chip).neurons

    def error(neurons: Neurons) -> float:
        names = ("alpha", "leak", "rest")
        return max(np.abs(getattr(neurons, name) - getattr(spec.neurons, name)).max() for name in names)

    assert error(was) > 0.03
    assert error(meant) < 0.003
    assert meant.tau[1:] == pytest.approx(spec.neurons.tau[1:], rel=0.005)
    heard = meant.delta - meant.offset[[0, 1, 1, 2]]
    assert heard == pytest.approx(spec.neurons.delta, abs=0.005)


class Instrument:
    """Measures a chip, and loses neuron 0 on the calls named."""

    def __init__(self, chip, runner, lost: set[int]) -> None:
        self.measure, self.lost, self.calls = bench(chip, "behavioural", load_plan("dc"), runner), lost, 0

    def __call__(self, codes) -> Observables:
        seen, self.calls = self.measure(codes), self.calls + 1
        if self.calls - 1 not in self.lost:
            return seen
        current = seen.current.copy()
        current[:, :, 0] = np.nan
        return Observables(seen.voltage, current)


@pytest.mark.parametrize("lost", [{0, 1, 2, 3}, {0}])
def test_a_neuron_that_cannot_be_measured_keeps_its_codes(mapped, network, runner, lost):
    design = mapped(network, bits=8)
    record = calibrate(design, network, Instrument(perturb(design, 1, 0), runner, lost), load_plan("dc"))
    assert record.calibrated.tolist() == [0.0, 1.0, 1.0, 1.0]
    assert np.array_equal(record.bias_code[:, 0], design.bias_code[:, 0])
    assert np.array_equal(record.reference_code[:, 0], design.reference_code[:, 0])
    assert record.offset_code[0] == design.offset_code[0]
    assert not np.array_equal(record.bias_code[:, 1:], design.bias_code[:, 1:])
    assert np.isfinite(record.residual[1:]).all()


@pytest.mark.parametrize("lost", [{1}, {2}, {3}])
def test_a_neuron_lost_on_the_way_is_marked(mapped, network, runner, lost):
    design = mapped(network, bits=8)
    record = calibrate(design, network, Instrument(perturb(design, 1, 0), runner, lost), load_plan("dc"))
    assert record.calibrated.tolist() == [0.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("level", ["behavioural", "transistor"])
def test_an_element_too_weak_for_a_code_stays_off(mapped, runner, level):
    alpha = np.array([[2.0], [2.0], [0.005], [0.0]])
    neurons = Neurons(alpha, np.zeros((4, 1)), np.array([[0.0], [50.0], [2500.0]]))
    spec = ModelSpec(neurons, np.zeros((1, 0)), np.zeros(1))
    design = mapped(spec, bits=8)
    assert design.present[2, 0] and design.bias_code[2, 0] == 0.0
    record = calibrate(design, spec, bench(design, level, load_plan("dc"), runner), load_plan("dc"))
    assert record.bias_code[2, 0] == 0.0
    assert np.isfinite(record.bias_code).all() and np.isfinite(record.reference_code).all()


def test_a_failed_run_is_not_a_number_on_the_bench(mapped, network):
    design = mapped(network)
    seen = bench(design, "behavioural", HANDS_OFF, lambda decks, done=None: [failed(deck) for deck in decks])(design)
    assert np.isnan(seen.current).all()


def failed(deck):
    return judge(deck, None, "", 0.0, "ngspice")


@pytest.fixture
def record(mapped, network, runner):
    design = mapped(network, bits=8)
    return calibrate(design, network, bench(design, "behavioural", HANDS_OFF, runner), HANDS_OFF)


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
    record = calibrate(design, spec, bench(design, "behavioural", HANDS_OFF, runner), HANDS_OFF)
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
        (lambda d: d | {"version": 7}, "holds mtc_hw calibration 7, expected mtc_hw calibration 1; calibrate again"),
        (
            lambda d: d | {"format": "mtc_hw design"},
            "holds mtc_hw design 1, expected mtc_hw calibration 1; calibrate again",
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
