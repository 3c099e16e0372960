import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtc_hw.analysis.regimes import classify
from mtc_hw.analysis.spikes import spike_times
from mtc_hw.errors import DataError
from mtc_hw.neuron_file import NeuronFile, Stimulus, load_neuron, preset_names
from mtc_hw.simulate.ode import integrate

STEADY = Stimulus(((0.0, -0.5),))
STEPPED = Stimulus(((0.0, -2.0), (100.0, -0.5)))
RELEASED = Stimulus(((0.0, -2.0), (100.0, -3.0), (500.0, -2.0)))
ADAPTATION = 64.0 - 12.0 * 0.8 ** np.arange(30)


def train(intervals, start: float = 5.0):
    return np.cumsum(np.concatenate([[start], intervals]))


def simulated(neuron: NeuronFile, duration: float, stimulus: Stimulus | None = None) -> str:
    stimulus = stimulus or neuron.stimulus
    trace = integrate(neuron.neurons, stimulus, duration, neuron.initial, spacing=0.25)
    return classify(spike_times(trace.time, trace.voltage[:, 0]), duration, stimulus, float(trace.voltage[-1, 0]))


@pytest.mark.parametrize("name", preset_names())
def test_each_preset_shows_what_its_name_says_at_its_own_duration_and_at_length(name):
    preset = load_neuron(name)
    assert preset.duration is not None
    assert simulated(preset, preset.duration) == name
    assert simulated(preset, 15_000.0) == name


@pytest.mark.parametrize("current", [-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75])
def test_a_spiking_neuron_is_tonic_over_its_current_range(current):
    assert simulated(load_neuron("tonic"), 1500.0, Stimulus(((0.0, current),))) == "tonic"


@pytest.mark.parametrize(("current", "regime"), [(-2.0, "silent"), (1.0, "block"), (2.0, "block")])
def test_a_spiking_neuron_rests_below_its_range_and_is_blocked_above(current, regime):
    assert simulated(load_neuron("tonic"), 1000.0, Stimulus(((0.0, current),))) == regime


@pytest.mark.parametrize("current", [-2.0, -1.8, -1.2, -1.0])
def test_a_bursting_neuron_bursts_over_its_current_range(current):
    assert simulated(load_neuron("bursting"), 15_000.0, Stimulus(((0.0, current),))) == "bursting"


@pytest.mark.parametrize("duration", [100.0, 200.0, 300.0, 700.0])
def test_a_short_run_of_a_tonic_neuron_is_tonic(duration):
    assert simulated(load_neuron("tonic"), duration) == "tonic"


@pytest.mark.parametrize(
    ("spikes", "regime"),
    [
        ([], "silent"),
        ([105.0], "phasic"),
        ([105.0, 160.0, 220.0], "phasic_burst"),
        (train([56.0] * 50, 105.0), "tonic"),
        (train([69.0] + [56.0] * 50, 105.0), "tonic"),
        (train([20.0] + [56.0] * 50, 105.0), "tonic"),
        (train([400.0] + [56.0] * 50, 105.0), "tonic"),
        (train([52.0, 50.0] + [56.0] * 50, 105.0), "tonic"),
        (train(ADAPTATION, 105.0), "adapting"),
        (train(np.concatenate([[66.0], ADAPTATION]), 105.0), "adapting"),
        (train([56.0] * 9 + [1250.0] + [56.0] * 8, 105.0), "bursting"),
        (train(([56.0] * 9 + [1250.0]) * 4, 105.0), "bursting"),
        (train([56.0, 56.0, 700.0] + [56.0] * 40, 105.0), "tonic"),
    ],
    ids=str,
)
def test_the_rules_on_trains_made_by_hand(spikes, regime):
    end = 1000.0 if len(spikes) < 4 else spikes[-1] + 30.0
    assert classify(spikes, end, STEPPED) == regime


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), amount=st.floats(0.0, 0.02))
def test_jitter_makes_no_tonic_train_adapt_or_burst(seed, amount):
    jitter = 1.0 + amount * np.random.default_rng(seed).uniform(-1.0, 1.0, 60)
    spikes = train(56.0 * jitter)
    assert classify(spikes, spikes[-1] + 20.0, STEADY) == "tonic"


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100.0))
def test_a_regime_does_not_depend_on_the_unit_of_time_and_bears_a_little_jitter(seed, scale):
    jitter = 1.0 + 0.005 * np.random.default_rng(seed).uniform(-1.0, 1.0, 30)
    stimulus = Stimulus(((0.0, -2.0), (100.0 * scale, -0.5)))
    for intervals, regime in ((ADAPTATION, "adapting"), (np.array(([56.0] * 9 + [1250.0]) * 3), "bursting")):
        spikes = scale * train(intervals * jitter, 105.0)
        assert classify(spikes, spikes[-1] + 20.0 * scale, stimulus) == regime


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0, 1000.0), unique=True, max_size=40))
def test_every_train_has_a_regime(times):
    for stimulus in (STEADY, STEPPED, RELEASED):
        for final in (None, -2.0, 2.0):
            assert isinstance(classify(sorted(times), 1000.0, stimulus, final), str)


def test_a_high_voltage_without_spikes_is_a_block_and_a_low_one_silence():
    assert classify([], 100.0, STEADY, 1.2) == "block"
    assert classify([], 100.0, STEADY, -1.2) == "silent"
    assert classify([3.0, 60.0], 1000.0, STEADY, 1.2) == "block"
    assert classify([], 100.0, STEADY, -0.5, threshold=-1.0) == "block"


def test_a_voltage_that_ends_within_a_spike_of_a_train_is_no_block():
    assert classify(train([56.0] * 20), 5.0 + 56.0 * 20 + 10.0, STEADY, 2.0) == "tonic"


def test_firing_after_release_to_a_current_that_was_silent_is_a_rebound():
    assert classify([505.0], 2000.0, RELEASED) == "rebound"
    assert classify([505.0, 560.0, 620.0], 2000.0, RELEASED) == "rebound"


def test_firing_after_a_step_up_without_an_earlier_hold_at_that_current_is_no_rebound():
    higher = Stimulus(((0.0, -2.0), (100.0, -3.0), (500.0, -1.0)))
    assert classify([505.0], 2000.0, higher) == "phasic"
    assert classify([105.0, 160.0], 2000.0, STEPPED) == "phasic_burst"


def test_a_pulse_is_judged_by_what_happens_in_it():
    pulse = Stimulus(((0.0, -2.0), (100.0, -0.5), (1000.0, -2.0)))
    assert classify(train([56.0] * 15, 105.0), 3000.0, pulse) == "tonic"
    assert classify([105.0], 3000.0, pulse) == "phasic"


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        ([5.0, 101.0], "spikes from 5 to 101 lie outside the run, 0 to 100"),
        ([-1.0, 5.0], "spikes from -1 to 5 lie outside the run"),
        ([5.0, 4.0], "sort the times"),
    ],
)
def test_spikes_outside_the_run_or_out_of_order_are_refused(spikes, message):
    with pytest.raises(DataError, match=message):
        classify(spikes, 100.0, STEADY)
