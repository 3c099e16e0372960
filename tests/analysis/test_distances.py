import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtc_hw.analysis.distances import (
    coincidence_factor,
    coincidences,
    coincident_pairs,
    decayed_sums,
    distance_matrix,
    van_rossum,
    victor_purpura,
    waveform_rmse,
)
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


def test_van_rossum_keeps_its_digits_for_trains_that_are_almost_equal():
    train = np.array([1.0, 50.0, 130.0])
    for dt in (1e-3, 1e-6, 1e-9):
        moved = train + dt
        gaps = moved - train
        # Far apart, each spike and its own copy: 1 - exp(-dt / tau) a pair.
        assert van_rossum(train, moved, 1.0) ** 2 == pytest.approx(-np.expm1(-gaps).sum(), rel=1e-12)


@given(values=st.lists(st.floats(-5.0, 5.0), max_size=40), gap=st.floats(0.0, 300.0))
@LAW
def test_decayed_sums_are_their_recursion(values, gap):
    gaps = gap * (np.arange(len(values)) % 3)
    expected, last = [], 0.0
    for value, own in zip(values, gaps, strict=True):
        last = value + np.exp(-own) * last
        expected.append(last)
    assert decayed_sums(np.array(values), gaps) == pytest.approx(np.array(expected), abs=1e-12)


def random_trains(count: int, end: float) -> list[np.ndarray]:
    """Every third on a coarse grid, so that spikes coincide; some of no spikes, and some of one."""
    rng = np.random.default_rng(count)
    sizes = rng.choice([0, 1, 1, 2, 5, 10, 30], count)
    found = [np.sort(rng.uniform(0.0, end, size)) for size in sizes]
    return [np.unique(train.round()) if index % 3 == 0 else train for index, train in enumerate(found)]


def test_van_rossum_and_victor_purpura_are_what_elephant_finds():
    """Over 1,600 pairs. Elephant's van Rossum distance is ours times root two: it divides by tau / 2."""
    import elephant.spike_train_dissimilarity as elephant
    import neo
    import quantities as pq

    trains = random_trains(40, 100.0)
    theirs = [neo.SpikeTrain(train * pq.s, t_stop=100.0) for train in trains]
    for tau in (0.5, 5.0, 200.0):
        found = distance_matrix(trains, lambda a, b, tau=tau: van_rossum(a, b, tau))
        expected = elephant.van_rossum_distance(theirs, time_constant=tau * pq.s) / np.sqrt(2.0)
        assert found == pytest.approx(expected, rel=0.0, abs=1e-9)
    for cost in (0.0, 0.05, 0.7):
        found = distance_matrix(trains, lambda a, b, cost=cost: victor_purpura(a, b, cost))
        expected = elephant.victor_purpura_distance(theirs, cost_factor=cost * pq.Hz)
        assert found == pytest.approx(expected, rel=0.0, abs=1e-9)


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


quarters = st.lists(st.integers(0, 60).map(lambda n: n / 4.0), unique=True, max_size=14).map(sorted)


@given(one=quarters, two=quarters, window=st.integers(0, 12).map(lambda n: n / 4.0))
@settings(max_examples=300, deadline=None)
def test_coincidences_are_those_of_a_walk_along_both_trains(one, two, window):
    pairs, i, j = [], 0, 0
    while i < len(one) and j < len(two):
        if abs(one[i] - two[j]) <= window:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif one[i] < two[j]:
            i += 1
        else:
            j += 1
    assert coincidences(one, two, window) == len(pairs)
    found = list(zip(*(each.tolist() for each in coincident_pairs(one, two, window)), strict=True))
    assert found == pairs


@given(one=quarters, two=quarters, window=st.integers(0, 12).map(lambda n: n / 4.0))
@LAW
def test_gamma_is_its_published_formula(one, two, window):
    """That of Jolivet et al. 2008, with the coincidences counted as the greatest matching that networkx finds."""
    from networkx import Graph
    from networkx.algorithms.bipartite import maximum_matching

    duration, rate = 16.0, len(two) / 16.0
    if not one + two or 2.0 * rate * window >= 1.0:
        assert coincidence_factor(one, two, duration, window) is None
        return
    graph = Graph([(("r", a), ("t", b)) for a in one for b in two if abs(a - b) <= window])
    matched = len(maximum_matching(graph, [node for node in graph if node[0] == "r"])) // 2
    expected = (matched - 2.0 * rate * window * len(one)) / (0.5 * (len(one) + len(two))) / (1 - 2 * rate * window)
    assert coincidence_factor(one, two, duration, window) == pytest.approx(expected, abs=1e-9)


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


def test_a_matrix_holds_every_pair_in_both_orders():
    given_trains = [[1.0, 2.0], [], [2.0, 9.0, 11.0]]
    found = distance_matrix(given_trains, lambda a, b: coincidence_factor(a, b, 20.0, 0.5))
    assert found.shape == (3, 3)
    for i, one in enumerate(given_trains):
        for j, two in enumerate(given_trains):
            expected = coincidence_factor(one, two, 20.0, 0.5)
            assert np.isnan(found[i, j]) if expected is None else found[i, j] == expected
    assert found[0, 2] != found[2, 0]
    assert distance_matrix([], lambda a, b: 0.0).shape == (0, 0)
    with pytest.raises(DataError, match=r"^spike times of train 1\[1\] is 1, not after 2; sort the times$"):
        distance_matrix([[1.0], [2.0, 1.0]], lambda a, b: 0.0)


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
