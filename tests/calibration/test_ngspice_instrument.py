"""What ngspice measures: which row is which, equations where the level has them, NaN where nothing was measured."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.observables import PREDICTIONS, READOUT_REACH, Curves, Driven, Firing, Request
from mtc_hw.course import POINTS, Course
from mtc_hw.hardware.conditions import at_temperature
from mtc_hw.hardware.design import BRANCHES, LEAK, as_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.bench import synapse_deck
from mtc_hw.neuron_file import Stimulus
from mtc_hw.neuron_run import meant
from mtc_hw.simulate.outcome import judge
from mtc_hw.spec import SIGNS, RectifiedTanh

CURVES = Curves(outputs=(-4.0, -2.5, -1.0, 0.5, 2.0, 3.5))
LOOK = Request(curves=CURVES, readout=True)


def look(chip, codes, runner, level="behavioural", held=0.5, request=LOOK):
    return NgspiceInstrument(chip, level, runner, course_for(chip, held)).measure(codes, request)


def course_for(design, voltage: float = 0.5) -> Course:
    """All neurons held at one voltage."""
    n, inputs = design.count, design.input_code.shape[1]
    held = np.full((POINTS, n), voltage)
    return Course(held, np.stack([held] * 3), np.zeros((POINTS, inputs, n)))


@pytest.fixture(scope="module")
def design(mapped, network):
    return mapped(dataclasses.replace(network, synapse=RectifiedTanh(0.1)), bits=8)


@pytest.fixture(scope="module")
def seen(design, runner):
    return look(design, design, runner)


def test_the_table_s_axes_are_those_asked_for(design, seen):
    seen = seen.curves
    assert seen.voltage == pytest.approx(np.arange(-5.0, 4.6, 0.25))
    assert seen.output == pytest.approx(np.array(CURVES.outputs))
    assert seen.current.shape == (len(design.rows), len(seen.voltage), len(seen.output), design.count)


def test_every_row_is_the_current_of_its_transconductor(design, seen):
    seen = seen.curves
    model, x = as_spec(design), seen.voltage[:, None, None]
    for branch in range(LEAK):
        expected = SIGNS[branch] * model.neurons.alpha[branch] * np.tanh(x - model.neurons.delta[branch])
        here = design.present[branch]
        got = seen.current[branch][..., here]
        assert got == pytest.approx(np.broadcast_to(expected[..., here], got.shape), rel=1e-4, abs=1e-7)
    for i in range(2):
        got, expected = seen.current[len(BRANCHES) + i], model.weights[:, i] * x
        assert got == pytest.approx(np.broadcast_to(expected, got.shape), rel=1e-4, abs=1e-7)
    weight = np.abs(model.readout.weights) * design.readout_unit / design.scale.amp
    for output in range(2):
        got, expected = seen.current[-2 + output], weight[output] * design.synapse(x)
        assert got == pytest.approx(np.broadcast_to(expected, got.shape), rel=1e-4, abs=1e-7)


def test_what_is_not_there_is_not_a_number_and_not_missing_either(design, seen):
    seen, absent = seen.curves, design.row_bias() == 0.0
    assert absent.any()
    assert np.isnan(seen.current).all(axis=(1, 2)).tolist() == absent.tolist()
    assert seen.complete(design).all()
    current = seen.current.copy()
    current[LEAK, 3, 2, 1] = np.nan
    lost = dataclasses.replace(seen, current=current)
    assert lost.complete(design).tolist() == [True, False, True, True]


@pytest.mark.parametrize("held", [-2.0, 0.5, 2.5])
def test_an_ideal_readout_answers_what_it_is_asked_whatever_its_sums_carry(design, runner, held):
    answer = look(design, design, runner, held=held, request=Request(readout=True)).readout
    assert PREDICTIONS[[0, -1]] == pytest.approx([-READOUT_REACH, READOUT_REACH])
    assert answer == pytest.approx(np.tile(PREDICTIONS, (2, 1)), abs=2e-3)


def test_a_transistor_readout_is_nearly_a_line_through_nearly_zero(design, runner):
    answer = look(design, design, runner, "transistor", request=Request(readout=True)).readout
    gain, zero = np.polyfit(PREDICTIONS, answer.T, 1)
    assert gain == pytest.approx(np.ones(2), abs=0.1)
    # Four stages' systematic offsets, the same for every output; a calibration takes them away.
    assert np.abs(zero).max() < 1.0 and np.ptp(zero) < 1e-3
    line = zero[:, None] + gain[:, None] * PREDICTIONS
    assert np.abs(answer - line).max() < 0.1


def test_what_warm_synapses_leak_is_in_a_readout_s_zero(design, runner, monkeypatch):
    """Each of them sends it into its weight's sum: of four, all into the positive one, or two into each."""
    codes = np.array([[60.0, 60.0, 60.0, 60.0], [60.0, 60.0, -60.0, -60.0]])
    warm = dataclasses.replace(at_temperature(design, 70.0, "ptat"), readout_code=codes)
    found = []
    for _ in range(2):
        answer = look(warm, warm, runner, "transistor", request=Request(readout=True)).readout
        gain, zero = np.polyfit(PREDICTIONS, answer.T, 1)
        found.append(zero / gain * warm.readout_unit)
        monkeypatch.setattr(NgspiceInstrument, "_leaks", lambda self, design: np.zeros((2, 2)))
    [outcome] = runner([synapse_deck(warm, 0, "transistor", (-3.0, -2.5, 0.5))])
    leak = outcome.waveforms["i(vo_synapse_0_0)"][0]
    assert found[0] - found[1] == pytest.approx([4.0 * leak, 0.0], abs=0.05 * leak)


def test_the_codes_are_measured_on_the_chip_s_devices(design, runner):
    chip = perturb(design, 4, 0)
    seen, again = look(chip, design, runner).curves, look(design, chip, runner).curves
    model = as_spec(chip)
    middle = seen.current[len(BRANCHES), -1] - seen.current[len(BRANCHES), 0]
    assert middle == pytest.approx(np.broadcast_to(model.weights[:, 0] * 9.5, middle.shape), rel=1e-3)
    middle = again.current[len(BRANCHES), -1] - again.current[len(BRANCHES), 0]
    assert middle == pytest.approx(np.broadcast_to(as_spec(design).weights[:, 0] * 9.5, middle.shape), rel=1e-3)


@pytest.mark.parametrize("lost", ["bench_2", "readout_sweep_1", "all"])
def test_a_failed_sweep_is_not_a_number_and_no_exception(design, runner, lost):
    def losing(decks, done=None):
        found = runner(decks, done)
        return [judge(d, None, "", 0.0, "ngspice", 1 << 30) if lost in (d.name, "all") else o
                for d, o in zip(decks, found, strict=True)]  # fmt: skip

    seen = look(design, design, losing)
    complete = {"bench_2": [True, True, False, True], "all": [False] * 4}.get(lost, [True] * 4)
    assert seen.curves.complete(design).tolist() == complete
    answered = {"readout_sweep_1": [True, False], "all": [False, False]}.get(lost, [True, True])
    assert np.isfinite(seen.readout).all(axis=1).tolist() == answered


def test_bare_neurons_have_no_readout_to_measure(preset, runner):
    design = preset("tonic", bits=8)[2]
    seen = look(design, design, runner)
    assert seen.readout.shape == (0, len(PREDICTIONS)) and seen.curves.complete(design).all()


def test_what_was_not_asked_for_is_not_measured(design, runner):
    seen = look(design, design, runner, request=Request(readout=True))
    assert seen.curves is None and seen.driven is None and seen.spikes == ()


def test_free_neurons_spike_when_their_equations_do(preset, runner):
    file, _, design = preset("tonic", bits=8)
    chip = perturb(design, 2, 0)
    stimuli = file.stimulus, Stimulus(((0.0, 0.3),))
    firing = tuple(Firing(each, 500.0, file.initial) for each in stimuli)
    spikes = look(chip, design, runner, request=Request(firing=firing)).spikes
    for found, stimulus in zip(spikes, stimuli, strict=True):
        trace = meant(chip, dataclasses.replace(file, stimulus=stimulus), 500.0)
        expected = spike_times(trace.time, trace.voltage[:, 0])
        assert len(expected) > 4 and found[0] == pytest.approx(expected, abs=1.0)


def test_a_neuron_whose_run_failed_has_no_spikes_and_no_features(design, runner):
    def losing(decks, done=None):
        return [
            judge(deck, None, "", 0.0, "ngspice", 1 << 30) if "_2" in deck.name else outcome
            for deck, outcome in zip(decks, runner(decks, done), strict=True)
        ]

    asked = Request(firing=(Firing(Stimulus(((0.0, 0.0),)), 60.0),), driven=Driven(np.zeros((40, 2))))
    seen = look(design, design, losing, request=asked)
    assert [bool(np.isnan(each).any()) for each in seen.spikes[0]] == [False, False, True, False]
    assert np.isnan(seen.driven.features).all(axis=0).tolist() == [False, False, True, False]
    assert np.isnan(seen.driven.prediction).all()


def test_the_identity_tells_chip_level_and_design(design, runner):
    chip = perturb(design, 4, 7)
    for each, text in ((chip, "chip seed 4 sample 7"), (design, "nominal chip")):
        identity = NgspiceInstrument(each, "transistor", runner, course_for(each)).identity
        assert text in identity and "transistor" in identity and design.digest in identity
