"""States along a run: the filters' as the reference integrates them, chosen where the voltage moves."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.course import POINTS, Course, course_of
from mtc_hw.neuron_file import Initial, load_neuron
from mtc_hw.simulate.ode import integrate
from mtc_hw.spec import INITIAL_VOLTAGE, Curve

SETTLED = Initial(INITIAL_VOLTAGE, INITIAL_VOLTAGE, INITIAL_VOLTAGE)
SPACING, DURATION = 0.25, 1200.0
GRID = np.arange(0.0, DURATION, SPACING)


def run(curve: Curve | None, tau_fast: float = 0.0):
    """The bursting preset's trace on the grid, and the course of it; the inputs are the time."""
    file = load_neuron("bursting")
    tau = np.vstack([[[tau_fast]], file.neurons.tau[1:]])
    neurons = dataclasses.replace(
        file.neurons, tau=tau, filter_curve=curve, offset=np.array([[0.0], [0.05], [-0.03]])
    )
    trace = integrate(neurons, file.stimulus, DURATION, SETTLED, spacing=SPACING, rtol=1e-8, atol=1e-8)
    voltage = np.interp(GRID, trace.time, trace.voltage[:, 0])[:, None]
    return trace, voltage, course_of(neurons, voltage, SPACING, GRID[:, None], settle=100.0)


@pytest.mark.parametrize("curve", [None, Curve(0.45, 1.5)], ids=["linear", "curved"])
def test_the_filters_states_are_the_reference_s(curve):
    trace, voltage, course = run(curve)
    time = course.inputs[:, 0, 0]
    for row, reference in ((1, trace.slow), (2, trace.ultraslow)):
        assert np.ptp(reference) > 0.3
        assert course.filtered[row, :, 0] == pytest.approx(np.interp(time, trace.time, reference[:, 0]), abs=0.002)
    assert np.array_equal(course.filtered[0], course.voltage)
    assert course.voltage[:, 0] == pytest.approx(np.interp(time, GRID, voltage[:, 0]), abs=1e-12)


def test_a_slow_fast_filter_lags_the_voltage():
    _, _, course = run(None, tau_fast=5.0)
    assert np.abs(course.filtered[0] - course.voltage).max() > 0.5


def test_half_the_points_are_even_in_time_and_half_along_the_voltage_s_way():
    time = np.arange(0.0, 1000.0, 0.5)
    pulse = np.exp(-(((time - 600.0) / 10.0) ** 2))[:, None]
    course = course_of(load_neuron("tonic").neurons, pulse, 0.5, time[:, None], settle=100.0)
    assert course.voltage.shape == (POINTS, 1) and course.filtered.shape == (3, POINTS, 1)
    at = course.inputs[:, 0, 0]
    assert (np.diff(at) >= 0).all() and at[0] == 100.0 and at[-1] == time[-1]
    moving = np.abs(at - 600.0) < 30.0
    assert np.sum(moving) == pytest.approx(POINTS // 2 + 60.0 / 900.0 * POINTS // 2, abs=3)
    quiet = np.diff(at[at < 540.0])
    assert quiet.max() == pytest.approx(899.5 / (POINTS // 2 - 1), abs=0.5)


def test_every_neuron_has_a_course_of_its_own():
    file = load_neuron("tonic")
    two = dataclasses.replace(
        file.neurons, **{n: np.tile(getattr(file.neurons, n), (1, 2)) for n in ("alpha", "delta", "tau", "offset")},
        leak=np.ones(2), rest=np.zeros(2),
    )  # fmt: skip
    time = np.arange(0.0, 200.0, 0.5)
    voltage = np.stack([np.sin(time / 10.0), np.sign(np.sin(time / 30.0))], axis=1)
    both = course_of(two, voltage, 0.5, time[:, None])
    assert isinstance(both, Course) and both.inputs.shape == (POINTS, 1, 2)
    for lane in range(2):
        one = course_of(two.take(lane), voltage[:, lane : lane + 1], 0.5, time[:, None])
        assert np.array_equal(one.voltage[:, 0], both.voltage[:, lane])
        assert np.array_equal(one.filtered[..., 0], both.filtered[..., lane])
        assert np.array_equal(one.inputs[..., 0], both.inputs[..., lane])


def test_a_settling_time_longer_than_the_run_leaves_its_end():
    file = load_neuron("tonic")
    time = np.arange(0.0, 20.0, 0.5)
    course = course_of(file.neurons, np.sin(time)[:, None], 0.5, time[:, None], settle=1e6)
    assert set(course.inputs[:, 0, 0]) == {time[-2], time[-1]}
