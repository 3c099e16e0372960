"""How many chips are good, and how sure that is."""

from dataclasses import dataclass

from scipy.stats import beta

from mtc_hw.errors import DataError


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


def clopper_pearson(good: int, total: int, confidence: float = 0.95) -> Yield:
    """Raises DataError without samples, or with more good ones than there are."""
    if not 0 <= good <= total or total == 0:
        raise DataError(f"{good} good of {total} samples give no yield; run at least one")
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if good == 0 else float(beta.ppf(tail, good, total - good + 1))
    high = 1.0 if good == total else float(beta.ppf(1.0 - tail, good + 1, total - good))
    return Yield(good, total, low, high)
