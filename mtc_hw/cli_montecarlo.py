"""The montecarlo command."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from mtc_hw.cli_options import Given, Jobs, Json, MappedBits, Out, Size, Technology, TrimBits, emit
from mtc_hw.hardware.unit import SQUARE

Tier = Annotated[
    Literal["ode", "cells", "behavioural", "transistor"],
    typer.Option(
        help="Compiled equations; these with the cells' measured curves; equations or transistors in ngspice."
    ),
]
Samples = Annotated[int, typer.Option(min=1, help="Virtual chips.")]
Seed = Annotated[int, typer.Option(help="Root seed of the draws.")]
SigmaAlpha = Annotated[
    float | None, typer.Option(help="Relative spread of the conductances and the leak, in place of Pelgrom's draws.")
]
SigmaDelta = Annotated[float | None, typer.Option(help="Spread of the offsets and the rest, unit voltages.")]
SigmaTau = Annotated[float | None, typer.Option(help="Relative spread of the filters' time constants.")]
Draws = Annotated[
    Literal["pelgrom", "pdk", "none"],
    typer.Option("--local", help="Mismatch: Pelgrom's law, the PDK's own statistics, or none."),
]
Process = Annotated[bool, typer.Option("--process", help="Draw the process of each chip too: global variation.")]
Sampling = Annotated[
    Literal["plain", "lhs", "sobol"], typer.Option(help="Independent draws, a Latin hypercube, or Sobol' points.")
]
Corners = Annotated[list[str] | None, typer.Option("--corner", help="Process corner, once for each.")]
Temperatures = Annotated[list[float] | None, typer.Option("--temperature", help="Degrees Celsius, once for each.")]
RunTime = Annotated[
    float | None, typer.Option("--duration", help="tau_m; as the neuron's file or the network's task says else.")
]
Sheet = Annotated[
    Path | None,
    typer.Option("--datasheet", help="TOML file of what a good chip does; else a neuron keeps the nominal regime."),
]
Threshold = Annotated[float, typer.Option(help="R2 that a good network chip reaches, without a datasheet.")]
Trim = Annotated[
    Literal["none", "nominal"],
    typer.Option(help="Codes of cells and transistors: as mapped, or from the nominal chip's own DC sweeps."),
]
Confirm = Annotated[int, typer.Option(min=0, help="So many chips, the worst among them, on the tier below too.")]
Scheduler = Annotated[str | None, typer.Option(help="Dask scheduler, tcp://host:8786, whose workers run the chips.")]
Resume = Annotated[bool, typer.Option("--resume/--no-resume", help="Run only the chips that the folder lacks.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Run failed chips again.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds that a deck may take.")]
Memory = Annotated[float, typer.Option(min=0.1, help="GiB that a simulator process may use.")]


class Kept(StrEnum):
    """What a run leaves besides its table."""

    DRAWS = "draws"
    WAVEFORMS = "waveforms"
    CSV = "csv"


Keep = Annotated[
    list[Kept] | None,
    typer.Option(help="Once for each: the chips' draws as a table, their waveforms, the tables as CSV too."),
]
Precision = Annotated[Literal["float32", "float64"], typer.Option(help="Of the compiled tiers.")]


def montecarlo(
    given: Given,
    out: Out = Path("montecarlo"),
    tier: Tier = "transistor",
    samples: Samples = 20,
    seed: Seed = 0,
    sigma_alpha: SigmaAlpha = None,
    sigma_delta: SigmaDelta = None,
    sigma_tau: SigmaTau = None,
    local: Draws = "pelgrom",
    process: Process = False,
    sampling: Sampling = "plain",
    size: Size = SQUARE,
    corner: Corners = None,
    temperature: Temperatures = None,
    duration: RunTime = None,
    datasheet: Sheet = None,
    threshold: Threshold = 0.9,
    technology: Technology = "generic",
    bits: MappedBits = 8,
    trim_bits: TrimBits = 6,
    trim: Trim = "nominal",
    precision: Precision = "float64",
    confirm: Confirm = 0,
    scheduler: Scheduler = None,
    resume: Resume = True,
    retry_failed: Retry = False,
    jobs: Jobs = 0,
    timeout: Timeout = 300.0,
    memory: Memory = 4.0,
    keep: Keep = None,
    as_json: Json = False,
) -> None:
    """Draw mismatched chips, simulate each on one of four tiers, and tell the yield.

    Example: mtc-hw montecarlo bursting --tier cells --samples 1000 --confirm 10 --out chips
    """
    from mtc_hw.montecarlo.engine import EngineOptions
    from mtc_hw.montecarlo_run import ChipsOptions, chosen_variation, run_chips
    from mtc_hw.simulate.pool import Workers
    from mtc_hw.sources import load_source

    draws, waveforms, csv = (each in (keep or ()) for each in Kept)
    variation = chosen_variation((sigma_alpha, sigma_delta, sigma_tau), local, sampling, samples)
    mapped = (technology, size, bits, trim, duration, tuple(corner or ()), tuple(temperature or ()))
    chips = ChipsOptions(tier, variation, process, seed, *mapped, "ptat", precision, waveforms, trim_bits=trim_bits)
    workers = Workers(jobs=jobs, timeout=timeout, memory=int(memory * 2**30))
    engine = EngineOptions(samples, None, workers, scheduler, resume, retry_failed, draws, csv, not as_json)
    found = run_chips(load_source(given), chips, engine, out, datasheet, threshold, confirm)
    emit(as_json, found.to_json(), found.summary())
