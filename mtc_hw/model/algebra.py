"""The arithmetic that a neuron's equations are written in: on tensors it computes, on `Node` it records a formula.

One step function thus serves as float64 reference, as autograd fallback and, recorded, as source of the fused kernel.
"""

import math
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor

from mtc_hw.formula import node as formula
from mtc_hw.formula.node import Node, node

Value: TypeAlias = Any
"""A Tensor, a Node, or a float that both take as constant."""

Surrogate = Literal["arctangent", "slayer", "boxcar"]

SHARPNESS = 2.0  # of the arctangent, snnTorch's default
STEEPNESS, HEIGHT = 5.0, 0.4  # of SLAYER's exponential, as in Baronig et al. 2025


def tanh(x: Value) -> Value:
    return formula.tanh(x) if isinstance(x, Node) else torch.tanh(x)


def exp(x: Value) -> Value:
    return formula.exp(x) if isinstance(x, Node) else torch.exp(x)


def where(above: Value, level: float, this: Value, other: Value) -> Value:
    """`this` where above >= level, `other` elsewhere."""
    if isinstance(above, Node):
        return formula.where(above, level, this, other)
    return torch.where(above >= level, this, other)


def clamp(x: Value, low: float, high: float = math.inf) -> Value:
    """x within the bounds; the gradient passes only where x is inside."""
    return formula.clamp(x, low, high) if isinstance(x, Node) else torch.clamp(x, low, high)


def rise(z: Value, distance: Value) -> Value:
    """distance * phi1(z), phi1(z) = (e^z - 1) / z: how far an exponential step of slope z goes."""
    if isinstance(z, Node):
        return Node("rise", (z, distance))
    small = z.abs() < 1e-3
    safe = torch.where(small, torch.ones_like(z), z)
    return torch.where(small, 1 + z / 2 * (1 + z / 3 * (1 + z / 4)), torch.expm1(safe) / safe) * distance


def detach(x: Value) -> Value:
    """x, which no gradient passes."""
    return Node("detach", (x,)) if isinstance(x, Node) else x.detach()


def kept(x: Value) -> Value:
    """x, of which a recording keeps the value for the backward pass instead of computing it again."""
    return Node("kept", (x,)) if isinstance(x, Node) else x


def spike(x: Value, surrogate: Surrogate) -> Value:
    """1 where x >= 0, else 0; its gradient is the surrogate's."""
    if isinstance(x, Node):
        return Node("spike", (x,), surrogate)
    return cast(Tensor, _Spike.apply(x, surrogate))  # type: ignore[no-untyped-call]


def surrogate_slope(x: Value, surrogate: Surrogate) -> Value:
    """What stands in for the derivative of a step at x.

    arctangent (a/2) / (1 + (pi a x / 2)^2), snnTorch; slayer c a e^{-a |x|} / 2, Shrestha and Orchard, NeurIPS 2018;
    boxcar 1 for |x| <= 1/2.
    """
    if surrogate == "arctangent":
        scaled = (math.pi * SHARPNESS / 2) * x
        return (SHARPNESS / 2) / (1.0 + scaled * scaled)
    if surrogate == "slayer":
        return (HEIGHT * STEEPNESS / 2) * exp(-STEEPNESS * where(x, 0.0, x, -x))
    one, zero = (node(1.0), node(0.0)) if isinstance(x, Node) else (torch.ones_like(x), torch.zeros_like(x))
    return where(x, -0.5, where(-x, -0.5, one, zero), zero)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        return outer[0] * surrogate_slope(ctx.saved_tensors[0], ctx.surrogate), None
