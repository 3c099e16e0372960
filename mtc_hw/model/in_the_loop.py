"""Hardware in the loop: values from measured chips, gradients from the model, as hxtorch has it.

Spilger et al., "hxtorch: PyTorch for BrainScaleS-2", IoT Streams 2020; Cramer et al., PNAS 119(4), 2022.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtc_hw.errors import DataError
from mtc_hw.model.descent import Descent, descend, draw_chips, turn
from mtc_hw.model.export import from_spec, to_spec
from mtc_hw.model.loss import Batch, windows
from mtc_hw.model.network import Network, Observation
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.tasks import Split
from mtc_hw.model.train import Series, counted, ridge_readout
from mtc_hw.spec import Array, ModelSpec, Readout
from mtc_hw.spread import Spread

FITTED = 64
"""Windows that the last readout is fitted to, at least one on every chip."""


class Measure(Protocol):
    """Chips, real or virtual, that can be set to a network's parameters and run."""

    @property
    def identity(self) -> str:
        """Which chips, as text: a training goes on with these only."""

    @property
    def count(self) -> int:
        """How many chips."""

    def __call__(self, spec: ModelSpec, inputs: Array, chips: Sequence[int]) -> Array:
        """Low-passed synapse outputs, (B, samples, N), of standardised inputs (B, samples), row r on chip `chips[r]`.

        The spec has no readout. Every row starts from `spec.INITIAL_VOLTAGE`; what could not be measured is NaN.
        """


@dataclass(frozen=True)
class Gap:
    """How far chips are from the model whose gradients they are trained with, over one batch."""

    apart: float  # rms of measured less modelled features over the modelled features' own standard deviation
    correlation: float  # of the two, over all samples and neurons
    lost: float  # share of features that could not be measured


@dataclass(frozen=True)
class LoopHistory:
    """What became of a training with chips in the loop."""

    history: tuple[tuple[int, float, float], ...]  # iteration, loss, R2 of the batch: as measured
    before: Gap
    after: Gap
    iterations: int
    seconds: float
    interrupted: bool
    options: TrainOptions


@dataclass(frozen=True, eq=False)
class _InTheLoop:
    """A `descent.Forward` that measures a share of a batch's windows, the first ones."""

    measure: Measure
    share: float = 1.0

    def __call__(
        self, network: Network, batch: Batch, seen: Observation, o: TrainOptions, generator: torch.Generator
    ) -> Observation:
        return seen._replace(features=straight_through(seen.features, self.values(network, batch, o, generator)))

    def values(self, network: Network, batch: Batch, o: TrainOptions, generator: torch.Generator) -> Tensor:
        """Features (B, kept, N), NaN in windows that are left to the model.

        Rows that share a readout of their own, `loss.fit`, share a chip.
        """
        rows, size = len(batch.inputs), (len(batch.kept), network.layers[0].neurons.count)
        groups = o.groups if o.chips == "per_chip" else rows
        measured = max(1, round(self.share * groups))
        chips = _drawn(self.measure.count, measured, generator).repeat(rows // groups)
        result = torch.full((rows, *size), torch.nan)
        part = Batch(batch.inputs[: len(chips)], batch.targets[: len(chips)], batch.kept)
        result[: len(chips)] = _measured(self.measure, to_spec(network), part, chips)
        return result


def straight_through(modelled: Tensor, measured: Tensor) -> Tensor:
    """The measured values, with the modelled values' gradients; modelled values where nothing was measured."""
    return modelled + torch.where(measured.isfinite(), measured - modelled, 0.0).detach()


def _drawn(count: int, groups: int, generator: torch.Generator) -> NDArray[np.int64]:
    """A chip for each group, as evenly as it goes and in random order; of one chip nothing is drawn."""
    if count == 1:
        return np.zeros(groups, dtype=np.int64)
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(-(-groups // count))])
    return np.asarray(order[:groups].numpy())


def _measured(measure: Measure, spec: ModelSpec, batch: Batch, chips: NDArray[np.int64]) -> Tensor:
    inputs = batch.inputs.double().numpy()
    found = np.asarray(measure(spec, inputs, [int(each) for each in chips]))
    wanted = (*inputs.shape, spec.neurons.count)
    if found.shape != wanted:
        raise DataError(
            f"the chips gave features of shape {found.shape}, expected {wanted}: windows, samples, neurons"
        )
    return torch.from_numpy(found[:, list(batch.kept)]).float()


def hardware_in_the_loop(
    spec: ModelSpec,
    measure: Measure,
    split: Split,
    options: TrainOptions,
    progress: bool = True,
    save: Path | None = None,
    resume: bool = False,
    share: float = 1.0,
) -> tuple[ModelSpec, LoopHistory]:
    """Train a network on with chips in the loop. Its readout is then fitted to what the chips gave.

    In each iteration the chips, set to the network's parameters, run the batch's windows, and so does the model. The
    loss is that of the measured features. Its gradient is taken to be that of the modelled features at the measured
    values: exact in the readout, and approximate in the neurons, since d(feature)/d(parameter) is that of the model's
    run, not of the chip's. It is good while both fire alike, see `Gap`; codes between which a parameter moves are
    passed straight through. Activity and excess voltage, which the loss penalises, are the model's own.

    `options.chips` "per_sample": each window on a chip of its own and one readout for all; "per_chip": `groups` chips
    in a batch with a readout each; "alternating": by turns; "nominal": as "per_sample". With a `share` below 1 the
    other windows are left to the model, on virtual chips of `options.spread`: few chips are soon learned by heart.
    With all windows measured there is no such spread. `options.bits` is that of the readout alone. Deterministic for
    `options.seed` and the same measured values; `save` and `resume` as in `train`. Raises DataError for a share that
    is none.
    """
    if not 0.0 < share <= 1.0:
        raise DataError(f"the measured share of the windows is {share:g}; it must be above 0 and at most 1")
    began, o = time.monotonic(), options if share < 1.0 else replace(options, spread=Spread())
    network, source, forward = from_spec(spec), Series(split), _InTheLoop(measure, share)
    generator = torch.Generator().manual_seed(o.seed)
    learned = f"{split.digest()} {replace(spec, readout=None).digest()} {measure.identity} {share}"
    descent = Descent(network, o, generator, learned)
    before = _gap(network, measure, source, o)
    if resume and save is not None and save.exists():
        descent.restore(save)
    descend(descent, source, began, progress, None, save, forward)
    last = to_spec(network, None, split.task)
    last = replace(last, readout=measured_readout(last, measure, split, o, share))
    after = _gap(network, measure, source, o)
    spent = time.monotonic() - began
    return last, LoopHistory(tuple(descent.history), before, after, descent.done, spent, descent.interrupted, o)


def measured_readout(
    spec: ModelSpec, measure: Measure, split: Split, options: TrainOptions, share: float = 1.0
) -> Readout:
    """One ridge readout for all chips, fitted to what they gave on windows of the training part.

    Of these, `share` are measured and the others the model's, as in `hardware_in_the_loop`. Raises DataError where
    the chips gave nothing.
    """
    o, network = replace(options, chips="per_sample"), from_spec(spec)
    generator = torch.Generator().manual_seed(o.seed)
    measured = max(FITTED, measure.count)
    batch = windows(split.train, round(measured / share), o.window, counted(o), generator)
    with torch.no_grad():
        found = _InTheLoop(measure, share).values(network, batch, o, generator)
        if not bool(found.isfinite().any()):
            raise DataError("the chips gave nothing that a readout can be fitted to; see why they fail")
        chips = draw_chips(o, len(batch.inputs), generator, True) if share < 1.0 else None
        if chips is not None:
            found = straight_through(network.observe(batch.inputs, batch.kept, chips).features, found)
    x = found.flatten(0, 1).double().numpy()
    y = batch.targets.flatten(0, 1).double().numpy()
    here = np.isfinite(x).all(axis=1)
    return ridge_readout(x[here], y[here], network.timing.readout, o)


def _gap(network: Network, measure: Measure, source: Series, o: TrainOptions) -> Gap:
    """Over a batch of its own, all measured, the same at each call."""
    generator = torch.Generator().manual_seed(o.seed)
    batch = source.batch(o, generator)
    with torch.no_grad():
        modelled = network.observe(batch.inputs, batch.kept).features
        measured = _InTheLoop(measure).values(network, batch, turn(o, 0), generator)
    here = measured.isfinite()
    x, y = modelled[here].double().numpy(), measured[here].double().numpy()
    lost = 1.0 - float(here.double().mean())
    if not (x.size and x.std() > 0 and y.std() > 0):
        return Gap(0.0, 0.0, lost)
    return Gap(float(np.sqrt(np.mean((y - x) ** 2)) / x.std()), float(np.corrcoef(x, y)[0, 1]), lost)
