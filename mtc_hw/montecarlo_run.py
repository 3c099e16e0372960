"""From a preset, a network or a design to a Monte Carlo study of it, and what a command tells of the outcome."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from mtc_hw import __version__
from mtc_hw.analysis.datasheet import Datasheet, check, load_datasheet
from mtc_hw.analysis.datasheet import datasheet as as_datasheet
from mtc_hw.analysis.verdicts import Verdicts, verdicts, worst
from mtc_hw.analysis.yields import Yield
from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.plan import load_plan
from mtc_hw.calibration.result import apply
from mtc_hw.characterise import cells_for
from mtc_hw.errors import DataError
from mtc_hw.exports import BURN_IN, design_of, purpose_of, task_parts
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.conditions import Condition, Tracking, at_condition
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.sampling import Sampling
from mtc_hw.hardware.technology import Technology, load_technology, process_spread
from mtc_hw.hardware.unit import SQUARE, UnitSize
from mtc_hw.hardware.variation import Variation
from mtc_hw.montecarlo.confirm import Agreement, agreement, below, chosen
from mtc_hw.montecarlo.engine import TABLE, EngineOptions, Finished, run_study
from mtc_hw.montecarlo.study import DrivenNetwork, FreeNeuron, Place, Precision, Series, Study, Tier
from mtc_hw.montecarlo.table import SCHEMA, read_table, rows_of
from mtc_hw.neuron_run import checked_duration, own_regime
from mtc_hw.pdk_statistics import bank_for
from mtc_hw.purposes import without_refit
from mtc_hw.simulate.network import input_spacing
from mtc_hw.simulate.ngspice import version as ngspice_version
from mtc_hw.simulate.pool import Workers, open_workers
from mtc_hw.simulate.progress import watched
from mtc_hw.sources import Source
from mtc_hw.spread import Spread

TEST = 1000  # samples of a network's test part that count, where no duration is given
DURATION = 4000.0  # tau_m, of a neuron whose file does not say
TRIMMED: tuple[Tier, ...] = ("cells", "transistor")
"""Tiers that have the cells' systematic errors, which the nominal chip's trims take away. The codes of the others
mean what they say."""

Trim = Literal["none", "nominal"]
RESULT = "result.json"


@dataclass(frozen=True)
class ChipsOptions:
    """Which chips of what."""

    tier: Tier = "transistor"
    variation: Variation = Variation()
    process: bool = False  # with the technology's own process spread
    seed: int = 0
    technology: str = "generic"
    size: UnitSize = SQUARE
    bits: int = 8
    trim: Trim = "nominal"
    duration: float | None = None  # tau_m; None: as the neuron's file says, or `TEST` samples of a network's task
    corners: tuple[str, ...] = ()  # none: the technology's own
    temperatures: tuple[float, ...] = ()  # degrees Celsius; none: the technology's own
    tracking: Tracking = "ptat"  # how the bias currents go with the temperature
    precision: Precision = "float64"
    keep_waveforms: bool = False
    refit: int = 0  # samples of the training part on which every chip of a network gets its own readout
    trim_bits: int = 6  # of the trim converters, sign included


def study_of(source: Source, options: ChipsOptions, workers: Workers, shown: bool = False) -> Study:
    """Maps, trims and moves the source to its conditions. Raises DataError for what cannot be studied."""
    design = design_of(source, options.bits, options.technology, options.size, trim_bits=options.trim_bits)
    subject = subject_of(source, design, options)
    if options.trim == "nominal" and options.tier in TRIMMED and source.design is None:
        design = _trimmed(source, design, workers, shown)
    variation, bank = options.variation, None
    if options.process:
        variation = dataclasses.replace(variation, process=process_spread(_name(design.technology, options)))
    if variation.local == "pdk":
        bank = bank_for(_name(design.technology, options), design.technology, design.cells.width, design.cells.length)
    return Study(
        subject,
        design,
        tuple(Place(where, _moved(design, where, options)) for where in _conditions(design, options)),
        options.tier,
        variation,
        options.seed,
        bank=bank,
        precision=options.precision,
        keep_waveforms=options.keep_waveforms,
    )


def subject_of(source: Source, design: MappedDesign, options: ChipsOptions) -> FreeNeuron | DrivenNetwork:
    """What chips of the design do: a neuron runs free, a network hears its task's test part. Raises DataError."""
    if source.neuron is not None:
        usual_duration = source.neuron.duration or DURATION
        duration = usual_duration if options.duration is None else options.duration
        return FreeNeuron(source.neuron, checked_duration(duration))
    parts, spacing = task_parts(design), input_spacing(design)
    samples = BURN_IN + TEST if options.duration is None else round(options.duration / spacing)
    if not BURN_IN + 2 <= samples < len(parts.test.inputs):
        raise DataError(
            f"duration is {options.duration:g} tau_m; the test part has {(len(parts.test.inputs) - 1) * spacing:g}, "
            f"and the first {BURN_IN * spacing:g} do not count"
        )
    refit = None
    if options.refit:
        kept = BURN_IN + options.refit
        if kept > len(parts.train.inputs):
            raise DataError(f"refit is {options.refit} samples; the training part has {len(parts.train.inputs)}")
        refit = Series(parts.train.inputs[-kept:, None], parts.train.targets[-kept:])
    test = Series(parts.test.inputs[: samples + 1, None], parts.test.targets[: samples + 1])
    return DrivenNetwork(test, BURN_IN, refit)


def _trimmed(source: Source, design: MappedDesign, workers: Workers, shown: bool) -> MappedDesign:
    """The design with codes from the nominal chip's own DC sweeps."""
    purpose = without_refit(purpose_of(source, design))
    with open_workers(workers) as opened:
        instrument = NgspiceInstrument(design, "transistor", watched(opened, "trims", shown), purpose.course)
        return apply(calibrate(design, purpose, instrument, load_plan("dc")), design)


def _conditions(design: MappedDesign, options: ChipsOptions) -> list[Condition]:
    own = design.technology
    corners = dict.fromkeys(options.corners or (own.corner,))
    temperatures = dict.fromkeys(options.temperatures or (own.temperature,))
    return [Condition(corner, own.supply, celsius) for corner in corners for celsius in temperatures]


def _moved(design: MappedDesign, where: Condition, options: ChipsOptions) -> MappedDesign:
    """The same codes at a condition; the cells tier takes the curves that its cells have there."""
    own = design.technology
    if where == Condition(own.corner, own.supply, own.temperature):
        return design
    size = design.cells.width, design.cells.length
    there = load_technology(_name(own, options), where.corner, where.supply, where.celsius)
    there = unit_sized(there, *size)
    moved = at_condition(design, there, options.tracking)
    if options.tier != "cells":
        return moved
    return dataclasses.replace(moved, cells=cells_for(there, *size))


def _name(own: Technology, options: ChipsOptions) -> str:
    return options.technology if options.technology.endswith(".toml") else own.name


def chosen_variation(
    sigmas: tuple[float | None, float | None, float | None],
    local: Literal["pelgrom", "pdk", "none"],
    sampling: Sampling,
    samples: int,
) -> Variation:
    """Local draws as asked for; sigmas of alpha, delta and tau, where any is given, take their place."""
    alpha, delta, tau = (each or 0.0 for each in sigmas)
    given = any(each is not None for each in sigmas)
    if given and local != "pelgrom":
        raise DataError(f"sigmas and --local {local} exclude each other; give one of them")
    spread = Spread(alpha=alpha, leak=alpha, delta=delta, rest=delta, tau=tau)
    count = None if sampling == "plain" else samples
    return Variation(spread if given else local, sampling=sampling, samples=count)


@dataclass(frozen=True, eq=False)
class ChipsRun:
    """What became of a run, and of its confirmation."""

    study: Study
    finished: Finished
    verdicts: Verdicts
    sheet: Datasheet
    agreement: Agreement | None

    def to_json(self) -> dict[str, Any]:
        done, judged = self.finished, self.verdicts
        return {
            "n_ok": done.n_ok,
            "n_failed": done.n_failed,
            "outcomes": done.outcomes,
            "yield": shown(judged.overall),
            "yield_by_quantity": {name: shown(each) for name, each in judged.by_quantity.items()},
            "yield_by_condition": {str(where): shown(each) for where, each in judged.by_condition.items()},
            "limits": {name: each.model_dump(exclude_none=True) for name, each in self.sheet.limits.items()},
            "regimes": done.regimes,
            "subject": _told(self.study),
            "tier": self.study.tier,
            "agreement": None if self.agreement is None else dataclasses.asdict(self.agreement),
            "table": str(done.table),
            "table_digest": done.digest,
            "seconds": done.seconds,
            "simulated": done.simulated,
            "provenance": provenance(self.study),
        }

    def summary(self) -> str:
        """A line, and one more for a confirmation."""
        done, y = self.finished, self.verdicts.overall
        text = (
            f"{done.n_ok} of {done.n_ok + done.n_failed} runs on the {self.study.tier} tier, yield {y.value:.3g} "
            f"({y.low:.3g} to {y.high:.3g}), {done.seconds:.3g} s, table {done.table}"
        )
        return text if self.agreement is None else f"{text}\n{self.agreement.summary()}"


def _told(study: Study) -> str:
    if isinstance(study.subject, FreeNeuron):
        return study.subject.neuron.name
    return f"network of {study.design.count} neurons"


def shown(found: Yield) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}


def provenance(study: Study) -> dict[str, Any]:
    """What is needed to make the run again."""
    packages = ("numpy", "scipy", "PySpice", "llvmlite")
    return {
        "mtc_hw": __version__,
        **{name: metadata.version(name) for name in packages},
        "ngspice": "" if study.compiled else ngspice_version(),
        "seed": study.seed,
        "variation": study.variation.to_json(),
        "technology": study.design.technology.name,
        "design_digest": study.design.digest,
        "study_digest": study.digest,
        "conditions": [place.condition.name for place in study.places],
    }


def run_chips(
    source: Source,
    chips: ChipsOptions,
    engine: EngineOptions,
    out: Path,
    datasheet: Path | None = None,
    threshold: float = 0.9,
    confirm: int = 0,
) -> ChipsRun:
    """Runs the chips that `out` lacks, judges all of them and confirms some.

    Without a datasheet a neuron's chip is good in the nominal one's regime, a network's from R2 `threshold` on.
    """
    if confirm:
        below(chips.tier)
    study = study_of(source, chips, engine.workers, engine.shown)
    sheet = usual(study, threshold) if datasheet is None else load_datasheet(datasheet)
    check(sheet, SCHEMA)
    finished = run_study(study, engine, out, sheet)
    table = read_table(finished.table)
    agreed = None
    if confirm:
        agreed = _confirmed(
            source, chips, engine, out, sheet, [each.sample for each in worst(table, sheet, engine.samples)], confirm
        )
    found = ChipsRun(study, finished, verdicts(table, sheet), sheet, agreed)
    (out / RESULT).write_text(json.dumps(found.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return found


def usual(study: Study, threshold: float) -> Datasheet:
    """The limits without a datasheet."""
    if isinstance(study.subject, DrivenNetwork):
        return as_datasheet("r2", {"r2": {"min": threshold}})
    wanted = own_regime(study.subject.neuron, study.subject.duration)
    return as_datasheet("regime", {"regime": {"wanted": str(wanted)}})


def _confirmed(
    source: Source,
    chips: ChipsOptions,
    engine: EngineOptions,
    out: Path,
    sheet: Datasheet,
    order: Sequence[int],
    count: int,
) -> Agreement:
    lower = below(chips.tier)
    study = study_of(source, dataclasses.replace(chips, tier=lower), engine.workers, engine.shown)
    only = chosen(order, count)
    finished = run_study(study, dataclasses.replace(engine, only=only), out / "confirm", sheet)
    rows, confirmed = (rows_of(read_table(path)) for path in (out / TABLE, finished.table))
    return agreement(chips.tier, rows, lower, confirmed)
