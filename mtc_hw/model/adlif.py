"""Adaptive leaky integrate-and-fire: Baronig, Ferrand, Sabathiel and Legenstein, Nature Communications 2025.

    r = u + l_u (I - w - u),  z = H(r - 1),  u <- r (1 - z)
    w <- w + l_w (q (A u + B z) - w),  l = 1 - exp(-step / tau)

Symplectic Euler ("se") lets w see u and z of this step, Euler forward ("ef") those of the step before. No gradient
goes through the reset. Ranges and training of the parameters as in arXiv:2408.07517 and its code.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mtc_hw.model.algebra import Surrogate, Value, detach, spike
from mtc_hw.model.chips import Chips
from mtc_hw.model.lif import Spiking, leak, stretched, threshold
from mtc_hw.model.program import Coefficients, State

Form = Literal["se", "ef"]

TAU_U, TAU_W = (5.0, 25.0), (60.0, 300.0)
"""Ends of the time constants' ranges, tau_m."""

A, B = (0.0, 1.0), (0.0, 2.0)
"""Ranges of what a unit potential and what a spike add to the adaptation."""

GAIN = 120.0
"""q: brings A and B near one at these tau_w."""

INPUT_SCALE, INPUT_BIAS = 20.0, (0.0, 1.0)
"""Standard deviation of the input weights; mean and standard deviation of the input bias.

The best found for 128 untrained neurons: their ridge readout predicts Mackey-Glass with an R2 of 0.91.
"""


@dataclass(frozen=True)
class AdLif(Spiking):
    """State: potential u, adaptation w, spikes z."""

    form: Form = "se"
    surrogate: Surrogate = "slayer"

    def step(self, state: State, current: Value, c: Coefficients) -> State:
        potential, adaptation, fired = state
        risen = potential + c["leak_u"] * (current - adaptation - potential)
        fires = spike(risen - c["threshold"], self.surrogate)
        after = risen * (1.0 - detach(fires))
        seen, spikes = (after, fires) if self.form == "se" else (potential, fired)
        target = GAIN * (c["a"] * seen + c["b"] * spikes)
        return after, adaptation + c["leak_w"] * (target - adaptation), fires


@dataclass(frozen=True, eq=False)
class AdLifNeurons:
    """N neurons; a time constant is trained as its place in its range, 0 to 1."""

    place_u: Float[Tensor, "1 N"]
    place_w: Float[Tensor, "1 N"]
    a: Float[Tensor, "1 N"]
    b: Float[Tensor, "1 N"]
    form: Form = "se"
    surrogate: Surrogate = "slayer"

    @property
    def count(self) -> int:
        return self.a.shape[-1]

    def tensors(self) -> dict[str, Tensor]:
        return {"place_u": self.place_u, "place_w": self.place_w, "a": self.a, "b": self.b}

    def dynamics(self, step: float) -> AdLif:
        return AdLif(self.form, self.surrogate)

    def coefficients(self, step: float, chips: Chips | None = None) -> dict[str, Value]:
        tau_u, tau_w = (
            stretched(low + (high - low) * place, chips)
            for (low, high), place in ((TAU_U, self.place_u), (TAU_W, self.place_w))
        )
        return {
            "leak_u": leak(tau_u, step),
            "leak_w": leak(tau_w, step),
            "a": self.a,
            "b": self.b,
            "threshold": threshold(self.a.shape[-1], chips),
        }

    def confine(self, step: float) -> None:
        """Bring the parameters back into their ranges."""
        with torch.no_grad():
            self.place_u.clamp_(0.0, 1.0)
            self.place_w.clamp_(0.0, 1.0)
            self.a.clamp_(*A)
            self.b.clamp_(*B)


def initial_adlif(neurons: int, generator: torch.Generator, form: Form = "se") -> AdLifNeurons:
    """Every parameter uniform in its range."""
    place_u, place_w, a, b = torch.rand((4, 1, neurons), generator=generator).unbind()
    return AdLifNeurons(place_u, place_w, A[1] * a, B[1] * b, form)
