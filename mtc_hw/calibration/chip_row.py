"""What is told of one chip that was calibrated: a row of the study's table."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import pyarrow as pa

from mtc_hw.calibration.result import Result
from mtc_hw.montecarlo.row import ChipRow, Kept
from mtc_hw.montecarlo.table import SCHEMA as CHIPS
from mtc_hw.montecarlo.table import columns

State = Literal["before", "before_refit", "after", "after_refit"]
"""Of a chip: with the nominal chip's codes or its own, with the network's readout or one of its own."""

PLACE = ("sample", "corner", "supply", "temperature")
"""What the rows of a chip have in common."""


@dataclass(frozen=True)
class CalibratedChip:
    """One virtual chip with the nominal chip's codes, and with its own. None where nothing was measured."""

    sample: int
    before: ChipRow
    after: ChipRow
    neurons: int = 0
    succeeded: int = 0  # neurons that the calibration brought within the plan's tolerance
    marked: str = ""  # the other neurons and why, as 3: its reason; 7: its reason
    knobs: int = 0  # converters that it turned
    at_bounds: int = 0  # those that ended at the last code that there is
    residual: float | None = None  # unit currents, the median neuron's
    residual_worst: float | None = None
    measurements: float | None = None  # of the neuron that took the most
    record: str = ""  # file with the codes, within the study's folder
    calibrating: float = 0.0  # s of wall time
    seconds: float = 0.0  # s with the runs before and after

    @property
    def ok(self) -> bool:
        """It was measured with its own codes; it need not work."""
        return self.after.ok

    def cells(self) -> dict[str, object]:
        """The table's, by column: those of the two rows within have the state before their names."""
        values = dataclasses.asdict(self)
        within = {f"{state}_{name}": value for state in WITHIN for name, value in values.pop(state).items()}
        return {name: value for name, value in (values | within).items() if name in SCHEMA.names}

    def untimed(self) -> str:
        """All but the seconds, which no two runs have alike."""
        within = {state: dataclasses.replace(getattr(self, state), seconds=0.0) for state in WITHIN}
        return dataclasses.replace(self, calibrating=0.0, seconds=0.0, **within).to_json()

    def to_json(self) -> str:
        return json.dumps(_finite(dataclasses.asdict(self)), allow_nan=False)

    @staticmethod
    def from_json(text: str) -> "CalibratedChip":
        values = json.loads(text)
        return CalibratedChip(**values | {state: ChipRow(**values[state]) for state in WITHIN})


def _finite(value: Any) -> Any:
    """A number that is not finite becomes null."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value


WITHIN = ("before", "after")
SCHEMA = pa.schema(
    [
        each
        for each in columns(CalibratedChip)
        if each[0] not in {f"{state}_{name}" for state in WITHIN for name in PLACE}
    ]
)


def state_table(rows: Sequence[CalibratedChip], state: State) -> pa.Table:
    """The chips in one state as a Monte Carlo table; `r2` is that of the state's readout."""
    found = []
    for each in rows:
        row = each.before if state.startswith("before") else each.after
        found.append(dataclasses.replace(row, r2=row.r2_refitted) if state.endswith("refit") else row)
    return pa.Table.from_pylist([row.cells() for row in found], CHIPS)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A chip and its row; a free neuron's spikes `before` and `after`, tau_m, and the codes by kind of converter."""

    row: CalibratedChip
    result: Result | None = None  # None where the worker died
    kept: Kept | None = None
