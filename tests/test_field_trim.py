"""All codes of a neuron together: its current along the course becomes the model's, at either level."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.calibration_plan import load_plan
from mtc_hw.course import Course
from mtc_hw.courses import network_course
from mtc_hw.field_trim import field_error, trim_field
from mtc_hw.hardware.design import LEAK, as_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.instrument import Bench, Observables
from mtc_hw.spec import ELEMENT_FILTER, SIGNS, RectifiedTanh
from mtc_hw.trims import Currents, match, with_currents

PLAN = load_plan("dc")
ALL = np.ones(4, bool)


@pytest.fixture(scope="module")
def spec(network):
    return dataclasses.replace(network, synapse=RectifiedTanh(0.1), input_curve=network.neurons.leak_curve)


@pytest.fixture(scope="module")
def course(spec):
    inputs = np.cumsum(np.random.default_rng(3).normal(size=(900, 2)), axis=0)
    return network_course(spec, 0.5 * inputs / inputs.std(axis=0))


def field(spec, course: Course) -> np.ndarray:
    """The model's dV/dt along a course by its equations, (POINTS, N)."""
    n = spec.neurons
    total = spec.bias - n.leak * n.leak_curve(course.voltage - n.rest)
    for row, sign in enumerate(SIGNS):
        total = total + sign * n.alpha[row] * np.tanh(course.filtered[ELEMENT_FILTER[row]] - n.delta[row])
    return total + np.einsum("pin,ni->pn", spec.input_curve(course.inputs), spec.weights)


def off(design, spec, course: Course) -> np.ndarray:
    """How far dV/dt of what a design means is from the model's along the course, rms by neuron.

    A filter's offset shifts what its elements hear, so it counts as a shift of their deltas.
    """
    meant = as_spec(design)
    neurons = meant.neurons
    heard = neurons.delta - neurons.offset[list(ELEMENT_FILTER)]
    folded = dataclasses.replace(meant, neurons=dataclasses.replace(neurons, delta=heard))
    return np.sqrt(np.mean((field(folded, course) - field(spec, course)) ** 2, axis=0))


def chip_of(mapped, spec, bits, sample=0):
    return perturb(mapped(spec, bits=bits), 5, sample)


def trimmed(chip, spec, course, runner, level="behavioural", rounds=2):
    """The chip's codes after single trims and some rounds of the field's, and the last look at them."""
    measure = Bench(chip, level, PLAN, runner, course)
    codes = with_currents(chip, match(chip, spec, measure(chip), PLAN, ALL))
    for _ in range(rounds):
        codes = with_currents(codes, trim_field(codes, spec, measure(codes), course, PLAN.field, ALL))
    return codes, measure(codes)


def test_the_measured_error_is_that_of_the_equations(mapped, spec, course, runner):
    """Tables and splines of a behavioural chip say what its equations say; filters without offset or false rate."""
    chip = mapped(spec)
    codes = dataclasses.replace(chip, offset_code=chip.offset_code + 0.1 * chip.scale.amp / chip.offset_dac.lsb)
    seen = Bench(codes, "behavioural", PLAN, runner, course)(codes)
    # A spline through points a quarter of a unit apart knows a tanh to some thousandths.
    assert field_error(codes, spec, seen, course, ALL) == pytest.approx(off(codes, spec, course), abs=0.004)
    assert off(codes, spec, course) == pytest.approx(np.full(4, 0.1), rel=1e-6)


@pytest.mark.parametrize("sample", [0, 1])
def test_on_equations_the_model_comes_back(mapped, spec, course, runner, sample):
    chip = chip_of(mapped, spec, None, sample)
    codes, seen = trimmed(chip, spec, course, runner)
    before = off(chip, spec, course)
    assert before.min() > 0.03
    assert field_error(codes, spec, seen, course, ALL).max() < 0.004
    assert off(codes, spec, course).max() < 0.008
    here = chip.present
    was, meant = as_spec(chip), as_spec(codes)
    # A follower's table has outputs 1.5 units apart.
    assert meant.neurons.tau[here[5:]] == pytest.approx(spec.neurons.tau[here[5:]], rel=0.02)
    moved, had = (np.abs(each.weights - spec.weights).max() for each in (meant, was))
    assert moved < 0.4 * had


def test_coarse_codes_make_up_for_each_other(mapped, spec, course, runner):
    """The codes chosen together lose less than the same currents rounded one by one."""
    chip = chip_of(mapped, spec, 6)
    exact = chip_of(mapped, spec, None)
    ideal, _ = trimmed(exact, spec, course, runner)
    plain = with_currents(chip, Currents.of(ideal))
    codes, _ = trimmed(chip, spec, course, runner)
    one, other = off(codes, spec, course), off(plain, spec, course)
    assert np.median(one / other) < 0.7


def test_transistors_come_as_close_as_sweeps_tell(mapped, spec, course, runner):
    chip = chip_of(mapped, spec, 10)
    measure = Bench(chip, "transistor", PLAN, runner, course)
    before = field_error(chip, spec, measure(chip), course, ALL)
    codes, seen = trimmed(chip, spec, course, runner, "transistor")
    after = field_error(codes, spec, seen, course, ALL)
    assert after.max() < 0.03
    assert (after < before / 4.0).all()


def test_only_what_was_measured_is_trimmed(mapped, spec, course, runner):
    chip = chip_of(mapped, spec, 8)
    seen = Bench(chip, "behavioural", PLAN, runner, course)(chip)
    some = np.array([True, False, True, True])
    codes = with_currents(chip, trim_field(chip, spec, seen, course, PLAN.field, some))
    for name, neuron in (("bias_code", np.s_[:, 1]), ("reference_code", np.s_[:, 1]), ("input_code", 1)):
        assert np.array_equal(getattr(codes, name)[neuron], getattr(chip, name)[neuron])
    assert codes.offset_code[1] == chip.offset_code[1]
    assert np.array_equal(codes.readout_code, chip.readout_code)
    error = field_error(codes, spec, seen, course, some)
    assert np.isnan(error).tolist() == [False, True, False, False]


def test_an_input_s_sign_never_turns(mapped, spec, course, runner):
    chip = chip_of(mapped, spec, 8)
    codes, _ = trimmed(chip, spec, course, runner)
    assert np.array_equal(np.sign(codes.input_code), np.sign(chip.input_code))
    assert (codes.bias_code[:, chip.present[LEAK]][chip.present] >= 0).all()


def test_a_row_without_a_table_has_no_knob(mapped, spec, course, runner):
    """What the bench lost of one OTA leaves its codes and those of the others their trims."""
    chip = chip_of(mapped, spec, 8)
    seen = Bench(chip, "behavioural", PLAN, runner, course)(chip)
    current = seen.current.copy()
    current[0, :, :, 2] = np.nan
    lost = Observables(seen.voltage, seen.output, current, seen.prediction, seen.answer)
    codes = with_currents(chip, trim_field(chip, spec, lost, course, PLAN.field, ALL))
    assert codes.bias_trim[0, 2] == 0.0
    assert codes.bias_trim[1, 2] != 0.0
