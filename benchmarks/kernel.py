"""Time of the fused kernel and of the eager reference, in ns per substep, neuron and batch item.

python benchmarks/kernel.py [--threads 1] [--json]
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mtc_hw.model.kernel import integrate
from mtc_hw.model.mtc import Parameters, parameters, simulate
from mtc_hw.spec import Curve, Neurons

SUBSTEPS = 2
REPEATS = 5


def population(count: int, curve: Curve | None) -> Parameters:
    """Bursting neurons with log-uniform time constants, one float32 row."""
    draw = np.random.default_rng(0)
    neurons = Neurons(
        alpha=np.repeat([[2.0], [2.0], [1.5], [1.5]], count, 1),
        delta=np.repeat([[0.0], [0.0], [-1.5], [-1.5]], count, 1),
        tau=np.stack([np.zeros(count), np.geomspace(2, 20, count), draw.uniform(50, 1000, count)]),
        leak_curve=curve,
        filter_curve=curve,
    )
    p = parameters(neurons, torch.float32)
    for tensor in (p.alpha, p.delta, p.tau):
        tensor.requires_grad_()
    return p


def eager(current: Tensor, p: Parameters, step: float, substeps: int) -> Tensor:
    return simulate(current.transpose(0, 1), p, step, substeps).voltage.transpose(0, 1)


def measure(
    run: Callable[[Tensor, Parameters, float, int], Tensor], p: Parameters, current: Tensor
) -> dict[str, float]:
    """Best of some repeats, after one that compiles; the first call's seconds apart."""
    began = time.perf_counter()
    times = []
    first = 0.0
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        voltage = run(current, p, 1.0 / SUBSTEPS, SUBSTEPS)
        middle = time.perf_counter()
        voltage.backward(torch.ones_like(voltage))  # type: ignore[no-untyped-call]
        times.append((middle - start, time.perf_counter() - middle))
        first = first or time.perf_counter() - began
    forward, backward = (1e9 * min(column) / voltage.numel() for column in zip(*times[1:], strict=True))
    return {"forward": forward, "backward": backward, "both": forward + backward, "first_call_s": first}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--neurons", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--samples", type=int, default=650)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = {}
    for law, curve in (("linear", None), ("curved", Curve(0.45, 1.502))):
        p = population(options.neurons, curve)
        for name, run, share in (("kernel", integrate, 1), ("eager", eager, 10)):
            shape = (options.batch, options.samples // share + 1, options.neurons)
            current = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
            results[f"{name} {law}"] = measure(run, p, current)
    if options.json:
        print(json.dumps(results))
        return
    print(f"{'':16}{'forward':>9}{'backward':>10}{'both':>8}   ns; first call, s")
    for name, row in results.items():
        print(f"{name:16}{row['forward']:9.2f}{row['backward']:10.2f}{row['both']:8.2f}{row['first_call_s']:12.1f}")


if __name__ == "__main__":
    main()
