"""Leaky integrate-and-fire neurons: the first baseline, refused for mapping.

tau dV/dt = I - V, exact over a step under a constant current; S = H(V - theta); one step later a spike takes theta
off V, as in snnTorch's `Leaky` (Eshraghian et al., Proceedings of the IEEE 111(9), 2023):
V <- V + l (I - V) - theta S, l = 1 - exp(-step / tau), theta = 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mtc_hw.model.algebra import Surrogate, Value, detach, spike
from mtc_hw.model.chips import Chips
from mtc_hw.model.program import Coefficients, State

INPUT_SCALE, INPUT_BIAS = 12.0, (1.0, 0.5)
"""Standard deviation of the input weights; mean and standard deviation of the input bias.

The best found for 128 untrained neurons: their ridge readout predicts Mackey-Glass with an R2 of 0.89.
"""


class Spiking:
    """What dynamics share whose last state is their spikes, 0 or 1; all states start at zero."""

    states = 3

    @property
    def initial(self) -> tuple[float, ...]:
        return (0.0,) * self.states

    @property
    def bounds(self) -> Mapping[str, float]:
        return {}

    def visible(self, state: State) -> Value:
        return state[-1]


@dataclass(frozen=True)
class Lif(Spiking):
    """State: voltage, spikes."""

    surrogate: Surrogate = "arctangent"
    detached: bool = True  # no gradient through the reset, where it would only add noise

    states = 2

    def step(self, state: State, current: Value, c: Coefficients) -> State:
        voltage, fired = state
        reset = detach(fired) if self.detached else fired
        voltage = voltage + c["leak"] * (current - voltage) - c["threshold"] * reset
        return voltage, spike(voltage - c["threshold"], self.surrogate)


@dataclass(frozen=True, eq=False)
class LifNeurons:
    """N neurons, parametrised so that every real number is legal."""

    log_tau: Float[Tensor, "1 N"]  # of the membrane, tau_m
    surrogate: Surrogate = "arctangent"
    detached: bool = True

    @property
    def count(self) -> int:
        return self.log_tau.shape[-1]

    def tensors(self) -> dict[str, Tensor]:
        return {"log_tau": self.log_tau}

    def dynamics(self, step: float) -> Lif:
        return Lif(self.surrogate, self.detached)

    def coefficients(self, step: float, chips: Chips | None = None) -> dict[str, Value]:
        return {
            "leak": leak(stretched(self.log_tau.exp(), chips), step),
            "threshold": threshold(self.log_tau.shape[-1], chips),
        }

    def confine(self, step: float) -> None:
        """Nothing."""


def stretched(tau: Tensor, chips: Chips | None) -> Tensor:
    """Time constants (1, N) as they come out on every chip, (rows, N)."""
    return tau if chips is None else tau * chips.factor(chips.spread.tau, tau.shape[-1])


def leak(tau: Tensor, step: float) -> Tensor:
    """What a step takes of a state's distance to its drive; one minus the decay would lose digits for long tau."""
    return -torch.expm1(-step / tau)


def threshold(neurons: int, chips: Chips | None) -> Value:
    """One, or on chips whose comparators err (rows, N)."""
    return 1.0 if chips is None or chips.spread.delta == 0 else 1.0 + chips.error(chips.spread.delta, neurons)


def initial_lif(
    neurons: int, generator: torch.Generator, shortest: float = 2.0, longest: float = 100.0
) -> LifNeurons:
    """Time constants log-uniform between two, tau_m."""
    low, high = math.log(shortest), math.log(longest)
    return LifNeurons(low + (high - low) * torch.rand((1, neurons), generator=generator))
