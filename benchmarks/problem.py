"""What the kernel benchmarks integrate: MTC neurons that spike and burst, under a random input."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from mtc_hw.model.algebra import Value
from mtc_hw.model.kernel import fused
from mtc_hw.model.mtc import Parameters, Split, coefficients
from mtc_hw.model.mtc_neurons import initial_mtc
from mtc_hw.model.program import Output, Program, Unrolled, shares, unrolled
from mtc_hw.spec import Curve, Synapse

SEEDS = (0.01, 0.3)
"""Loss gradients of the activity and of the excess voltage."""

CURVE = Curve(0.45, 1.502)

READOUT = 3.0  # tau_m


@dataclass(frozen=True)
class Size:
    """How much is integrated."""

    neurons: int = 128
    batch: int = 32
    samples: int = 1000
    substeps: int = 2

    @property
    def work(self) -> int:
        """Steps of single neurons."""
        return self.neurons * self.batch * self.samples * self.substeps


@dataclass(frozen=True, eq=False)
class Problem:
    """A layer's program and all that it is given; its leaves want gradients."""

    program: Program
    law: Split
    inputs: Tensor  # (B, T + 1)
    leaves: dict[str, Tensor]  # alpha and delta (4, 1, N), tau (2, 1, N), weight and bias (1, N)

    @property
    def size(self) -> Size:
        batch, samples = self.inputs.shape
        return Size(self.leaves["bias"].shape[-1], batch, samples - 1, self.program.substeps)

    def coefficients(self) -> dict[str, Value]:
        alpha, delta, tau, weight, bias = self.leaves.values()
        filters = torch.cat([torch.zeros_like(tau[:1]), tau])
        ones = torch.ones_like(bias.detach())
        nothing = torch.zeros_like(filters.detach())
        curves = self.law.leak_curve, self.law.filter_curve
        p = Parameters(alpha, delta, filters, ones, 0 * ones, nothing, *curves)
        return coefficients(p, self.law) | {"weight": weight, "bias": bias}

    def fused(self) -> Unrolled:
        return fused(self.program, self.inputs, self.coefficients())

    def unrolled(self) -> Unrolled:
        c = self.coefficients()
        return unrolled(self.program, self.inputs.unsqueeze(-1) * c["weight"] + c["bias"], c)

    def shortened(self, samples: int) -> "Problem":
        return replace(self, inputs=self.inputs[:, : samples + 1].contiguous())

    def cast(self, dtype: torch.dtype) -> "Problem":
        """The same with leaves of its own."""
        leaves = {name: leaf.detach().to(dtype).requires_grad_() for name, leaf in self.leaves.items()}
        return replace(self, inputs=self.inputs.to(dtype), leaves=leaves)

    def gradients(self, run: Unrolled) -> tuple[Tensor, ...]:
        """Of the leaves, when every output has a loss gradient of one."""
        seeds = torch.tensor(SEEDS, dtype=run.sums.dtype).reshape(-1, *(1,) * (run.sums.ndim - 1))
        outer = [ones(run.outputs.shape, run.outputs.dtype), seeds.expand_as(run.sums)]
        return torch.autograd.grad([run.outputs, run.sums], list(self.leaves.values()), outer)


def driven(problem: Problem) -> Tensor:
    """The input in the middle of every step, (steps, B, 1)."""
    way = torch.tensor(shares(problem.size.substeps))
    middle = torch.lerp(problem.inputs[:, :-1, None], problem.inputs[:, 1:, None], way)
    return middle.flatten(1).T.unsqueeze(-1).contiguous()


@lru_cache(maxsize=2)
def ones(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Made once, because filling them is no contestant's work."""
    return torch.ones(shape, dtype=dtype)


def problem(size: Size, output: Output = "state", curve: Curve | None = None) -> Problem:
    """Half of the neurons spike, half burst; a slow random input of unit size, sampled once a tau_m."""
    generator = torch.Generator().manual_seed(0)
    neurons = initial_mtc(size.neurons, generator, curve=curve)
    law = Split(1.0 / size.substeps, curve, curve)
    draws = torch.randn((2, 1, size.neurons), generator=generator)
    leaves = {
        "alpha": neurons.log_alpha.exp() * neurons.present,
        "delta": neurons.delta,
        "tau": neurons.log_tau.exp(),
        "weight": 0.7 * draws[0],
        "bias": 0.4 * draws[1] - 1.0,
    }
    noise = torch.randn((size.batch, size.samples + 1), generator=generator)
    program = Program(law, size.substeps, Synapse(), output, math.exp(-law.step_size / READOUT))
    return Problem(program, law, noise.cumsum(1).sin(), leaves).cast(torch.float32)


def contractive(whole: Problem) -> Problem:
    """The same neurons, too weak to spike: rounding errors of a long run fade."""
    return replace(whole, leaves=whole.leaves | {"alpha": whole.leaves["alpha"].detach() * 0.2}).cast(torch.float32)
