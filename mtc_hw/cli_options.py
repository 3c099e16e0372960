"""The options that several commands share, and how they answer."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mtc_hw.hardware.unit import UnitSize, parse_size

AnyLevel = Annotated[
    Literal["software", "quantised", "behavioural", "transistor"], typer.Option(help="Where the network runs.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]
Out = Annotated[Path, typer.Option("--out", help="Folder or file to write.")]
Level = Annotated[Literal["behavioural", "transistor"], typer.Option(help="Equations, or transistors.")]
Technology = Annotated[str, typer.Option(help="generic, gf180mcuD, sky130A, or your own technology's .toml file.")]
Corner = Annotated[str, typer.Option(help="Process corner: tt, ff, ss, sf or fs.")]
Supply = Annotated[float | None, typer.Option(help="V; the technology's own when not given.")]
Temperature = Annotated[float | None, typer.Option(help="Degrees Celsius; the technology's own when not given.")]
NeuronLevel = Annotated[
    Literal["behavioural", "cells", "transistor"],
    typer.Option(help="Equations, equations with the cells' measured curves (software alone), or transistors."),
]
Bits = Annotated[int | None, typer.Option(min=2, max=16, help="Bits of every converter; exact when not given.")]
MappedBits = Annotated[int, typer.Option(min=2, max=16, help="Bits of every converter.")]
TrimBits = Annotated[
    int, typer.Option("--trim-bits", min=2, max=12, help="Bits of the trim converters, sign included.")
]
Jobs = Annotated[int, typer.Option(min=0, help="Parallel ngspice processes; 0: one per processor.")]
Duration = Annotated[float, typer.Option(help="tau_m; inputs end there.")]
SIZE = "Width and length of the unit transistor, um, as 2/8; one number for a square."
Size = Annotated[UnitSize, typer.Option(parser=parse_size, metavar="W/L", help=SIZE)]
ChipSeed = Annotated[int | None, typer.Option(help="Root seed of a virtual chip; no mismatch when not given.")]
Sample = Annotated[int, typer.Option(min=0, help="Number of the virtual chip of that seed.")]
Record = Annotated[Path | None, typer.Option(help="Calibration whose codes to use; that of this very design.")]
AnyDialect = Annotated[Literal["ngspice", "xyce", "spectre"], typer.Option("--dialect", help="For which simulator.")]
Converters = Annotated[
    Literal["ideal", "transistor"],
    typer.Option(help="As sources, or as transistors, whose gains are measured first."),
]
Given = Annotated[str, typer.Argument(help="Preset, neuron file (.toml), checkpoint, design or exported folder.")]


def emit(as_json: bool, values: dict[str, Any], text: str) -> None:
    print(json.dumps(values, allow_nan=False) if as_json else text)
