"""The table of a Monte Carlo run as arrays: a row a chip and condition, null where a figure does not apply."""

import difflib
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mtc_hw.errors import DataError
from mtc_hw.spec import Array

OK = "ok"
REQUIRED = ("sample", "corner", "supply", "temperature", "outcome")


class Condition(NamedTuple):
    """Where a chip worked."""

    corner: str
    supply: float  # V
    temperature: float  # degrees Celsius

    def __str__(self) -> str:
        return f"{self.corner}, {self.supply:g} V, {self.temperature:g} C"


@dataclass(frozen=True, eq=False)
class Places:
    """Where each row stands: its chip and its condition."""

    samples: NDArray[np.int64]  # (chips,), increasing
    conditions: tuple[Condition, ...]  # in the table's order
    chip: NDArray[np.int64]  # (rows,) index into samples
    condition: NDArray[np.int64]  # (rows,) index into conditions

    def spread(self, values: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Values of the rows as (chips, conditions); False where there is no row."""
        whole = np.zeros((self.samples.size, len(self.conditions)), dtype=np.bool_)
        whole[self.chip, self.condition] = values
        return whole


def places(table: pa.Table) -> Places:
    """Raises DataError for a table without rows or a needed column, and where a chip stands twice at a condition."""
    missing = [name for name in REQUIRED if name not in table.column_names]
    if missing:
        raise DataError(f"the table has no column {', '.join(missing)}; give a table that `montecarlo` wrote")
    if table.num_rows == 0:
        raise DataError("the table has no rows; run at least one chip")
    samples, chip = np.unique(np.asarray(table["sample"], dtype=np.int64), return_inverse=True)
    rows = [Condition(*row) for row in zip(*(table[name].to_pylist() for name in REQUIRED[1:4]), strict=True)]
    order = {condition: index for index, condition in enumerate(dict.fromkeys(rows))}
    condition = np.array([order[row] for row in rows], dtype=np.int64)
    [(twice, count)] = Counter(zip(chip.tolist(), condition.tolist(), strict=True)).most_common(1)
    if count > 1:
        raise DataError(
            f"sample {samples[twice[0]]} has {count} rows at {tuple(order)[twice[1]]}; give one a chip and condition"
        )
    return Places(samples, tuple(order), chip.astype(np.int64), condition)


def at(table: pa.Table, condition: Condition) -> pa.Table:
    """The rows at one condition. Raises DataError where there is none."""
    found = places(table)
    if condition not in found.conditions:
        there = "; ".join(map(str, found.conditions))
        raise DataError(f"the table has no chip at {Condition(*condition)}; there are: {there}")
    return table.filter(pa.array(found.condition == found.conditions.index(condition)))


def finished(table: pa.Table) -> NDArray[np.bool_]:
    """(rows,): which runs gave a result."""
    return np.asarray(pc.fill_null(pc.equal(table["outcome"], OK), False), dtype=np.bool_)


def is_number(schema: pa.Schema, quantity: str) -> bool:
    """Whether a column holds numbers; a column of nothing but nulls counts. Raises DataError without the column."""
    require(schema, quantity)
    kind = schema.field(quantity).type
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind))


def require(schema: pa.Schema, quantity: str) -> None:
    """Raises DataError for a column that is not there."""
    if quantity not in schema.names:
        near = difflib.get_close_matches(quantity, schema.names, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise DataError(f"no quantity {quantity!a} in the table; there are: {', '.join(schema.names)}{hint}")


def numbers(table: pa.Table, quantity: str) -> Array:
    """(rows,) of a column; NaN for a null and for a run that failed. Raises DataError for a column of texts."""
    if not is_number(table.schema, quantity):
        raise DataError(f"{quantity} holds {table.schema.field(quantity).type}; name a column of numbers")
    values = np.asarray(pc.cast(table[quantity], pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.where(finished(table) & np.isfinite(values), values, np.nan)


def texts(table: pa.Table, quantity: str) -> list[str | None]:
    """A column of texts; None for a null and for a run that failed. Raises DataError for another column."""
    require(table.schema, quantity)
    kind = table.schema.field(quantity).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise DataError(f"{quantity} holds {kind}; name a column of texts")
    return [value if ok else None for value, ok in zip(table[quantity].to_pylist(), finished(table), strict=True)]


def quantities(table: pa.Table) -> tuple[str, ...]:
    """Columns of numbers that hold at least one, besides those that only say where and how a chip was run."""
    plain = {*REQUIRED, "rung", "seconds", "reason"}
    return tuple(
        name
        for name in table.column_names
        if name not in plain and is_number(table.schema, name) and np.isfinite(numbers(table, name)).any()
    )
