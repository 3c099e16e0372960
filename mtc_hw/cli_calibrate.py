"""The calibrate command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtc_hw.cli_montecarlo import Draws, Memory, Resume, Retry, RunTime, Sheet, Threshold, Tier, Timeout
from mtc_hw.cli_options import Given, Jobs, Json, MappedBits, Sample, Size, Technology, TrimBits, emit
from mtc_hw.errors import DataError
from mtc_hw.hardware.unit import SQUARE

if TYPE_CHECKING:
    from mtc_hw.calibration_run import CalibrationOptions, CalibrationRun, OneChip
    from mtc_hw.hardware.unit import UnitSize
    from mtc_hw.montecarlo.engine import EngineOptions
    from mtc_hw.montecarlo_run import ChipsOptions
    from mtc_hw.simulate.pool import Workers
    from mtc_hw.sources import Source

Chips = Annotated[
    int | None, typer.Option(min=1, help="Virtual chips, a folder of results; one chip and its record without it.")
]
First = Annotated[int, typer.Option("--samples-from", min=0, help="Number of the first of the chips.")]
Where = Annotated[
    Path | None, typer.Option("--out", help="Folder of the chips; file of one chip's record, calibration.json.")
]
Noise = Annotated[float, typer.Option(help="Of each measured value: standard deviation over full scale.")]
Bench = Annotated[
    str | None,
    typer.Option(help="A real chip in place of a virtual one: tcp://host:port of a bench, or replay:folder."),
]
Refit = Annotated[
    int | None, typer.Option(min=0, help="Samples of a readout's refit, in place of the plan's; 0: no refit.")
]


def calibrate(
    given: Given,
    out: Where = None,
    chips: Chips = None,
    plan: Annotated[str, typer.Option(help="Name of a shipped plan, or a file.")] = "dc",
    level: Tier = "transistor",
    seed: Annotated[int, typer.Option(help="Root seed of the virtual chips.")] = 0,
    sample: Sample = 0,
    samples_from: First = 0,
    technology: Technology = "generic",
    size: Size = SQUARE,
    bits: MappedBits = 8,
    trim_bits: TrimBits = 6,
    local: Draws = "pelgrom",
    noise: Noise = 0.0,
    instrument: Bench = None,
    refit: Refit = None,
    duration: RunTime = None,
    datasheet: Sheet = None,
    threshold: Threshold = 0.9,
    resume: Resume = True,
    retry_failed: Retry = False,
    jobs: Jobs = 0,
    timeout: Timeout = 300.0,
    memory: Memory = 4.0,
    as_json: Json = False,
) -> None:
    """Trim virtual chips by measuring each, and show what that does to them: rasters, yield, R2, codes.

    Good without a datasheet: a neuron in the nominal regime, a network whose R2 reaches the threshold.

    Example: mtc-hw calibrate bursting --chips 20 --level cells --size 2 --out calibrated
    """
    from mtc_hw.calibration_run import CalibrationOptions
    from mtc_hw.simulate.pool import Workers
    from mtc_hw.sources import load_source

    source, options = load_source(given), CalibrationOptions(plan, noise, refit)
    drawn = _drawn(level, local, seed, technology, size, bits, trim_bits, duration)
    workers = Workers(jobs=jobs, timeout=timeout, memory=int(memory * 2**30))
    found: OneChip | CalibrationRun
    if chips is None or instrument is not None:
        found = _one(source, drawn, options, chips, instrument, sample, workers, out, not as_json)
    else:
        samples = range(samples_from, samples_from + chips)
        engine = _engine(samples, workers, resume, retry_failed, not as_json)
        found = _many(source, drawn, options, engine, out, datasheet, threshold)
    emit(as_json, found.to_json(), found.summary())


def _drawn(
    level: Tier,
    local: Draws,
    seed: int,
    technology: str,
    size: "UnitSize",
    bits: int,
    trim_bits: int,
    duration: float | None,
) -> "ChipsOptions":
    from mtc_hw.montecarlo_run import ChipsOptions, chosen_variation

    return ChipsOptions(
        tier=level,
        variation=chosen_variation((None, None, None), local, "plain", 1),
        seed=seed,
        technology=technology,
        size=size,
        bits=bits,
        trim_bits=trim_bits,
        duration=duration,
    )


def _engine(samples: range, workers: "Workers", resume: bool, retry_failed: bool, shown: bool) -> "EngineOptions":
    from mtc_hw.montecarlo.engine import EngineOptions

    only = frozenset(samples) if samples.start else None
    return EngineOptions(samples.stop, only, workers, resume=resume, retry_failed=retry_failed, shown=shown)


def _one(
    source: "Source",
    drawn: "ChipsOptions",
    options: "CalibrationOptions",
    chips: int | None,
    instrument: str | None,
    sample: int,
    workers: "Workers",
    out: Path | None,
    shown: bool,
) -> "OneChip":
    """The chip behind an address, or a virtual one. Raises DataError."""
    from mtc_hw.calibration_run import calibrate_on, calibrate_one

    path = out or Path("calibration.json")
    if instrument is None:
        return calibrate_one(source, drawn, options, sample, workers, path, shown)
    if chips is not None or options.noise:
        raise DataError("an instrument measures one real chip as it is; leave out --chips and --noise")
    return calibrate_on(source, drawn, options, instrument, path)


def _many(
    source: "Source",
    drawn: "ChipsOptions",
    options: "CalibrationOptions",
    engine: "EngineOptions",
    out: Path | None,
    datasheet: Path | None,
    threshold: float,
) -> "CalibrationRun":
    from mtc_hw.calibration_run import run_calibration

    return run_calibration(source, drawn, options, engine, out or Path("calibrated"), datasheet, threshold)
