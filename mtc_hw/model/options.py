"""What a training depends on: options with the project's defaults, and recipes, TOML files that set some of them."""

import json
import math
import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mtc_hw.errors import DataError, SpecError
from mtc_hw.model.algebra import Surrogate
from mtc_hw.model.mtc import Integrator
from mtc_hw.resources import folder
from mtc_hw.spread import Spread
from mtc_hw.violations import violations

Kind = Literal["mtc", "lif", "adlif", "silif", "c-silif"]


@dataclass(frozen=True)
class TrainOptions:
    """Besides its series, all that a training depends on: the same options give the same network on one machine."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    # The network
    neuron: Kind = "mtc"
    hidden: int = 64  # neurons of a layer
    layers: int = 1
    recurrent: bool = False  # each layer also hears itself; several times slower
    synapse: Literal["saturated_relu", "rectified_tanh"] = "saturated_relu"  # of MTC neurons
    surrogate: Surrogate | None = None  # of the others; None: that of the neuron's own paper
    form: Literal["se", "ef"] = "se"  # of AdLIF: symplectic Euler or Euler-forward
    integrator: Integrator = "split"
    substeps: int = 2  # of MTC neurons, between two samples
    curves: Literal["circuit", "linear", "cells"] = "circuit"  # leak and filters of MTC neurons; cells: with all that
    # the measured cells of a technology do, `spec.CellEffects`, at typical biases
    input_scale: float | None = None  # standard deviation of the initial input weights; None: the neuron's own
    readout_tau: float = 3.0  # tau_m, of each of the four poles

    # The descent
    seed: int = 0
    iterations: int = 3000
    seconds: float | None = None  # cap on wall-clock: lowers `iterations` to what fits, so no longer reproducible
    candidates: int = 16  # untrained networks to choose the start from
    batch: int = 16
    window: int = 500  # samples
    burn_in: int = 200  # samples without loss at the start of a window
    every: int = 4  # samples from one that counts in the loss to the next
    learning_rate: float = 1e-2
    warm_up: int = 100  # iterations
    clip: float = 0.1  # largest norm of a neuron's gradient
    patience: int | None = None  # iterations without a lower loss after which to stop
    frozen: tuple[str, ...] = ()  # tensors that stay as drawn: log_alpha, delta, log_tau, weights, bias ...

    # The loss
    ridge: float = 1e-5  # per sample
    activity: float = 0.01  # weight of mean s
    allowance: float = 0.0  # mean s that a neuron has free: without it, a sparse network silences most of its neurons
    excess: float = 0.3  # weight of mean relu(|V| - limit)^2
    limit: float = 3.2  # unit voltages
    rescue: float = 1.0  # by how many learning rates a silent neuron's input weights grow in an iteration

    # The circuit
    # One readout for all chips wants a chip for each sample, a readout of its own on each wants few chips in a batch;
    # alternating between the two gives a network that does well with either.
    chips: Literal["nominal", "per_sample", "per_chip", "alternating"] = "per_sample"
    spread: Spread = Spread.uniform(0.015)
    groups: int = 1  # chips in a batch where each has a readout of its own
    settled: float = 0.5  # share of the spread that stays in the second half
    bits: int | None = None  # quantised to the mapper's codes of so many bits, gradients straight through

    def __post_init__(self) -> None:
        counts = ("layers", "substeps", "iterations", "candidates", "batch", "every", "groups")
        least = {"hidden": 2} | dict.fromkeys(counts, 1)
        wrong = [
            f"{name} is {getattr(self, name)}; it must be at least {low}"
            for name, low in least.items()
            if getattr(self, name) < low
        ]
        if self.batch % max(self.groups, 1):
            wrong.append(f"groups is {self.groups}; it must divide the batch of {self.batch}")
        if not 0 < self.burn_in < self.window:
            wrong.append(f"burn_in is {self.burn_in}; it must lie between 0 and the window of {self.window}")
        positive = ("readout_tau", "learning_rate", "clip", "limit", "ridge", "input_scale", "seconds", "patience")
        weights = ("activity", "allowance", "excess", "rescue", "settled")
        for name in (*positive, *weights):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and (value > 0 or (value == 0 and name in weights))):
                wrong.append(f"{name} is {value}; it must be finite and {'>=' if name in weights else '>'} 0")
        if self.bits is not None and not 2 <= self.bits <= 24:
            wrong.append(f"bits is {self.bits}; use 2 to 24, or none for exact values")
        if wrong:
            raise SpecError("training option " + "; ".join(wrong))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def recipe_names() -> list[str]:
    """The shipped recipes."""
    return sorted(path.stem for path in (folder("models") / "recipes").glob("*.toml"))


def load_recipe(name: str) -> TrainOptions:
    """A shipped recipe by name, or a TOML file. Raises DataError for a file that is none."""
    path = (folder("models") / "recipes") / f"{name}.toml" if name in recipe_names() else Path(name)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"recipe {name!r} is neither shipped ({', '.join(recipe_names())}) nor a file; name one of these"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"recipe {path} cannot be read: {error}; it must be TOML") from None
    table.pop("description", None)
    return options_from(table, str(path))


def options_from(table: dict[str, Any], where: str) -> TrainOptions:
    """Options out of a table of some of them. Raises DataError with every key or value that is wrong."""
    try:
        # As JSON, because only there do strict types take lists for tuples and tables for dataclasses.
        return TypeAdapter(TrainOptions).validate_json(json.dumps(table), strict=True)
    except ValidationError as error:
        raise DataError(f"{where}: {violations(error)}") from None
    except SpecError as error:
        raise DataError(f"{where}: {error}") from None


def with_flags(options: TrainOptions, **flags: object) -> TrainOptions:
    """The options with those flags that are not None."""
    return replace(options, **{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
