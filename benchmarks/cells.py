"""What the circuit's effects cost: the fused kernel with a technology's measured cells, beside ideal ones.

python benchmarks/cells.py [--threads 1] [--quick] [--json]

As in benchmarks/kernel.py: ns per substep, neuron and item of the batch, the least of some rounds taken in turns. The
effects are those of a training, the same for all neurons, and those of a design, which differ between neurons.
"""

import argparse
import json
from dataclasses import dataclass, replace

import comparators
import torch
from contest import contest
from problem import CURVE, Problem, Size, problem
from torch import Tensor

from mtc_hw.model.algebra import Value
from mtc_hw.model.circuit import effect_tensors
from mtc_hw.model.mtc import Parameters, coefficients, dynamics
from mtc_hw.training import typical


@dataclass(frozen=True, eq=False)
class CircuitProblem(Problem):
    """A problem of neurons with effects."""

    effects: dict[str, Tensor]

    def coefficients(self) -> dict[str, Value]:
        alpha, delta, tau, weight, bias = self.leaves.values()
        filters = torch.cat([torch.zeros_like(tau[:1]), tau])
        ones, nothing = torch.ones_like(bias.detach()), torch.zeros_like(filters.detach())
        p = Parameters(alpha, delta, filters, ones, 0 * ones, nothing, cells=self.effects)
        return coefficients(p, dynamics(p, "split", self.law.step_size)) | {"weight": weight, "bias": bias}


def with_effects(whole: Problem, unlike: float) -> CircuitProblem:
    """The problem with typical effects, by `unlike` different between neurons, relative."""
    own = effect_tensors(typical(whole.size.neurons), torch.float32)
    draws = torch.Generator().manual_seed(1)
    own = {name: each * (1.0 + unlike * torch.randn(each.shape, generator=draws)) for name, each in own.items()}
    alpha, delta, tau, _, bias = (each.detach() for each in whole.leaves.values())
    filters = torch.cat([torch.zeros_like(tau[:1]), tau])
    p = Parameters(alpha, delta, filters, torch.ones_like(bias), 0 * bias, torch.zeros_like(filters), cells=own)
    program = replace(whole.program, dynamics=dynamics(p, "split", whole.law.step_size))
    return CircuitProblem(program, whole.law, whole.inputs, whole.leaves, own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one round of a short series")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    size = Size(samples=100) if options.quick else Size()
    whole, curved = problem(size), problem(size, curve=CURVE)
    named = {
        "ideal": whole,
        "curved": curved,
        "typical": with_effects(whole, 0.0),
        "design": with_effects(whole, 0.01),
    }
    found = contest({name: comparators.fused(each) for name, each in named.items()}, 1 if options.quick else 6)
    values = {
        name: {"forward_ns": each.forward, "both_ns": each.both, "ratio_to_curved": each.both / found["curved"].both}
        for name, each in found.items()
    }
    if options.json:
        print(json.dumps(values))
        return
    print(f"{'':10}{'forward':>9}{'both':>9}{'ratio':>9}   ns; both over that of the wide OTA's curve alone")
    for name, row in values.items():
        print(f"{name:10}{row['forward_ns']:9.2f}{row['both_ns']:9.2f}{row['ratio_to_curved']:9.2f}")


if __name__ == "__main__":
    main()
