"""Time of a training iteration, what it is spent on, how it grows, and the memory it takes.

python benchmarks/training.py [--quick] [--json]

The setting: 128 MTC neurons of 4 elements, 32 windows of 650 samples, the loss on every 4th sample from the 250th on,
2 steps a sample, linear curves, nominal chips; the other rows change one thing. Pieces are timed on their own: the
network's run and its backward pass with the coefficients that they begin and end with, the readout's fit with the
gradient of the features, Adam's step; the rest is clipping, confinement and bookkeeping. The least of some rounds.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from contest import seconds

from mtc_hw.model.build import initial_network
from mtc_hw.model.descent import Descent, draw_chips
from mtc_hw.model.loss import Batch, fit
from mtc_hw.model.network import Observation
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.model.train import Series

SETTING = TrainOptions(
    hidden=128, batch=32, window=650, burn_in=250, every=4, substeps=2, curves="linear", chips="nominal"
)

TOTAL = 10_000
"""Iterations that the learning rate is told of."""

VARIANTS: dict[str, dict[str, Any]] = {
    "mtc": {},
    "curved": {"curves": "circuit"},
    "per_sample": {"chips": "per_sample"},
    "two layers": {"layers": 2},
    "lif": {"neuron": "lif"},
    "adlif": {"neuron": "adlif"},
    "silif": {"neuron": "silif"},
    "c-silif": {"neuron": "c-silif"},
}

GROWTH = {"window": (350, 650, 1250, 2450), "hidden": (32, 64, 128, 256), "batch": (8, 16, 32, 64)}


def series(samples: int) -> Series:
    """A series that is long enough for windows of so many samples."""
    return Series(mackey_glass_split(train=samples + 1000, test=100))


def begun(o: TrainOptions, source: Series) -> Descent:
    generator = torch.Generator().manual_seed(o.seed)
    return Descent(initial_network(o, source.sample, source.inputs, generator), o, generator)


class Iteration:
    """One iteration in pieces, each of which can be repeated; a backward pass needs a run before it."""

    def __init__(self, o: TrainOptions, source: Series) -> None:
        self.o, self.source, self.descent = o, source, begun(o, source)
        self.batch: Batch = source.batch(o, self.descent.generator)
        self.whole()
        self.run()
        self.readout()

    def whole(self) -> None:
        self.descent.iterate(self.source, TOTAL, None)

    def draw(self) -> None:
        self.source.batch(self.o, self.descent.generator)

    def run(self) -> None:
        chips = draw_chips(self.o, self.o.batch, self.descent.generator, False)
        self.seen = self.descent.network.observe(self.batch.inputs, self.batch.kept, chips)

    def readout(self) -> None:
        leaves = [part.detach().requires_grad_() for part in self.seen]
        loss = fit(Observation(*leaves), self.batch.targets, self.o).loss
        self.outer = torch.autograd.grad(loss, leaves)

    def pull_back(self) -> None:
        leaves = list(self.descent.trained.values())
        torch.autograd.grad(list(self.seen), leaves, self.outer, allow_unused=True)

    def step(self) -> None:
        self.descent.optimiser.step()


def milliseconds(o: TrainOptions, rounds: int) -> float:
    """Of a whole iteration."""
    source = series(o.window)
    descent = begun(o, source)
    return 1e3 * min(seconds(lambda: descent.iterate(source, TOTAL, None)) for _ in range(rounds + 1))


def pieces(o: TrainOptions, rounds: int) -> dict[str, float]:
    """Milliseconds of each part of an iteration."""
    each = Iteration(o, series(o.window))
    calls: dict[str, Callable[[], None]] = {
        "whole": each.whole,
        "batch": each.draw,
        "forward": each.run,
        "fit": each.readout,
        "backward": each.pull_back,
        "adam": each.step,
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            times[name].append(1e3 * seconds(call))
    best = {name: min(found) for name, found in times.items()}
    return best | {"rest": 2 * best["whole"] - sum(best.values())}


def peak(options: dict[str, Any] | None) -> float:
    """Largest resident memory of this process, MB, after some iterations or, for None, after its imports."""
    if options is not None:
        milliseconds(replace(SETTING, **options), 3)
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def memory(options: dict[str, Any] | None) -> float:
    """The peak of a fresh process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(peak, options).result()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many for torch, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


def grown(o: TrainOptions, changed: dict[str, Any], rounds: int) -> dict[str, Any]:
    """A row of the table: what changed, milliseconds on one and two threads, memory."""
    row = dict(changed)
    for count in (1, 2):
        with threads(count):
            row[f"ms_{count}"] = milliseconds(replace(o, **changed), rounds)
    return row | {"peak_mb": memory(changed)}


def measure(o: TrainOptions, quick: bool) -> dict[str, Any]:
    """Everything, as one JSON object."""
    rounds = 1 if quick else 10
    found: dict[str, Any] = {"pieces_ms": {}, "variants_ms": {}, "growth": []}
    for count in (1,) if quick else (1, 2):
        with threads(count):
            found["pieces_ms"][str(count)] = pieces(o, rounds)
    with threads(1):
        for name, changed in list(VARIANTS.items())[: 1 if quick else None]:
            found["variants_ms"][name] = milliseconds(replace(o, **changed), rounds)
    if not quick:
        found["growth"] = [grown(o, {name: value}, 4) for name, values in GROWTH.items() for value in values]
    own = {name: value for name, value in vars(o).items() if value != getattr(SETTING, name)}
    return found | {"imports_mb": memory(None), "peak_mb": memory(own)}


def show(found: dict[str, Any]) -> None:
    for count, parts in found["pieces_ms"].items():
        print(f"{count} thread(s), ms: " + ", ".join(f"{name} {value:.2f}" for name, value in parts.items()))
    for name, value in found["variants_ms"].items():
        print(f"{name:12}{value:8.2f} ms")
    print(f"peak memory {found['peak_mb']:.0f} MB, of which imports {found['imports_mb']:.0f} MB")
    for row in found["growth"]:
        name, value = next(iter(row.items()))
        print(f"{name:7}{value:6}{row['ms_1']:9.2f}{row['ms_2']:9.2f} ms on 1 and 2 threads{row['peak_mb']:7.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small setting, once")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    small = replace(SETTING, hidden=32, batch=4, window=100, burn_in=40)
    found = measure(small if options.quick else SETTING, options.quick)
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()
