"""Sobol indices by Saltelli's design, where any chip can be run: first order and total, of draws or whole groups."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, qmc

from mtc_hw.analysis.draw_names import Level, groups_of
from mtc_hw.analysis.sensitivity import Sensitivity, Share, ordered
from mtc_hw.analysis.yields import CONFIDENCE
from mtc_hw.errors import DataError
from mtc_hw.spec import Array

RESAMPLES = 999
LARGEST_DESIGN = 1 << 28  # numbers at once, 2 GB


class Distribution(Protocol):
    """A frozen distribution of scipy.stats."""

    def ppf(self, q: Any, /) -> Any: ...


@dataclass(frozen=True)
class SobolIndices:
    """First order: the part of the variance that a group explains alone. Total: with all its interactions."""

    first: Sensitivity
    total: Sensitivity
    runs: int  # of the function


def sobol_of(
    function: Callable[[Array], Array],
    dimensions: Mapping[str, Distribution],
    n: int,
    seed: int,
    level: Level = "draw",
    quantity: str = "quantity",
    confidence: float = CONFIDENCE,
) -> SobolIndices:
    """Indices of a function of independent draws.

    `function` takes points (n, draws), a column a dimension, and gives values (n,), NaN for a chip that failed; it
    is called once for A, for B and for A with each group's columns from B, so n (groups + 2) chips are run. A row of
    the design with a failed chip is left out and counted. `n` is a power of 2, as scrambled Sobol points want it.
    First order by Saltelli and others (Computer Physics Communications 181, 2010), total by Jansen (117, 1999);
    intervals by bootstrap over rows, somewhat wide since Sobol points are more even than chance. Raises DataError.
    """
    names = tuple(dimensions)
    groups = groups_of(names, level)
    if n < 2 or n & (n - 1):
        raise DataError(f"n is {n}; Sobol points come in powers of 2, such as {1 << max(n, 2).bit_length()}")
    if not names or 2 * n * len(names) > LARGEST_DESIGN:
        raise DataError(f"{len(names)} dimensions with n = {n} make no design; give at least one, or lower n")
    unit = qmc.Sobol(2 * len(names), bits=64, rng=np.random.default_rng(seed)).random(n)
    columns = [dimensions[name].ppf(unit[:, [k, k + len(names)]]) for k, name in enumerate(names)]
    a, b = np.moveaxis(np.array(columns, dtype=np.float64), (0, 1, 2), (2, 1, 0))
    values = [_called(function, a), _called(function, b)]
    for index in groups.values():
        mixed = a.copy()
        mixed[:, index] = b[:, index]
        values.append(_called(function, mixed))
    runs = np.array(values)  # (groups + 2, n)
    kept = np.isfinite(runs).all(axis=0)
    if kept.sum() < 2:
        raise DataError(f"{n - kept.sum()} of {n} rows hold a failed chip; fewer than two are left, run milder draws")
    return _analysed(runs[:, kept], tuple(groups), len(names), n, quantity, seed, confidence)


def _called(function: Callable[[Array], Array], points: Array) -> Array:
    values = np.asarray(function(points), dtype=np.float64)
    if values.shape != points.shape[:1]:
        raise DataError(
            f"the function gave shape {values.shape} for {len(points)} chips; it must give one value each"
        )
    return values


def _analysed(
    runs: Array, groups: tuple[str, ...], draws: int, n: int, quantity: str, seed: int, confidence: float
) -> SobolIndices:
    rows = np.arange(runs.shape[1])
    value = _indices(runs)
    if not np.isfinite(value).all():
        raise DataError(f"{quantity} is the same in all chips; there is no spread to explain")

    def resampled(chosen: NDArray[np.int_]) -> Array:
        return _indices(runs[:, chosen])

    found = bootstrap((rows,), resampled, vectorized=False, n_resamples=RESAMPLES, method="percentile",
                      confidence_level=confidence, rng=np.random.default_rng(seed))  # fmt: skip
    low, high = np.asarray(found.confidence_interval)
    first, total = (
        ordered(Share(*row) for row in zip(groups, value[k].tolist(), low[k].tolist(), high[k].tolist(), strict=True))
        for k in range(2)
    )
    rest = rows.size, n - rows.size, draws, confidence
    return SobolIndices(
        Sensitivity(quantity, "Saltelli, first order", None, first, *rest),
        Sensitivity(quantity, "Saltelli, total", None, total, *rest),
        runs=n * len(runs),
    )


def _indices(runs: Array) -> Array:
    """First and total (2, groups) from the values at A, at B and at each mixture (groups + 2, rows)."""
    a, b, mixed = runs[0], runs[1], runs[2:]
    mean = (a.mean() + b.mean()) / 2.0
    variance = np.var([a, b])
    if not variance > 0.0:
        return np.full((2, len(mixed)), np.nan)
    first = np.mean((b - mean) * (mixed - a), axis=1) / variance
    total = np.mean((a - mixed) ** 2, axis=1) / (2.0 * variance)
    return np.array([first, total])
