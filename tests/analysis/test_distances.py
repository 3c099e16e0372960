import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtc_hw.analysis.distances import coincidence_factor, coincidences, van_rossum, victor_purpura, waveform_rmse
from mtc_hw.errors import DataError
from mtc_hw.spec import Trace

trains = st.lists(st.floats(0.0, 100.0, width=32), unique=True, max_size=8).map(sorted)
LAW = settings(max_examples=80, deadline=None)
METRICS = [lambda a, b: van_rossum(a, b, 5.0), lambda a, b: victor_purpura(a, b, 0.3)]
both_metrics = pytest.mark.parametrize("metric", METRICS, ids=["van Rossum", "Victor and Purpura"])


@both_metrics
@given(a=trains, b=trains, c=trains)
@LAW
def test_a_distance_is_a_metric(metric, a, b, c):
    assert metric(a, a) == 0.0
    assert metric(a, b) == pytest.approx(metric(b, a), abs=1e-9)
    assert metric(a, b) >= 0.0
    assert metric(a, c) <= metric(a, b) + metric(b, c) + 1e-6


@both_metrics
@given(a=trains, b=trains, shift=st.floats(-1e3, 1e3))
@LAW
def test_a_distance_does_not_depend_on_the_origin_of_time(metric, a, b, shift):
    if np.all(np.diff(np.add(a, shift)) > 0) and np.all(np.diff(np.add(b, shift)) > 0):
        assert metric(np.add(a, shift), np.add(b, shift)) == pytest.approx(metric(a, b), abs=1e-5)


def test_van_rossum_of_one_spike_against_none_is_root_one_half_and_of_two_far_apart_one():
    assert van_rossum([3.0], [], 5.0) ** 2 == pytest.approx(0.5)
    assert van_rossum([0.0], [1e4], 5.0) ** 2 == pytest.approx(1.0)
    assert van_rossum([], [], 5.0) == 0.0


@given(dt=st.floats(0.0, 50.0), tau=st.floats(0.1, 50.0))
@LAW
def test_van_rossum_of_a_shift_is_one_minus_the_kernel(dt, tau):
    assert van_rossum([7.0], [7.0 + dt], tau) ** 2 == pytest.approx(-np.expm1(-(7.0 + dt - 7.0) / tau), abs=1e-12)


@given(a=trains, b=trains)
@LAW
def test_van_rossum_is_the_double_sum_over_pairs_of_spikes(a, b):
    def overlap(x, y):
        return float(np.exp(-np.abs(np.subtract.outer(x, y)) / 5.0).sum())

    expected = 0.5 * overlap(a, a) + 0.5 * overlap(b, b) - overlap(a, b)
    assert van_rossum(a, b, 5.0) ** 2 == pytest.approx(expected, abs=1e-9)


def test_van_rossum_is_the_integral_of_the_filtered_trains():
    first, second, tau = [3.0, 11.0, 14.0], [4.0, 12.5], 5.0
    time = np.linspace(0.0, 150.0, 1_500_001)
    kernels = [sum(np.where(time >= t, np.exp(-(time - t) / tau), 0.0) for t in train) for train in (first, second)]
    integral = float(((kernels[0] - kernels[1]) ** 2).sum() * (time[1] - time[0]) / tau)
    assert van_rossum(first, second, tau) ** 2 == pytest.approx(integral, rel=1e-3)


@given(train=trains, dt=st.floats(0.0, 0.01))
@LAW
def test_victor_purpura_of_a_small_shift_is_its_cost_per_spike(train, dt):
    spread = np.asarray(train).round() + np.arange(len(train)) * 50.0
    assert victor_purpura(spread, spread + dt, 0.3) == pytest.approx(len(train) * 0.3 * dt, abs=1e-9)


@given(a=trains, b=trains)
@LAW
def test_victor_purpura_counts_spikes_at_no_cost_and_all_of_them_at_a_high_one(a, b):
    assert victor_purpura(a, b, 0.0) == abs(len(a) - len(b))
    common = len(set(a) & set(b))
    far = all(abs(x - y) > 1e-3 or x == y for x in a for y in b)
    if far:
        assert victor_purpura(a, b, 1e5) == pytest.approx(len(a) + len(b) - 2 * common)


@given(a=trains, b=trains)
@LAW
def test_victor_purpura_is_the_recursion_of_its_paper(a, b):
    table = np.add.outer(np.arange(len(a) + 1.0), np.arange(len(b) + 1.0))
    for i, x in enumerate(a, start=1):
        for j, y in enumerate(b, start=1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + 0.3 * abs(x - y))
    assert victor_purpura(a, b, 0.3) == pytest.approx(table[-1, -1], abs=1e-9)


def test_victor_purpura_by_hand():
    assert victor_purpura([1.0, 5.0], [2.0], 0.5) == 1.5  # move 1 to 2, delete 5
    assert victor_purpura([1.0], [10.0], 0.5) == 2.0  # delete and add, cheaper than 4.5
    assert victor_purpura([], [1.0, 2.0], 0.5) == 2.0


def test_a_spike_coincides_with_one_other_at_most():
    assert coincidences([10.0], [9.0, 11.0], 2.0) == 1
    assert coincidences([10.0, 11.0], [10.5], 2.0) == 1
    assert coincidences([10.0, 20.0, 30.0], [12.0, 23.0, 30.0], 2.0) == 2
    assert coincidences([10.0], [12.0], 2.0) == 1
    assert coincidences([], [1.0], 2.0) == 0


@given(train=trains.filter(bool))
@LAW
def test_gamma_of_equal_trains_is_one(train):
    assert coincidence_factor(train, train, 1000.0, 2.0) == pytest.approx(1.0)


def test_gamma_by_hand():
    # 2 of 3 coincide; chance 2 * (3 / 100) * 2 * 3 = 0.36; (2 - 0.36) / 3 / (1 - 0.12)
    found = coincidence_factor([10.0, 20.0, 30.0], [12.0, 23.0, 30.0], 100.0, 2.0)
    assert found == pytest.approx(1.64 / 3.0 / 0.88)


def test_gamma_of_poisson_trains_is_zero_by_chance():
    rng = np.random.default_rng(5)
    first, second = (np.sort(rng.uniform(0.0, 1e5, 1000)) for _ in range(2))
    assert abs(coincidence_factor(first, second, 1e5, 2.0)) < 0.03


def test_gamma_is_not_defined_for_empty_trains_or_for_certain_coincidence():
    assert coincidence_factor([], [], 100.0, 2.0) is None
    assert coincidence_factor([1.0], np.arange(100.0), 100.0, 2.0) is None
    assert coincidence_factor([1.0], [], 100.0, 2.0) == 0.0


def trace(time, *voltages) -> Trace:
    return Trace(np.asarray(time, dtype=float), np.stack(voltages, axis=1).astype(float))


def test_the_rmse_of_a_constant_difference_is_that_difference_on_any_grids():
    coarse, fine = np.linspace(0.0, 10.0, 7), np.linspace(0.0, 12.0, 500)
    one, two = trace(coarse, 2.0 * coarse), trace(fine, 2.0 * fine + 0.5)
    assert waveform_rmse(one, two) == pytest.approx(0.5)
    assert waveform_rmse(two, one) == pytest.approx(0.5)
    assert waveform_rmse(one, one) == 0.0


def test_the_rmse_of_a_sine_against_nothing_is_one_over_root_two():
    time = np.linspace(0.0, 2.0 * np.pi, 20_001)
    assert waveform_rmse(trace(time, np.sin(time)), trace(time, 0.0 * time), spacing=1e-3) == pytest.approx(0.5**0.5)


def test_the_rmse_is_of_the_neuron_asked_for():
    time = np.linspace(0.0, 10.0, 50)
    one, two = trace(time, 0.0 * time, 0.0 * time), trace(time, 0.0 * time, 0.0 * time + 1.0)
    assert [waveform_rmse(one, two, neuron) for neuron in (0, 1)] == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: van_rossum([], [], 0.0), "van Rossum's tau is 0.0; it must be finite and > 0"),
        (lambda: van_rossum([], [], np.nan), "van Rossum's tau is nan"),
        (lambda: van_rossum([2.0, 1.0], [], 1.0), r"spike times\[1\] is 1, not after 2; sort"),
        (lambda: victor_purpura([], [], -1.0), "Victor and Purpura's cost is -1.0; it must be finite and >= 0"),
        (lambda: victor_purpura([], [], np.inf), "Victor and Purpura's cost is inf"),
        (lambda: victor_purpura([], [np.nan], 1.0), r"spike times\[0\] is nan"),
        (lambda: coincidence_factor([], [], 0.0, 1.0), "duration is 0.0; it must be finite and > 0"),
        (lambda: coincidence_factor([1.0], [1.0], 10.0, -1.0), "coincidence window is -1.0"),
        (
            lambda: waveform_rmse(trace([0, 1], [0, 0]), trace([2, 3], [0, 0])),
            "the traces do not overlap: .* at 2, .* at 1",
        ),
        (
            lambda: waveform_rmse(trace([0, 1], [0, 0]), trace([0, 1], [0, 0]), 1),
            "neuron 1 is not in the reference trace",
        ),
        (lambda: waveform_rmse(trace([0, 1], [0, 0]), trace([0, 1], [0, 0]), spacing=0.0), "grid spacing is 0.0"),
    ],
)
def test_a_distance_that_is_not_defined_says_why(call, message):
    with pytest.raises(DataError, match=message):
        call()
