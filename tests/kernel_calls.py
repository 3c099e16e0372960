"""Calls of the kernel beside the float64 reference, for the tests of the kernel and of what runs in it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from mtc_hw.model.algebra import Value
from mtc_hw.model.kernel import fused
from mtc_hw.model.mtc import Integrator
from mtc_hw.model.program import Output, Program, Unrolled, unrolled
from mtc_hw.spec import AnySynapse, Curve, Synapse

RELU = Synapse(0.1, 1.3)
BATCH = 3


@dataclass(frozen=True)
class Case:
    """What a kernel is compiled for, and the shape of a call."""

    integrator: Integrator = "split"
    substeps: int = 2
    curve: Curve | None = None
    fast: float = 0.0  # tau of the fast filter
    matched: bool = False  # unit leaks, no rests, no offsets: numbers instead of arrays
    dense: bool = True
    output: Output = "features"
    synapse: AnySynapse | None = RELU
    sparse: bool = False  # only every other sample's output is kept
    neurons: int = 5
    rows: int = 1  # of coefficients, out of BATCH
    samples: int = 7

    def __str__(self) -> str:
        own = {
            each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != each.default
        }
        return " ".join(f"{name}={value}" for name, value in own.items())


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Problem:
    """A program and the leaves that collect its gradients."""

    program: Program
    drive: Tensor  # (B, samples, N) or (B, samples)
    c: dict[str, Value]
    kept: Sequence[int] | None

    @property
    def leaves(self) -> dict[str, Tensor]:
        return {"drive": self.drive} | {name: value for name, value in self.c.items() if isinstance(value, Tensor)}

    def cast(self, dtype: torch.dtype) -> "Problem":
        """A copy whose leaves collect gradients in a precision."""
        cast = {name: each.detach().to(dtype).clone().requires_grad_() for name, each in self.leaves.items()}
        if self.drive.ndim == 2:
            cast["drive"].requires_grad_(False)
        return replace(self, drive=cast.pop("drive"), c=self.c | cast)

    def fused(self) -> Unrolled:
        return fused(self.program, self.drive, self.c, self.kept)

    def reference(self) -> Unrolled:
        own = dict(self.c)
        current = self.drive
        if current.ndim == 2:
            current = current.unsqueeze(-1) * own.pop("weight").unsqueeze(1) + own.pop("bias").unsqueeze(1)
        outputs, sums = unrolled(self.program, current, own)
        return Unrolled(outputs if self.kept is None else outputs[:, [step - 1 for step in self.kept]], sums)


def gradients(problem: Problem, run: Unrolled, seed: int = 7) -> dict[str, Tensor]:
    """Of a weighted sum of outputs and penalties for every leaf."""
    weights, share = normal(seed, *run.outputs.shape), normal(seed + 1, *run.sums.shape)
    loss = (run.outputs * weights.to(run.outputs.dtype)).sum() + (share.to(run.sums.dtype) * run.sums).sum()
    leaves = {name: each for name, each in problem.leaves.items() if each.requires_grad}
    found = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def far(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    assert one.shape == other.shape
    difference, largest = (one.detach().double() - other.detach()).abs().max(), other.detach().abs().max()
    return float(difference / largest.clamp(min=1e-6))


def assert_equal_to_reference(exact: Problem) -> None:
    exact, single = exact.cast(torch.float64), exact.cast(torch.float32)
    expected, found = exact.reference(), single.fused()
    assert far(found.outputs, expected.outputs) < 5e-5
    assert far(found.sums, expected.sums) < 5e-5
    truth = gradients(exact, expected)
    for name, gradient in gradients(single, found).items():
        assert far(gradient, truth[name]) < 1e-4, name
