"""Which chips keep a datasheet, by how much, and what was measured against its limits."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mtc_hw.analysis.chip_table import Condition, finished, numbers, places, texts
from mtc_hw.analysis.datasheet import Datasheet, Limits, check
from mtc_hw.analysis.yields import CONFIDENCE, Yield, clopper_pearson
from mtc_hw.errors import DataError
from mtc_hw.spec import Array

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Every chip that was run at every condition; a chip is good where it keeps all limits at all of them."""

    datasheet: Datasheet
    samples: NDArray[np.int64]  # (chips,), increasing
    conditions: tuple[Condition, ...]
    finished: NDArray[np.bool_]  # (chips, conditions): runs that gave a result; one that failed keeps no limit
    passes: Mapping[str, NDArray[np.bool_]]  # by quantity, (chips, conditions)
    incomplete: int  # chips left out: not run at every condition yet
    confidence: float

    @property
    def good(self) -> NDArray[np.bool_]:
        """(chips,)."""
        return _everywhere(self._kept())

    @property
    def overall(self) -> Yield:
        return self._yield(self.good)

    @property
    def by_quantity(self) -> dict[str, Yield]:
        """Chips that keep one quantity's limits at every condition."""
        return {quantity: self._yield(_everywhere(kept)) for quantity, kept in self.passes.items()}

    @property
    def by_condition(self) -> dict[Condition, Yield]:
        """Chips that keep all limits at one condition."""
        kept = self._kept()
        return {condition: self._yield(kept[:, index]) for index, condition in enumerate(self.conditions)}

    def _kept(self) -> NDArray[np.bool_]:
        return np.asarray(np.all(list(self.passes.values()), axis=0))

    def _yield(self, good: NDArray[np.bool_]) -> Yield:
        return clopper_pearson(int(good.sum()), good.size, self.confidence)


def _everywhere(kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(chips,) of (chips, conditions)."""
    return np.asarray(kept.all(axis=1), dtype=np.bool_)


def verdicts(table: pa.Table, sheet: Datasheet, confidence: float = CONFIDENCE) -> Verdicts:
    """Judges every chip. A failed run fails its chip; a figure that is missing fails the limits on it.

    Raises DataError for a datasheet that does not fit the table, and where no chip was run at every condition.
    """
    check(sheet, table.schema)
    where = places(table)
    whole = _everywhere(where.spread(np.ones(table.num_rows, dtype=np.bool_)))
    if not whole.any():
        raise DataError(
            f"no chip was run at all {len(where.conditions)} conditions; finish at least one, or judge one condition"
        )
    return Verdicts(
        datasheet=sheet,
        samples=where.samples[whole],
        conditions=where.conditions,
        finished=where.spread(finished(table))[whole],
        passes={name: where.spread(_keeps(table, name, limits))[whole] for name, limits in sheet.limits.items()},
        incomplete=int((~whole).sum()),
        confidence=confidence,
    )


def _keeps(table: pa.Table, quantity: str, limits: Limits) -> NDArray[np.bool_]:
    """(rows,)."""
    if limits.wanted is not None:
        return np.array([value in limits.wanted for value in texts(table, quantity)], dtype=np.bool_)
    values = numbers(table, quantity)
    low = -np.inf if limits.min is None else limits.min
    high = np.inf if limits.max is None else limits.max
    return np.asarray((values >= low) & (values <= high))  # False for NaN


def margins(table: pa.Table, quantity: str, limits: Limits) -> Array:
    """(rows,): distance to the nearest limit, negative outside; NaN where the figure is missing.

    The unit of distance is half the window between two limits; of one limit its distance from `typ`, else its own
    magnitude. So a chip's margin does not depend on the other chips.
    """
    values = numbers(table, quantity)
    low, high = limits.min, limits.max
    if low is not None and high is not None:
        unit = (high - low) / 2.0
    else:
        end = low if high is None else high
        assert end is not None
        unit = abs(end - limits.typ) if limits.typ is not None else 0.0
    unit = unit or max(abs(end) for end in (low, high) if end is not None) or 1.0
    inside = np.minimum(
        np.inf if low is None else values - low,
        np.inf if high is None else high - values,
    )
    return np.asarray(inside / unit)


@dataclass(frozen=True)
class WorstChip:
    """A chip at its worst condition and quantity."""

    sample: int
    condition: Condition
    good: bool
    why: str  # the quantity with its value and limits, or the failure and its reason
    margin: float | None  # None for a failed run, a missing figure and an unwanted text: these have no distance


def worst(table: pa.Table, sheet: Datasheet, count: int) -> tuple[WorstChip, ...]:
    """The `count` worst chips, the worst first; also those that keep the limits, where there are not more bad ones.

    First come failed runs, then missing figures and unwanted texts, then the others by their smallest margin; of
    equals the lower sample. Raises DataError.
    """
    if count < 1:
        raise DataError(f"{count} worst chips are asked for; ask for at least 1")
    check(sheet, table.schema)
    where = places(table)
    rank, margin, quantity = _badness(table, sheet)
    order = np.lexsort((where.condition, where.chip, margin, rank))
    _, first = np.unique(where.chip[order], return_index=True)
    rows = order[np.sort(first)[:count]]
    return tuple(
        WorstChip(
            sample=int(where.samples[where.chip[row]]),
            condition=where.conditions[where.condition[row]],
            good=bool(rank[row] == _MEASURED and margin[row] >= 0.0),
            why=_why(table, sheet, int(row), int(rank[row]), str(quantity[row])),
            margin=float(margin[row]) if rank[row] == _MEASURED and np.isfinite(margin[row]) else None,
        )
        for row in rows
    )


_FAILED, _MISSED, _MEASURED = 0, 1, 2


def _badness(table: pa.Table, sheet: Datasheet) -> tuple[NDArray[np.int64], Array, NDArray[np.str_]]:
    """(rows,) each: rank, smallest margin, and the quantity that decides."""
    names = np.array(list(sheet.limits))
    distance = np.full((len(names), table.num_rows), np.inf)
    missed = np.zeros(distance.shape, dtype=np.bool_)
    for index, (name, limits) in enumerate(sheet.limits.items()):
        if limits.wanted is None:
            distance[index] = margins(table, name, limits)
            missed[index] = np.isnan(distance[index])
        else:
            missed[index] = ~_keeps(table, name, limits)
    distance[missed] = np.inf
    lost = missed.any(axis=0)
    rank = np.where(~finished(table), _FAILED, np.where(lost, _MISSED, _MEASURED))
    decides = np.where(lost, missed.argmax(axis=0), distance.argmin(axis=0))
    return rank, distance.min(axis=0), names[decides]


def _why(table: pa.Table, sheet: Datasheet, row: int, rank: int, quantity: str) -> str:
    if rank == _FAILED:
        reason = table["reason"][row].as_py() if "reason" in table.column_names else ""
        return ": ".join(filter(None, (str(table["outcome"][row]), reason)))
    limits, value = sheet.limits[quantity], table[quantity][row].as_py()
    if rank == _MISSED:
        return f"{quantity} is {'none' if value is None or value != value else value}, not {limits}"
    return f"{quantity} is {value}" if limits.wanted is not None else f"{quantity} is {value:.4g}, limits {limits}"


@dataclass(frozen=True)
class Measured:
    """A quantity over all finished runs that have it."""

    quantity: str
    count: int
    missing: int  # rows without it, failed runs included
    low: float
    mean: float
    sd: float  # of the population; NaN for a single value
    high: float
    quantiles: Mapping[float, float]
    capability: float | None  # Cpk, the nearer limit's distance from the mean over 3 sd; None without sd or limit


def measured(table: pa.Table, quantity: str, limits: Limits | None = None) -> Measured | None:
    """None where no run has a value. Raises DataError."""
    everything = numbers(table, quantity)
    values = everything[np.isfinite(everything)]
    if values.size == 0:
        return None
    sd = float(np.std(values, ddof=1)) if values.size > 1 else float("nan")
    mean = float(np.mean(values))
    room = []
    if limits is not None:
        room += [] if limits.max is None else [limits.max - mean]
        room += [] if limits.min is None else [mean - limits.min]
    return Measured(
        quantity=quantity,
        count=values.size,
        missing=everything.size - values.size,
        low=float(values.min()),
        mean=mean,
        sd=sd,
        high=float(values.max()),
        quantiles=dict(zip(QUANTILES, np.quantile(values, QUANTILES).tolist(), strict=True)),
        capability=min(room) / (3.0 * sd) if room and sd > 0.0 else None,
    )
