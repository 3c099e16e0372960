"""Maps a model in every way of a grid, and calibrates and judges virtual chips of each."""

import dataclasses
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from mtc_hw import __version__
from mtc_hw.analysis.datasheet import Datasheet, check, datasheet
from mtc_hw.analysis.spikes import burst_statistics, interval_statistics
from mtc_hw.calibration.chip_row import State
from mtc_hw.calibration.judged import judged
from mtc_hw.calibration.plan import Plan
from mtc_hw.calibration.study import CalibrationStudy
from mtc_hw.calibration.study_run import Finished, run_study
from mtc_hw.calibration_run import with_nominal_codes
from mtc_hw.characterise import cells_for, load_cells, save_cells
from mtc_hw.codesign.pareto import Choice, Cost, Grid, Point, Requirement, Setting, choose, front, median, share
from mtc_hw.errors import DataError, TechnologyError, UnmappableError
from mtc_hw.exports import purpose_of, spec_of
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.budget import budget
from mtc_hw.hardware.cells import Cells
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import Technology, load_technology
from mtc_hw.hardware.unit import UnitSize
from mtc_hw.hardware.variation import Variation
from mtc_hw.montecarlo.engine import EngineOptions
from mtc_hw.montecarlo.study import DrivenNetwork, Study, Tier, one_place
from mtc_hw.montecarlo.table import SCHEMA
from mtc_hw.montecarlo_run import DURATION, ChipsOptions, subject_of
from mtc_hw.neuron_run import observe
from mtc_hw.simulate.ode import integrate
from mtc_hw.simulate.pool import Workers
from mtc_hw.sources import Source

BEFORE: tuple[State, ...] = ("before", "before_refit")
AFTER: tuple[State, ...] = ("after", "after_refit")

POINTS, CELLS = "points", "cells"
"""Folders of the chips of each point, and of cells that were measured for the sweep."""


@dataclass(frozen=True)
class ParetoOptions:
    """What is swept, on what chips, and what is wanted."""

    grid: Grid
    plan: Plan
    requirements: tuple[Requirement, ...] = ()  # none: the usual one
    least: Cost = "area"
    technology: str = "generic"
    tier: Tier = "cells"
    chips: int = 20  # of each point
    seed: int = 0
    duration: float | None = None  # tau_m; None: as for Monte Carlo
    sheet: Datasheet | None = None  # what a good chip does; None: the usual
    threshold: float = 0.9  # R2 of a good network chip, without a datasheet
    tolerance: float = 0.2  # of a good neuron's mean interval, or period of bursts, without one
    workers: Workers = Workers()

    def __post_init__(self) -> None:
        if self.chips < 1:
            raise DataError(f"chips is {self.chips}; give 1 or more")
        if not 0.0 < self.tolerance < 1.0:
            raise DataError(f"tolerance is {self.tolerance:g}; it must be above 0 and below 1, such as 0.1")


@dataclass(frozen=True, eq=False)
class Swept:
    """Every point of the grid in its order, which are on the front, and which one to build."""

    options: ParetoOptions
    requirements: tuple[Requirement, ...]
    sheet: Datasheet
    points: tuple[Point, ...]
    on_front: tuple[bool, ...]
    choice: Choice
    model: str  # digest
    chips: int  # that this run calibrated; the others were in the folder
    seconds: float

    @property
    def grid(self) -> Grid:
        return self.options.grid

    @property
    def quality(self) -> str:
        """What the front is drawn in: the first requirement's."""
        return self.requirements[0].name


def sweep(source: Source, options: ParetoOptions, out: Path, shown: bool = False) -> Swept:
    """Runs the chips that `out` lacks, and finds the front and the point to build.

    A point that the mapper or the technology refuses is told with the reason. Interrupted, every chip that was done
    stays. Raises DataError for a source that is mapped already, a datasheet that does not fit and a figure that
    nothing tells.
    """
    start = time.perf_counter()
    if source.design is not None:
        raise DataError("a design that is mapped already has one setting; give its network, preset or neuron file")
    requirements = options.requirements or (usual_requirement(source),)
    network = source.neuron is None
    if not network and (wrong := [str(each) for each in requirements if not each.name.endswith("yield")]):
        raise DataError(f"{', '.join(wrong)}: a neuron has no R2; require its yield, such as yield>=0.8")
    if options.plan.refit is None and any(each.name.endswith("r2_refitted") for each in requirements):
        raise DataError(f"plan {options.plan.name} refits no readout, so there is no r2_refitted; require r2")
    sheet = options.sheet or usual_sheet(source, options)
    check(sheet, SCHEMA)
    console = Console(stderr=True, quiet=not shown, highlight=False)
    points, chips = [], 0
    for point, calibrated in _points(source, options, sheet, out, console):
        points.append(point)
        chips += calibrated
    choice = choose(points, requirements, options.least, options.grid.swept)
    best = front(points, requirements[0].name)
    took = time.perf_counter() - start
    model = spec_of(source).digest()
    return Swept(options, requirements, sheet, tuple(points), best, choice, model, chips, took)


def usual_requirement(source: Source) -> Requirement:
    return Requirement("r2", 0.95) if source.neuron is None else Requirement("yield", 0.8)


def usual_sheet(source: Source, options: ParetoOptions) -> Datasheet:
    """A good network reaches the threshold; a good neuron has the model's regime, and nearly its mean interval.

    Of a burster the period of its bursts counts in place of the interval.
    """
    neuron = source.neuron
    if neuron is None:
        return datasheet("r2", {"r2": {"min": options.threshold}})
    duration = options.duration or neuron.duration or DURATION
    spikes, regime = observe(
        integrate(neuron.neurons, neuron.stimulus, duration, neuron.initial, rtol=1e-8), neuron, duration
    )
    limits: dict[str, object] = {"regime": {"wanted": str(regime)}}
    period = burst_statistics(spikes, duration).period
    name, typical = ("isi_mean", interval_statistics(spikes).mean) if period is None else ("burst_period", period)
    if typical is not None:
        low, high = (typical * (1.0 + side * options.tolerance) for side in (-1, 1))
        limits[name] = {"min": low, "typ": typical, "max": high, "unit": "tau_m"}
    return datasheet("regime and interval", limits)


def _points(
    source: Source, options: ParetoOptions, sheet: Datasheet, out: Path, console: Console
) -> Iterator[tuple[Point, int]]:
    """Each point with the chips that were calibrated for it."""
    purpose, bench = None, _Sizes(options.technology, out / CELLS, console)
    settings = options.grid.settings
    for number, setting in enumerate(settings, 1):
        console.print(f"point {number} of {len(settings)}: {setting.told(options.grid.swept)}")
        try:
            design = mapped(source, setting, *bench.at(setting.size))
        except (UnmappableError, TechnologyError) as error:
            console.print(f"  cannot be mapped: {error}", soft_wrap=True)
            yield Point(setting, unmapped=str(error)), 0
            continue
        purpose = purpose or purpose_of(source, design)
        chips = ChipsOptions(tier=options.tier, seed=options.seed, duration=options.duration)
        subject = subject_of(source, design, chips)
        drawn = Study(subject, design, one_place(design), options.tier, Variation(), options.seed)
        whole = CalibrationStudy(drawn, design, purpose, options.plan)
        engine = EngineOptions(options.chips, workers=options.workers, shown=not console.quiet)
        folder = out / POINTS / whole.key[:16]
        study, _ = with_nominal_codes(whole, dataclasses.replace(engine, shown=False), folder)
        done = run_study(study, engine, folder, sheet)
        yield _judged(setting, study, done, sheet), done.calibrated


def mapped(source: Source, setting: Setting, technology: Technology, cells: Cells) -> MappedDesign:
    """The model by one setting. Raises UnmappableError."""
    options = MappingOptions(
        bits=setting.bits,
        trim_bits=setting.trim_bits,
        unit_current=setting.unit_current,
        capacitor=setting.capacitor,
    )
    return map_spec(spec_of(source), technology, cells, options)


def costs_of(design: MappedDesign) -> dict[str, float]:
    """Area, m2, and power, W, of everything, with the larger parts of the area."""
    found = budget(design)
    draws = ("power", "converter power", "string power")
    areas = ("area", "transistor area", "capacitor area", "converter area")
    return {name: found[name] for name in areas} | {"power": sum(found[name] for name in draws if name in found)}


def _judged(setting: Setting, study: CalibrationStudy, done: Finished, sheet: Datasheet) -> Point:
    found, quality = judged(done.rows, sheet), {}
    for prefix, states in (("", AFTER), ("nominal_", BEFORE)):
        measured = [state for state in states if state in found.yields]
        verdict = found.yields[measured[-1]]
        quality[f"{prefix}yield"] = share(verdict.good, verdict.total)
        if isinstance(study.chips.subject, DrivenNetwork):
            for name, state in zip(("r2", "r2_refitted"), measured, strict=False):
                quality[prefix + name] = median(found.values(state, "r2"))
    return Point(
        setting,
        costs=costs_of(study.design),
        quality=quality,
        chips=len(done.rows),
        failed=sum(not row.ok for row in done.rows),
        marked=sum(bool(row.marked) for row in done.rows),
        design=study.design.digest,
        study=study.key,
        table=str(done.table),
    )


class _Sizes:
    """Technology and cells at each size, measured where they are not shipped, and kept in a folder."""

    def __init__(self, technology: str, folder: Path, console: Console) -> None:
        self._technology, self._folder, self._console = load_technology(technology), folder, console
        self._known: dict[UnitSize, tuple[Technology, Cells]] = {}

    def at(self, size: UnitSize) -> tuple[Technology, Cells]:
        if size not in self._known:
            technology = unit_sized(self._technology, size.width, size.length)
            self._known[size] = technology, self._cells(technology, size)
        return self._known[size]

    def _cells(self, technology: Technology, size: UnitSize) -> Cells:
        key = hashlib.sha256(f"{__version__} {technology.digest()} {size}".encode()).hexdigest()[:16]
        path = self._folder / f"{key}.json"
        if path.is_file():
            return load_cells(path)
        self._console.print(f"  cells of {size} um")
        cells = cells_for(technology, size.width, size.length)
        part = path.with_suffix(".part")
        save_cells(cells, part)
        os.replace(part, path)  # no half file ever has the name
        return cells
