"""Time of the fused kernel beside other ways to run the same layer, in ns per substep, neuron and item of the batch.

python benchmarks/kernel.py [--threads 1] [--quick] [--json]

A call is what a training iteration sees: coefficients from their parameters, every step's voltage as output with the
penalties' sums, and by torch's autograd the gradients of alpha, delta, tau, weight and bias; buffers are used again
as the kernel uses them, and only making the outputs' loss gradient is left out. Everyone runs in every round, the
least time counts. Eager and compiled torch, JAX, snnTorch and norse run shorter series; the last two have one state
and one step a sample. The limit is the arithmetic of a step alone, forward, in the first-level cache, and twice that
for both directions, because a backward pass has the same exponentials and divisions to make.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, replace
from typing import Any

import comparators
import torch
from contest import Contestant, contest, seconds
from limit import limits
from problem import CURVE, Problem, Size, contractive, problem
from scan import jax_scan

SPIKING, CONTRACTIVE = Size(16, 2, 24), Size(16, 2, 650)
"""Where gradients are compared: longer spiking runs amplify rounding, in any precision."""

GROWTH = {"samples": (250, 500, 1000, 2000), "neurons": (32, 64, 128, 256), "batch": (8, 16, 32, 64)}

COMPARATORS = ("eager", "compile", "jax", "snntorch", "norse")


def contestants(size: Size, threads: int, quick: bool) -> dict[str, Contestant]:
    """Whoever is installed; compiling takes torch a minute."""
    whole, curved = problem(size), problem(size, curve=CURVE)
    short = whole.shortened(max(comparators.CHUNK, size.samples // 20))
    slow = {
        "eager": comparators.eager(short),
        "compile": None if quick else comparators.compiled(short),
        "jax": jax_scan(whole.shortened(max(10, size.samples // 5)), threads),
        "snntorch": comparators.snntorch(short),
        "norse": comparators.norse(short),
    }
    found = {name: each for name, each in slow.items() if each is not None}
    return {"ours": comparators.fused(whole), "curved": comparators.fused(curved)} | found | limits(whole)


def gradient_error(whole: Problem) -> float:
    """Largest norm of a leaf's error relative to its gradient, against float64 autograd."""
    exact = whole.cast(torch.float64)
    pairs = zip(whole.gradients(whole.fused()), exact.gradients(exact.unrolled()), strict=True)
    return max(float((own - true).norm() / true.norm()) for own, true in pairs)


def kept_bytes(whole: Problem) -> float:
    """Memory between the passes for a sample of a neuron, the outputs apart."""
    graph: Any = whole.fused().outputs.grad_fn
    kernel, size = graph.plan.kernel, whole.size
    records = size.samples * size.substeps // kernel.steps + 1
    return float(4 * kernel.slots * records / size.samples * graph.plan.lanes / size.neurons)


def first_use(size: Size) -> float:
    """Seconds that the first call takes longer than the next one, in a fresh process."""
    run = subprocess.run(
        [sys.executable, __file__, "--first-use", *_flags(size)], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def _flags(size: Size) -> list[str]:
    return [word for name, value in asdict(size).items() for word in (f"--{name}", str(value))]


def growth(size: Size, rounds: int, quick: bool) -> list[dict[str, float]]:
    """Milliseconds and megabytes at other sizes and with two threads."""
    sizes = [size if quick else replace(size, **{name: value}) for name, values in GROWTH.items() for value in values]
    before = torch.get_num_threads()
    rows = []
    for each in dict.fromkeys(sizes):
        whole = problem(each)
        row: dict[str, float] = asdict(each)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            row[f"ms_{threads}"] = contest({"": comparators.fused(whole)}, rounds)[""].both * each.work * 1e-6
        tape = kept_bytes(whole) * each.batch * each.samples * each.neurons
        rows.append(row | {"tape_mb": tape / 2**20, "outputs_mb": 4 * each.work / 2**20})
    torch.set_num_threads(before)
    return rows


def threads_ratio(size: Size, rounds: int) -> float:
    """Time on one thread over time on two, in turns."""
    whole, before, times = comparators.fused(problem(size)), torch.get_num_threads(), {1: [0.0], 2: [0.0]}
    for _ in range(rounds + 1):
        for threads, found in times.items():
            torch.set_num_threads(threads)
            found.append(seconds(whole.both))
    torch.set_num_threads(before)
    return min(times[1][2:]) / min(times[2][2:])


def measure(size: Size, threads: int, quick: bool) -> dict[str, Any]:
    """Everything, as one JSON object."""
    rounds = 1 if quick else 8
    results = contest(contestants(size, threads, quick), rounds)
    best = min((results.pop(f"limit {each}") for each in (1, 2)), key=lambda each: each.forward)
    results["limit"] = best
    names = ("ours", "curved", *COMPARATORS, "limit")
    both = {f"{name}_ns": results[name].both if name in results else None for name in names}
    return both | {
        "forward_ns": {name: each.forward for name, each in results.items()},
        "ratio_to_ours": {name: each.both / results["ours"].both for name, each in results.items()},
        "threads": threads,
        "two_threads_speedup": threads_ratio(size, rounds),
        "first_use_s": first_use(size),
        "bytes_per_sample": kept_bytes(problem(size)),
        "gradient_error_spiking": gradient_error(problem(SPIKING)),
        "gradient_error_contractive": gradient_error(contractive(problem(CONTRACTIVE))),
        "size": asdict(size),
        "growth": growth(size, 1 if quick else 3, quick),
    }


def show(found: dict[str, Any]) -> None:
    print(f"{'':10}{'forward':>9}{'both':>9}   ns; both over ours")
    for name, forward in found["forward_ns"].items():
        print(f"{name:10}{forward:9.2f}{found[f'{name}_ns']:9.2f}{found['ratio_to_ours'][name]:9.2f}")
    for name in ("two_threads_speedup", "first_use_s", "bytes_per_sample"):
        print(f"{name} {found[name]:.2f}")
    for name in ("gradient_error_spiking", "gradient_error_contractive"):
        print(f"{name} {found[name]:.1e}")
    print("\nneurons batch samples substeps | ms on 1 and 2 threads | tape, outputs, MB")
    for row in found["growth"]:
        numbers = "{neurons:7} {batch:5} {samples:7} {substeps:8} | {ms_1:7.2f} {ms_2:7.2f}"
        print((numbers + "       | {tape_mb:7.1f} {outputs_mb:7.1f}").format(**row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    for name, value in asdict(Size()).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--quick", action="store_true", help="one round, no torch.compile, one size")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--first-use", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    size = Size(options.neurons, options.batch, options.samples, options.substeps)
    if options.first_use:
        both = comparators.fused(problem(size)).both
        print(seconds(both) - seconds(both))
        return
    found = measure(size, options.threads, options.quick)
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()
