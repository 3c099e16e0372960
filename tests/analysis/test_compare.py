import json
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtc_hw.analysis.compare import Metrics, compare, compare_traces
from mtc_hw.errors import DataError
from mtc_hw.neuron_file import Stimulus, load_neuron
from mtc_hw.simulate.ode import integrate
from mtc_hw.spec import Trace

STEADY = Stimulus(((0.0, -0.5),))
REGULAR = 10.0 + 56.0 * np.arange(10)
BURSTING = np.cumsum([10.0] + ([56.0] * 8 + [1250.0]) * 3)


def test_a_train_compared_with_itself_differs_in_nothing():
    found = compare(BURSTING, BURSTING, 6000.0, stimulus=STEADY)
    assert found.paired and found.same_regime
    assert (found.worst_error, found.median_error, found.van_rossum, found.victor_purpura) == (0.0, 0.0, 0.0, 0.0)
    assert (found.isi_distance, found.spike_distance) == (0.0, 0.0)
    assert found.coincidence == pytest.approx(1.0)
    assert set(vars(found.differences).values()) == {0.0}


@settings(max_examples=40, deadline=None)
@given(dt=st.floats(0.0, 2.0))
def test_a_small_shift_is_the_error_of_every_spike_and_changes_no_statistic(dt):
    found = compare(REGULAR, REGULAR + dt, 600.0)
    assert found.worst_error == pytest.approx(dt, abs=1e-9)
    assert found.median_error == pytest.approx(dt, abs=1e-9)
    assert found.victor_purpura == pytest.approx(10 * 0.1 * dt, abs=1e-9)
    assert found.differences.interval_mean == pytest.approx(0.0, abs=1e-9)


def test_equal_counts_are_paired_in_order():
    found = compare([10.0, 20.0, 40.0], [11.0, 25.0, 42.0], 100.0)
    assert found.paired
    assert (found.worst_error, found.median_error) == (5.0, 2.0)


@pytest.mark.parametrize("swapped", [False, True])
def test_unequal_counts_are_matched_to_the_nearest(swapped):
    trains = ([10.0, 20.0, 40.0], [11.0, 18.0, 30.0, 43.0])
    found = compare(*(trains[::-1] if swapped else trains), 100.0)
    assert not found.paired
    assert (found.worst_error, found.median_error) == (3.0, 2.0)
    assert compare([10.0, 20.0], [13.0], 100.0).worst_error == 3.0


def test_the_differences_are_relative_to_the_reference():
    found = compare(BURSTING, 1.1 * BURSTING, 7000.0)
    differences = found.differences
    assert differences.interval_mean == pytest.approx(0.1)
    assert differences.burst_period == pytest.approx(0.1)
    assert differences.intra_interval == pytest.approx(0.1)
    assert differences.spikes_per_burst == pytest.approx(0.0)


def test_what_is_not_defined_is_none():
    found = compare([], [], 100.0)
    assert found.paired
    assert (found.worst_error, found.median_error, found.coincidence, found.waveform_rmse) == (None,) * 4
    assert (found.reference_regime, found.test_regime, found.same_regime) == (None,) * 3
    assert compare([], [5.0], 100.0).worst_error is None


def test_the_regimes_are_those_of_each_train():
    found = compare(REGULAR, [], 600.0, stimulus=STEADY, final_voltages=(None, 1.2))
    assert (found.reference_regime, found.test_regime, found.same_regime) == ("tonic", "block", False)


def test_the_metrics_asked_for_are_used_and_recorded():
    metrics = Metrics(van_rossum_tau=1e9, victor_purpura_cost=0.0, coincidence_window=0.5)
    found = compare(REGULAR, REGULAR + 1.0, 600.0, metrics=metrics)
    assert found.metrics == metrics
    assert (found.van_rossum, found.victor_purpura) == (pytest.approx(0.0, abs=1e-3), 0.0)
    assert found.coincidence < 0.0


def test_a_comparison_is_json_and_every_number_in_it_is_finite_or_null():
    found = replace(compare(BURSTING, [5.0], 6000.0, stimulus=STEADY), worst_error=float("nan"))
    text = json.dumps(found.to_json(), allow_nan=False)
    read = json.loads(text)
    assert read["worst_error"] is None
    assert read["reference_regime"] == "bursting" and read["test_regime"] == "phasic"
    assert read["same_regime"] is False
    assert read["reference_bursts"]["sizes"] == [9, 9, 9, 1]
    assert read["test_intervals"]["mean"] is None
    assert read["metrics"]["van_rossum_tau"] == 10.0


def test_a_comparison_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        compare([], [], 1.0).worst_error = 0.0


def test_two_grids_of_one_run_differ_by_interpolation_alone():
    tonic = load_neuron("tonic")
    coarse, fine = (integrate(tonic.neurons, tonic.stimulus, 500.0, spacing=s) for s in (0.1, 0.04))
    found = compare_traces(coarse, fine, stimulus=tonic.stimulus)
    assert found.reference_count == found.test_count == 9
    assert found.worst_error < 1e-3 and found.waveform_rmse < 1e-2
    assert (found.reference_regime, found.test_regime) == ("tonic", "tonic")


def test_traces_are_compared_over_the_time_that_both_cover():
    tonic = load_neuron("tonic")
    long, short = (integrate(tonic.neurons, tonic.stimulus, duration) for duration in (500.0, 300.0))
    found = compare_traces(long, short, stimulus=tonic.stimulus)
    assert found.paired and found.reference_count == 6
    assert found.worst_error < 1e-6


def test_what_a_trace_holds_before_0_does_not_count():
    tonic = load_neuron("tonic")
    trace = integrate(tonic.neurons, tonic.stimulus, 500.0)
    early = Trace(trace.time - 100.0, trace.voltage)
    found = compare_traces(early, early)
    assert found.reference_count == found.test_count == 7


def test_a_lower_current_shows_in_every_measure():
    tonic = load_neuron("tonic")
    one = integrate(tonic.neurons, tonic.stimulus, 500.0)
    two = integrate(tonic.neurons, Stimulus(((0.0, -0.7),)), 500.0)
    found = compare_traces(one, two, stimulus=tonic.stimulus)
    assert found.differences.interval_mean > 0.05
    assert found.van_rossum > 0.5 and found.victor_purpura > 0.5 and found.waveform_rmse > 0.5
    assert found.isi_distance == pytest.approx(found.differences.interval_mean, rel=0.3)
    assert found.spike_distance > 0.05
    assert found.coincidence < 0.9


@pytest.mark.parametrize(
    ("reference", "test", "duration", "message"),
    [
        ([2.0, 1.0], [], 10.0, r"reference spike times\[1\] is 1, not after 2; sort the times"),
        ([], [np.nan], 10.0, r"test spike times\[0\] is nan; every time must be finite"),
        ([1.0], [1.0], 0.0, "the recording is from 0 to 0; it must begin before it ends"),
        ([1.0], [1.0, 11.0], 10.0, "spikes from 1 to 11 lie outside the recording, 0 to 10"),
    ],
)
def test_trains_that_cannot_be_compared_are_refused(reference, test, duration, message):
    with pytest.raises(DataError, match=message):
        compare(reference, test, duration)


def test_a_neuron_that_is_not_there_is_refused():
    trace = Trace(np.array([0.0, 1.0]), np.zeros((2, 1)))
    with pytest.raises(DataError, match="neuron 2 is not in the reference trace, which has 1"):
        compare_traces(trace, trace, neuron=2)
