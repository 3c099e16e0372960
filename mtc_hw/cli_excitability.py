"""The command that tells what a neuron can do, and makes one that can."""

from pathlib import Path
from typing import Annotated

import typer

from mtc_hw.cli_options import Json, Out, emit


def excitability(
    given: Annotated[
        str | None, typer.Argument(help="Preset, neuron file (.toml), checkpoint or design; none with --shape.")
    ] = None,
    neuron: Annotated[int | None, typer.Option(min=0, help="Which neuron of a network or design.")] = None,
    axes: Annotated[
        list[str] | None,
        typer.Option("--map", help="Axis of a regime map, parameter:low:high:points; twice, first x, then y."),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="Make a neuron for this regime: tonic, phasic, bistable, bursting, ...")
    ] = None,
    interval: Annotated[float | None, typer.Option(help="Of the shape: between spikes, tau_m.")] = None,
    period: Annotated[float | None, typer.Option(help="Of the shape: from burst to burst, tau_m.")] = None,
    spikes: Annotated[float | None, typer.Option(help="Of the shape: per burst.")] = None,
    current: Annotated[
        float | None, typer.Option(help="Constant current, I_u, in place of the stimulus; of a shape, where it is.")
    ] = None,
    points: Annotated[int, typer.Option(min=2, max=1001, help="Currents of the f-I curve.")] = 33,
    duration: Annotated[
        float | None, typer.Option(help="tau_m of each run; long enough for the slowest when not given.")
    ] = None,
    out: Out = Path("excitability"),
    as_json: Json = False,
) -> None:
    """Tell from its I-V curves what a neuron can do, its f-I curve and regime map; or shape one for a regime.

    Parameters of a map: current, and alpha., delta. and tau. with a neuron file's keys.

    Example: mtc-hw excitability bursting --map current:-2.5:1:15 --map alpha.slow_negative:0:2:9
    """
    from mtc_hw.analysis.shape import Wish
    from mtc_hw.excitability_run import examine_neuron, parse_axes, subject_of, summary, to_json, write_files

    grid = parse_axes(axes or [])
    subject = subject_of(given, neuron, shape, Wish(interval, period, spikes, current))
    found = examine_neuron(subject, grid, points, duration)
    files = write_files(found, out)
    emit(as_json, to_json(found) | {"files": files}, f"{summary(found)}; {', '.join(files)} in {out}")
