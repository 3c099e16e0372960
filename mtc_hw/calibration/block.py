"""What a worker does with chips: runs them with the nominal chip's codes, calibrates them, and runs them again."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtc_hw.calibration.calibrate import calibrate, calibrate_chips
from mtc_hw.calibration.chip_row import Calibrated, CalibratedChip
from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.noise import Noisy
from mtc_hw.calibration.observables import Instrument
from mtc_hw.calibration.result import Result, apply
from mtc_hw.calibration.study import CalibrationStudy
from mtc_hw.calibration.used_codes import TRIMS, used_codes
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.montecarlo import row as montecarlo
from mtc_hw.montecarlo.circuits import run_chip
from mtc_hw.montecarlo.compiled import simulated
from mtc_hw.montecarlo.row import Kept
from mtc_hw.simulate.pool import Runner

LONGEST = 2000  # characters of the neurons' reasons
Chips = Sequence[MappedDesign]


def calibrate_block(study: CalibrationStudy, samples: Sequence[int], run: Runner) -> list[Calibrated]:
    """Every chip of a block, in the order of the samples."""
    start = time.perf_counter()
    before = [study.before(sample) for sample in samples]
    seen_before = _run(study, samples, before, run)
    began = time.perf_counter()
    results = calibrated(study, samples, run)
    calibrating = time.perf_counter() - began
    mapped = [study.chip(sample) for sample in samples]
    after = [apply(result, chip, trained_readout=True) for result, chip in zip(results, mapped, strict=True)]
    seen_after = _run(study, samples, after, run)
    best = seen_after
    if study.refits:
        if study.chips.compiled:  # in ngspice what a refit alone brings would cost half as much again
            refitted = [apply(refit(study, k, run), chip) for k, chip in zip(samples, before, strict=True)]
            seen_before = _with_refits(seen_before, _run(study, samples, refitted, run))
        best = _run(study, samples, [apply(*each) for each in zip(results, mapped, strict=True)], run)
        seen_after = _with_refits(seen_after, best)
    share = (time.perf_counter() - start) / len(samples)
    found = []
    together = zip(samples, seen_before, results, after, seen_after, best, strict=True)
    for sample, one, result, chip, other, last in together:
        spent = {"calibrating": calibrating / len(samples), "seconds": share}
        row = CalibratedChip(sample, one.row, other.row, **told(result, chip) | spent)
        found.append(Calibrated(row, result, _kept(one, other, last, chip)))
    return found


def calibrated(study: CalibrationStudy, samples: Sequence[int], run: Runner) -> list[Result]:
    """Each chip's calibration."""
    chips = [study.chip(sample) for sample in samples]
    single = [_instrument(study, [chip], run) for chip in chips]
    if len(chips) == 1:
        return [calibrate(study.design, study.purpose, single[0], study.plan)]
    return calibrate_chips(study.design, study.purpose, _instrument(study, chips, run), single, study.plan)


def refit(study: CalibrationStudy, sample: int, run: Runner) -> Result:
    """A readout of its own for a chip that keeps the nominal chip's trims."""
    plan = study.plan.model_copy(update={"steps": study.plan.readout_steps})
    design = study.chips.places[0].design
    return calibrate(design, study.purpose, _instrument(study, [study.before(sample)], run), plan)


def _instrument(study: CalibrationStudy, chips: Chips, run: Runner) -> Instrument:
    instrument: Instrument
    tier = study.chips.tier
    if tier == "ode" or tier == "cells":
        instrument = CompiledInstrument(chips, tier, precision=study.chips.precision)
    else:
        assert len(chips) == 1
        instrument = NgspiceInstrument(chips[0], tier, run, study.purpose.course)
    deviations = chips[0].deviations
    assert deviations is not None
    # Of chips side by side the first one's: a study with noise has them one by one.
    seed = int(np.random.SeedSequence([deviations.seed, deviations.sample]).generate_state(1)[0])
    return Noisy(instrument, study.noise, seed) if study.noise else instrument


def _run(study: CalibrationStudy, samples: Sequence[int], chips: Chips, run: Runner) -> list[montecarlo.Result]:
    """What the chips do with the codes that they have."""
    place = study.chips.places[0]
    if study.chips.compiled:
        return simulated(study.chips, place, samples, chips)
    return [run_chip(study.chips, place, sample, chip, run) for sample, chip in zip(samples, chips, strict=True)]


def _with_refits(seen: Sequence[montecarlo.Result], again: Sequence[montecarlo.Result]) -> list[montecarlo.Result]:
    """What was seen, with the R2 of the same chips with their own readouts."""
    return [
        dataclasses.replace(one, row=dataclasses.replace(one.row, r2_refitted=other.row.r2))
        for one, other in zip(seen, again, strict=True)
    ]


def told(result: Result, chip: MappedDesign) -> dict[str, Any]:
    """The row's cells about a calibration."""
    residual = result.residual[np.isfinite(result.residual)]
    marked = [f"{neuron}: {reason}" for neuron, reason in enumerate(result.reason) if reason]
    marked += [f"readout: {result.readout_reason}"] if result.readout_reason else []
    return {
        "neurons": chip.count,
        "succeeded": int(result.success.sum()),
        "marked": "; ".join(marked)[:LONGEST],
        "knobs": sum(codes.size for kind, codes in used_codes(chip).items() if kind in TRIMS),
        "at_bounds": sum(map(len, result.bounds)),
        "residual": float(np.median(residual)) if residual.size else None,
        "residual_worst": float(residual.max()) if residual.size else None,
        "measurements": float(result.measurements.max()),
    }


def _kept(
    before: montecarlo.Result, after: montecarlo.Result, refitted: montecarlo.Result, chip: MappedDesign
) -> Kept:
    """Spikes by state, a network's answers, and codes by kind; what a failed run did not give is left out."""
    values = {
        "before": before.spikes,
        "before_counts": before.counts,
        "before_answer": before.answer,
        "after": after.spikes,
        "after_counts": after.counts,
        "after_answer": refitted.answer,
    }
    there = {name: value for name, value in values.items() if value is not None}
    return there | {f"code_{kind}": codes for kind, codes in used_codes(chip).items()}
