"""The bench's tables: which row is which, equations where the level has equations, NaN where nothing was measured."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.calibration_plan import load_plan
from mtc_hw.course import POINTS, Course
from mtc_hw.hardware.design import BRANCHES, LEAK, as_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.instrument import READOUT_REACH, Bench, Observables
from mtc_hw.simulate.outcome import judge
from mtc_hw.spec import SIGNS, RectifiedTanh

PLAN = load_plan("dc")


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
    return Bench(design, "behavioural", PLAN, runner, course_for(design))(design)


def test_the_table_s_axes_are_the_plan_s(design, seen):
    assert seen.voltage == pytest.approx(np.arange(-5.0, 4.6, 0.25))
    assert seen.output == pytest.approx(np.array(PLAN.outputs))
    assert seen.current.shape == (len(design.rows), len(seen.voltage), len(seen.output), design.count)


def test_every_row_is_the_current_of_its_transconductor(design, seen):
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
    absent = design.row_bias() == 0.0
    assert absent.any()
    assert np.isnan(seen.current).all(axis=(1, 2)).tolist() == absent.tolist()
    assert seen.complete(design).all()
    current = seen.current.copy()
    current[LEAK, 3, 2, 1] = np.nan
    lost = Observables(seen.voltage, seen.output, current, seen.prediction, seen.answer)
    assert lost.complete(design).tolist() == [True, False, True, True]


@pytest.mark.parametrize("held", [-2.0, 0.5, 2.5])
def test_an_ideal_readout_answers_what_it_is_asked_whatever_its_sums_carry(design, runner, held):
    seen = Bench(design, "behavioural", PLAN, runner, course_for(design, held))(design)
    assert seen.prediction[[0, -1]] == pytest.approx([-READOUT_REACH, READOUT_REACH])
    assert seen.answer == pytest.approx(np.tile(seen.prediction, (2, 1)), abs=2e-3)


def test_a_transistor_readout_is_nearly_a_line_through_nearly_zero(design, runner):
    seen = Bench(design, "transistor", PLAN, runner, course_for(design))(design)
    gain, zero = np.polyfit(seen.prediction, seen.answer.T, 1)
    assert gain == pytest.approx(np.ones(2), abs=0.1)
    # Four stages' systematic offsets, the same for every output; a calibration takes them away.
    assert np.abs(zero).max() < 1.0 and np.ptp(zero) < 1e-3
    line = zero[:, None] + gain[:, None] * seen.prediction
    assert np.abs(seen.answer - line).max() < 0.1


def test_the_codes_are_measured_on_the_chip_s_devices(design, runner):
    chip = perturb(design, 4, 0)
    seen = Bench(chip, "behavioural", PLAN, runner, course_for(design))(design)
    again = Bench(design, "behavioural", PLAN, runner, course_for(design))(chip)
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

    seen = Bench(design, "behavioural", PLAN, losing, course_for(design))(design)
    complete = {"bench_2": [True, True, False, True], "all": [False] * 4}.get(lost, [True] * 4)
    assert seen.complete(design).tolist() == complete
    answered = {"readout_sweep_1": [True, False], "all": [False, False]}.get(lost, [True, True])
    assert np.isfinite(seen.answer).all(axis=1).tolist() == answered


def test_bare_neurons_have_no_readout_to_measure(preset, runner):
    design = preset("tonic", bits=8)[2]
    seen = Bench(design, "behavioural", PLAN, runner, course_for(design))(design)
    assert seen.answer.shape[0] == 0 and seen.complete(design).all()
