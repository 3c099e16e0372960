"""Training as the command line offers it: a recipe, a technology's converters and mismatch, files."""

import dataclasses
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mtc_hw.characterise import cells_for
from mtc_hw.checkpoint import save_spec
from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.faithful import typical_effects
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.mismatch import spread_of
from mtc_hw.hardware.technology import load_technology
from mtc_hw.hardware.unit import UnitSize
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.tasks import Split
from mtc_hw.model.train import Trained, train
from mtc_hw.spec import CellEffects, ModelSpec
from mtc_hw.spread import Spread

STATE = "training.safetensors"
"""The file in the output folder that a training can be resumed from."""


def quantiser(bits: int, technology: str = "generic", size: float = 4e-6) -> Callable[[ModelSpec], ModelSpec]:
    """What the mapper's own codes make of a spec; `size` in m. Values out of reach keep the nearest code."""
    known = load_technology(technology)
    cells, options = cells_for(known, size, size), MappingOptions(bits=bits)

    def quantised(spec: ModelSpec) -> ModelSpec:
        meant = as_spec(map_spec(spec, known, cells, options))
        own = spec.neurons.cells
        return (
            meant
            if own is None
            else dataclasses.replace(meant, neurons=dataclasses.replace(meant.neurons, cells=own))
        )

    return quantised


def mismatch(technology: str, size: UnitSize) -> Spread:
    """The spread of a technology's neurons whose unit transistor has this size."""
    known = load_technology(technology)
    return spread_of(known, cells_for(known, size.width, size.length))


def typical(count: int, technology: str = "generic", size: float = 4e-6) -> CellEffects:
    """What the cells of a technology do to each of `count` neurons, at typical biases; `size` in m."""
    known = load_technology(technology)
    return typical_effects(known, cells_for(known, size, size), count, MappingOptions())


def train_and_save(
    split: Split, options: TrainOptions, out: Path, command: str, progress: bool = True, resume: bool = False
) -> tuple[Trained, Path | None]:
    """Train; leave the checkpoint, and the state to resume from, in the folder. No checkpoint without a circuit."""
    rule = None if options.bits is None else quantiser(options.bits)
    cells = typical(options.hidden) if options.curves == "cells" and options.neuron == "mtc" else None
    trained = train(split, options, progress, quantiser=rule, save=out / STATE, resume=resume, cells=cells)
    if trained.spec is None:
        return trained, None
    return trained, save_spec(trained.spec, out / "network", record(trained, split, command))[0]


def record(trained: Trained, split: Split, command: str) -> dict[str, Any]:
    """How a network came to be: options, versions, the machine, the digest of what it learned from."""
    report = dataclasses.asdict(trained.report)
    machine = platform.processor() or platform.machine()
    return report | {"command": command, "series_digest": split.digest(), "machine": machine}


def require_spec(trained: Trained) -> ModelSpec:
    """The spec of a network that has a circuit. Raises UnmappableError for any other."""
    if trained.spec is None:
        options = trained.report.options
        raise UnmappableError(
            [f"{options.layers} layers of {options.neuron} neurons have no circuit; train one layer of mtc neurons"]
        )
    return trained.spec
