"""Differences on the same chips."""

import numpy as np
import pytest

from mtc_hw.codesign.paired import paired
from mtc_hw.errors import DataError


def test_the_interval_of_a_mean_is_that_of_students_t():
    random = np.random.default_rng(1)
    before = random.normal(size=100)
    after = before + random.normal(0.3, 0.5, size=100)
    found = paired(before, after)
    change = after - before
    half = 1.984 * change.std(ddof=1) / 10.0
    assert found.mean.value == pytest.approx(change.mean())
    assert (found.mean.low, found.mean.high) == pytest.approx((change.mean() - half, change.mean() + half), abs=0.015)
    assert found.median.low < np.median(change) < found.median.high
    assert found.better == (change > 0).mean()


def test_what_is_the_same_on_all_chips_has_no_width():
    found = paired(np.zeros(5), np.full(5, 0.25))
    assert (found.mean.low, found.mean.high, found.median.low) == (0.25, 0.25, 0.25)


def test_chips_that_failed_with_either_network_are_left_out():
    before, after = np.array([0.1, np.nan, 0.3, 0.4, 0.5]), np.array([0.2, 0.9, np.nan, 0.5, 0.4])
    found = paired(before, after)
    assert (found.chips, found.better) == (3, pytest.approx(2 / 3))
    assert found.mean.value == pytest.approx(0.1 / 3)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([0.1] * 4, [0.1] * 3, "^4 chips before and 3 after"),
        ([0.1, np.nan, 0.2], [0.1, 0.3, 0.2], "^both networks ran on 2 chips; an interval needs 3 or more"),
    ],
)
def test_what_is_no_pair_is_refused(before, after, said):
    with pytest.raises(DataError, match=said):
        paired(np.array(before), np.array(after))
