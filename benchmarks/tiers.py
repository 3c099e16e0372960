"""Chips of the tonic and the bursting preset by the cells' curves and by the plain equations, against transistors.

Run: python benchmarks/tiers.py [--chips 100] [--seed 1] [--size 4] [--technology generic] [--trim nominal none]

Every tier gets the same chips. Of each tier: the share of chips in the transistors' class, and over the chips where
both fire Pearson's r of the interval (of a burster that within bursts), of its period and of its spikes a burst.
`cells` and `ode` are integrated accurately, by LSODA; the compiled integrators take a fraction of its seconds.
"""

import argparse
import csv
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtc_hw.analysis.spikes import burst_statistics, interval_statistics
from mtc_hw.hardware.design import MappedDesign, as_spec
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import load_technology
from mtc_hw.hardware.unit import SQUARE, UnitSize, parse_size
from mtc_hw.netlist.render import own_deck
from mtc_hw.neuron_file import NeuronFile, load_neuron
from mtc_hw.neuron_run import NeuronOptions, Trim, neuron_design, observe
from mtc_hw.simulate.ode import integrate
from mtc_hw.simulate.pool import Runner, Workers, open_workers
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import ModelSpec, Trace

DURATION = {"tonic": 2000.0, "bursting": 8000.0}  # tau_m: 35 spikes, four bursts
SETTLED = {"tonic": 0.0, "bursting": 1500.0}  # tau_m: the first burst, which the start decides, is left out
MODELS: dict[str, Callable[[MappedDesign], ModelSpec]] = {"cells": as_cells, "ode": as_spec}
FIGURES = ("interval", "period", "spikes_per_burst")


@dataclass(frozen=True)
class Seen:
    """What one tier sees of one chip. Times in tau_m; None where a figure does not apply, or its run failed."""

    neuron: str
    tier: str
    sample: int
    regime: str | None
    interval: float | None  # mean; of the burster within its bursts
    period: float | None
    spikes_per_burst: float | None
    seconds: float


def run_chips(
    design: MappedDesign, neuron: NeuronFile, duration: float, chips: list[int], seed: int, run: Runner
) -> list[Seen]:
    """Every chip by every tier."""
    drawn = [perturb(design, seed, k) for k in chips]
    rows = []
    for sample, chip in zip(chips, drawn, strict=True):
        outcome = run([own_deck(chip, neuron, "transistor", duration)])[0]
        trace = None if outcome.waveforms is None else to_trace(outcome.waveforms, chip, 0)
        rows.append(_seen(neuron, "transistor", sample, trace, duration, outcome.seconds))
        for tier, model in MODELS.items():
            start = time.perf_counter()
            spec = model(chip)
            stimulus = neuron.stimulus.shifted(float(spec.bias[0]))
            trace = integrate(spec.neurons, stimulus, duration, neuron.initial, rtol=1e-8)
            rows.append(_seen(neuron, tier, sample, trace, duration, time.perf_counter() - start))
    return rows


def _seen(neuron: NeuronFile, tier: str, sample: int, trace: Trace | None, duration: float, seconds: float) -> Seen:
    if trace is None:
        return Seen(neuron.name, tier, sample, None, None, None, None, seconds)
    spikes, regime = observe(trace, neuron, duration)
    first = min(SETTLED[neuron.name], 0.5 * duration)
    spikes = spikes[spikes >= first] - first
    bursts = burst_statistics(spikes, duration - first)
    interval = bursts.intra_interval if neuron.name == "bursting" else interval_statistics(spikes).mean
    return Seen(neuron.name, tier, sample, regime, interval, bursts.period, bursts.spikes_per_burst, seconds)


def lines(rows: list[Seen]) -> Iterator[str]:
    """The table's line of each tier, rows being those of one neuron."""
    truth = [each for each in rows if each.tier == "transistor"]
    for tier in MODELS:
        found = [each for each in rows if each.tier == tier]
        same = np.mean([one.regime == other.regime for one, other in zip(found, truth, strict=True)])
        figures = [_correlation(found, truth, name) for name in FIGURES]
        seconds = [float(np.mean([each.seconds for each in some])) for some in (found, truth)]
        cells = [f"{same:.0%}", *figures, *(f"{each:.3g}" for each in seconds), f"{seconds[1] / seconds[0]:.3g}"]
        yield f"| {truth[0].neuron} | {tier} | {len(truth)} | " + " | ".join(cells) + " |"


def _correlation(found: list[Seen], truth: list[Seen], name: str) -> str:
    """Pearson's r, and the standard deviation of the ratio."""
    pairs = ((getattr(one, name), getattr(other, name)) for one, other in zip(found, truth, strict=True))
    both = np.array([pair for pair in pairs if None not in pair], dtype=np.float64)
    if len(both) < 3 or not both.std(axis=0).all():
        return "-"
    ratio = both[:, 0] / both[:, 1]
    return f"{np.corrcoef(both.T)[0, 1]:.4f}, {ratio.mean() - 1.0:+.2%} +- {ratio.std():.2%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", nargs="+", choices=list(DURATION), default=list(DURATION))
    parser.add_argument("--chips", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=parse_size, default=SQUARE)
    parser.add_argument("--technology", default="generic")
    parser.add_argument("--trim", nargs="+", choices=["nominal", "none"], default=["nominal"])
    parser.add_argument("--out", type=Path, help="folder for a table with a row a chip and tier")
    parser.add_argument("--quick", action="store_true", help="three chips, a quarter of the time")
    given = parser.parse_args()
    chips, share = (3, 0.25) if given.quick else (given.chips, 1.0)
    with open_workers(Workers(jobs=1)) as run:
        for trim in given.trim:
            print(f"{given.technology}, {given.size} um, trim {trim}, seed {given.seed}\n\n{HEAD}", flush=True)
            rows = []
            for name in given.neurons:
                neuron = load_neuron(name)
                design = _design(neuron, given.technology, given.size, trim, run)
                found = run_chips(design, neuron, share * DURATION[name], list(range(chips)), given.seed, run)
                print("\n".join(lines(found)), flush=True)
                rows += found
            if given.out is not None:
                size = str(given.size).replace("/", "x")
                write(rows, given.out / f"tiers-{given.technology}-{size}-{trim}.csv")


HEAD = """\
| neuron | tier | chips | same class | interval: r, ratio - 1 | period | spikes a burst | s | transistor s | ratio |
|---|---|---|---|---|---|---|---|---|---|"""


def _design(neuron: NeuronFile, technology: str, size: UnitSize, trim: Trim, run: Runner) -> MappedDesign:
    options = NeuronOptions("transistor", width=size.width, length=size.length, trim=trim)
    return neuron_design(neuron, load_technology(technology), options, run)


def write(rows: list[Seen], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [each.name for each in dataclasses.fields(Seen)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)


if __name__ == "__main__":
    main()
