"""The calibrate command."""

from pathlib import Path
from typing import Annotated

import typer

from mtc_hw.cli_montecarlo import Draws, Memory, Resume, Retry, RunTime, Sheet, Threshold, Tier, Timeout
from mtc_hw.cli_options import Given, Jobs, Json, MappedBits, Sample, Size, Technology, TrimBits, emit
from mtc_hw.errors import DataError
from mtc_hw.hardware.unit import SQUARE

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
    from mtc_hw.calibration_run import CalibrationOptions, calibrate_on, calibrate_one, run_calibration
    from mtc_hw.montecarlo.engine import EngineOptions
    from mtc_hw.montecarlo_run import ChipsOptions, chosen_variation
    from mtc_hw.simulate.pool import Workers
    from mtc_hw.sources import load_source

    variation = chosen_variation((None, None, None), local, "plain", 1)
    drawn = ChipsOptions(
        tier=level,
        variation=variation,
        seed=seed,
        technology=technology,
        size=size,
        bits=bits,
        trim_bits=trim_bits,
        duration=duration,
    )
    options = CalibrationOptions(plan, noise, refit)
    workers = Workers(jobs=jobs, timeout=timeout, memory=int(memory * 2**30))
    source = load_source(given)
    if instrument is not None:
        if chips is not None or noise:
            raise DataError("an instrument measures one real chip as it is; leave out --chips and --noise")
        measured = calibrate_on(source, drawn, options, instrument, out or Path("calibration.json"))
        emit(as_json, measured.to_json(), measured.summary())
        return
    if chips is None:
        one = calibrate_one(source, drawn, options, sample, workers, out or Path("calibration.json"), not as_json)
        emit(as_json, one.to_json(), one.summary())
        return
    samples = range(samples_from, samples_from + chips)
    engine = EngineOptions(
        samples.stop,
        frozenset(samples) if samples_from else None,
        workers,
        resume=resume,
        retry_failed=retry_failed,
        shown=not as_json,
    )
    found = run_calibration(source, drawn, options, engine, out or Path("calibrated"), datasheet, threshold)
    emit(as_json, found.to_json(), found.summary())
