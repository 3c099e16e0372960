"""Adam through the neurons' own dynamics: iteration by iteration, from any of its states on to the same end."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from signal import SIGINT, default_int_handler, getsignal, signal
from threading import Event, current_thread, main_thread
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtc_hw.errors import DataError
from mtc_hw.model.chips import Chips
from mtc_hw.model.kernel import kernel_threads
from mtc_hw.model.loss import Batch, Fit, Source, fit
from mtc_hw.model.network import Layer, Network, Observation
from mtc_hw.model.options import TrainOptions, options_from
from mtc_hw.model.progress import Progress

REPORTED = 10
"""Iterations from one line of the history to the next, and between the states that Ctrl-C falls back on."""

SAVED = 20.0
"""Seconds from one state on disk to the next."""

AWAKE = 1e-4
"""Feature that a single spike exceeds, and what is left of one at the run's start does not."""

FORMAT, VERSION = "mtc_hw.training", 1

Quantise = Callable[[Network], Network]
"""The network with the values that converters would give it, differentiable straight through."""

Forward = Callable[[Network, Batch, Observation, TrainOptions, torch.Generator], Observation]
"""What something else than the model, a chip, makes of a batch, with the gradients of what the model made of it."""


@dataclass(eq=False)
class Descent:
    """A training between two iterations. The only mutable thing: the network's tensors change in place."""

    network: Network
    options: TrainOptions
    generator: torch.Generator
    source: str = ""  # digest of what it learns from
    done: int = 0
    history: list[tuple[int, float, float]] = field(default_factory=list)  # iteration, loss, R2 of the batch
    losses: list[float] = field(default_factory=list)  # the last `REPORTED`
    lowest: float = math.inf  # of their means
    best_at: int = 0
    interrupted: bool = False
    best: dict[str, Tensor] = field(default_factory=dict)
    optimiser: torch.optim.Adam = field(init=False)

    def __post_init__(self) -> None:
        o = self.options
        self.trained = {
            name: tensor.requires_grad_()
            for name, tensor in self.network.tensors().items()
            if not any(name == each or name.endswith(f".{each}") for each in o.frozen)
        }
        if not self.trained:
            raise DataError(f"frozen is {', '.join(o.frozen)}; nothing is left to train")
        self.optimiser = torch.optim.Adam(list(self.trained.values()), betas=(0.9, 0.99), fused=True)
        self.best = {name: tensor.detach().clone() for name, tensor in self.trained.items()}

    def iterate(
        self, source: Source, total: int, quantise: Quantise | None = None, forward: Forward | None = None
    ) -> Fit:
        """One step of Adam on a fresh batch."""
        o = turn(self.options, self.done)
        self.optimiser.param_groups[0]["lr"] = speed = rate(self.done, total, o)
        batch = source.batch(o, self.generator)
        network = self.network if quantise is None else quantise(self.network)
        chips = draw_chips(o, len(batch.inputs), self.generator, 2 * self.done >= total)
        seen = network.observe(batch.inputs, batch.kept, chips)
        if forward is not None:
            seen = forward(network, batch, seen, o, self.generator)
        result = fit(seen, batch.targets, o)
        self.optimiser.zero_grad()
        result.loss.backward()  # type: ignore[no-untyped-call]
        for layer in self.network.layers:
            clip_by_neuron(layer, o.clip)
        self.optimiser.step()
        if o.rescue > 0:
            wake(self.network.layers[-1], seen.features.detach(), o.rescue * speed)
        self.network.confine()
        self._remember(result)
        return result

    def _remember(self, result: Fit) -> None:
        """Count the iteration, and keep the tensors where the mean loss is the lowest so far."""
        self.done += 1
        self.losses = [*self.losses[1 - REPORTED :], float(result.loss.detach())]
        mean = sum(self.losses) / len(self.losses)
        if len(self.losses) == REPORTED and mean < self.lowest:
            self.lowest, self.best_at = mean, self.done
            for name, tensor in self.trained.items():
                self.best[name].copy_(tensor.detach())

    @property
    def stalled(self) -> bool:
        patience = self.options.patience
        return patience is not None and self.done - self.best_at >= max(patience, REPORTED)

    def restore_best(self) -> None:
        """What Ctrl-C falls back on. At the end of a training, the vanishing rate has averaged the last tensors."""
        with torch.no_grad():
            for name, tensor in self.trained.items():
                tensor.copy_(self.best[name])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the next iteration depends on: copies of tensors, and JSON values."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.tensors().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for index, values in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in values.items()}
        tensors["generator"] = self.generator.get_state()
        header = {
            "done": self.done,
            "history": self.history,
            "losses": self.losses,
            "lowest": self.lowest if math.isfinite(self.lowest) else None,
            "best_at": self.best_at,
            "options": self.options.to_json(),
            "source": self.source,
        }
        return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, header

    def restore(self, path: Path) -> None:
        """Take up a state on disk. Raises DataError for one that is damaged or of another training."""
        tensors, header = read_state(path)
        if options_of(header, path) != self.options:
            raise DataError(
                f"training state {path} has other options; resume with those, or train into another folder"
            )
        if header.get("source") != self.source:
            raise DataError(f"training state {path} learned from another series; train into another folder")
        try:
            self._take(tensors, header)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"training state {path} is incomplete ({error!r}); train from the start") from None

    def _take(self, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        with torch.no_grad():
            for name, tensor in self.network.tensors().items():
                tensor.copy_(tensors[f"network.{name}"])
        self.best = {name: tensors[f"best.{name}"] for name in self.trained}
        saved = self.optimiser.state_dict()
        for index in range(len(self.trained)):
            prefix = f"adam.{index}."
            found = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            if found:
                saved["state"][index] = found
        self.optimiser.load_state_dict(saved)
        self.generator.set_state(tensors["generator"])
        self.done, self.best_at = int(header["done"]), int(header["best_at"])
        self.history = [(int(n), float(loss), float(r2)) for n, loss, r2 in header["history"]]
        self.losses = [float(loss) for loss in header["losses"]]
        self.lowest = math.inf if header["lowest"] is None else float(header["lowest"])


def wake(layer: Layer, features: Tensor, stride: float) -> None:
    """Lengthen the input weights of neurons that a batch left silent.

    So it fires at the input's peaks, where a larger bias would have it fire all the time. Frozen weights stay.
    """
    if not layer.weights.requires_grad:
        return
    silent = features.amax((0, 1)) < AWAKE
    with torch.no_grad():
        weights = layer.weights[silent]
        layer.weights[silent] = weights + stride * torch.nn.functional.normalize(weights, dim=1)


def clip_by_neuron(layer: Layer, largest: float) -> None:
    """Scale down each neuron's own gradient to a norm; drop one that is not finite.

    Near a threshold the gradient of one neuron can grow beyond all bounds: a common norm would then stop all of them.
    """
    own = [tensor.grad for tensor in layer.neurons.tensors().values() if tensor.grad is not None]
    given = [t.grad for t in (layer.weights, layer.bias, layer.recurrent) if t is not None and t.grad is not None]
    for gradient in (*own, *given):
        gradient.nan_to_num_(math.inf)
    squares = [gradient.square().flatten(0, -2).sum(0) for gradient in own]
    squares += [gradient.square().flatten(1).sum(1) if gradient.ndim > 1 else gradient.square() for gradient in given]
    norm = torch.stack(squares).sum(0).sqrt()
    factor = torch.where(norm.isfinite(), (largest / norm.clamp_min(1e-30)).clamp(max=1.0), 0.0)
    for gradient in own:
        gradient.copy_(torch.where(factor > 0, gradient * factor, 0.0))
    for gradient in given:
        column = factor.reshape(-1, *(1,) * (gradient.ndim - 1))
        gradient.copy_(torch.where(column > 0, gradient * column, 0.0))


def rate(done: int, total: int, o: TrainOptions) -> float:
    """Learning rate after `done` of `total` iterations: a linear warm-up, then a cosine to zero."""
    warm = min(1.0, (done + 1) / max(1, min(o.warm_up, total // 4)))
    return o.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * done / total))


def turn(o: TrainOptions, done: int) -> TrainOptions:
    """The options of an iteration: alternating chips take turns."""
    return o if o.chips != "alternating" else replace(o, chips="per_chip" if done % 2 else "per_sample")


def draw_chips(o: TrainOptions, rows: int, generator: torch.Generator, settled: bool) -> Chips | None:
    """The chips of a batch: none, one for each item, or one for each of its groups."""
    if o.chips == "nominal" or o.spread.none:
        return None
    spread = o.spread.scaled(o.settled) if settled else o.spread
    if spread.none:
        return None
    count = o.groups if o.chips == "per_chip" else rows
    return Chips(spread, count, generator, rows // count)


def descend(
    descent: Descent,
    source: Source,
    began: float,
    shown: bool,
    quantise: Quantise | None,
    save: Path | None,
    forward: Forward | None = None,
) -> None:
    """Train the network's tensors in place, to the end, to a standstill or to Ctrl-C.

    The first Ctrl-C ends it with the iteration that runs, another one at once.
    """
    o, total = descent.options, descent.options.iterations
    mark, state, written = (descent.done, time.monotonic()), descent.state(), time.monotonic()
    with Progress(total, shown) as bar, kernel_threads(), noted_interrupt() as asked:
        try:
            while descent.done < total and not descent.stalled and not asked.is_set():
                found = descent.iterate(source, total, quantise, forward)
                if descent.done % REPORTED == 0 or descent.done >= total:
                    loss = float(found.loss.detach())
                    descent.history.append((descent.done, loss, found.r2))
                    bar.show(descent.done, total, loss, found.r2, 1.0 - found.activity)
                    state = descent.state()
                    if o.seconds is not None:
                        total = _affordable(o, descent.done, mark, began)
                if descent.done % REPORTED == 1 or descent.done == 1:
                    mark = (descent.done, time.monotonic())
                if save is not None and time.monotonic() - written > SAVED:
                    write_state(state, save)
                    written = time.monotonic()
        except KeyboardInterrupt:
            asked.set()
        if asked.is_set():
            descent.interrupted = True
            descent.restore_best()
    for tensor in descent.trained.values():
        tensor.requires_grad_(False)
    if save is not None:
        write_state(state, save)


@contextmanager
def noted_interrupt() -> Iterator[Event]:
    """An event that the first Ctrl-C sets; the next one raises KeyboardInterrupt as ever.

    Raised anywhere, it would be lost in a destructor or a callback, where Python drops exceptions. Other threads, and
    programs that have another handler, keep theirs.
    """
    asked = Event()
    if current_thread() is not main_thread() or getsignal(SIGINT) is not default_int_handler:
        yield asked
        return

    def note(_number: int, _frame: object) -> None:
        asked.set()
        signal(SIGINT, default_int_handler)

    signal(SIGINT, note)
    try:
        yield asked
    finally:
        signal(SIGINT, default_int_handler)


def _affordable(o: TrainOptions, done: int, since: tuple[int, float], began: float) -> int:
    """Iterations that fit into the cap at the pace since a mark, which leaves the first one's compilation out."""
    now = time.monotonic()
    each = (now - since[1]) / max(1, done - since[0])
    left = (o.seconds or 0.0) - (now - began)
    return max(done, min(o.iterations, done + int(left / each)))


def write_state(state: tuple[dict[str, Tensor], dict[str, Any]], path: Path) -> None:
    """One file, replaced at once, so that a kill leaves the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".draft")
    header = json.dumps({"format": FORMAT, "version": VERSION, **state[1]}, allow_nan=False)
    save_file(state[0], draft, metadata={"header": header})
    draft.replace(path)


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A state that `write_state` wrote. Raises DataError for any other file."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            document = json.loads(json.loads(file.read(min(length, 10**8)))["__metadata__"]["header"])
        tensors = load_file(path)
    except FileNotFoundError:
        raise DataError(f"training state {path} does not exist; give one that a training wrote") from None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"training state {path} cannot be read ({error!r}); train from the start") from None
    found = (document.get("format"), document.get("version")) if isinstance(document, dict) else None
    if found != (FORMAT, VERSION):
        raise DataError(f"training state {path} is no {FORMAT} of version {VERSION}; train from the start")
    return tensors, document


def options_of(state: dict[str, Any], path: Path) -> TrainOptions:
    """The options that a state was trained with."""
    if not isinstance(state.get("options"), dict):
        raise DataError(f"training state {path} names no options; train from the start")
    return options_from(state["options"], str(path))
