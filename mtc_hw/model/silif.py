"""SiLIF, adaptive integrate-and-fire parametrised like a state space model: Fabre et al., arXiv:2506.06374.

    w <- beta w + A u + B s,  u <- alpha (u - s) + (1 - alpha)(I - w),  s = H(u - 1)
    alpha = exp(-step e^(log_alpha + log_dt)),  beta = exp(-step e^(log_beta + log_dt))

w sees u and s of the step before. A sample of the task, 1 tau_m, is a step of the paper. The paper draws random
initial states; here all are zero. The coefficients leak_u and leak_w are 1 - alpha and 1 - beta.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mtc_hw.model.algebra import Surrogate, Value, spike
from mtc_hw.model.chips import Chips
from mtc_hw.model.lif import Spiking, leak, stretched, threshold
from mtc_hw.model.program import Coefficients, State

A, B = (0.0, 1.0), (0.0, 2.0)
"""Ranges of what a unit potential and what a spike add to the adaptation in a step."""

FINE = 0.004
"""Initial e^log_dt."""

ALPHA, BETA = (10.0, 250.0), (2.5, 10.0)
"""Initial ranges of e^log_alpha and e^log_beta: with FINE, time constants of 1 to 25 and of 25 to 100 steps."""

INPUT_SCALE, INPUT_BIAS = 6.0, (0.5, 0.5)
"""Standard deviation of the input weights; mean and standard deviation of the input bias.

The best found for 128 untrained neurons: their ridge readout predicts Mackey-Glass with an R2 of 0.88.
"""


@dataclass(frozen=True)
class SiLif(Spiking):
    """State: potential u, adaptation w, spikes s."""

    surrogate: Surrogate = "boxcar"

    def step(self, state: State, current: Value, c: Coefficients) -> State:
        potential, adaptation, fired = state
        adaptation = adaptation - c["leak_w"] * adaptation + c["a"] * potential + c["b"] * fired
        lowered = potential - fired
        potential = lowered + c["leak_u"] * (current - adaptation - lowered)
        return potential, adaptation, spike(potential - c["threshold"], self.surrogate)


@dataclass(frozen=True, eq=False)
class SiLifNeurons:
    """N neurons; the logarithms are free, `a` and `b` have a range."""

    log_dt: Float[Tensor, "1 N"]
    log_alpha: Float[Tensor, "1 N"]
    log_beta: Float[Tensor, "1 N"]
    a: Float[Tensor, "1 N"]
    b: Float[Tensor, "1 N"]
    surrogate: Surrogate = "boxcar"

    @property
    def count(self) -> int:
        return self.a.shape[-1]

    def tensors(self) -> dict[str, Tensor]:
        names = ("log_dt", "log_alpha", "log_beta", "a", "b")
        return {name: getattr(self, name) for name in names}

    def dynamics(self, step: float) -> SiLif:
        return SiLif(self.surrogate)

    def coefficients(self, step: float, chips: Chips | None = None) -> dict[str, Value]:
        leak_u, leak_w = (
            leak(stretched((-rate - self.log_dt).exp(), chips), step) for rate in (self.log_alpha, self.log_beta)
        )
        return {
            "leak_u": leak_u,
            "leak_w": leak_w,
            "a": self.a,
            "b": self.b,
            "threshold": threshold(self.a.shape[-1], chips),
        }

    def confine(self, step: float) -> None:
        """Bring `a` and `b` back into their ranges."""
        with torch.no_grad():
            self.a.clamp_(*A)
            self.b.clamp_(*B)


def initial_silif(neurons: int, generator: torch.Generator) -> SiLifNeurons:
    """Rates log-uniform, `a` and `b` uniform in their ranges, one time step for all."""
    alpha, beta, a, b = torch.rand((4, 1, neurons), generator=generator).unbind()
    log_alpha, log_beta = (
        math.log(low) + math.log(high / low) * place for (low, high), place in ((ALPHA, alpha), (BETA, beta))
    )
    log_dt = torch.full((1, neurons), math.log(FINE))
    return SiLifNeurons(log_dt, log_alpha, log_beta, A[1] * a, B[1] * b)
