"""The command that sweeps how a model is mapped."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from mtc_hw.cli_montecarlo import Memory, RunTime, Sheet, Threshold, Tier, Timeout
from mtc_hw.cli_options import Given, Jobs, Json, Out, Technology, emit

if TYPE_CHECKING:
    from mtc_hw.codesign.pareto import Grid

Value = TypeVar("Value")


def _axis(text: str) -> Any:
    return typer.Option(metavar="A,B,...", help=text)


def _values(name: str, text: str, parse: Callable[[str], Value]) -> tuple[Value, ...]:
    """The values of a list with commas. Raises DataError."""
    from mtc_hw.errors import DataError

    try:
        return tuple(parse(each.strip()) for each in text.split(","))
    except ValueError:
        raise DataError(f"--{name} is {text!a}; give numbers with commas between them") from None


Require = Annotated[
    list[str] | None,
    typer.Option(
        help="r2>=0.97, r2_refitted>=0.98 or yield>=0.9, by the interval's lower end; once for each, the first "
        "for the front. Of chips without calibration nominal_yield>=0.9 and so on. Else r2>=0.95 of a network, "
        "yield>=0.8 of a neuron."
    ),
]


def pareto(
    given: Given,
    size: Annotated[str, _axis("Unit transistors, um, as 1/1,2/8,4.")] = "4",
    unit_current: Annotated[str, _axis("Unit currents, nA.")] = "1",
    capacitor: Annotated[str, _axis("Membrane capacitors, pF.")] = "5",
    bits: Annotated[str, _axis("Bits of every converter.")] = "8",
    trim_bits: Annotated[str, _axis("Bits of the trim converters, sign included.")] = "6",
    chips: Annotated[int, typer.Option(min=1, help="Virtual chips of each point.")] = 20,
    require: Require = None,
    least: Annotated[Literal["area", "power"], typer.Option(help="What the chosen point has least of.")] = "area",
    plan: Annotated[str, typer.Option(help="Calibration plan: a shipped one's name, or a file.")] = "dc",
    level: Tier = "cells",
    datasheet: Sheet = None,
    threshold: Threshold = 0.9,
    tolerance: Annotated[float, typer.Option(help="Of a good neuron's interval or burst period.")] = 0.2,
    duration: RunTime = None,
    technology: Technology = "generic",
    seed: Annotated[int, typer.Option(help="Root seed of the chips, the same ones at every point.")] = 0,
    jobs: Jobs = 0,
    timeout: Timeout = 300.0,
    memory: Memory = 4.0,
    out: Out = Path("pareto"),
    as_json: Json = False,
) -> None:
    """Area, power, R2 and yield of calibrated chips over sizes, currents, capacitors, bits; what to build, and why.
    Run again, it goes on where it was.

    Example: mtc-hw pareto bursting --size 1,2,4 --trim-bits 4,6 --require "yield>=0.9" --chips 40 --out pareto
    """
    from mtc_hw.analysis.datasheet import load_datasheet
    from mtc_hw.calibration.plan import load_plan
    from mtc_hw.codesign.pareto import parse_requirement
    from mtc_hw.codesign.pareto_report import summary, write_pareto
    from mtc_hw.codesign.pareto_run import ParetoOptions, sweep
    from mtc_hw.simulate.pool import Workers
    from mtc_hw.sources import load_source

    grid = _grid(size, unit_current, capacitor, bits, trim_bits)
    wanted, sheet = tuple(map(parse_requirement, require or ())), load_datasheet(datasheet) if datasheet else None
    workers = Workers(jobs=jobs, timeout=timeout, memory=int(memory * 2**30))
    options = ParetoOptions(
        grid, load_plan(plan), wanted, least, technology, level, chips, seed, duration, sheet, threshold, tolerance,
        workers,
    )  # fmt: skip
    found = sweep(load_source(given), options, out, not as_json)
    emit(as_json, write_pareto(found, out, shlex.join(["mtc-hw", *sys.argv[1:]])), summary(found, out))


def _grid(size: str, unit_current: str, capacitor: str, bits: str, trim_bits: str) -> "Grid":
    """Raises DataError for an axis that is no list of its kind."""
    from mtc_hw.codesign.pareto import Grid
    from mtc_hw.hardware.unit import parse_size

    return Grid(
        size=_values("size", size, parse_size),
        unit_current=_values("unit-current", unit_current, lambda text: float(f"{float(text):.9g}e-9")),
        capacitor=_values("capacitor", capacitor, lambda text: float(f"{float(text):.9g}e-12")),
        bits=_values("bits", bits, int),
        trim_bits=_values("trim-bits", trim_bits, int),
    )
