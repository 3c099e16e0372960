import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import Initial, Stimulus, load_neuron, preset_names
from mtc_hw.simulate.ode import SampledCurrent, integrate
from mtc_hw.spec import ELEMENT_FILTER, SIGNS, Curve, Neurons

REST = Stimulus(((0.0, 0.0),))


def passive(count: int = 1, **changed) -> Neurons:
    zeros = np.zeros((4, count))
    tau = np.tile([[0.0], [50.0], [400.0]], count)
    return Neurons(**({"alpha": zeros, "delta": zeros, "tau": tau} | changed))


def independent(neurons: Neurons, current, duration: float, start: list[float], times):
    """The equations of `Neurons` in vector form by another method, DOP853: V, then the three filters."""

    def flow(time, state):
        voltage, filters = state[0], np.array(state[1:])
        seen = filters if neurons.tau[0, 0] > 0 else np.array([voltage, *filters[1:]])
        elements = sum(
            sign * alpha * np.tanh(seen[row] - delta)
            for sign, alpha, delta, row in zip(
                SIGNS, neurons.alpha[:, 0], neurons.delta[:, 0], ELEMENT_FILTER, strict=True
            )
        )
        loss = voltage - neurons.rest[0]
        loss = neurons.leak[0] * (loss if neurons.leak_curve is None else neurons.leak_curve(loss))
        errors = voltage - filters + neurons.offset[:, 0]
        errors = errors if neurons.filter_curve is None else neurons.filter_curve(errors)
        lags = np.where(neurons.tau[:, 0] > 0, neurons.tau[:, 0], 1.0)
        return [current(time) - loss + elements, *(errors / lags)]

    return solve_ivp(flow, (0.0, duration), start, method="DOP853", rtol=1e-11, atol=1e-11, t_eval=times).y


@settings(max_examples=20, deadline=None)
@given(
    level=st.floats(-3, 3),
    start=st.floats(-3, 3),
    leak=st.floats(0.2, 3),
    rest=st.floats(-1, 1),
)
def test_without_elements_the_voltage_relaxes_exponentially(level, start, leak, rest):
    neurons = passive(leak=np.array([leak]), rest=np.array([rest]))
    trace = integrate(neurons, Stimulus(((0.0, level),)), 20.0, Initial(start))
    final = rest + level / leak
    assert np.abs(trace.voltage[:, 0] - (final + (start - final) * np.exp(-leak * trace.time))).max() < 1e-7


def test_without_elements_a_filter_follows_the_closed_form_of_two_poles_with_its_offset():
    neurons = passive(offset=np.array([[0.0], [0.3], [-0.2]]))
    trace = integrate(neurons, REST, 300.0, Initial(1.0, 0.0, 0.5))
    for got, tau, offset, start in ((trace.slow, 50.0, 0.3, 0.0), (trace.ultraslow, 400.0, -0.2, 0.5)):
        driven = 1.0 / (1.0 - tau)
        expected = offset + driven * np.exp(-trace.time) + (start - offset - driven) * np.exp(-trace.time / tau)
        assert np.abs(got[:, 0] - expected).max() < 1e-7


def test_a_linear_ramp_of_current_is_followed_exactly():
    ramp = SampledCurrent(np.array([0.0, 2.0, 2.0]), 10.0)
    trace = integrate(passive(), ramp, 15.0, Initial(0.0))
    before = trace.time <= 10.0
    t = trace.time[before]
    assert np.abs(trace.voltage[before, 0] - 0.2 * (t - 1.0 + np.exp(-t))).max() < 1e-7
    assert trace.voltage[-1, 0] == pytest.approx(2.0 - (2.0 - trace.voltage[before, 0][-1]) * np.exp(-5.0), abs=1e-7)


def test_a_sampled_current_is_held_after_its_last_sample():
    trace = integrate(passive(), SampledCurrent(np.array([0.0, 1.5]), 1.0), 30.0, Initial(0.0))
    assert trace.voltage[-1, 0] == pytest.approx(1.5, abs=1e-7)


def test_every_term_agrees_with_another_method_and_another_code():
    start = load_neuron("bursting").neurons
    neurons = Neurons(
        alpha=start.alpha,
        delta=start.delta + 0.05,
        tau=np.array([[1.5], [40.0], [900.0]]),
        leak=np.array([0.9]),
        rest=np.array([-0.1]),
        offset=np.array([[0.02], [-0.03], [0.05]]),
        leak_curve=Curve(slope=0.3, shift=2.0),
        filter_curve=Curve(slope=0.4, shift=1.0),
    )
    trace = integrate(
        neurons, Stimulus(((0.0, -1.2),)), 300.0, Initial(-1.9, -1.8, -1.7, fast=-1.5), rtol=1e-11, atol=1e-11
    )
    states = independent(neurons, lambda _: -1.2, 300.0, [-1.9, -1.5, -1.8, -1.7], trace.time)
    for got, expected in ((trace.voltage, states[0]), (trace.slow, states[2]), (trace.ultraslow, states[3])):
        assert np.abs(got[:, 0] - expected).max() < 1e-6
    assert np.ptp(trace.voltage) > 3.0, "the run must spike to mean anything"


def test_the_fast_filter_starts_at_the_voltage_unless_told():
    neurons = passive(alpha=np.array([[2.0], [0.0], [0.0], [0.0]]), tau=np.array([[1.0], [50.0], [400.0]]))
    default, same, other = (integrate(neurons, REST, 5.0, Initial(0.5, fast=fast)) for fast in (None, 0.5, -0.5))
    assert np.array_equal(default.voltage, same.voltage)
    assert not np.allclose(default.voltage, other.voltage)


def test_a_very_small_fast_time_constant_is_the_instantaneous_neuron():
    tonic = load_neuron("tonic")
    quick = Neurons(tonic.neurons.alpha, tonic.neurons.delta, np.array([[1e-6], [50.0], [2500.0]]))
    traces = [integrate(neurons, tonic.stimulus, 200.0) for neurons in (tonic.neurons, quick)]
    first, second = (spike_times(trace.time, trace.voltage[:, 0]) for trace in traces)
    assert np.abs(first - second).max() < 1e-3


def preset_spikes(name: str, duration: float, tolerance: float = 1e-9, spacing: float = 0.125):
    preset = load_neuron(name)
    trace = integrate(
        preset.neurons, preset.stimulus, duration, preset.initial, rtol=tolerance, atol=tolerance, spacing=spacing
    )
    return spike_times(trace.time, trace.voltage[:, 0])


@pytest.mark.parametrize("name", preset_names())
def test_halving_the_tolerance_or_the_spacing_moves_no_spike(name):
    duration = 15_000.0
    spikes = preset_spikes(name, duration)
    for other in (preset_spikes(name, duration, 5e-10), preset_spikes(name, duration, spacing=0.0625)):
        assert spikes.size == other.size
        assert np.abs(spikes - other).max(initial=0.0) < 1e-3


def test_a_step_between_samples_is_met_exactly():
    trace = integrate(passive(), Stimulus(((0.0, 0.0), (1.03, 1.0))), 3.0, Initial(0.0))
    after = trace.time >= 1.03
    assert 1.03 in trace.time
    assert np.abs(trace.voltage[after, 0] - (1.0 - np.exp(-(trace.time[after] - 1.03)))).max() < 1e-8
    assert np.abs(trace.voltage[~after]).max() < 1e-12


@settings(max_examples=30, deadline=None)
@given(spacing=st.floats(0.01, 0.7), duration=st.floats(1.0, 9.0), step=st.floats(0.05, 0.9))
def test_samples_increase_from_zero_to_the_end_and_are_no_further_apart_than_asked(spacing, duration, step):
    trace = integrate(passive(), Stimulus(((0.0, 0.0), (step, 1.0))), duration, spacing=spacing)
    assert trace.time[0] == 0.0 and trace.time[-1] == duration
    gaps = np.diff(trace.time)
    assert gaps.min() > 0.0 and gaps.max() <= spacing * (1.0 + 1e-5)


def test_a_callable_pulse_is_not_jumped_over():
    trace = integrate(passive(), lambda time: 5.0 * np.exp(-((time - 700.0) ** 2)), 1000.0, Initial(0.0))
    assert trace.voltage.max() > 2.0


def test_a_callable_and_a_stimulus_of_the_same_current_agree():
    tonic = load_neuron("tonic")
    one = integrate(tonic.neurons, tonic.stimulus, 200.0)
    two = integrate(tonic.neurons, lambda _: -0.5, 200.0)
    assert np.abs(one.voltage - two.voltage).max() < 1e-5


def test_neurons_are_alone_so_a_population_is_its_members():
    tonic, burst = load_neuron("tonic"), load_neuron("bursting")
    names = ("alpha", "delta", "tau")
    pair = Neurons(*(np.hstack([getattr(tonic.neurons, n), getattr(burst.neurons, n)]) for n in names))
    samples = np.array([[-0.5, -1.5], [0.2, -1.0], [-0.5, -1.5]])
    starts = (Initial(-1.0), Initial(-1.5, -1.4, -1.6))
    both = integrate(pair, SampledCurrent(samples, 100.0), 250.0, starts)
    assert both.voltage.shape == both.slow.shape == both.ultraslow.shape == (both.time.size, 2)
    for index, start in enumerate(starts):
        alone = integrate(pair.take(index), SampledCurrent(samples[:, index], 100.0), 250.0, start)
        assert np.array_equal(alone.voltage[:, 0], both.voltage[:, index])


def test_instantaneous_and_lagging_fast_elements_live_in_one_population():
    neurons = passive(
        2, alpha=np.tile([[2.0], [0.0], [0.0], [0.0]], 2), tau=np.array([[0.0, 2.0], [50.0] * 2, [400.0] * 2])
    )
    both = integrate(neurons, REST, 10.0)
    for index in range(2):
        assert np.array_equal(integrate(neurons.take(index), REST, 10.0).voltage[:, 0], both.voltage[:, index])


def test_the_same_run_twice_is_the_same_to_the_bit():
    bursting = load_neuron("bursting")
    one, two = (integrate(bursting.neurons, bursting.stimulus, 500.0) for _ in range(2))
    assert np.array_equal(one.voltage, two.voltage)


def test_a_network_input_agrees_with_another_method():
    burst = load_neuron("bursting").neurons
    samples = -1.0 + np.random.default_rng(3).normal(size=101).cumsum() * 0.1
    trace = integrate(burst, SampledCurrent(samples, 2.0), 200.0, rtol=1e-10, atol=1e-10)
    grid = np.arange(101) * 2.0
    states = independent(burst, lambda t: np.interp(t, grid, samples), 200.0, [-1.9, -1.9, -1.8, -1.8], trace.time)
    assert np.abs(trace.voltage[:, 0] - states[0]).max() < 1e-5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"duration": 0.0}, "duration is 0.0; it must be finite and > 0"),
        ({"duration": float("nan")}, "duration is nan"),
        ({"spacing": -1.0}, "spacing is -1.0"),
        ({"rtol": float("inf")}, "rtol is inf"),
        ({"atol": 0.0}, "atol is 0.0"),
        ({"rtol": 1e-15}, "rtol is 1e-15; double precision allows no less than 1e-13"),
        ({"duration": 1e9}, "8e.09 samples are too many; raise spacing or shorten duration"),
        ({"initial": (Initial(),) * 3}, "3 initial states for 1 neurons; give one, or one for each"),
        ({"current": SampledCurrent(np.zeros((3, 2)), 1.0)}, "input current has 2 columns for 1 neurons"),
        ({"current": lambda _: float("nan")}, "the voltage is not finite at time 0.125 tau_m; check the current"),
        ({"current": lambda t: float("inf") if t > 2 else 0.0}, "the voltage is not finite at time 2.* tau_m"),
    ],
)
def test_a_run_that_cannot_be_made_says_why(changed, message):
    asked = {"neurons": passive(), "current": REST, "duration": 10.0} | changed
    with pytest.raises(SpecError, match=message) as caught:
        integrate(**asked)
    assert "\n" not in str(caught.value)


def test_a_run_that_lsoda_gives_up_names_its_cause(monkeypatch):
    monkeypatch.setattr("mtc_hw.simulate.ode.STEPS_PER_SAMPLE", 1)
    with pytest.raises(SpecError, match=r"^LSODA failed between 0 and 10 tau_m: Excess work done .*, or raise rtol$"):
        integrate(passive(), REST, 10.0)


@pytest.mark.parametrize(
    ("samples", "spacing", "message"),
    [
        ([1.0], 1.0, r"input current has shape \(1,\); give \(samples,\) or \(samples, N\), 2 samples or more"),
        (np.zeros((2, 2, 2)), 1.0, r"input current has shape \(2, 2, 2\)"),
        ([0.0, np.nan], 1.0, r"input current \[1\] is nan; every sample must be finite"),
        ([0.0, 1.0], 0.0, "spacing of the input's samples is 0.0; it must be finite and > 0"),
    ],
)
def test_an_input_that_is_no_function_of_time_is_refused(samples, spacing, message):
    with pytest.raises(SpecError, match=message):
        SampledCurrent(np.array(samples), spacing)


def test_an_input_is_copied_and_cannot_be_changed():
    samples = np.array([0.0, 1.0])
    current = SampledCurrent(samples, 1.0)
    samples[0] = 9.0
    assert current.samples[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        current.samples[0] = 1.0
