"""Exact intervals of a fraction of good chips."""

import numpy as np
import pytest
from scipy.stats import binom

from mtc_hw.analysis.yields import clopper_pearson, running_yield
from mtc_hw.errors import DataError


@pytest.mark.parametrize(("good", "total"), [(0, 10), (10, 10), (7, 10), (25, 30), (0, 1)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_an_exact_interval_holds_its_tails(good, total, confidence):
    rate = clopper_pearson(good, total, confidence)
    assert 0.0 <= rate.low <= rate.value <= rate.high <= 1.0
    tail = (1.0 - confidence) / 2.0
    if good < total:
        assert binom.cdf(good, total, rate.high) == pytest.approx(tail)
    if good:
        assert binom.sf(good - 1, total, rate.low) == pytest.approx(tail)


@pytest.mark.parametrize(("good", "total"), [(1, 0), (3, 2), (-1, 4)])
def test_impossible_counts_have_no_yield(good, total):
    with pytest.raises(DataError, match=r"give no yield"):
        clopper_pearson(good, total)


@pytest.mark.parametrize("confidence", [0.0, 1.0, float("nan")])
def test_an_impossible_confidence_is_refused(confidence):
    with pytest.raises(DataError, match=r"^confidence is .*; it must be above 0 and below 1, such as 0\.95$"):
        clopper_pearson(1, 2, confidence)


def test_the_running_yield_is_that_of_each_count():
    good = np.random.default_rng(0).random(30) < 0.7
    for index, row in enumerate(zip(*running_yield(good), strict=True)):
        rate = clopper_pearson(int(good[: index + 1].sum()), index + 1)
        assert row == pytest.approx((rate.value, rate.low, rate.high))
