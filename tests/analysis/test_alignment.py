import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtc_hw.analysis.alignment import best_clock, best_offset
from mtc_hw.analysis.distances import van_rossum
from mtc_hw.errors import DataError

BURSTING = np.cumsum([10.0] + ([56.0] * 8 + [1250.0]) * 5)
IRREGULAR = np.cumsum(np.random.default_rng(2).exponential(60.0, 80) + 5.0)
trains = st.lists(st.integers(0, 800).map(lambda n: n / 4.0), unique=True, min_size=1, max_size=7).map(sorted)


@given(a=trains, b=trains)
@settings(max_examples=20, deadline=None)
def test_no_lag_makes_van_rossum_s_distance_smaller(a, b):
    found = van_rossum(a, np.asarray(b) + best_offset(a, b, 10.0), 10.0)
    assert found <= min(van_rossum(a, np.asarray(b) + lag, 10.0) for lag in np.linspace(-210.0, 210.0, 211)) + 1e-9


@pytest.mark.parametrize("train", [BURSTING, IRREGULAR], ids=["bursting", "irregular"])
@given(offset=st.floats(-1e4, 1e4))
@settings(max_examples=20, deadline=None)
def test_an_offset_is_taken_back(train, offset):
    assert best_offset(train, train - offset, 10.0) == pytest.approx(offset, abs=1e-8)


def test_of_equal_offsets_the_smallest_is_taken():
    assert best_offset([0.0, 1000.0], [400.0], 10.0) == -400.0
    assert best_offset([0.0, 1000.0], [600.0], 10.0) == 400.0


def test_trains_of_many_spikes_are_aligned_by_their_middles():
    long = np.cumsum(np.random.default_rng(5).exponential(60.0, 5000))
    assert best_offset(long, long - 321.0, 10.0) == pytest.approx(321.0, abs=1e-6)


@pytest.mark.parametrize("train", [BURSTING, IRREGULAR], ids=["bursting", "irregular"])
@given(log_scale=st.floats(-9.0, 9.0), offset=st.floats(-5e3, 5e3))
@settings(max_examples=5, deadline=None)
def test_a_clock_is_taken_back_whatever_its_unit(train, log_scale, offset):
    scale = float(np.exp(log_scale))
    found = best_clock(train, (train - offset) / scale)
    assert found.scale == pytest.approx(scale, rel=1e-9)
    assert found.offset == pytest.approx(offset, abs=1e-4)


@pytest.mark.parametrize("train", [BURSTING, IRREGULAR], ids=["bursting", "irregular"])
@pytest.mark.parametrize("seed", range(4))
def test_a_clock_is_found_through_jitter_missing_spikes_and_a_late_start(train, seed):
    rng = np.random.default_rng(seed)
    seen = np.sort(train + rng.normal(0.0, 1.5, train.size))[rng.random(train.size) > 0.08][rng.integers(0, 5) :]
    scale, offset = float(np.exp(rng.uniform(-7.0, 7.0))), float(rng.uniform(-3e3, 3e3))
    found = best_clock(train, (seen - offset) / scale)
    assert found.scale == pytest.approx(scale, rel=2e-3)
    assert found.offset == pytest.approx(offset, abs=6.0)


@pytest.mark.parametrize("seed", range(4))
def test_regular_bursts_are_numbered_from_the_first(seed):
    """A stretch from the middle fits as well a burst later; the whole trains do not."""
    train = np.cumsum([23.0] + ([72.0, 58.0, 60.0, 62.0, 64.0, 69.0, 72.0, 82.0, 1374.0]) * 30)
    seen = np.sort(train[2:] + np.random.default_rng(seed).normal(0.0, 0.5, train.size - 2))
    found = best_clock(train[:-3], (seen - 500.0) / 900.0)
    assert found.offset == pytest.approx(500.0, abs=1.0)
    assert found.scale == pytest.approx(900.0, rel=1e-4)


def test_a_regular_train_s_clock_puts_spike_on_spike():
    train = 10.0 + 57.0 * np.arange(40)
    found = best_clock(train, (train[5:30] + 123.0) / 2.5)
    moved = found.scale * (train[5:30] + 123.0) / 2.5 + found.offset
    assert found.scale == pytest.approx(2.5)
    assert np.abs(moved[:, None] - train).min(axis=1).max() < 1e-6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: best_offset([], [1.0], 10.0),
         r"^0 spikes of the first recording and 1 of the second cannot be aligned, which takes 1 of each; align by "
         r"hand with --offset, or not at all with --align none$"),
        (lambda: best_clock([1.0, 2.0, 3.0], [1.0, 2.0]), r"^3 spikes of the first .* takes 3 of each"),
        (lambda: best_clock([1.0, 3.0, 2.0], [1.0]), r"^reference spike times\[2\] is 2, not after 3"),
    ],
)  # fmt: skip
def test_too_few_spikes_are_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()
