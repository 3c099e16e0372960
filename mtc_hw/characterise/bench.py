"""The test benches of single cells: one deck an analysis, one cell a column."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from mtc_hw.errors import DataError
from mtc_hw.hardware.technology import Technology
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.render import common_context
from mtc_hw.netlist.templates import render
from mtc_hw.simulate.pool import Runner, Workers, open_workers
from mtc_hw.simulate.waveforms import Waveforms
from mtc_hw.spec import Array

OPTIONS = ("gmin=1e-16", "abstol=1e-16", "vntol=1e-8", "reltol=1e-6", "itl1=500", "itl2=500", "bypass=1")


@dataclass(frozen=True)
class Level:
    """A fixed voltage above another node of a bench."""

    name: str
    base: str  # a node: 0, ref or in
    value: float  # V


@dataclass(frozen=True)
class Column:
    """One transconductor on the sweep bench, its inputs and its output each on a node of the bench."""

    kind: str
    bias: float  # A
    inp: str = "in"
    inn: str = "ref"
    out: str = "ref"
    parameters: dict[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, eq=False)
class Swept:
    """A DC sweep's result, by column."""

    axis: Array  # (T,) V from ground
    current: Array  # (T, columns) A out of the output
    supply: Array  # (T, columns) A from the supply, the bias included


@dataclass(frozen=True)
class Bench:
    """A technology's cells at one transistor size, m."""

    technology: Technology
    width: float
    length: float
    runner: Runner

    def run(self, template: str, wanted: Sequence[str], end: float | None, **context: object) -> Waveforms:
        """One analysis. Raises SimulatorMissingError without ngspice and DataError when the run fails."""
        name = self.technology.name
        shared = common_context(self.technology, self.width, self.length)
        given = {"title": f"cells of {name}", "options": OPTIONS, "wanted": tuple(wanted)} | context
        text = render(f"testbench/{template}", shared | given)
        lint(text)
        outcome = self.runner([Deck("cells", text, tuple(wanted), end)])[0]
        if outcome.waveforms is None:
            raise DataError(f"characterising {name}: {outcome.status}: {outcome.reason}")
        return outcome.waveforms

    def sweep(
        self, columns: Sequence[Column], levels: Sequence[Level], low: float, high: float, step: float
    ) -> Swept:
        """The node `in` swept from `low` to `high`, V from ground."""
        outputs, supplies = ([f"i({source}{i})" for i in range(len(columns))] for source in ("vo", "vd"))
        # Half a step of slack: whether the last point is reached hangs on the rounding of ngspice's sum of steps.
        end, sweep = high - 0.5 * step, {"low": low, "high": high, "step": step}
        seen = self.run("cells.cir.j2", [*outputs, *supplies], end, columns=columns, levels=levels, **sweep)
        current, supply = (np.stack([seen[name] for name in names], axis=1) for names in (outputs, supplies))
        return Swept(seen.axis, current, -supply)


@contextmanager
def open_bench(technology: Technology, width: float, length: float) -> Iterator[Bench]:
    with open_workers(Workers(driver="ngspice", jobs=1)) as runner:
        yield Bench(technology, width, length, runner)
