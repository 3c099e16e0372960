"""The command that compares: circuit and software neuron by neuron, or two recordings from anywhere."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mtc_hw.cli_options import (
    ChipSeed,
    Jobs,
    Json,
    Level,
    MappedBits,
    Out,
    Record,
    Sample,
    Size,
    Technology,
    TrimBits,
    emit,
)
from mtc_hw.errors import DataError
from mtc_hw.hardware.unit import SQUARE, UnitSize

TWICE = " Twice: of the first file, then of the second."
LEVELS = ("level", "technology", "size", "bits", "trim_bits", "seed", "sample", "record", "jobs")
READING = ("column", "time_column", "kind", "time_unit", "tau_m", "voltage_unit", "unit_voltage", "ground",
           "threshold", "hysteresis")  # fmt: skip
RECORDINGS = ("align", "offset", "current", "design", *READING)

First = Annotated[
    str,
    typer.Argument(metavar="FIRST", help="Alone: what to simulate. With SECOND: preset, neuron file or recording."),
]
Second = Annotated[
    Path | None, typer.Argument(metavar="SECOND", help="Recording: .npz, ngspice .raw, or .csv of a bench.")
]
Length = Annotated[
    float | None, typer.Option(help="tau_m that are simulated; 1000 alone, the second's length with a second.")
]
Alignment = Annotated[
    Literal["none", "offset", "scale"], typer.Option(help="What of the second's clock is fitted; scale: tau_m too.")
]
Offset = Annotated[float | None, typer.Option(help="tau_m added to the second's times.")]
Current = Annotated[float | None, typer.Option(help="Constant current, I_u, of the software neuron.")]
Column = Annotated[list[str] | None, typer.Option(help="Vector, channel or column, by name or number." + TWICE)]
TimeColumn = Annotated[list[str] | None, typer.Option(help="Column of times." + TWICE)]
Kind = Annotated[list[str] | None, typer.Option(help="voltage, levels (0 and 1) or spikes (their times)." + TWICE)]
TimeUnit = Annotated[list[str] | None, typer.Option(help="Of times: s, ms, us, ns or tau_m." + TWICE)]
TauM = Annotated[list[float] | None, typer.Option("--tau-m", help="Seconds that a tau_m lasts." + TWICE)]
VoltageUnit = Annotated[list[str] | None, typer.Option(help="Of voltages: V, mV or unit." + TWICE)]
UnitVoltage = Annotated[list[float] | None, typer.Option(help="V that make a unit voltage." + TWICE)]
Ground = Annotated[list[float] | None, typer.Option(help="V that are 0 unit voltages." + TWICE)]
Threshold = Annotated[list[float] | None, typer.Option(help="Of a spike, in the file's own unit." + TWICE)]
Hysteresis = Annotated[
    list[float] | None, typer.Option(help="Fall below the threshold before the next spike, file's unit." + TWICE)
]
Design = Annotated[list[str] | None, typer.Option(help="Whose tau_m, unit voltage and ground to take." + TWICE)]


def compare(
    context: typer.Context,
    first: First,
    second: Second = None,
    out: Out = Path("comparison.json"),
    duration: Length = None,
    level: Level = "transistor",
    technology: Technology = "generic",
    size: Size = SQUARE,
    bits: MappedBits = 8,
    trim_bits: TrimBits = 6,
    seed: ChipSeed = None,
    sample: Sample = 0,
    record: Record = None,
    jobs: Jobs = 0,
    align: Alignment = "none",
    offset: Offset = None,
    current: Current = None,
    design: Design = None,
    column: Column = None,
    time_column: TimeColumn = None,
    kind: Kind = None,
    time_unit: TimeUnit = None,
    tau_m: TauM = None,
    voltage_unit: VoltageUnit = None,
    unit_voltage: UnitVoltage = None,
    ground: Ground = None,
    threshold: Threshold = None,
    hysteresis: Hysteresis = None,
    as_json: Json = False,
) -> None:
    """Compare the spike trains of circuit and software, neuron by neuron; or those of two recordings.

    With a second argument both are read, or the first is a preset or neuron file and runs in software; a picture is
    drawn beside the JSON file. An option of files that is given once is of the second.

    Example: mtc-hw compare net/network.json --level transistor

    Example: mtc-hw compare tonic scope.csv --threshold 1.1 --align scale
    """
    _refuse(context, LEVELS if second is not None else RECORDINGS, second is not None)
    if second is None:
        values, text = _levels(
            first, level, duration, (technology, size, bits, trim_bits, seed, sample, record), jobs
        )
    else:
        values, text = _recordings(context, first, second, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    emit(as_json, values, f"{text}; details in {out}")


def _refuse(context: typer.Context, names: tuple[str, ...], two: bool) -> None:
    """Raises DataError for options that the other form of the command has."""
    given = [name for name in names if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    if given:
        options = ", ".join("--" + name.replace("_", "-") for name in given)
        remedy = "leave the second file out" if two else "give a second file"
        raise DataError(f"{options}: of no use here; {remedy}, or leave that out")


def _levels(
    first: str,
    level: Level,
    duration: float | None,
    mapping: tuple[str, UnitSize, int, int, int | None, int, Path | None],
    jobs: int,
) -> tuple[dict[str, Any], str]:
    from mtc_hw.exports import compare_levels, design_of
    from mtc_hw.simulate.pool import Workers
    from mtc_hw.sources import load_source

    technology, size, bits, trim_bits, seed, sample, record = mapping
    source = load_source(first)
    design = design_of(source, bits, technology, size, seed, sample, record, trim_bits=trim_bits)
    values = compare_levels(source, design, level, 1000.0 if duration is None else duration, Workers(jobs=jobs))
    same, total = values["same_count"], len(values["neurons"])
    return (
        values,
        f"{same} of {total} neurons spike as often as in software, mean coincidence {values['coincidence']}",
    )


def _recordings(context: typer.Context, first: str, second: Path, out: Path) -> tuple[dict[str, Any], str]:
    from mtc_hw.analysis.recording import Reading
    from mtc_hw.compare_plots import comparison_figure
    from mtc_hw.compare_run import Wanted, compare_recordings, is_neuron, of_design

    given = context.params
    pairs = {name: _pair(name, given[name], is_neuron(first)) for name in (*READING, "design")}
    designs = pairs.pop("design")
    readings = (
        of_design(Reading(**{name: pair[0] for name, pair in pairs.items()}), designs[0]),
        of_design(Reading(**{name: pair[1] for name, pair in pairs.items()}), designs[1]),
    )
    wanted = Wanted(*readings, given["align"], given["offset"], given["duration"], given["current"])
    found = compare_recordings(first, second, wanted)
    picture = out.with_suffix(".png")
    picture.parent.mkdir(parents=True, exist_ok=True)
    comparison_figure(found).savefig(picture, dpi=150)
    return found.to_json() | {"figure": str(picture)}, f"{found.summary()}; picture {picture}"


def _pair(name: str, values: list[Any] | None, software: bool) -> tuple[Any, Any]:
    """(of the first file, of the second). Raises DataError for too many values."""
    given = list(values or [])
    most = 1 if software else 2
    if len(given) > most:
        option = "--" + name.replace("_", "-")
        raise DataError(f"{option} is given {len(given)} times for {most} file{'s' if most > 1 else ''}")
    return (given[0], given[1]) if len(given) == 2 else (None, given[0] if given else None)
