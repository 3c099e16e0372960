"""Which device or element explains the spread of a quantity, from the chips of a Monte Carlo run and their draws.

A chip that failed, or has no value of the quantity, is left out and counted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import SplineTransformer

from mtc_hw.analysis.chip_table import numbers, places
from mtc_hw.analysis.draw_names import Level, groups_of
from mtc_hw.analysis.yields import CONFIDENCE
from mtc_hw.errors import DataError
from mtc_hw.spec import Array

LEAST = 10  # chips
LEAST_ALONE = 100  # chips for correlations: intervals of fewer hold too seldom
PER_DRAW = 1.2  # chips a draw, from which on least squares is used
PER_SPLINE = 5  # chips a basis function


@dataclass(frozen=True)
class Share:
    """A group's part of the variance, with its interval. It is freed from noise, so that it may lie below 0."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Sensitivity:
    """Shares of the variance of a quantity, the largest first."""

    quantity: str
    method: Literal["least squares", "correlation", "spline", "Saltelli, first order", "Saltelli, total"]
    linear: Share | None  # R2 of the linear model of all draws; None where there is none
    shares: tuple[Share, ...]
    chips: int
    left_out: int
    draws: int
    confidence: float


@dataclass(frozen=True, eq=False)
class Observations:
    """What the estimators see: draws and a quantity of the chips that have it."""

    quantity: str
    names: tuple[str, ...]
    draws: Array  # (chips, draws), each of mean 0 and standard deviation 1; 0 for a draw that is the same in all
    values: Array  # (chips,), of mean 0 and standard deviation 1
    left_out: int


def observations(table: pa.Table, draws: pa.Table, quantity: str) -> Observations:
    """Joins a table at one condition to its draws by sample.

    Raises DataError for several conditions, a sample without draws, draws that are not finite, fewer than `LEAST`
    chips and a quantity that does not vary.
    """
    where = places(table)
    if len(where.conditions) > 1:
        raise DataError(f"the table has {len(where.conditions)} conditions; choose one with chip_table.at")
    values = numbers(table, quantity)
    names = tuple(name for name in draws.column_names if name != "sample")
    if "sample" not in draws.column_names or not names:
        raise DataError("the draws need a column sample and one for each draw; run with the draws kept")
    known = np.isfinite(values)
    samples = where.samples[where.chip[known]]
    if samples.size < LEAST:
        raise DataError(
            f"{samples.size} of {table.num_rows} chips have a value of {quantity}; run more, {LEAST} are needed"
        )
    x = _standardised(_matrix(draws, names, samples))
    spread = float(np.std(values[known]))
    if spread <= 1e-12 * float(np.abs(values[known]).max()):
        raise DataError(
            f"{quantity} is {values[known][0]:g} in all {samples.size} chips; there is no spread to explain"
        )
    return Observations(quantity, names, x, (values[known] - values[known].mean()) / spread, int((~known).sum()))


def _matrix(draws: pa.Table, names: Sequence[str], samples: NDArray[np.int64]) -> Array:
    """The draws (chips, draws) of these samples."""
    own = np.asarray(draws["sample"], dtype=np.int64)
    order = np.argsort(own, kind="stable")
    place = np.searchsorted(own[order], samples)
    found = place < own.size
    found[found] = own[order][place[found]] == samples[found]
    if not found.all():
        raise DataError(f"sample {samples[~found][0]} has no draws; give the draws of the same run")
    rows = order[place]
    matrix = np.column_stack([np.asarray(draws[name], dtype=np.float64)[rows] for name in names])
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise DataError(f"draw {names[column]} of sample {samples[row]} is {matrix[row, column]}; it must be finite")
    return matrix


def _standardised(x: Array) -> Array:
    spread = x.std(axis=0)
    constant = spread <= 1e-12 * np.abs(x).max(axis=0)
    return np.asarray(np.where(constant, 0.0, (x - x.mean(axis=0)) / np.where(constant, 1.0, spread)))


@dataclass(frozen=True, eq=False)
class Regression:
    """Standardised regression coefficients: what a standard deviation of a draw moves, in those of the quantity."""

    seen: Observations
    method: Literal["least squares", "correlation"]
    determination: Share | None  # adjusted R2 of least squares
    coefficient: Array  # (draws,)
    low: Array  # (draws,)
    high: Array
    confidence: float
    moves: Array  # (chips, draws): what each chip moves each draw's share by
    covariance: Array  # of the coefficients, (draws, draws); (draws,), its diagonal, of correlations

    def shares(self, level: Level = "element") -> Sensitivity:
        """Sums of squared coefficients by group: for independent draws, a group's part of the variance.

        Each square is freed from its noise, whose expectation is the coefficient's variance, so that many draws
        without effect sum to about 0, sometimes below. Intervals are normal, of the infinitesimal jackknife (Efron,
        The jackknife, the bootstrap and other resampling plans, 1982).
        """
        groups = {name: np.array(index) for name, index in groups_of(self.seen.names, level).items()}
        return Sensitivity(
            quantity=self.seen.quantity,
            method=self.method,
            linear=self.determination or self._share("linear model", np.arange(len(self.seen.names))),
            shares=ordered(self._share(name, index) for name, index in groups.items()),
            chips=self.seen.values.size,
            left_out=self.seen.left_out,
            draws=len(self.seen.names),
            confidence=self.confidence,
        )

    def _share(self, name: str, index: NDArray[np.int_]) -> Share:
        whole = self.covariance.ndim == 2
        own = self.covariance[np.ix_(index, index)] if whole else self.covariance[index]
        noise = 2.0 * float(np.sum(own**2))
        total = float(np.sum(self.coefficient[index] ** 2) - (np.trace(own) if whole else np.sum(own)))
        # The jackknife counts the part of the variance that comes from squared noise twice (Efron and Stein 1981).
        return share(name, total, max(_jackknife(self.moves[:, index].sum(axis=1)) - noise, noise), self.confidence)


def regression(table: pa.Table, draws: pa.Table, quantity: str, confidence: float = CONFIDENCE) -> Regression:
    """Of a quantity on all draws (Saltelli and others, Global Sensitivity Analysis, 2008, chapter 1).

    By least squares; with fewer than `PER_DRAW` chips a draw each draw's coefficient is its correlation with the
    quantity, which for independent draws estimates the same without a fit, only less sharply. Ridge would not do: its
    squares hold noise that nobody can subtract, and many draws without effect would outweigh the few that have one.
    Raises DataError, also for draws that depend on each other.
    """
    seen = observations(table, draws, quantity)
    varies = np.asarray(seen.draws.any(axis=0), dtype=np.bool_)
    x, y = seen.draws[:, varies], seen.values
    chips, count = x.shape
    if count == 0:
        raise DataError(f"none of the {varies.size} draws differs among the {chips} chips; run with variation")
    _refuse_repeated(x, [name for name, own in zip(seen.names, varies, strict=True) if own])
    fitted = chips >= PER_DRAW * count + 2
    if not fitted and chips < LEAST_ALONE:
        needed = min(LEAST_ALONE, int(PER_DRAW * count) + 3)
        raise DataError(f"{chips} chips are too few for {count} draws; run at least {needed}")
    coefficient, moved, covariance = _least_squares(x, y) if fitted else _correlations(x, y)
    linear = _determination(x, y, coefficient, confidence) if fitted else None
    own = np.diag(covariance) if fitted else covariance
    # A chip moves also the standard deviations by which coefficients are standardised.
    scale = x**2 - (y**2)[:, None]
    error = np.std(moved + 0.5 * coefficient * scale, axis=0) / np.sqrt(chips)
    reach = float(norm.ppf(0.5 + confidence / 2.0)) * error
    return Regression(
        seen=seen,
        determination=linear,
        method="least squares" if fitted else "correlation",
        coefficient=_placed(coefficient, varies),
        low=_placed(coefficient - reach, varies),
        high=_placed(coefficient + reach, varies),
        confidence=confidence,
        moves=_placed(2.0 * coefficient * moved + (coefficient**2 - own) * scale, varies),
        covariance=_placed(_placed(covariance, varies).T, varies) if fitted else _placed(covariance, varies),
    )


def _placed(values: Array, varies: NDArray[np.bool_]) -> Array:
    """Values of the draws that vary (..., varying) among all (..., draws), the others 0."""
    whole = np.zeros((*values.shape[:-1], varies.size))
    whole[..., varies] = values
    return whole


def _least_squares(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Coefficients, what each chip moves them by (chips, draws), and their covariance (draws, draws)."""
    chips, count = x.shape
    coefficient = np.asarray(LinearRegression(fit_intercept=False).fit(x, y).coef_)
    rest = y - x @ coefficient
    inverse = np.linalg.inv(x.T @ x)
    spread = x @ inverse
    leverage = np.sum(spread * x, axis=1) + 1.0 / chips
    moved = chips * spread * (rest / (1.0 - leverage))[:, None]
    return coefficient, moved, inverse * float(rest @ rest) / (chips - count - 1)


def _determination(x: Array, y: Array, coefficient: Array, confidence: float) -> Share:
    chips, count = x.shape
    lost = (y - x @ coefficient) ** 2 * (chips / (chips - count - 1))
    r2 = 1.0 - float(np.mean(lost)) * (chips - 1) / chips
    return share("linear model", r2, _jackknife((1.0 - r2) * y**2 - lost), confidence)


def _correlations(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """As `_least_squares`, each draw alone; of the covariance the diagonal (draws,)."""
    together = x * y[:, None]
    coefficient = np.mean(together, axis=0)
    variance = (np.mean(together**2, axis=0) - coefficient**2) / (len(y) - 1)
    return coefficient, together - coefficient * x**2, variance


def _refuse_repeated(x: Array, names: Sequence[str]) -> None:
    """Raises DataError where one draw follows from others, for then nobody can tell which it is."""
    chips, count = x.shape
    _, index = np.unique(np.round(x, 9), axis=1, return_index=True)
    if index.size < count:
        twice = names[min(set(range(count)) - set(index.tolist()))]
        raise DataError(f"draw {twice} is the same as another one in all chips; give each draw once")
    if count < chips and np.linalg.matrix_rank(x) < count:
        raise DataError(
            f"the {count} draws of {chips} chips depend on each other; leave out those that follow from others"
        )


def first_order_given(
    table: pa.Table,
    draws: pa.Table,
    quantity: str,
    level: Level = "element",
    knots: int = 5,
    confidence: float = CONFIDENCE,
) -> Sensitivity:
    """First-order Sobol indices from chips that are there already: Var(E[y | draw]) / Var(y), summed by group.

    E[y | draw] is a cubic regression spline with knots at the draw's quantiles, and the index its R2, freed from
    what a spline finds in noise (Storlie and Helton, Reliability Engineering and System Safety 93, 2008). It follows
    curves and sees no interaction: of a group, only what its draws do each alone. What is left of 1 is interaction,
    noise, and bends finer than the knots. Intervals as in `Regression.shares`. Raises DataError.
    """
    seen = observations(table, draws, quantity)
    chips = seen.values.size
    spline = SplineTransformer(n_knots=knots, degree=3, knots="quantile", include_bias=False)
    basis = knots + 1  # functions beside the constant
    if chips < PER_SPLINE * basis:
        raise DataError(f"{chips} chips are too few for a spline of {basis} parts; run at least {PER_SPLINE * basis}")
    index, noise, moves = np.zeros(len(seen.names)), np.zeros(len(seen.names)), np.zeros((chips, len(seen.names)))
    for draw in np.flatnonzero(seen.draws.any(axis=0)):
        x = spline.fit_transform(seen.draws[:, [draw]])
        rest = seen.values - LinearRegression().fit(x, seen.values).predict(x)
        free = chips - basis - 1
        floor = float(rest @ rest) / free / chips  # of one function's part in noise
        index[draw] = 1.0 - float(np.mean(rest**2)) - basis * floor
        moves[:, draw] = seen.values**2 * (1.0 - index[draw]) - rest**2
        noise[draw] = 2.0 * basis * floor**2
    shares = (
        share(name, index[own].sum(), _jackknife(moves[:, own].sum(axis=1)) + noise[own].sum(), confidence)
        for name, own in groups_of(seen.names, level).items()
    )
    return Sensitivity(quantity, "spline", None, ordered(shares), chips, seen.left_out, len(seen.names), confidence)


def share(name: str, value: float, variance: float, confidence: float) -> Share:
    """A share with its normal interval, within 0 and 1."""
    reach = float(norm.ppf(0.5 + confidence / 2.0)) * variance**0.5
    low, high = np.clip([value - reach, value + reach], 0.0, 1.0)
    return Share(name, float(value), float(low), float(high))


def ordered(shares: Iterable[Share]) -> tuple[Share, ...]:
    """The largest first, of equals by name."""
    return tuple(sorted(shares, key=lambda each: (-each.value, each.name)))


def _jackknife(moves: Array) -> float:
    """Variance of a figure, from what each chip moves it by."""
    return float(np.var(moves)) / moves.size
