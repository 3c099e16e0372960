"""Two networks on the same chips: the difference chip by chip, with its interval."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import bootstrap

from mtc_hw.errors import DataError
from mtc_hw.spec import Array

RESAMPLES = 5000
CONFIDENCE = 0.95
FEWEST = 3


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """`after` less `before`, of the chips on which both ran."""

    chips: int
    better: float  # share of them on which `after` is the larger
    mean: Interval
    median: Interval

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def paired(before: Array, after: Array, seed: int = 0) -> Paired:
    """Bootstrap over chips (Efron and Tibshirani 1993): BCa for the mean, percentiles for the median.

    Raises DataError for other lengths and for fewer than three chips on which both ran.
    """
    if before.shape != after.shape:
        raise DataError(f"{len(before)} chips before and {len(after)} after; a pair needs the same chips")
    here = np.isfinite(before) & np.isfinite(after)
    change = (after - before)[here]
    if len(change) < FEWEST:
        raise DataError(f"both networks ran on {len(change)} chips; an interval needs {FEWEST} or more")
    mean, median = _interval(change, np.mean, "BCa", seed), _interval(change, np.median, "percentile", seed)
    return Paired(len(change), float((change > 0).mean()), mean, median)


def _interval(
    change: Array, statistic: Callable[..., Any], method: Literal["BCa", "percentile"], seed: int
) -> Interval:
    value = float(statistic(change))
    if np.ptp(change) == 0.0:
        return Interval(value, value, value)
    options: Any = {"n_resamples": RESAMPLES, "confidence_level": CONFIDENCE, "method": method}
    found = bootstrap((change.tolist(),), statistic, rng=np.random.default_rng(seed), **options).confidence_interval
    return Interval(value, float(found.low), float(found.high))
