"""The command that trains."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mtc_hw.cli_options import Json, Out, emit
from mtc_hw.errors import SpecError
from mtc_hw.hardware.unit import UnitSize, parse_size

if TYPE_CHECKING:
    from mtc_hw.hardware.unit import UnitSize
    from mtc_hw.model.train import TrainReport
    from mtc_hw.spread import Spread


def train(
    out: Out = Path("out"),
    recipe: Annotated[str | None, typer.Option(help="circuit, fast, paper, robust, sparse, or a TOML file.")] = None,
    neuron: Annotated[
        Literal["mtc", "lif", "adlif", "silif", "c-silif"] | None, typer.Option(help="All but mtc are baselines.")
    ] = None,
    hidden: Annotated[int | None, typer.Option(min=2, max=4096, help="Hidden neurons of a layer.")] = None,
    layers: Annotated[int | None, typer.Option(min=1, max=8, help="Hidden layers.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1.0, help="Cap on the training's wall time.")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Steps of the optimiser.")] = None,
    seed: Annotated[int | None, typer.Option(help="Root seed.")] = None,
    bits: Annotated[int | None, typer.Option(min=2, max=16, help="Quantisation-aware: converters' bits.")] = None,
    sigma: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Mismatch of the chips trained on.")] = None,
    size: Annotated[
        UnitSize | None, typer.Option(parser=parse_size, metavar="W/L", help="Mismatch of a unit transistor, um.")
    ] = None,
    chips: Annotated[
        Literal["nominal", "per_sample", "per_chip", "alternating"] | None,
        typer.Option(help="A chip for each sample, or few in a batch, each with a readout of its own; or by turns."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the state in the output folder.")] = False,
    as_json: Json = False,
) -> None:
    """Train a network on the Mackey-Glass task. Flags override the recipe.

    Example: mtc-hw train --out net --recipe fast --seed 1
    """
    from mtc_hw.model.options import TrainOptions, load_recipe, with_flags
    from mtc_hw.model.tasks import mackey_glass_split
    from mtc_hw.training import train_and_save

    options = with_flags(
        TrainOptions() if recipe is None else load_recipe(recipe),
        neuron=neuron,
        hidden=hidden,
        layers=layers,
        seconds=seconds,
        iterations=iterations,
        seed=seed,
        bits=bits,
        spread=_spread(sigma, size),
        chips=chips,
    )
    command = shlex.join(["mtc-hw", *sys.argv[1:]])
    trained, checkpoint = train_and_save(mackey_glass_split(), options, out, command, not as_json, resume)
    report = trained.report
    saved = f", saved as {checkpoint}" if checkpoint else "; it has no circuit, so there is no checkpoint to map"
    text = f"R2 {report.r2:.4f}, sparsity {report.s_comp:.3f}, {report.seconds:.0f} s{saved}"
    emit(as_json, _answer(report, checkpoint), text)


def _spread(sigma: float | None, size: "UnitSize | None") -> "Spread | None":
    """The mismatch that was asked for, as figures or as a unit transistor; None for the recipe's own."""
    from mtc_hw.spread import Spread
    from mtc_hw.training import mismatch

    if sigma is not None and size is not None:
        raise SpecError("--sigma and --size both set the mismatch; give one of them")
    if size is not None:
        return mismatch("generic", size)
    return None if sigma is None else Spread.uniform(sigma)


def _answer(report: "TrainReport", checkpoint: Path | None) -> dict[str, Any]:
    names = ("r2", "r2_refined", "s_comp", "s_comm", "seconds", "interrupted")
    neurons = report.options.hidden * report.options.layers
    own = {"silent": report.silent / neurons, "checkpoint": str(checkpoint) if checkpoint else None}
    return {name: getattr(report, name) for name in names} | own
