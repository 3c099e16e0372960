"""What calibration did for the yield: every chip's verdict before and after, and why some could not be saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mtc_hw.analysis.chip_table import numbers
from mtc_hw.analysis.datasheet import Datasheet
from mtc_hw.analysis.verdicts import verdicts, worst
from mtc_hw.analysis.yields import Yield
from mtc_hw.calibration.chip_row import CalibratedChip, State, state_table
from mtc_hw.spec import Array

SHARES = (0.05, 0.5, 0.95)
FIGURES = ("isi_mean", "isi_cv", "intra_interval", "burst_period", "spikes_per_burst", "r2", "power")
"""Columns whose spread is told where chips have them."""

LOST = "it was not calibrated"


@dataclass(frozen=True)
class Unsaved:
    """A chip that is not good with its own codes."""

    sample: int
    was_good: bool  # with the nominal chip's, and a refitted readout where this one has one
    why: str  # what it does, or how its run failed
    marked: str  # the neurons that calibration could not bring to the target, and why
    at_bounds: int


@dataclass(frozen=True)
class Spread:
    """Of a quantity over the chips that have it; times in tau_m."""

    count: int
    mean: float
    sd: float | None  # None for one chip
    low: float  # 5th percentile
    median: float
    high: float  # 95th percentile


@dataclass(frozen=True, eq=False)
class Judged:
    """Every chip in every state that it was measured in; the first one is before calibration."""

    rows: tuple[CalibratedChip, ...]
    tables: Mapping[State, pa.Table]
    good: Mapping[State, NDArray[np.bool_]]  # (chips,)
    yields: Mapping[State, Yield]
    unsaved: tuple[Unsaved, ...]

    def values(self, state: State, quantity: str) -> Array:
        """(chips,), NaN where a chip has none."""
        return numbers(self.tables[state], quantity)

    def spread(self, state: State, quantity: str) -> Spread | None:
        """Over all chips that have the quantity, whether they are good or not; None where none has."""
        values = self.values(state, quantity)
        values = values[np.isfinite(values)]
        if not values.size:
            return None
        sd = float(values.std(ddof=1)) if values.size > 1 else None
        return Spread(values.size, float(values.mean()), sd, *(float(x) for x in np.quantile(values, SHARES)))

    @property
    def quantities(self) -> tuple[str, ...]:
        """Those that some chip has."""
        return tuple(
            name for name in FIGURES if any(np.isfinite(self.values(state, name)).any() for state in self.tables)
        )


def judged(rows: Sequence[CalibratedChip], sheet: Datasheet) -> Judged:
    """Judges every state by one datasheet. Raises DataError for a datasheet that does not fit, and without chips."""
    states: list[State] = ["before", "after"]
    if any(each.before.r2_refitted is not None for each in rows):
        states.insert(1, "before_refit")
    if any(each.after.r2_refitted is not None for each in rows):
        states.append("after_refit")
    tables = {state: state_table(rows, state) for state in states}
    found = {state: verdicts(table, sheet) for state, table in tables.items()}
    good = {state: each.good for state, each in found.items()}
    last, same_before = states[-1], states[states.index("after") - 1]
    reasons = {each.sample: each.why for each in worst(tables[last], sheet, len(rows))}
    unsaved = tuple(
        Unsaved(
            row.sample,
            bool(good[same_before][k]),
            reasons[row.sample],
            row.marked if row.neurons else LOST,
            row.at_bounds,
        )
        for k, row in enumerate(rows)
        if not good[last][k]
    )
    return Judged(tuple(rows), tables, good, {state: each.overall for state, each in found.items()}, unsaved)
