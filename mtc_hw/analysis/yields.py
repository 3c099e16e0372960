"""How many chips are good, and how sure that is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from mtc_hw.errors import DataError
from mtc_hw.spec import Array

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Yield:
    """A fraction of good chips with its exact binomial confidence interval (Clopper and Pearson, Biometrika 1934)."""

    good: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.good / self.total


def clopper_pearson(good: int, total: int, confidence: float = CONFIDENCE) -> Yield:
    """Raises DataError without samples, or with more good ones than there are."""
    if not 0 <= good <= total or total == 0:
        raise DataError(f"{good} good of {total} samples give no yield; run at least one")
    low, high = _bounds(np.array([good]), np.array([total]), confidence)
    return Yield(good, total, float(low[0]), float(high[0]))


def running_yield(good: NDArray[np.bool_], confidence: float = CONFIDENCE) -> tuple[Array, Array, Array]:
    """Yield, low and high after each of the chips (chips,). An interval holds for one count, not for all at once."""
    total = np.arange(1, good.size + 1)
    count = np.cumsum(good, dtype=np.int64)
    return (np.asarray(count / total), *_bounds(count, total, confidence))


def _bounds(good: NDArray[np.int64], total: NDArray[np.int64], confidence: float) -> tuple[Array, Array]:
    """The interval of every pair of counts (K,)."""
    if not 0.0 < confidence < 1.0:
        raise DataError(f"confidence is {confidence}; it must be above 0 and below 1, such as 0.95")
    tail = (1.0 - confidence) / 2.0
    # The beta distribution has no parameter of 0: where all or none are good, the end is exact.
    low = np.where(good == 0, 0.0, beta.ppf(tail, np.maximum(good, 1), total - good + 1))
    high = np.where(good == total, 1.0, beta.ppf(1.0 - tail, good + 1, np.maximum(total - good, 1)))
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
