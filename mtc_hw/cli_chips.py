"""The commands on what Monte Carlo found: analyse a finished run, sobol."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mtc_hw.cli_options import Given, Jobs, Json, Out, Size, Technology, emit
from mtc_hw.hardware.unit import SQUARE

Folder = Annotated[Path, typer.Argument(help="Folder that `mtc-hw montecarlo` wrote.")]
Sheet = Annotated[Path | None, typer.Option("--datasheet", help="TOML file of what a good chip does.")]
Quantities = Annotated[
    list[str] | None, typer.Option("--quantity", help="Column whose spread the draws are to explain, once for each.")
]
Quantity = Annotated[str, typer.Option(help="Column of the table.")]
Group = Annotated[
    Literal["draw", "device", "element", "kind", "quantity"],
    typer.Option("--by", help="What draws are taken together."),
]
Fast = Annotated[Literal["ode", "cells"], typer.Option(help="Compiled tier.")]
RunTime = Annotated[
    float | None, typer.Option("--duration", help="tau_m; as the neuron's file or the task says else.")
]
Seed = Annotated[int, typer.Option(help="Root seed.")]


def analyse(
    folder: Folder,
    datasheet: Sheet = None,
    quantity: Quantities = None,
    by: Group = "element",
    worst: Annotated[int, typer.Option(min=1, help="Chips to list.")] = 12,
    out: Annotated[Path | None, typer.Option(help="Folder of the page; that of the run when not given.")] = None,
    as_json: Json = False,
) -> None:
    """Judge a finished run by a datasheet, list its worst chips, and show what explains its spread: a page.

    Without a datasheet the limits are those of the run. Nothing is simulated.

    Example: mtc-hw analyse chips --datasheet bursting.toml --quantity intra_interval
    """
    from mtc_hw.chips_report import analysed

    found = analysed(folder, out or folder, datasheet, quantity or [], by, worst)
    emit(as_json, found.to_json(), found.summary())


def sobol(
    given: Given,
    quantity: Quantity = "isi_mean",
    by: Group = "element",
    points: Annotated[int, typer.Option(help="A power of two; each group costs so many chips.")] = 128,
    tier: Fast = "cells",
    duration: RunTime = None,
    technology: Technology = "generic",
    size: Size = SQUARE,
    seed: Seed = 0,
    jobs: Jobs = 0,
    out: Out = Path("sobol"),
    as_json: Json = False,
) -> None:
    """Sobol indices of a quantity: which device or element explains its spread, alone and with all interactions.

    Example: mtc-hw sobol tonic --quantity isi_mean --by element --out sobol
    """
    from mtc_hw.chips_analysis import sobol as indices
    from mtc_hw.chips_report import write_sobol
    from mtc_hw.montecarlo_run import ChipsOptions, study_of
    from mtc_hw.simulate.pool import Workers
    from mtc_hw.sources import load_source

    workers = Workers(jobs=jobs)
    options = ChipsOptions(tier=tier, seed=seed, technology=technology, size=size, duration=duration)
    study = study_of(load_source(given), options, workers)
    found = write_sobol(indices(study, quantity, points, by, workers.count), out)
    emit(as_json, found.to_json(), found.summary())
