"""Many neurons at once do what LSODA has each do alone."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.analysis.firing import repeat, select, started
from mtc_hw.analysis.spikes import spike_times
from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import Initial, Stimulus, load_neuron
from mtc_hw.simulate.ode import integrate
from mtc_hw.simulate.rk4 import STEP, Holds, integrate_together, step_of
from mtc_hw.spec import Curve, Neurons


def both(neurons: Neurons, stimulus: Stimulus, duration: float, initial: Initial):
    trace = integrate_together(
        neurons, Holds.shared(stimulus, neurons.count), duration, started(initial, neurons.count)
    )
    accurate = integrate(neurons, stimulus, duration, initial, spacing=0.25)
    return trace, accurate


@pytest.mark.parametrize(("name", "duration"), [("tonic", 800.0), ("bursting", 3000.0), ("adapting", 1200.0)])
def test_spikes_are_as_many_as_lsoda_s_and_lie_beside_them(name, duration):
    file = load_neuron(name)
    trace, accurate = both(file.neurons, file.stimulus, duration, file.initial)
    fast, slow = (spike_times(each.time, each.voltage[:, 0]) for each in (trace, accurate))
    assert fast.size > 3
    assert fast == pytest.approx(slow, abs=0.1)


def test_leaks_rests_offsets_curves_and_a_fast_filter_enter_as_in_lsoda():
    curve = Curve(slope=0.8, shift=0.6)
    neurons = Neurons(
        alpha=np.array([[2.0, 2.5], [2.0, 1.5], [0.5, 0.0], [0.3, 0.4]]),
        delta=np.array([[0.0, 0.1], [0.0, -0.2], [-1.0, 0.0], [-1.0, 0.3]]),
        tau=np.array([[0.0, 0.7], [20.0, 8.0], [80.0, 60.0]]),
        leak=np.array([1.1, 0.9]),
        rest=np.array([0.1, -0.2]),
        offset=np.array([[0.3, 0.05], [-0.1, 0.02], [0.04, -0.03]]),
        leak_curve=curve,
        filter_curve=curve,
    )
    trace, accurate = both(neurons, Stimulus(((0.0, -0.6), (30.3, -0.2))), 60.0, Initial(fast=-1.0))
    for n in range(2):
        there = np.interp(trace.time, accurate.time, accurate.voltage[:, n])
        assert np.abs(trace.voltage[:, n] - there).max() < 0.02


def test_a_neuron_does_the_same_alone_and_among_others():
    neurons = repeat(load_neuron("tonic").neurons, 3)
    levels = np.array([-0.7, -0.2, 0.4])
    start = started(Initial(), 3)
    together = integrate_together(neurons, Holds.constant(levels), 100.0, start)
    alone = integrate_together(select(neurons, [1]), Holds.constant(levels[1:2]), 100.0, start[:, 1:2])
    assert np.array_equal(together.voltage[:, 1], alone.voltage[:, 0])


def test_every_change_of_current_falls_on_a_sample():
    neurons = load_neuron("tonic").neurons
    holds = Holds((0.0, 3.3, 7.1), np.array([[-1.0], [-0.5], [0.0]]))
    time = integrate_together(neurons, holds, 10.0, started(Initial(), 1)).time
    assert {0.0, 3.3, 7.1, 10.0} <= set(time.tolist())
    assert np.diff(time).max() <= STEP


def test_the_step_shrinks_with_what_is_fast_and_used_and_with_nothing_else():
    plain = load_neuron("tonic").neurons
    tau = plain.tau.copy()
    unused = dataclasses.replace(plain, tau=np.where(np.arange(3)[:, None] == 2, 1e-6, tau))
    fast = dataclasses.replace(plain, tau=np.where(np.arange(3)[:, None] == 0, 0.1, tau))
    leaky = dataclasses.replace(plain, leak=np.array([5.0]))
    assert step_of(unused) == step_of(plain) == STEP
    assert step_of(fast) == pytest.approx(STEP * 0.1)
    assert step_of(leaky) == pytest.approx(STEP / 5.0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda n: Holds((0.0,), np.zeros((2, 1))), r"currents have shape \(2, 1\), expected \(1, N\)"),
        (lambda n: Holds((0.0,), np.array([[np.nan]])), r"current \[0, 0\] is nan; every current must be finite"),
        (lambda n: Holds((1.0,), np.zeros((1, 1))), "the first must start at 0"),
        (lambda n: Holds((0.0, 0.0), np.zeros((2, 1))), "the first must start at 0 and the others after it"),
        (lambda n: run(n, duration=0.0), r"duration is 0\.0; it must be finite and > 0"),
        (lambda n: run(n, lanes=2), "currents of 2 neurons .* for 1 neurons; give a column for each"),
        (lambda n: run(n, duration=1e9), "for 1 neurons are too many; shorten the duration"),
    ],
)
def test_what_cannot_be_run_is_refused(make, said):
    with pytest.raises(SpecError, match=said):
        make(load_neuron("tonic").neurons)


def run(neurons, duration=10.0, lanes=1):
    return integrate_together(neurons, Holds.constant(np.zeros(lanes)), duration, started(Initial(), 1))
