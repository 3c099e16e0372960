"""Area against yield: the same design at several sizes, and the size that a wanted yield takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from mtc_hw.analysis.yields import CONFIDENCE, Yield, clopper_pearson
from mtc_hw.errors import DataError
from mtc_hw.spec import Array


@dataclass(frozen=True)
class AreaPoint:
    """A design at one size."""

    size: float  # gate area of the unit transistor, um2
    area: float  # m2
    rate: Yield


@dataclass(frozen=True)
class AreaYield:
    """Points of increasing area."""

    points: tuple[AreaPoint, ...]
    confidence: float

    @property
    def areas(self) -> Array:
        return np.array([point.area for point in self.points])

    @property
    def fitted(self) -> Array:
        """The yield at each point as a curve that never falls: isotonic regression, weighted by chips."""
        rates = [point.rate for point in self.points]
        return _rising(self.areas, [rate.value for rate in rates], [rate.total for rate in rates])


@dataclass(frozen=True)
class Required:
    """The size and area at which the fitted curve reaches a yield, between two points of the curve."""

    wanted: float
    size: float
    area: float  # m2
    low_area: float | None  # m2, where the intervals' upper ends reach it; None: below the smallest size
    high_area: float | None  # m2, where their lower ends do; None: above the largest size


def area_yield(
    run: Callable[[float], tuple[float, int, int]], sizes: Sequence[float], confidence: float = CONFIDENCE
) -> AreaYield:
    """`run(size)` gives the area, m2, the good chips and all chips. Raises DataError."""
    positive = all(np.isfinite(size) and size > 0.0 for size in sizes)
    if not positive or len(sizes) < 2 or len(set(sizes)) < len(sizes):
        given = ", ".join(f"{size:g}" for size in sizes) or "none"
        raise DataError(f"sizes are {given}; give two or more, each above 0 and once")
    points = []
    for size in sorted(sizes):
        area, good, total = run(size)
        if not (np.isfinite(area) and area > 0.0):
            raise DataError(f"size {size:g} has an area of {area:g} m2; it must be above 0")
        points.append(AreaPoint(float(size), float(area), clopper_pearson(good, total, confidence)))
    areas = [point.area for point in points]
    if (np.diff(areas) <= 0.0).any():
        raise DataError(f"areas do not rise with the size: {', '.join(f'{area:.3g}' for area in areas)} m2")
    return AreaYield(tuple(points), confidence)


def required(curve: AreaYield, wanted: float) -> Required:
    """Where the fitted curve first reaches `wanted`, straight in the logarithm of the area and of the size.

    Raises DataError outside the curve: nothing is known of sizes that were not run.
    """
    if not 0.0 < wanted < 1.0:
        raise DataError(f"the wanted yield is {wanted:g}; it must be above 0 and below 1")
    rates = [point.rate for point in curve.points]
    weights = [rate.total for rate in rates]
    fitted = curve.fitted
    place = _crossing(curve.areas, fitted, wanted)
    if place is None:
        side, remedy = ("above", "larger") if fitted[-1] < wanted else ("below", "smaller")
        raise DataError(
            f"a yield of {wanted:g} lies {side} the curve, {fitted[0]:.3g} to {fitted[-1]:.3g}; run a {remedy} size"
        )
    sizes = np.log([point.size for point in curve.points])
    low, high = (
        _crossing(curve.areas, _rising(curve.areas, ends, weights), wanted)
        for ends in ([rate.high for rate in rates], [rate.low for rate in rates])
    )
    size = float(np.exp(np.interp(np.log(place), np.log(curve.areas), sizes)))
    return Required(wanted, size, place, low, high)


def _rising(areas: Array, values: Sequence[float], weights: Sequence[int]) -> Array:
    fit = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(np.log(areas), values, sample_weight=weights)
    return np.asarray(fit, dtype=np.float64)


def _crossing(areas: Array, fitted: Array, wanted: float) -> float | None:
    """The area at which a rising curve first reaches a value; None where it starts above or ends below it."""
    if fitted[0] > wanted or fitted[-1] < wanted:
        return None
    after = int(np.argmax(fitted >= wanted))
    if after == 0:
        return float(areas[0])
    part = (wanted - fitted[after - 1]) / (fitted[after] - fitted[after - 1])
    low, high = np.log(areas[after - 1 : after + 1])
    return float(np.exp(low + part * (high - low)))
