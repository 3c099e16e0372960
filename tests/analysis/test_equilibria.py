"""Equilibria and their stability against the equations themselves."""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtc_hw.analysis.equilibria import behaviours, current_ranges, equilibria, onset, rests, states
from mtc_hw.analysis.excitability import iv_curves
from mtc_hw.analysis.firing import repeat
from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import Initial, Stimulus, load_neuron
from mtc_hw.simulate.ode import integrate
from mtc_hw.spec import Curve, Neurons

SPIKING = load_neuron("tonic").neurons
BURSTING = load_neuron("bursting").neurons
BISTABLE = dataclasses.replace(
    SPIKING, alpha=np.array([[2.0], [2.0], [1.5], [0.0]]), delta=np.array([[0.0], [0.0], [-0.9], [0.0]])
)


@settings(max_examples=100)
@given(
    alpha=st.lists(st.floats(0.0, 3.0), min_size=4, max_size=4),
    delta=st.lists(st.floats(-2.0, 2.0), min_size=4, max_size=4),
    current=st.floats(-20.0, 20.0),
)
@example(alpha=[2.0, 0.0, 3.0, 0.0], delta=[0.0] * 4, current=1.0)
@example(alpha=[2.0, 2.0, 0.0, 0.0], delta=[0.0] * 4, current=-9.0)
def test_at_an_equilibrium_the_neuron_draws_the_current(alpha, delta, current):
    one = Neurons(np.array(alpha)[:, None], np.array(delta)[:, None], SPIKING.tau)
    (found,) = equilibria(one, np.array([current]))
    assert found.size % 2 == 1
    assert (np.diff(found) > 0.0).all()
    assert iv_curves(one, found)[2, :, 0] == pytest.approx(current, abs=2e-3)


@pytest.mark.parametrize(
    ("neuron", "current", "found"),
    [
        (SPIKING, -1.5, ("rest",)),
        (SPIKING, 0.0, ("fires",)),
        (SPIKING, 1.5, ("block",)),
        (BURSTING, -1.5, ("bursts",)),
        (BURSTING, 0.0, ("fires",)),
        (BISTABLE, -0.8, ("rest", "fires")),
        (BISTABLE, -0.6, ("fires",)),
        (BISTABLE, -1.3, ("rest",)),
    ],
)
def test_what_surrounds_the_equilibria_of_known_neurons(neuron, current, found):
    assert behaviours(neuron, np.array([current])) == (found,)


def test_a_neuron_s_ranges_meet_where_its_behaviour_changes():
    bursts, fires = current_ranges(BURSTING)
    assert (bursts.state, fires.state) == ("bursts", "fires")
    knee = np.arccosh(np.sqrt(1.5))
    # With slow and ultraslow cancelling, the ultraslow curve is the leak: currents are voltages.
    assert (bursts.low, bursts.high) == pytest.approx((-1.5 - knee, -1.5 + knee), abs=0.02)
    assert fires.low == pytest.approx(bursts.high, abs=0.02)
    assert fires.high == pytest.approx(np.arccosh(np.sqrt(2.0)), abs=0.02)


def test_the_onset_of_a_spiking_neuron_is_the_hopf_point_in_closed_form():
    # The trace of (V, U_slow) vanishes: alpha sech^2 V - 1 - 1 / tau = 0, and I = V.
    found = onset(SPIKING)
    expected = -np.arccosh(np.sqrt(2.0 / (1.0 + 1.0 / 50.0)))
    assert found is not None
    assert (found.current, found.voltage) == pytest.approx((expected, expected), abs=1e-6)
    assert found.type == "II"


def test_the_onset_of_a_bistable_neuron_is_its_slow_knee():
    found = onset(BISTABLE)
    knee = -0.9 - np.arccosh(np.sqrt(1.5))
    assert found is not None
    assert found.voltage == pytest.approx(knee, abs=0.01)
    assert found.type == "I"


def test_without_negative_conductance_rest_never_ends():
    calm = dataclasses.replace(SPIKING, alpha=np.array([[0.5], [2.0], [0.0], [0.0]]))
    assert onset(calm) is None
    assert current_ranges(calm) == ()


@pytest.mark.parametrize("tau_fast", [0.0, 2.0])
@pytest.mark.parametrize("side", [-0.02, 0.02])
def test_rest_is_kept_just_below_the_onset_and_lost_just_above(tau_fast, side):
    neuron = dataclasses.replace(SPIKING, tau=np.array([[tau_fast], [50.0], [2500.0]]))
    found = onset(neuron)
    assert found is not None
    level = found.current + side
    (voltage,) = equilibria(neuron, np.array([level]))[0]
    start = Initial(voltage + 1e-3, voltage, voltage)
    trace = integrate(neuron, Stimulus(((0.0, level),)), 2500.0, start, spacing=1.0)
    assert bool(rests(neuron, np.array([level]))[0]) == (side < 0.0)
    assert (np.abs(trace.voltage[-200:] - voltage).max() < 0.1) == (side < 0.0)


def test_a_saturated_leak_holds_no_equilibrium_and_the_voltage_ends_on_its_rail():
    limited = dataclasses.replace(SPIKING, leak_curve=Curve(slope=0.8, shift=0.5))
    (found,) = equilibria(limited, np.array([50.0]))
    assert found.tolist() == [5.0]


def test_states_follow_from_the_signs_of_the_slopes():
    assert states(SPIKING, np.array([-2.0, 0.0, 2.0]))[0] == ("rest", "fires", "block")
    slow = dataclasses.replace(SPIKING, alpha=np.array([[0.0], [0.0], [2.0], [2.0]]))
    assert states(slow, np.array([0.0]))[0] == ("oscillates",)


def test_a_current_that_is_not_finite_is_refused():
    with pytest.raises(SpecError, match="give one finite current for each of 2"):
        equilibria(repeat(SPIKING, 2), np.array([0.0, np.inf]))
