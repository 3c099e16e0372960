"""From a preset, a network or a design to the calibration of many chips of it, and what a command tells of it."""

import dataclasses
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtc_hw.analysis.datasheet import check, load_datasheet
from mtc_hw.calibration.block import calibrated
from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.instruments import instrument_of
from mtc_hw.calibration.judged import Judged, judged
from mtc_hw.calibration.plan import Plan, load_plan
from mtc_hw.calibration.remote import RemoteInstrument
from mtc_hw.calibration.result import Result, apply, load_result, save_result
from mtc_hw.calibration.study import CalibrationStudy
from mtc_hw.calibration.study_run import Finished, run_study
from mtc_hw.calibration_findings import calibration_page_of
from mtc_hw.calibration_report import write_calibration_report
from mtc_hw.errors import DataError
from mtc_hw.exports import design_of, purpose_of
from mtc_hw.hardware.variation import Variation
from mtc_hw.montecarlo.engine import EngineOptions
from mtc_hw.montecarlo.table import SCHEMA
from mtc_hw.montecarlo_run import RESULT, ChipsOptions, provenance, shown, study_of, usual
from mtc_hw.simulate.pool import Workers, open_workers
from mtc_hw.simulate.progress import watched
from mtc_hw.sources import Source

NOMINAL = "nominal"
"""Folder, in that of a study, of the calibration of the chip without mismatch."""

SHOWN = 20  # notes of an instrument in a summary; all are in the JSON
FEWEST, MOST = 50, 100_000  # samples of a refit


@dataclass(frozen=True)
class CalibrationOptions:
    """How chips are calibrated."""

    plan: str = "dc"  # a shipped plan's name, or a file
    noise: float = 0.0  # standard deviation, over full scale
    refit: int | None = None  # samples of the readout's refit, 0: none; None: as the plan says


@dataclass(frozen=True, eq=False)
class CalibrationRun:
    """What became of a run."""

    study: CalibrationStudy
    finished: Finished
    judged: Judged
    page: Path

    def to_json(self) -> dict[str, Any]:
        found, done = self.judged, self.finished
        ok = [row for row in done.rows if row.ok]
        measured = [row.measurements for row in ok if row.measurements is not None]
        return {
            "n_ok": len(ok),
            "n_failed": len(done.rows) - len(ok),
            "yield": {state: shown(each) for state, each in found.yields.items()},
            "quantities": {name: _spreads(found, name) for name in found.quantities},
            "unsaved": [dataclasses.asdict(each) for each in found.unsaved],
            "measurements_most": max(measured, default=None),
            "seconds_a_chip": _quantiles([row.seconds for row in ok]),
            "seconds_calibrating_a_chip": _quantiles([row.calibrating for row in ok]),
            "level": self.study.chips.tier,
            "table": str(done.table),
            "table_digest": done.digest,
            "report": str(self.page),
            "calibrated": done.calibrated,
            "seconds": done.seconds,
            "provenance": provenance_of(self.study),
        }

    def summary(self) -> str:
        done, yields = self.finished, self.judged.yields
        told = ", ".join(
            f"{state.replace('_', ' ')} {y.value:.3g} ({y.low:.3g} to {y.high:.3g})" for state, y in yields.items()
        )
        return f"{len(done.rows)} chips, yield {told}; {done.seconds:.3g} s, {self.page}"


def _spreads(found: Judged, name: str) -> dict[str, dict[str, float | None]]:
    spreads = {state: found.spread(state, name) for state in found.tables}
    return {state: dataclasses.asdict(each) for state, each in spreads.items() if each is not None}


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    """Median and largest."""
    return {"median": float(np.median(values)), "most": float(max(values))} if values else {}


def provenance_of(study: CalibrationStudy) -> dict[str, Any]:
    """What is needed to make the run again."""
    return provenance(study.chips) | {
        "design_digest": study.design.digest,
        "plan": study.plan.name,
        "plan_digest": study.plan.digest(),
        "target_digest": study.purpose.spec.digest(),
        "noise": study.noise,
        "trim_bits": study.design.trim.current.bits,
        "study_digest": study.key,
    }


def planned(options: CalibrationOptions) -> Plan:
    """The plan with the readout's refit that is asked for. Raises DataError."""
    plan = load_plan(options.plan)
    if options.refit is None:
        return plan
    if options.refit and not FEWEST <= options.refit <= MOST:
        raise DataError(f"refit is {options.refit} samples; give {FEWEST} to {MOST}, or 0 for none")
    return plan.with_refit(options.refit)


@dataclass(frozen=True, eq=False)
class OneChip:
    """One chip's calibration and its file."""

    result: Result
    record: Path
    seed: int | None = None  # of a virtual chip
    sample: int | None = None
    notes: tuple[str, ...] = ()  # what an instrument could not do

    def to_json(self) -> dict[str, Any]:
        found = self.result
        told = [value if np.isfinite(value) else None for value in found.residual.tolist()]
        known = [value for value in told if value is not None]
        return {
            "record": str(self.record),
            "neurons": found.success.size,
            "calibrated": int(found.success.sum()),
            "succeeded": found.succeeded,
            "reasons": {str(neuron): reason for neuron, reason in enumerate(found.reason) if reason},
            "readout_reason": found.readout_reason,
            "bounds": {str(neuron): list(own) for neuron, own in enumerate(found.bounds) if own},
            "residual": float(np.median(known)) if known else None,
            "residuals": told,
            "measurements": found.measurements.tolist(),
            "design_digest": found.identity.design,
            "plan_digest": found.plan_digest,
            "instrument": found.instrument,
            "notes": list(self.notes),
            "seed": self.seed,
            "sample": self.sample,
        }

    def summary(self) -> str:
        told = self.to_json()
        text = f"{told['calibrated']} of {told['neurons']} neurons on target"
        if told["residual"] is not None:
            text += f", median error {told['residual']:.3g} I_u"
        lost = [f"neuron {neuron}: {reason}" for neuron, reason in told["reasons"].items()]
        lost += [f"readout: {told['readout_reason']}"] if told["readout_reason"] else []
        lost += [f"instrument: {note}" for note in self.notes[:SHOWN]]
        return "\n  ".join(
            [f"{text}, at most {max(told['measurements']):g} measurements; record {self.record}", *lost]
        )


def calibrate_one(
    source: Source,
    chips: ChipsOptions,
    options: CalibrationOptions,
    sample: int,
    workers: Workers,
    out: Path,
    bar: bool = False,
) -> OneChip:
    """Calibrates one virtual chip, decks in parallel, and saves the result. Raises DataError."""
    drawn = study_of(source, dataclasses.replace(chips, trim="none"), workers)
    study = CalibrationStudy(drawn, drawn.design, purpose_of(source, drawn.design), planned(options), options.noise)
    with open_workers(workers) as opened:
        [result] = calibrated(study, [sample], watched(opened, "decks", bar))
    save_result(result, out)
    return OneChip(result, out, chips.seed, sample)


def calibrate_on(
    source: Source, chips: ChipsOptions, options: CalibrationOptions, address: str, out: Path
) -> OneChip:
    """Calibrates the chip behind an address, a bench's or a recording's, and saves the result. Raises DataError."""
    design = design_of(source, chips.bits, chips.technology, chips.size, trim_bits=chips.trim_bits)
    with ExitStack() as at_the_end:
        instrument = instrument_of(address, design)
        if isinstance(instrument, RemoteInstrument):
            at_the_end.enter_context(instrument)
        result = calibrate(design, purpose_of(source, design), instrument, planned(options))
    save_result(result, out)
    return OneChip(result, out, notes=tuple(getattr(instrument, "notes", ())))


def calibration_study(
    source: Source, chips: ChipsOptions, options: CalibrationOptions, engine: EngineOptions, out: Path
) -> tuple[CalibrationStudy, Finished]:
    """The study, for which the chip without mismatch is calibrated first, in a folder within `out`; and that chip.

    Raises DataError for what cannot be studied.
    """
    plan = planned(options)
    drawn = study_of(source, dataclasses.replace(chips, trim="none"), engine.workers)
    whole = CalibrationStudy(drawn, drawn.design, purpose_of(source, drawn.design), plan, options.noise)
    return with_nominal_codes(whole, engine, out)


def with_nominal_codes(
    study: CalibrationStudy, engine: EngineOptions, out: Path
) -> tuple[CalibrationStudy, Finished]:
    """The study whose chips have the codes of the one without mismatch before they are calibrated; and that one's.

    It is calibrated in a folder within `out`, without noise. Raises DataError where it cannot be.
    """
    chips = study.chips
    ideal = dataclasses.replace(chips, variation=Variation("none"), bank=None)
    first = dataclasses.replace(study, chips=ideal, noise=0.0)
    one = dataclasses.replace(engine, samples=1, only=None)
    found = run_study(first, one, out / NOMINAL, usual(ideal, 0.0))
    [nominal] = found.rows
    if not nominal.record:
        why = f"{nominal.after.outcome}: {nominal.after.reason}"
        raise DataError(f"the chip without mismatch could not be calibrated, {why}; try --timeout or --retry-failed")
    result = load_result(found.folder / nominal.record)
    place = dataclasses.replace(chips.places[0], design=apply(result, study.design, trained_readout=True))
    return dataclasses.replace(study, chips=dataclasses.replace(chips, places=(place,))), found


def run_calibration(
    source: Source,
    chips: ChipsOptions,
    options: CalibrationOptions,
    engine: EngineOptions,
    out: Path,
    datasheet: Path | None = None,
    threshold: float = 0.9,
) -> CalibrationRun:
    """Calibrates the chips that `out` lacks, and writes table, result and page.

    Without a datasheet a neuron's chip is good in the nominal one's regime, a network's from R2 `threshold` on.
    """
    study, nominal = calibration_study(source, chips, options, engine, out)
    sheet = usual(study.chips, threshold) if datasheet is None else load_datasheet(datasheet)
    check(sheet, SCHEMA)
    done = run_study(study, engine, out, sheet)
    page = write_calibration_report(calibration_page_of(study, done, sheet, nominal, provenance_of(study)), out)
    found = CalibrationRun(study, done, judged(done.rows, sheet), page)
    (out / RESULT).write_text(json.dumps(found.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return found
