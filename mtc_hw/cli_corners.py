"""The command that runs a neuron over process corners, supplies and temperatures."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mtc_hw.cli_options import Jobs, Json, MappedBits, Out, Size, Technology, TrimBits, emit
from mtc_hw.hardware.unit import LONG

Tracking = Annotated[
    Literal["ptat", "fixed"], typer.Option(help="References and bias currents: proportional to T, or constant.")
]
Trim = Annotated[
    Literal["none", "nominal"], typer.Option(help="Whose DC sweeps set the codes: nobody's, the nominal chip's.")
]
Corners = Annotated[list[str] | None, typer.Option("--corner", help="Once for each; all when not given.")]
Supplies = Annotated[
    list[float] | None,
    typer.Option("--supply", help="V, once for each; the technology's own and 10 % less and more else."),
]
Temperatures = Annotated[
    list[float] | None,
    typer.Option("--temperature", help="Degrees Celsius, once for each; -40, 0, 27, 85 and 125 else."),
]
Hottest = Annotated[float, typer.Option(help="Degrees Celsius that the filters' currents must stand.")]
RunTime = Annotated[
    float | None, typer.Option("--duration", help="tau_m of each run; as the neuron's file says when not given.")
]


def corners(
    given: Annotated[str, typer.Argument(help="Preset, neuron file (.toml), or exported folder with its codes.")],
    technology: Technology = "generic",
    size: Size = LONG,
    bits: MappedBits = 8,
    trim_bits: TrimBits = 6,
    tracking: Tracking = "ptat",
    corner: Corners = None,
    supply: Supplies = None,
    temperature: Temperatures = None,
    hottest: Hottest = 85.0,
    trim: Trim = "nominal",
    duration: RunTime = None,
    jobs: Jobs = 0,
    out: Out = Path("corners"),
    as_json: Json = False,
) -> None:
    """Run one neuron, with the same codes, over corners, supplies and temperatures: its operating window.

    Writes a table, a figure and a report. A folder that `netlist` exported brings its own codes and size.

    Example: mtc-hw corners bursting --corner tt --corner ff --temperature -40 --temperature 85 --out corners
    """
    from mtc_hw.corners import CornersOptions, load_subject, study_corners, summary, to_json
    from mtc_hw.corners_report import write_study
    from mtc_hw.hardware.mapping import MappingOptions
    from mtc_hw.simulate.pool import Workers, open_workers
    from mtc_hw.simulate.progress import watched

    options = CornersOptions(
        technology=technology,
        size=size,
        mapping=MappingOptions(bits=bits, trim_bits=trim_bits),
        hottest=hottest,
        trim=trim,
        tracking=tracking,
        corners=tuple(corner or ()),
        supplies=tuple(supply or ()),
        temperatures=tuple(temperature or ()),
        duration=duration,
    )
    neuron, design = load_subject(given)
    with open_workers(Workers(jobs=jobs)) as run:
        study = study_corners(neuron, options, watched(run, "conditions", not as_json), design)
    files = write_study(study, out)
    emit(as_json, to_json(study) | {"files": files}, f"{summary(study)}; {', '.join(files)} in {out}")
