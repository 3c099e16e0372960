"""All neurons on the Mackey-Glass benchmark: equal size, equal search, equal time, one thread each.

python benchmarks/table.py --out table.jsonl [--seconds 60] [--seeds 5] [--configurations 12] [--jobs 2] [--quick]

Every neuron gets the same number of configurations: its own defaults, then random ones, of learning rate, weight of
the activity, scale of the input weights and, where there is one, surrogate. They are trained on one series, and the
one with the highest R2 on that series' test part is trained again, from several seeds, on another series, whose test
part gives the table; likewise the best of those that reach the paper's sparsity. A training is a line of the output
file as soon as it is done; the same command goes on where an interrupted one stopped.
"""

import argparse
import json
import math
import os
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, get_args

import torch

from mtc_hw.errors import MtcError
from mtc_hw.model.algebra import Surrogate
from mtc_hw.model.build import initial_network
from mtc_hw.model.options import Kind, TrainOptions
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.model.train import train

VALIDATION, TEST = 1, 0
"""Seeds of the two series."""

SPARSE = 0.92
"""The paper's S_comp."""

PAPER = {"lif": (0.66, 0.76), "adlif": (0.982, 0.73), "mtc": (0.988, 0.92)}
"""R2 and S_comp of arXiv:2605.11835, 128 neurons."""

NEURONS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Rules:
    """What holds for every training: lines made under other rules do not count."""

    hidden: int
    seconds: float
    train: int = 12000
    test: int = 5000


QUICK = Rules(hidden=16, seconds=1.0, train=1500, test=400)


@dataclass(frozen=True)
class Job:
    """One training."""

    neuron: Kind
    configuration: int
    series: int
    seed: int


def configured(job: Job, rules: Rules) -> TrainOptions:
    """The options of a job; the number of its configuration alone draws it, so that a longer search begins alike."""
    o = TrainOptions(
        neuron=job.neuron,
        hidden=rules.hidden,
        seed=job.seed,
        iterations=1_000_000,
        seconds=rules.seconds,
        curves="linear",
        chips="nominal",
    )
    if job.configuration == 0:
        return o
    draw = random.Random(job.configuration)
    rate = math.exp(draw.uniform(math.log(2e-3), math.log(5e-2)))
    activity = math.exp(draw.uniform(math.log(3e-3), math.log(3.0)))
    factor = draw.choice((0.5, 1.0, 2.0))
    surrogate = draw.choice(get_args(Surrogate))
    own = initial_network(o, 1.0, 1, torch.Generator().manual_seed(0)).layers[0].weights.std()
    changed = replace(o, learning_rate=rate, activity=activity, input_scale=factor * float(own))
    return changed if job.neuron == "mtc" else replace(changed, surrogate=surrogate)


def trained(job: Job, rules: Rules) -> dict[str, Any]:
    """A line of the output file."""
    torch.set_num_threads(1)
    line: dict[str, Any] = {"job": asdict(job), "rules": asdict(rules)}
    o = configured(job, rules)
    try:
        report = train(mackey_glass_split(rules.train, rules.test, seed=job.series), o, progress=False).report
    except (MtcError, ArithmeticError, RuntimeError) as error:
        return line | {"failed": repr(error)}
    measured = {"r2": report.r2, "s_comp": report.s_comp, "silent": report.silent, "seconds": report.seconds}
    searched = {name: getattr(o, name) for name in ("learning_rate", "activity", "input_scale", "surrogate")}
    return line | measured | {"iterations": report.iterations, "interrupted": report.interrupted, "options": searched}


def read(path: Path, rules: Rules) -> dict[Job, dict[str, Any]]:
    """The finished trainings of a file; one that a kill cut short is none."""
    found = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if line["rules"] == asdict(rules) and "r2" in line:
            found[Job(**line["job"])] = line
    return found


def run(jobs: Iterable[Job], rules: Rules, path: Path, processes: int) -> dict[Job, dict[str, Any]]:
    """Every job's line, those of the file first; those that fail are missing."""
    jobs, found = list(jobs), read(path, rules)
    missing = [job for job in jobs if job not in found]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool, path.open("a", encoding="utf-8") as file:
        waiting = {pool.submit(trained, job, rules): job for job in missing}
        try:
            for done in as_completed(waiting):
                line = done.result()
                if line.get("interrupted"):
                    raise KeyboardInterrupt
                # A line's end comes first, because a kill may have left half a line.
                file.write("\n" + json.dumps(line))
                file.flush()
                if "r2" in line:
                    found[waiting[done]] = line
        except KeyboardInterrupt:
            pool.shutdown(wait=True, cancel_futures=True)
            raise SystemExit(f"interrupted; the same command goes on from {path}") from None
    return {job: found[job] for job in jobs if job in found}


def best(lines: dict[Job, dict[str, Any]], neuron: Kind, sparse: bool) -> int | None:
    """The configuration with the highest R2 on the validation series, of all or of those that are sparse enough."""
    scores = {
        job.configuration: line["r2"]
        for job, line in lines.items()
        if job.neuron == neuron and math.isfinite(line["r2"]) and (not sparse or line["s_comp"] >= SPARSE)
    }
    return max(scores, key=scores.__getitem__, default=None)


def cell(lines: Sequence[dict[str, Any]]) -> str:
    if not lines:
        return "- | - | -"
    scores = [line["r2"] for line in lines]
    r2 = f"{median(scores):.3f} ({min(scores):.3f}-{max(scores):.3f})"
    return f"{r2} | {median(line['s_comp'] for line in lines):.2f} | {median(line['silent'] for line in lines):.0f}"


def table(neurons: Sequence[Kind], rules: Rules, configurations: int, seeds: int, path: Path, processes: int) -> str:
    """Search, train, and the table as markdown."""
    search = [Job(neuron, index, VALIDATION, 0) for index in range(configurations) for neuron in neurons]
    searched = run(search, rules, path, processes)
    chosen = {(neuron, sparse): best(searched, neuron, sparse) for neuron in neurons for sparse in (False, True)}
    pairs = dict.fromkeys((neuron, index) for (neuron, _), index in chosen.items() if index is not None)
    final = [Job(neuron, index, TEST, seed) for seed in range(seeds) for neuron, index in pairs]
    lines = run(final, rules, path, processes)
    rows = [
        "| neuron | R2 (range) | S_comp | silent | R2, sparse (range) | S_comp | silent | paper: R2 | S_comp |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for neuron in neurons:
        cells = [cell(of(lines, neuron, chosen[neuron, sparse])) for sparse in (False, True)]
        paper = PAPER.get(neuron)
        rows.append(f"| {neuron} | {' | '.join(cells)} | {f'{paper[0]} | {paper[1]}' if paper else '- | -'} |")
    return "\n".join(rows)


def of(lines: dict[Job, dict[str, Any]], neuron: Kind, configuration: int | None) -> list[dict[str, Any]]:
    return [line for job, line in lines.items() if (job.neuron, job.configuration) == (neuron, configuration)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--configurations", type=int, default=12)
    parser.add_argument("--neurons", nargs="+", choices=NEURONS, default=list(NEURONS))
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--out", type=Path, default=Path("table.jsonl"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="small networks and series, 2 configurations, 1 seed")
    o = parser.parse_args()
    rules = QUICK if o.quick else Rules(o.hidden, o.seconds)
    count, seeds = (2, 1) if o.quick else (o.configurations, o.seeds)
    print(table(o.neurons, rules, count, seeds, o.out, o.jobs))


if __name__ == "__main__":
    main()
