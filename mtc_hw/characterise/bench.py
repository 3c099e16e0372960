"""The test benches of single cells: one deck an analysis, one cell a column."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from mtc_hw.errors import DataError
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.technology import Technology
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.render import common_context
from mtc_hw.netlist.templates import render
from mtc_hw.simulate.pool import Runner, Workers, open_workers
from mtc_hw.simulate.waveforms import Waveforms
from mtc_hw.spec import Array

OPTIONS = ("gmin=1e-16", "abstol=1e-16", "vntol=1e-8", "reltol=1e-6", "itl1=500", "itl2=500", "bypass=1")
TOGETHER = 12
"""Columns in one deck: the point that converges worst holds up all of a deck."""


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
        return self._simulate([self._deck(template, wanted, end, context)])[0]

    def sweep(
        self, columns: Sequence[Column], levels: Sequence[Level], low: float, high: float, step: float
    ) -> Swept:
        """The node `in` swept from `low` to `high`, V from ground."""
        # Half a step of slack: whether the last point is reached hangs on the rounding of ngspice's sum of steps.
        end = high - 0.5 * step
        context = {"levels": levels, "low": low, "high": high, "step": step}
        parts = [columns[i : i + TOGETHER] for i in range(0, len(columns), TOGETHER)]
        names = [[f"i({source}{i})" for source in ("vo", "vd") for i in range(len(part))] for part in parts]
        seen = self._simulate(
            [
                self._deck("cells.cir.j2", wanted, end, context | {"columns": part})
                for part, wanted in zip(parts, names, strict=True)
            ]
        )
        both = [
            np.reshape([waves[name] for name in wanted], (2, len(part), -1))
            for waves, part, wanted in zip(seen, parts, names, strict=True)
        ]
        current, supply = np.concatenate(both, axis=1)
        return Swept(seen[0].axis, current.T, -supply.T)

    def _deck(self, template: str, wanted: Sequence[str], end: float | None, context: Mapping[str, object]) -> Deck:
        shared = common_context(self.technology, self.width, self.length)
        given = {"title": f"cells of {self.technology.name}", "options": OPTIONS, "wanted": tuple(wanted)}
        text = render(f"testbench/{template}", shared | given | dict(context))
        lint(text)
        return Deck("cells", text, tuple(wanted), end)

    def _simulate(self, decks: Sequence[Deck]) -> list[Waveforms]:
        result = []
        for outcome in self.runner(decks):
            if outcome.waveforms is None:
                raise DataError(f"characterising {self.technology.name}: {outcome.status}: {outcome.reason}")
            result.append(outcome.waveforms)
        return result


@contextmanager
def open_bench(technology: Technology, width: float, length: float) -> Iterator[Bench]:
    with open_workers(Workers(driver="ngspice", jobs=1)) as runner:
        yield Bench(unit_sized(technology, width, length), width, length, runner)
