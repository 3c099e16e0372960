"""The command that trains with the circuit."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mtc_hw.cli_options import Jobs, Json, MappedBits, Out, Size, Technology, TrimBits, emit
from mtc_hw.hardware.unit import SQUARE

Start = Annotated[
    str,
    typer.Argument(metavar="NETWORK_OR_RECIPE", help="Trained network, or recipe of a training, shipped or TOML."),
]
Chips = Annotated[int, typer.Option(min=1, help="Virtual chips that every step is judged on.")]
Looped = Annotated[int, typer.Option(min=1, help="Others, that the fine-tuning has in the loop.")]
Circuits = Annotated[int, typer.Option(min=0, help="Of the judged chips, so many by transistors in ngspice too.")]
Plan = Annotated[str, typer.Option(help="Calibration plan, shipped or a TOML file, of all chips; none: untrimmed.")]
Iterations = Annotated[int | None, typer.Option(min=1, help="Of the training; as the recipe says when not given.")]
Tune = Annotated[int | None, typer.Option(min=1, help="Iterations of the fine-tuning.")]


def codesign(
    start: Start = "circuit",
    out: Out = Path("codesign"),
    technology: Technology = "generic",
    size: Size = SQUARE,
    bits: MappedBits = 8,
    trim_bits: TrimBits = 6,
    chips: Chips = 20,
    looped: Looped = 16,
    plan: Plan = "dc",
    circuits: Circuits = 0,
    iterations: Iterations = None,
    tune: Tune = None,
    seed: Annotated[int, typer.Option(help="Root seed of training and chips.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the states in the output folder.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Every step, small, in seconds.")] = False,
    jobs: Jobs = 0,
    as_json: Json = False,
) -> None:
    """Train in the cells' measured curves, map, judge on chips, fine-tune with chips in the loop, judge again.

    Example: mtc-hw codesign circuit --size 2 --chips 20 --out codesign
    """
    from contextlib import nullcontext

    from mtc_hw.calibration.plan import load_plan
    from mtc_hw.codesign.loop import CodesignOptions
    from mtc_hw.codesign.loop import codesign as whole_loop
    from mtc_hw.codesign.report import summary, write_codesign
    from mtc_hw.codesign.start import load_start, quickened, series_of, with_iterations, with_seed
    from mtc_hw.codesign.trimming import ByPlan, untrimmed
    from mtc_hw.hardware.mapping import MappingOptions
    from mtc_hw.simulate.pool import Workers, open_workers

    given = load_start(start)
    mapping = MappingOptions(bits=bits, trim_bits=trim_bits)
    options = CodesignOptions(technology, size, mapping, chips=chips, looped=looped, seed=seed, circuits=circuits)
    given, options = quickened(given, options) if quick else (given, options)
    given, options = with_iterations(given, options, iterations, tune)
    given, options = with_seed(given, options, seed)
    series = series_of(given, quick)
    with open_workers(Workers(jobs=jobs)) if circuits else nullcontext() as run:
        trim = untrimmed if plan == "none" else ByPlan(load_plan(plan))
        found = whole_loop(given, series, options, trim, run, out, not as_json, resume)
    values = write_codesign(found, out, shlex.join(["mtc-hw", *sys.argv[1:]]))
    emit(as_json, values, summary(found, out))
