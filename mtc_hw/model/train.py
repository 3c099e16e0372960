"""Training: Adam through the neurons' own dynamics, with the readout projected out of every batch."""

import dataclasses
import math
import time
from dataclasses import dataclass, field
from importlib import metadata
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from mtc_hw import __version__
from mtc_hw.errors import DataError
from mtc_hw.metrics import r2, s_comm, s_comp, silent
from mtc_hw.model.export import to_spec
from mtc_hw.model.lif import initial_lif
from mtc_hw.model.lowpass import Observation, observe
from mtc_hw.model.mtc import Integrator
from mtc_hw.model.network import Network, Timing, initial_network, run_spec
from mtc_hw.model.progress import Progress
from mtc_hw.model.tasks import Examples, Split
from mtc_hw.readout import features, fit_readout, predict
from mtc_hw.spec import Curve, ModelSpec, Readout, Synapse

CIRCUIT_CURVE = Curve(0.45, 1.502)
"""Fit to the generic process's wide-range transconductor: leak and filter followers of the circuit."""


@dataclass(frozen=True)
class TrainOptions:
    """What a training depends on, besides its series. The same options give the same network on the same machine."""

    hidden: int = 64
    iterations: int = 3000
    seconds: float | None = None  # cap on wall-clock: lowers `iterations` to what fits, so no longer reproducible
    seed: int = 0
    neuron: Literal["mtc", "lif"] = "mtc"
    integrator: Integrator = "split"
    substeps: int = 2
    curves: Literal["circuit", "linear"] = "circuit"
    batch: int = 16
    window: int = 500  # samples
    burn_in: int = 200  # samples without loss at the start of a window
    learning_rate: float = 1e-2
    warm_up: int = 100  # iterations
    noise: tuple[float, float] = (0.015, 0.008)  # mismatch of each sample's own chip, first and second half
    activity: float = 0.01  # weight of mean s
    excess: float = 0.3  # weight of mean relu(|V| - limit)^2
    limit: float = 3.2  # unit voltages
    input_scale: float = 0.7  # standard deviation of the initial input weights
    readout_tau: float = 3.0  # tau_m, of each of the four poles
    ridge: float = 1e-5  # per sample
    candidates: int = 16  # untrained networks to choose the start from


@dataclass(frozen=True)
class TrainReport:
    """How well the network does on the test part, and how it came to be."""

    r2: float
    r2_refined: float  # the same network and readout at a quarter of the step; r2 again for LIF, which has no step
    s_comp: float
    s_comm: float
    silent: int  # neurons that never cross threshold in the test part
    seconds: float
    iterations: int  # done
    interrupted: bool
    history: tuple[tuple[int, float, float], ...]  # iteration, loss, R2 of the batch
    options: TrainOptions
    versions: dict[str, str] = field(default_factory=dict)


REPORTED = 10
"""Iterations from one line of the history to the next."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A training's outcome; LIF networks have no spec."""

    network: "Layer"
    spec: ModelSpec | None
    report: TrainReport


class Descent(NamedTuple):
    """What became of the iterations."""

    history: tuple[tuple[int, float, float], ...]  # iteration, loss, R2 of the batch
    done: int
    interrupted: bool


class Pace(NamedTuple):
    """A mark to measure the time of an iteration from."""

    done: int
    time: float  # s


class Layer(Protocol):
    """What training asks of a hidden layer."""

    @property
    def timing(self) -> Timing: ...
    @property
    def synapse(self) -> Synapse: ...
    def trainable(self) -> list[Tensor]: ...
    def confine(self) -> None: ...
    def voltage(self, inputs: Tensor, noise: float, generator: torch.Generator) -> Tensor: ...


def train(
    split: Split, options: TrainOptions | None = None, progress: bool = True, start: Layer | None = None
) -> Trained:
    """Train a network on the split's training part and measure it on the test part.

    Ctrl-C ends the training early: the best network so far is finished as usual, and the report says `interrupted`.
    `start` is a layer to train on from, instead of the best of `options.candidates` random ones.
    """
    o = options or TrainOptions()
    began = time.monotonic()
    generator = torch.Generator().manual_seed(o.seed)
    layer = start or _best_start(split, o, generator)
    descent = _descend(layer, split.train, o, generator, progress, began)
    readout = _final_readout(layer, split.train, o, generator)
    spec = to_spec(layer, readout, split.task) if isinstance(layer, Network) else None
    report = _measure(layer, spec, readout, split.test, o)
    report = dataclasses.replace(
        report,
        seconds=time.monotonic() - began,
        iterations=descent.done,
        interrupted=descent.interrupted,
        history=descent.history,
    )
    return Trained(layer, spec, report)


def _windows(examples: Examples, o: TrainOptions, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random stretches of the training part: inputs (B, window + 1) and targets (B, window + 1 - burn_in)."""
    room = len(examples.inputs) - o.window
    if room < 1:
        raise DataError(f"{len(examples.inputs)} training samples are too few for windows of {o.window}; give more")
    first = torch.randint(room, (count, 1), generator=generator)
    index = first + torch.arange(o.window + 1)
    inputs = torch.from_numpy(examples.inputs).float()[index]
    return inputs, torch.from_numpy(examples.targets).float()[index[:, o.burn_in :]]


def _observe(layer: Layer, inputs: Tensor, o: TrainOptions, noise: float, generator: torch.Generator) -> Observation:
    t = layer.timing
    voltage = layer.voltage(inputs, noise, generator)
    return observe(voltage, layer.synapse, t.readout, t.step, t.substeps, o.limit)


def project(x: Tensor, y: Tensor, ridge: float) -> Tensor:
    """Mean squared error of the best ridge readout of x (samples, N) onto y (samples,).

    The readout is held during the backward pass: by the envelope theorem that is the gradient of the projected loss
    (variable projection, Golub and Pereyra 1973), up to the ridge.
    """
    x = torch.cat([x, torch.ones(len(x), 1)], 1)
    with torch.no_grad():
        gram = (x.T @ x).double() + ridge * len(x) * torch.eye(x.shape[1], dtype=torch.float64)
        weights = torch.linalg.solve(gram, (x.T @ y).double()).to(x.dtype)
    error: Tensor = ((x @ weights - y) ** 2).mean()
    return error


def _loss(seen: Observation, targets: Tensor, o: TrainOptions) -> tuple[Tensor, float]:
    """The loss with its penalties, and R2 on the batch."""
    error = project(seen.features[:, o.burn_in :].flatten(0, 1), targets.flatten(), o.ridge)
    loss = error + o.activity * seen.activity + o.excess * seen.excess
    return loss, 1.0 - float(error.detach()) / float(targets.var(correction=0))


def _best_start(split: Split, o: TrainOptions, generator: torch.Generator) -> Layer:
    """Of `candidates` untrained layers the one whose ridge readout fits best on the same windows."""
    inputs, targets = _windows(split.train, o, o.batch, generator)
    best, best_loss = _fresh(split, o, generator), float("inf")
    for _ in range(o.candidates):
        layer = _fresh(split, o, generator)
        with torch.no_grad():
            loss = float(_loss(_observe(layer, inputs, o, 0.0, generator), targets, o)[0])
        if loss < best_loss:
            best, best_loss = layer, loss
    return best


def _fresh(split: Split, o: TrainOptions, generator: torch.Generator) -> Layer:
    sample = split.task.sample * split.task.time_unit
    if o.neuron == "lif":
        return initial_lif(o.hidden, Timing(sample, 1, "euler", o.readout_tau), generator)
    curve = CIRCUIT_CURVE if o.curves == "circuit" else None
    timing = Timing(sample, o.substeps, o.integrator, o.readout_tau)
    return initial_network(o.hidden, timing, curve, o.input_scale, generator)


def rate(done: int, total: int, o: TrainOptions) -> float:
    """Learning rate after `done` of `total` iterations: a linear warm-up, then a cosine to zero."""
    warm = min(1.0, (done + 1) / max(1, min(o.warm_up, total // 4)))
    return o.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * done / total))


class Best:
    """The tensors at the lowest loss, averaged over `REPORTED` iterations: what Ctrl-C falls back on.

    A training that runs to its end keeps its last tensors, which the vanishing learning rate has averaged.
    """

    def __init__(self, tensors: list[Tensor]) -> None:
        self._tensors = tensors
        self._kept = [tensor.detach().clone() for tensor in tensors]
        self._losses: list[float] = []
        self._lowest = math.inf

    def see(self, loss: float) -> None:
        self._losses = [*self._losses[1 - REPORTED :], loss]
        mean = sum(self._losses) / len(self._losses)
        if len(self._losses) == REPORTED and mean < self._lowest:
            self._lowest = mean
            for kept, tensor in zip(self._kept, self._tensors, strict=True):
                kept.copy_(tensor.detach())

    def restore(self) -> None:
        with torch.no_grad():
            for kept, tensor in zip(self._kept, self._tensors, strict=True):
                tensor.copy_(kept)


def _descend(
    layer: Layer, examples: Examples, o: TrainOptions, generator: torch.Generator, shown: bool, began: float
) -> Descent:
    """Train the layer's tensors in place."""
    tensors = [tensor.requires_grad_() for tensor in layer.trainable()]
    optimiser = torch.optim.Adam(tensors, betas=(0.9, 0.99))
    history: list[tuple[int, float, float]] = []
    pace, best = Pace(0, time.monotonic()), Best(tensors)
    total, done, interrupted = o.iterations, 0, False
    with Progress(total, shown) as bar:
        try:
            while done < total:
                noise = o.noise[0] if 2 * done < total else o.noise[1]
                optimiser.param_groups[0]["lr"] = rate(done, total, o)
                loss, fit, activity = _iterate(layer, tensors, optimiser, examples, o, noise, generator)
                done += 1
                best.see(loss)
                if o.seconds is not None and done % REPORTED == 0:
                    total = _affordable(o, done, pace, began)
                if done == 1 or done % REPORTED == 0:
                    pace = Pace(done, time.monotonic())
                if done % REPORTED == 0 or done >= total:
                    history.append((done, loss, fit))
                    bar.show(done, total, loss, fit, 1.0 - activity)
        except KeyboardInterrupt:
            interrupted = True
            best.restore()
    for tensor in tensors:
        tensor.requires_grad_(False)
    return Descent(tuple(history), done, interrupted)


def _affordable(o: TrainOptions, done: int, since: Pace, began: float) -> int:
    """Iterations that fit into the cap at the pace since a mark, which leaves the first one's compilation out."""
    now = time.monotonic()
    each = (now - since.time) / (done - since.done)
    left = (o.seconds or 0.0) - (now - began)
    return max(done, min(o.iterations, done + int(left / each)))


def _iterate(
    layer: Layer,
    tensors: list[Tensor],
    optimiser: torch.optim.Optimizer,
    examples: Examples,
    o: TrainOptions,
    noise: float,
    generator: torch.Generator,
) -> tuple[float, float, float]:
    """One step of Adam; loss, R2 and activity of its batch."""
    inputs, targets = _windows(examples, o, o.batch, generator)
    seen = _observe(layer, inputs, o, noise, generator)
    loss, fit = _loss(seen, targets, o)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(tensors, 1.0)
    optimiser.step()
    layer.confine()
    return float(loss.detach()), fit, float(seen.activity.detach())


def _final_readout(layer: Layer, examples: Examples, o: TrainOptions, generator: torch.Generator) -> Readout:
    """Ridge over the whole training part, or, for a layer trained with noise, over many chips' stretches of it."""
    long = dataclasses.replace(o, window=min(4 * o.window, len(examples.inputs) - 1))
    with torch.no_grad():
        if o.noise[1] > 0:
            inputs, targets = _windows(examples, long, o.batch, generator)
        else:
            inputs = torch.from_numpy(examples.inputs).float()[None]
            targets = torch.from_numpy(examples.targets).float()[None, o.burn_in :]
        y = _observe(layer, inputs, o, o.noise[1], generator).features[:, o.burn_in :]
    return fit_readout(y.flatten(0, 1).numpy(), targets.flatten().numpy(), layer.timing.readout, o.ridge)


def _measure(layer: Layer, spec: ModelSpec | None, readout: Readout, test: Examples, o: TrainOptions) -> TrainReport:
    timing, generator = layer.timing, torch.Generator()
    with torch.no_grad():
        voltage = layer.voltage(torch.from_numpy(test.inputs).float()[None], 0.0, generator)[0].numpy()
    kept = slice(o.burn_in, None)
    answer = predict(features(voltage, timing.step, layer.synapse, timing.readout)[:: timing.substeps], readout)
    score = r2(answer[kept, 0], test.targets[kept])
    refined = score
    if spec is not None:
        refined = r2(run_spec(spec, test.inputs, spec.step / 4).prediction[kept, 0], test.targets[kept])
    s = layer.synapse(voltage[o.burn_in * timing.substeps :])
    return TrainReport(
        score,
        refined,
        s_comp(s),
        s_comm(s),
        silent(s),
        0.0,
        0,
        False,
        (),
        o,
        {name: metadata.version(name) for name in ("torch", "numba", "numpy")} | {"mtc_hw": __version__},
    )
