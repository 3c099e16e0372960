"""Leaky integrate-and-fire neurons with an arctangent surrogate: the first baseline, refused for mapping."""

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from mtc_hw.model.network import Timing
from mtc_hw.spec import Synapse

SHARPNESS = 2.0


class _Spike(torch.autograd.Function):
    """Heaviside step forward; backward (a/2) / (1 + (pi a x / 2)^2), snnTorch's arctangent surrogate, a = 2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:
        x: Tensor = ctx.saved_tensors[0]
        return outer[0] * (SHARPNESS / 2) / (1 + (math.pi * SHARPNESS * x / 2) ** 2)


def spike(x: Tensor) -> Tensor:
    """1 where x >= 0, differentiable through the surrogate."""
    return cast(Tensor, _Spike.apply(x))  # type: ignore[no-untyped-call]


@dataclass(frozen=True, eq=False)
class LifNetwork:
    """One hidden layer: tau dV/dt = I - V, exact over a step, a spike at V >= 1 that takes 1 off V."""

    log_tau: Tensor  # (N,), tau_m
    weights: Tensor  # (N, 1)
    bias: Tensor  # (N,)
    timing: Timing

    @property
    def synapse(self) -> Synapse:
        """Leaves spikes of 0 and 1 as they are."""
        return Synapse()

    def trainable(self) -> list[Tensor]:
        return [self.log_tau, self.weights, self.bias]

    def confine(self) -> None:
        """Nothing: a LIF layer has no circuit."""

    def voltage(self, inputs: Tensor, noise: float, generator: torch.Generator) -> Tensor:
        """Spikes (B, samples, N), one step a sample, for inputs (B, samples); `noise` as relative error of tau."""
        error = noise * torch.randn((len(inputs), len(self.bias)), generator=generator)
        decay = (-self.timing.sample / (self.log_tau + error).exp()).exp()
        current = inputs.unsqueeze(-1) * self.weights[:, 0] + self.bias
        membrane = torch.zeros_like(current[:, 0])
        fired = torch.zeros_like(membrane)
        spikes = []
        for drive in current.unbind(1):
            # Detached: gradients through the reset only add noise.
            membrane = decay * (membrane - fired.detach()) + (1 - decay) * drive
            fired = spike(membrane - 1)
            spikes.append(fired)
        return torch.stack(spikes, 1)


def initial_lif(hidden: int, timing: Timing, generator: torch.Generator) -> LifNetwork:
    """Log-uniform time constants of 2 to 100 tau_m, inputs that make about half of the neurons fire."""
    weights, bias = torch.randn((2, hidden), generator=generator)
    low, high = math.log(2.0), math.log(100.0)
    log_tau = low + (high - low) * torch.rand(hidden, generator=generator)
    return LifNetwork(log_tau, 1.5 * weights.unsqueeze(-1), 1.0 + 0.5 * bias, timing)
