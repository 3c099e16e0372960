"""A neuron over process corners, supplies and temperatures: where it still does what it is for."""

import csv
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from mtc_hw.analysis.regimes import Regime
from mtc_hw.analysis.spikes import burst_statistics, interval_statistics
from mtc_hw.characterise import cells_for
from mtc_hw.errors import DataError
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.conditions import Condition, Tracking, at_condition, warming
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.mapping import MappingOptions
from mtc_hw.hardware.rules import filter_floor
from mtc_hw.hardware.technology import Technology, load_technology
from mtc_hw.hardware.unit import LONG, UnitSize
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.render import own_deck
from mtc_hw.neuron_file import NeuronFile
from mtc_hw.neuron_run import NeuronOptions, checked_duration, neuron_design, observe, own_regime
from mtc_hw.simulate.network import mean_power
from mtc_hw.simulate.outcome import Outcome
from mtc_hw.simulate.pool import Runner
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.sources import load_source

Value = TypeVar("Value", str, float)

TEMPERATURES = (-40.0, 0.0, 27.0, 85.0, 125.0)  # degrees Celsius
SUPPLIES = (0.9, 1.0, 1.1)  # of the technology's own
HOTTEST = 85.0  # degrees Celsius
LEAKIEST = "ff"
DURATION = 2000.0  # tau_m, of a neuron whose file does not say


@dataclass(frozen=True)
class CornersOptions:
    """What is studied. An empty list of corners, supplies or temperatures means the usual ones."""

    technology: str = "generic"
    size: UnitSize = LONG
    mapping: MappingOptions = MappingOptions()
    hottest: float = (
        HOTTEST  # degrees Celsius, at which the filters' currents exceed the leakiest corner's off-currents
    )
    trim: Literal["none", "nominal"] = "nominal"  # the nominal chip's DC sweeps at its own condition set the codes
    tracking: Tracking = "ptat"
    corners: tuple[str, ...] = ()
    supplies: tuple[float, ...] = ()  # V
    temperatures: tuple[float, ...] = ()  # degrees Celsius
    duration: float | None = None  # tau_m; None: as the neuron's file says


@dataclass(frozen=True)
class Row:
    """What the neuron did at one condition. Times in tau_m of the design's own temperature; None: does not apply."""

    corner: str
    supply: float  # V
    celsius: float
    outcome: str
    reason: str
    regime: Regime | None  # None: the run failed
    holds: bool  # whether that is the regime it is for
    spikes: int | None
    interval: float | None  # mean
    intra_interval: float | None  # mean within bursts
    spikes_per_burst: float | None  # mean over complete bursts
    period: float | None  # mean from burst to burst
    power: float | None  # W from the supply, mean over the run; bias currents are ideal and not in it


@dataclass(frozen=True)
class Window:
    """The longest range of studied temperatures at which the regime holds without a gap; None: at none."""

    corner: str | None  # None: at all corners and supplies together
    supply: float | None  # V
    low: float | None  # degrees Celsius
    high: float | None

    def __str__(self) -> str:
        return "nowhere" if self.low is None else f"{self.low:g} to {self.high:g} C"


@dataclass(frozen=True, eq=False)
class CornersStudy:
    """A neuron's behaviour over a grid of conditions."""

    neuron: str
    wanted: Regime  # of the neuron in software
    duration: float  # tau_m
    tracking: Tracking
    design: MappedDesign  # whose codes are everywhere
    rows: tuple[Row, ...]  # corner by corner, supply by supply, temperature by temperature

    @property
    def corners(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.corner for row in self.rows))

    @property
    def supplies(self) -> tuple[float, ...]:
        return tuple(dict.fromkeys(row.supply for row in self.rows))

    @property
    def temperatures(self) -> tuple[float, ...]:
        return tuple(dict.fromkeys(row.celsius for row in self.rows))

    @property
    def held(self) -> int:
        """At how many conditions the regime is the wanted one."""
        return sum(row.holds for row in self.rows)


def load_subject(given: str) -> tuple[NeuronFile, MappedDesign | None]:
    """The neuron of a preset or file, and of an exported folder its design. Raises DataError for anything else."""
    source = load_source(given)
    if source.neuron is None:
        raise DataError(f"{given!r} is no neuron; give a preset, a neuron file or a folder exported from one")
    return source.neuron, source.design


def study_corners(
    neuron: NeuronFile, options: CornersOptions, run: Runner, design: MappedDesign | None = None
) -> CornersStudy:
    """Maps and trims the neuron at the technology's own condition, then runs these codes at every condition.

    With a `design` its codes are taken as they are. A failed run is a row. Raises MtcError for a corner, supply or
    temperature that the technology does not have, and for a duration that is not positive and finite.
    """
    duration = _duration(neuron, options)
    where = conditions(load_technology(options.technology), options)
    # Before minutes of trimming, every condition that the technology does not have is refused.
    loaded = [load_technology(options.technology, each.corner, each.supply, each.celsius) for each in where]
    if design is None:
        design = neuron_design(neuron, load_technology(options.technology), _neuron_options(options, duration), run)
    elif design.count != 1:
        raise DataError(f"this design has {design.count} neurons; a study of corners is of one")
    size = design.cells.width, design.cells.length
    designs = [at_condition(design, unit_sized(there, *size), options.tracking) for there in loaded]
    decks = [_deck(moved, neuron, each, duration) for moved, each in zip(designs, where, strict=True)]
    wanted = own_regime(neuron, duration)
    outcomes = run(decks)
    rows = tuple(
        row_of(each, moved, neuron, outcome, duration, wanted)
        for each, moved, outcome in zip(where, designs, outcomes, strict=True)
    )
    return CornersStudy(neuron.name, wanted, duration, options.tracking, design, rows)


def conditions(technology: Technology, options: CornersOptions) -> list[Condition]:
    """The grid: corner by corner, supply by supply, and from cold to hot."""
    own = technology.supply
    corners = options.corners or technology.corners
    supplies = options.supplies or tuple(round(part * own, 9) for part in SUPPLIES)
    temperatures = options.temperatures or TEMPERATURES
    return [
        Condition(corner, supply, celsius)
        for corner in _each_once("corner", corners)
        for supply in sorted(_each_once("supply", supplies))
        for celsius in sorted(_each_once("temperature", temperatures))
    ]


def _each_once(name: str, values: Iterable[Value]) -> list[Value]:
    given = list(values)
    twice = [value for value in dict.fromkeys(given) if given.count(value) > 1]
    if twice:
        raise DataError(f"{name} {twice[0]} is given twice; give each once")
    return given


def _duration(neuron: NeuronFile, options: CornersOptions) -> float:
    return checked_duration(options.duration or neuron.duration or DURATION)


def _neuron_options(options: CornersOptions, duration: float) -> NeuronOptions:
    return NeuronOptions(
        level="transistor",
        duration=duration,
        width=options.size.width,
        length=options.size.length,
        mapping=heat_proof(options),
        trim=options.trim,
    )


def heat_proof(options: CornersOptions) -> MappingOptions:
    """The mapping's options, with filter currents, and so capacitors, that stand the hottest use.

    Measured are the cells at the technology's own condition and, hot, at the corner with the largest off-currents.
    """
    own, size = load_technology(options.technology), options.size
    if options.hottest <= own.temperature:
        return options.mapping
    corner = LEAKIEST if LEAKIEST in own.corners else own.corner
    hot = load_technology(options.technology, corner, None, options.hottest)
    cells, hot_cells = (
        cells_for(unit_sized(each, size.width, size.length), size.width, size.length) for each in (own, hot)
    )
    floor = filter_floor(cells, hot_cells, warming(own, options.hottest), options.mapping)
    return dataclasses.replace(options.mapping, filter_min=max(floor, options.mapping.filter_min))


def _deck(design: MappedDesign, neuron: NeuronFile, where: Condition, duration: float) -> Deck:
    return dataclasses.replace(own_deck(design, neuron, "transistor", duration), name=where.name)


def row_of(
    where: Condition, design: MappedDesign, neuron: NeuronFile, outcome: Outcome, duration: float, wanted: Regime
) -> Row:
    """One run as a row; a failed one keeps its reason."""
    place = (where.corner, where.supply, where.celsius, outcome.status, outcome.reason)
    if outcome.waveforms is None:
        return Row(*place, None, False, None, None, None, None, None, None)
    spikes, regime = observe(to_trace(outcome.waveforms, design, 0), neuron, duration)
    bursts = burst_statistics(spikes, duration)
    bursting = regime == "bursting"
    return Row(
        *place,
        regime=regime,
        holds=regime == wanted,
        spikes=len(spikes),
        interval=interval_statistics(spikes).mean,
        intra_interval=bursts.intra_interval if bursting else None,
        spikes_per_burst=bursts.spikes_per_burst if bursting else None,
        period=bursts.period if bursting else None,
        power=mean_power(design, outcome),
    )


def windows(study: CornersStudy) -> list[Window]:
    """The operating window of each corner and supply."""
    return [
        Window(corner, supply, *_longest([r for r in study.rows if (r.corner, r.supply) == (corner, supply)]))
        for corner in study.corners
        for supply in study.supplies
    ]


def common_window(study: CornersStudy) -> Window:
    """The temperatures at which the regime holds at all corners and supplies."""
    everywhere = [
        dataclasses.replace(first, holds=all(row.holds for row in study.rows if row.celsius == first.celsius))
        for first in study.rows[: len(study.temperatures)]
    ]
    return Window(None, None, *_longest(everywhere))


def _longest(rows: Sequence[Row]) -> tuple[float | None, float | None]:
    """Ends of the longest run of rows that hold, by kelvin; of equals the one that begins coldest."""
    best: tuple[float, float] | None = None
    start: float | None = None
    for row in rows:
        start = (row.celsius if start is None else start) if row.holds else None
        if start is not None and (best is None or row.celsius - start > best[1] - best[0]):
            best = (start, row.celsius)
    return best or (None, None)


def write_rows(study: CornersStudy, path: Path) -> None:
    """One row a condition, CSV; an empty cell where a figure does not apply."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [each.name for each in dataclasses.fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(_rounded(row) for row in study.rows)


def _rounded(row: Row) -> dict[str, object]:
    """Six digits, more than any solver is good for."""
    values = dataclasses.asdict(row)
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in values.items()}


def to_json(study: CornersStudy) -> dict[str, object]:
    return {
        "neuron": study.neuron,
        "wanted": study.wanted,
        "tracking": study.tracking,
        "duration": study.duration,
        "technology": study.design.technology.name,
        "size": str(UnitSize(study.design.cells.width, study.design.cells.length)),
        "design_digest": study.design.digest,
        "conditions": len(study.rows),
        "held": study.held,
        "failed": sum(row.regime is None for row in study.rows),
        "window": dataclasses.asdict(common_window(study)),
        "windows": [dataclasses.asdict(each) for each in windows(study)],
        "rows": [dataclasses.asdict(row) for row in study.rows],
    }


def summary(study: CornersStudy) -> str:
    """One line: how many conditions, and the common window."""
    failed = sum(row.regime is None for row in study.rows)
    text = f"{study.neuron} is {study.wanted} at {study.held} of {len(study.rows)} conditions, {study.tracking}"
    text += f", {failed} runs failed" if failed else ""
    return f"{text}; at every corner and supply: {common_window(study)}"
