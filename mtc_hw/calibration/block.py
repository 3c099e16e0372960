"""What a worker does with chips: runs them with the nominal chip's codes, calibrates them, and runs them again."""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from mtc_hw.calibrate import CalibrationRecord, apply, calibrate
from mtc_hw.calibration.chip_row import Calibrated, CalibratedChip
from mtc_hw.calibration.study import CalibrationStudy
from mtc_hw.calibration.used_codes import TRIMS, at_bounds, used_codes
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.instrument import Bench
from mtc_hw.montecarlo.circuits import run_chip
from mtc_hw.montecarlo.compiled import simulated
from mtc_hw.montecarlo.row import Kept, Result
from mtc_hw.simulate.pool import Runner
from mtc_hw.spec import Array


def calibrate_block(study: CalibrationStudy, samples: Sequence[int], run: Runner) -> list[Calibrated]:
    """Every chip of a block, in the order of the samples."""
    start = time.perf_counter()
    before = run_as(study, samples, [study.before(sample) for sample in samples], run)
    began = time.perf_counter()
    records = [calibrated(study, sample, run) for sample in samples]
    calibrating = time.perf_counter() - began
    codes = [apply(record, study.design) for record in records]
    chips = [apply(record, study.chip(sample)) for record, sample in zip(records, samples, strict=True)]
    after = run_as(study, samples, chips, run)
    share = (time.perf_counter() - start) / len(samples)
    found = []
    for k, sample in enumerate(samples):
        row = CalibratedChip(
            sample,
            before[k].row,
            after[k].row,
            **told(records[k], codes[k]),
            calibrating=calibrating / len(samples),
            seconds=share,
        )
        found.append(Calibrated(row, records[k], _kept(before[k].spikes, after[k].spikes, codes[k])))
    return found


def calibrated(study: CalibrationStudy, sample: int, run: Runner) -> CalibrationRecord:
    instrument = Bench(study.chip(sample), study.chips.tier, study.plan, run, study.course)
    return calibrate(study.design, study.target, instrument, study.plan, study.course)


def run_as(
    study: CalibrationStudy, samples: Sequence[int], chips: Sequence[MappedDesign], run: Runner
) -> list[Result]:
    """What the chips do with the codes that they have."""
    place = study.chips.places[0]
    if study.chips.compiled:
        return simulated(study.chips, place, samples, chips)
    return [run_chip(study.chips, place, sample, chip, run) for sample, chip in zip(samples, chips, strict=True)]


def told(record: CalibrationRecord, codes: MappedDesign):
    residual = record.residual[np.isfinite(record.residual)]
    return {
        "neurons": codes.count,
        "succeeded": int(record.calibrated.sum()),
        "marked": "",
        "knobs": sum(used.size for kind, used in used_codes(codes).items() if kind in TRIMS),
        "at_bounds": at_bounds(codes),
        "residual": float(np.median(residual)) if residual.size else None,
        "residual_worst": float(residual.max()) if residual.size else None,
    }


def _kept(before: Array | None, after: Array | None, codes: MappedDesign) -> Kept:
    spikes = {"before": before, "after": after}
    there = {name: values for name, values in spikes.items() if values is not None}
    return there | {f"code_{kind}": values for kind, values in used_codes(codes).items()}
