"""Training: a start, a descent, a readout, and how well the network does on what it has not seen."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mtc_hw import __version__
from mtc_hw.errors import DataError
from mtc_hw.metrics import r2, s_comm, s_comp, silent
from mtc_hw.model.build import best_start
from mtc_hw.model.chips import Chips
from mtc_hw.model.descent import Descent, Quantise, descend, draw_chips
from mtc_hw.model.export import to_spec, with_codes
from mtc_hw.model.loss import Batch, fit, windows
from mtc_hw.model.mtc_neurons import MtcNeurons
from mtc_hw.model.network import Network
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import Examples, Split
from mtc_hw.readout import even_grids, fit_readout, lowpass, predict, rounded_readout
from mtc_hw.spec import Array, CellEffects, ModelSpec, Readout


@dataclass(frozen=True)
class TrainReport:
    """How well the network does on the test part, and how it came to be."""

    r2: float
    r2_refined: float  # the same network and readout at a quarter of the step; r2 again where there is no spec
    s_comp: float
    s_comm: float
    silent: int  # neurons that never cross threshold in the test part
    seconds: float
    iterations: int  # done
    interrupted: bool
    history: tuple[tuple[int, float, float], ...]  # iteration, loss, R2 of the batch
    options: TrainOptions
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Trained:
    """A training's outcome; only one layer of MTC neurons has a spec."""

    network: Network
    readout: Readout
    spec: ModelSpec | None
    report: TrainReport


MANY = 512
"""Chips that a readout for all of them is fitted to: more than it has weights, lest it learn these chips' errors."""


@dataclass(frozen=True, eq=False)
class Series:
    """Batches of stretches of a series to predict."""

    split: Split

    inputs = 1

    @property
    def sample(self) -> float:
        return self.split.task.sample * self.split.task.time_unit

    def batch(self, o: TrainOptions, generator: torch.Generator) -> Batch:
        return windows(self.split.train, o.batch, o.window, counted(o), generator)


def counted(o: TrainOptions) -> range:
    """The samples of a window that count."""
    return range(o.burn_in, o.window + 1, o.every)


def train(
    split: Split,
    options: TrainOptions | None = None,
    progress: bool = True,
    start: Network | None = None,
    quantiser: Callable[[ModelSpec], ModelSpec] | None = None,
    save: Path | None = None,
    resume: bool = False,
    cells: CellEffects | None = None,
) -> Trained:
    """Train a network on the split's training part and measure it on the test part.

    Ctrl-C ends the training early: the best network so far is finished as usual, and the report says `interrupted`.
    `start` is a network to train on from, instead of the best of `options.candidates` random ones. `quantiser` gives
    the spec that converters make of a spec, for `options.bits`. `save` is a file that keeps the training's state;
    with `resume`, the training goes on from there to the same result, bit for bit, as one that was never interrupted.
    `cells` are what the circuit's transconductors do to each of `options.hidden` neurons, for curves = "cells".
    """
    o = options or TrainOptions()
    if start is None and (o.curves == "cells" and o.neuron == "mtc") != (cells is not None):
        raise DataError(f"curves is {o.curves!r}, but cells are {'not ' if cells is None else ''}given")
    if (o.bits is not None) != (quantiser is not None):
        raise DataError(f"bits is {o.bits}, but {'no' if quantiser is None else 'a'} quantiser is given")
    began = time.monotonic()
    source = Series(split)
    generator = torch.Generator().manual_seed(o.seed)
    network = start or _start(o, source, generator, cells)
    descent = Descent(network, o, generator, split.digest())
    if resume and save is not None and save.exists():
        descent.restore(save)
    quantise = _straight_through(split, quantiser)
    descend(descent, source, began, progress, quantise, save)
    # What converters make of the network is what counts; its spec keeps the values that map to these codes.
    final = network if quantise is None else quantise(network)
    readout = final_readout(final, split.train, o, generator)
    spec = _spec(network, readout, split)
    meant = spec if spec is None or quantiser is None else quantiser(spec)
    report = dataclasses.replace(
        _measure(final, meant, readout, split.test, o),
        seconds=time.monotonic() - began,
        iterations=descent.done,
        interrupted=descent.interrupted,
        history=tuple(descent.history),
    )
    return Trained(network, readout, spec, report)


def _start(o: TrainOptions, source: Series, generator: torch.Generator, cells: CellEffects | None) -> Network:
    batch = source.batch(o, generator)

    def score(network: Network) -> float:
        return float(fit(network.observe(batch.inputs, batch.kept), batch.targets, o).loss)

    return best_start(o, source.sample, source.inputs, score, generator, cells)


def _straight_through(split: Split, quantiser: Callable[[ModelSpec], ModelSpec] | None) -> Quantise | None:
    if quantiser is None:
        return None
    return lambda network: with_codes(network, quantiser(to_spec(network, task=split.task)))


def _spec(network: Network, readout: Readout, split: Split) -> ModelSpec | None:
    """The network's spec; None for one that has no circuit."""
    only = network.layers[0]
    plain = len(network.layers) == 1 and only.recurrent is None and isinstance(only.neurons, MtcNeurons)
    return to_spec(network, readout, split.task) if plain else None


def final_readout(network: Network, examples: Examples, o: TrainOptions, generator: torch.Generator) -> Readout:
    """Ridge over the whole training part, or, where one readout shall serve all chips, over stretches of many."""
    everything = range(o.burn_in, len(examples.inputs))
    shared = o.chips in ("per_sample", "alternating")
    chips = draw_chips(o, o.batch, generator, True) if shared else None
    with torch.no_grad():
        if chips is None:
            inputs = torch.from_numpy(examples.inputs).float()[None]
            targets = torch.from_numpy(examples.targets).float()[list(everything)]
            seen = network.observe(inputs, everything)
        else:
            batch = windows(examples, MANY, o.window, counted(o), generator)
            targets = batch.targets
            seen = network.observe(batch.inputs, batch.kept, Chips(chips.spread, MANY, generator))
    x = seen.features.flatten(0, 1).numpy()
    return ridge_readout(x, targets.reshape(len(x), -1).numpy(), network.timing.readout, o)


def ridge_readout(x: NDArray[np.floating], y: NDArray[np.floating], tau: float, o: TrainOptions) -> Readout:
    """Of features (samples, N) onto targets (samples, outputs), rounded where the options say so."""
    readout = fit_readout(x, y, tau, o.ridge)
    return readout if o.bits is None else rounded_readout(readout, x, y, even_grids(readout, o.bits), o.ridge)[0]


def emitted(network: Network, inputs: Array) -> list[Array]:
    """Synapse outputs of every layer after every step for a series (T,), (steps + 1, N) each."""
    with torch.no_grad():
        seen = network.visible(torch.from_numpy(inputs).float()[None])
    shown = [np.asarray(each[0].double()) for each in seen]
    return shown if network.synapse is None else [network.synapse(each) for each in shown]


def _measure(
    network: Network, spec: ModelSpec | None, readout: Readout, test: Examples, o: TrainOptions
) -> TrainReport:
    timing = network.timing
    layers = emitted(network, test.inputs)
    kept = slice(o.burn_in, None)
    answer = predict(lowpass(layers[-1], timing.step, timing.readout)[:: timing.substeps], readout)
    score = r2(answer[kept, 0], test.targets[kept])
    refined = score
    if spec is not None:
        refined = r2(run_spec(spec, test.inputs, spec.step / 4).prediction[kept, 0], test.targets[kept])
    s = np.hstack(layers)[o.burn_in * timing.substeps :]
    versions = {name: metadata.version(name) for name in ("torch", "llvmlite", "numpy")} | {"mtc_hw": __version__}
    return TrainReport(score, refined, s_comp(s), s_comm(s), silent(s), 0.0, 0, False, (), o, versions)
