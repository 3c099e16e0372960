from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtc_hw.analysis.spikes import (
    burst_gap,
    burst_statistics,
    interval_statistics,
    spike_counts,
    spike_times,
    spike_trains,
)
from mtc_hw.errors import DataError
from mtc_hw.spec import Trace

BURSTS = np.array([10.0, 12.0, 15.0, 50.0, 52.0, 55.0, 90.0, 92.0, 95.0])


def sine(spacing: float, jitter: float = 0.0):
    time = np.arange(0.0, 31.0, spacing)
    time[1:-1] += jitter * spacing * np.random.default_rng(1).uniform(-0.5, 0.5, time.size - 2)
    return time, -np.cos(time)  # rises through 0 at pi/2 + 2 pi k


RISES = np.pi / 2.0 + 2.0 * np.pi * np.arange(5)


def test_rising_crossings_of_a_sine_are_found_where_they_are():
    assert np.abs(spike_times(*sine(0.1)) - RISES).max() < 1e-6


def test_samples_need_not_be_uniform():
    assert np.abs(spike_times(*sine(0.1, jitter=0.9)) - RISES).max() < 1e-5


def test_the_error_falls_with_the_fourth_power_of_the_spacing():
    time = np.arange(0.0, 31.0, 0.05)
    errors = [
        np.abs(
            spike_times(time[::n] + 0.01, -np.cos(time[::n] + 0.01), 0.3)
            - (np.arccos(-0.3) + 2 * np.pi * np.arange(5))
        ).max()
        for n in (4, 8)
    ]
    assert errors[1] / errors[0] > 8.0


@settings(max_examples=50, deadline=None)
@given(shift=st.floats(-1e3, 1e3), stretch=st.floats(0.1, 10.0), gain=st.floats(0.5, 5.0))
def test_shifting_and_stretching_time_does_the_same_to_spikes_and_scaling_voltage_does_nothing(shift, stretch, gain):
    time, voltage = sine(0.1)
    moved = spike_times(shift + stretch * time, gain * voltage)
    assert moved == pytest.approx(shift + stretch * spike_times(time, voltage), abs=1e-6 * stretch)


def test_cutting_a_trace_in_two_keeps_its_spikes():
    time, voltage = sine(0.1)
    parts = [spike_times(time[part], voltage[part]) for part in (slice(0, 101), slice(100, None))]
    assert np.concatenate(parts) == pytest.approx(spike_times(time, voltage), abs=1e-6)


def test_a_crossing_at_either_end_of_a_trace_is_interpolated_linearly():
    assert spike_times([0.0, 1.0], [-1.0, 3.0]).tolist() == [0.25]
    assert spike_times([0.0, 1.0, 2.0], [-1.0, 3.0, 4.0]).tolist() == [0.25]


def test_ripple_on_the_threshold_is_one_spike_until_the_voltage_falls_below_the_hysteresis():
    voltage = [-1.0, 0.1, -0.1, 0.1, -0.1, 1.0, -0.3, 1.0]
    assert spike_times(np.arange(8.0), voltage).size == 2
    assert spike_times(np.arange(8.0), voltage, hysteresis=0.0).size == 4
    assert spike_times(np.arange(8.0), voltage, hysteresis=0.5).size == 1


@pytest.mark.parametrize("voltage", [[], [1.0], [-1.0, -0.5, -2.0], [1.0, 2.0, 0.5], [2.0, 1.0, -1.0]])
def test_a_trace_that_never_rises_through_the_threshold_has_no_spike(voltage):
    assert spike_times(np.arange(float(len(voltage))), voltage).size == 0


def test_a_sample_on_the_threshold_is_the_spike():
    assert spike_times([0.0, 1.0, 2.0, 3.0], [-1.0, 0.0, 1.0, 2.0]) == pytest.approx([1.0])


def test_each_neuron_of_a_trace_has_its_own_train():
    time, voltage = sine(0.1)
    trains = spike_trains(Trace(time, np.stack([voltage, voltage - 2.0], axis=1)))
    assert [train.size for train in trains] == [5, 0]


def test_a_trace_of_the_smallest_intervals_still_has_statistics():
    assert burst_gap([2.3e-309, 34.0, 66.0]) is None
    assert burst_gap([2.3e-309, 2.3e-309, 66.0]) > 0.0


@pytest.mark.parametrize(
    ("time", "voltage", "message"),
    [
        ([0.0, 1.0], [0.0], r"time has shape \(2,\) and voltage \(1,\); give one voltage for each time"),
        ([0.0, np.nan], [0.0, 1.0], r"time\[1\] is nan; a waveform must be finite"),
        ([0.0, 1.0], [np.inf, 1.0], r"voltage\[0\] is inf; a waveform must be finite"),
        ([0.0, 2.0, 2.0], [0.0, 1.0, 2.0], r"time\[2\] is 2, not after 2; times must increase"),
    ],
)
def test_a_waveform_that_is_none_is_refused(time, voltage, message):
    with pytest.raises(DataError, match=message):
        spike_times(time, voltage)


@pytest.mark.parametrize("hysteresis", [-0.1, np.nan])
def test_a_negative_hysteresis_is_refused(hysteresis):
    with pytest.raises(DataError, match=r"hysteresis is .*; it must be >= 0"):
        spike_times([0.0, 1.0], [-1.0, 1.0], hysteresis=hysteresis)


def test_interval_statistics_by_hand():
    found = interval_statistics([0.0, 1.0, 4.0, 6.0])  # intervals 1, 3, 2
    assert (found.count, found.mean, found.median) == (3, 2.0, 2.0)
    assert found.sd == pytest.approx(1.0) and found.cv == pytest.approx(0.5)


def test_what_too_few_spikes_do_not_define_is_none():
    for spikes in ([], [3.0]):
        found = interval_statistics(spikes)
        assert (found.count, found.mean, found.median, found.sd, found.cv) == (0, None, None, None, None)
    pair = interval_statistics([1.0, 3.0])
    assert (pair.count, pair.mean, pair.median, pair.sd, pair.cv) == (1, 2.0, 2.0, None, None)


def test_burst_statistics_by_hand():
    found = burst_statistics(BURSTS, 96.0)
    assert (found.count, found.complete) == (3, 2)
    assert (found.starts, found.sizes) == ((10.0, 50.0, 90.0), (3, 3, 3))
    assert found.gap == pytest.approx(np.sqrt(3.0 * 35.0))
    assert (found.spikes_per_burst, found.period, found.intra_interval, found.silence) == (3.0, 40.0, 2.5, 35.0)


def test_burst_statistics_are_those_of_their_definition():
    """Over 300 random trains of groups, walked through spike by spike."""
    rng = np.random.default_rng(11)
    for _ in range(300):
        silences = rng.uniform(500.0, 900.0, rng.integers(1, 6))
        inner = [rng.uniform(40.0, 90.0, rng.integers(3, 9)) for _ in range(silences.size + 1)]
        intervals = np.concatenate(
            [inner[0], *(np.append(gap, own) for gap, own in zip(silences, inner[1:], strict=True))]
        )
        times = np.cumsum(np.append(rng.uniform(0.0, 50.0), intervals))
        end = times[-1] + rng.choice([10.0, 1000.0])
        groups = [[times[0]]]
        for before, now in pairwise(times):
            if now - before > 300.0:
                groups.append([])
            groups[-1].append(now)
        complete = groups if end - times[-1] > 300.0 else groups[:-1]
        found = burst_statistics(times, end)
        assert (found.count, found.complete) == (len(groups), len(complete))
        assert found.sizes == tuple(map(len, groups))
        assert found.starts == tuple(group[0] for group in groups)
        assert found.spikes_per_burst == pytest.approx(sum(map(len, complete)) / len(complete), abs=1e-9)
        periods = [later[0] - group[0] for group, later in pairwise(groups)]
        assert found.period == pytest.approx(sum(periods) / len(periods), abs=1e-9)
        within = [now - before for group in groups for before, now in pairwise(group)]
        assert found.intra_interval == pytest.approx(sum(within) / len(within), abs=1e-9)
        between = [later[0] - group[-1] for group, later in pairwise(groups)]
        assert found.silence == pytest.approx(sum(between) / len(between), abs=1e-9)


def test_interval_statistics_are_what_elephant_finds():
    """Over 200 random trains; elephant's standard deviation is that of a population, ours of a sample."""
    from elephant.statistics import cv, isi

    rng = np.random.default_rng(12)
    for _ in range(200):
        times = np.sort(rng.uniform(0.0, 1000.0, rng.integers(3, 60)))
        intervals, found = isi(times), interval_statistics(times)
        assert found.count == intervals.size
        assert found.mean == pytest.approx(float(intervals.mean()), abs=1e-9)
        population = float(cv(intervals))
        assert found.cv == pytest.approx(population * np.sqrt(intervals.size / (intervals.size - 1)), abs=1e-9)


def test_a_burst_is_complete_once_its_silence_was_seen():
    assert [burst_statistics(BURSTS, end).complete for end in (None, 96.0, 120.0, 400.0)] == [2, 2, 3, 3]


def test_an_unfinished_burst_does_not_count_in_the_mean_size():
    assert burst_statistics(BURSTS[:-2], 91.0).spikes_per_burst == 3.0


@settings(max_examples=50, deadline=None)
@given(shift=st.floats(-1e3, 1e3), stretch=st.floats(0.1, 10.0))
def test_bursts_do_not_depend_on_the_unit_or_the_origin_of_time(shift, stretch):
    moved, found = burst_statistics(shift + stretch * BURSTS), burst_statistics(BURSTS)
    assert moved.sizes == found.sizes
    assert moved.period == pytest.approx(stretch * found.period, rel=1e-6)


def test_one_burst_and_then_rest_is_one_complete_burst_without_a_period():
    found = burst_statistics([10.0, 12.0, 15.0], 400.0)
    assert (found.count, found.complete, found.sizes, found.period) == (1, 1, (3,), None)


@pytest.mark.parametrize(
    "spikes",
    [
        [],
        [5.0],
        np.arange(20.0),
        np.cumsum([20.0] + [56.0] * 30),  # one short first interval
        np.cumsum(np.linspace(50.0, 95.0, 30)),  # adaptation without a gap
    ],
)
def test_spikes_without_groups_have_no_bursts(spikes):
    found = burst_statistics(spikes)
    assert (found.count, found.gap, found.starts, found.spikes_per_burst, found.period) == (0, None, (), None, None)


def test_a_doublet_does_not_hide_the_bursts():
    intervals = [0.01] + ([60.0] * 8 + [1250.0]) * 3
    assert 60.0 < burst_gap(intervals) < 1250.0


def test_the_gap_is_the_widest_one():
    assert burst_gap([10.0, 10.0, 10.0, 30.0, 300.0]) == pytest.approx(np.sqrt(30.0 * 300.0))
    assert burst_gap([10.0]) is None
    assert burst_gap([]) is None


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        ([2.0, 1.0], r"spike times\[1\] is 1, not after 2; sort the times"),
        ([1.0, 1.0], r"spike times\[1\] is 1, not after 1"),
        ([0.0, np.nan], r"spike times\[1\] is nan; every time must be finite"),
        ([[1.0]], r"spike times have shape \(1, 1\); give one dimension"),
    ],
)
def test_a_train_that_is_none_is_refused(spikes, message):
    for judge in (interval_statistics, burst_statistics):
        with pytest.raises(DataError, match=message):
            judge(spikes)


def test_trains_of_many_neurons_are_the_bits_of_each_alone():
    rng = np.random.default_rng(5)
    time = np.cumsum(rng.uniform(0.1, 0.4, 4000))
    phase = np.outer(time, rng.uniform(0.1, 0.5, 7)) + rng.uniform(0.0, 6.0, 7)
    voltage = np.sin(phase) + rng.normal(0.0, 0.1, (4000, 7))
    voltage[:, 3] = -1.0  # never fires
    for volts in (voltage, voltage.astype(np.float32)):
        trains = spike_trains(Trace(time, volts))
        for train, column in zip(trains, volts.T, strict=True):
            np.testing.assert_array_equal(train, spike_times(time, column))
        np.testing.assert_array_equal(spike_counts(volts), [train.size for train in trains])
    assert trains[3].size == 0
    assert min(train.size for index, train in enumerate(trains) if index != 3) > 10
