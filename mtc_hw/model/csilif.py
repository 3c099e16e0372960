"""C-SiLIF, a resonate-and-fire neuron parametrised like a complex state space model: Fabre et al., arXiv:2506.06374.

    u <- lambda (u - s/2) + b I,  s = H(2 Re u - 1),  lambda = exp(step e^log_dt (-e^log_rate + i frequency))

u is complex, here two real states. A sample of the task, 1 tau_m, is a step of the paper. The paper draws random
initial states; here all are zero.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mtc_hw.model.algebra import Surrogate, Value, spike
from mtc_hw.model.chips import Chips
from mtc_hw.model.lif import Spiking, stretched, threshold
from mtc_hw.model.program import Coefficients, State

TIME_STEP = (0.01, 0.5)
"""Initial range of e^log_dt: decay times and periods of 4 to 200 steps."""

RATE, FREQUENCY = 0.5, math.pi
"""Initial e^log_rate and frequency."""

INPUT_SCALE, INPUT_BIAS = 3.0, (0.0, 3.0)
"""Standard deviation of the input weights; mean and standard deviation of the input bias.

The best found for 128 untrained neurons: their ridge readout predicts Mackey-Glass with an R2 of 0.91.
"""


@dataclass(frozen=True)
class CSiLif(Spiking):
    """State: real part of u, its imaginary part, spikes s."""

    surrogate: Surrogate = "boxcar"

    def step(self, state: State, current: Value, c: Coefficients) -> State:
        real, imaginary, fired = state
        lowered = real - 0.5 * fired
        real = c["cosine"] * lowered - c["sine"] * imaginary + c["gain"] * current
        imaginary = c["sine"] * lowered + c["cosine"] * imaginary
        return real, imaginary, spike(2.0 * real - c["threshold"], self.surrogate)


@dataclass(frozen=True, eq=False)
class CSiLifNeurons:
    """N neurons, parametrised so that every real number is legal."""

    log_dt: Float[Tensor, "1 N"]
    log_rate: Float[Tensor, "1 N"]
    frequency: Float[Tensor, "1 N"]
    gain: Float[Tensor, "1 N"]  # b
    surrogate: Surrogate = "boxcar"

    @property
    def count(self) -> int:
        return self.gain.shape[-1]

    def tensors(self) -> dict[str, Tensor]:
        names = ("log_dt", "log_rate", "frequency", "gain")
        return {name: getattr(self, name) for name in names}

    def dynamics(self, step: float) -> CSiLif:
        return CSiLif(self.surrogate)

    def coefficients(self, step: float, chips: Chips | None = None) -> dict[str, Value]:
        """Decay time and period err apart from each other."""
        size = (-step / stretched((-self.log_rate - self.log_dt).exp(), chips)).exp()
        angle = step * self.frequency / stretched((-self.log_dt).exp(), chips)
        return {
            "cosine": size * angle.cos(),
            "sine": size * angle.sin(),
            "gain": self.gain,
            "threshold": threshold(self.gain.shape[-1], chips),
        }

    def confine(self, step: float) -> None:
        """Nothing."""


def initial_csilif(neurons: int, generator: torch.Generator) -> CSiLifNeurons:
    """Time steps log-uniform, gains uniform below one, one rate and one frequency for all."""
    place, gain = torch.rand((2, 1, neurons), generator=generator).unbind()
    low, high = map(math.log, TIME_STEP)
    log_rate = torch.full((1, neurons), math.log(RATE))
    return CSiLifNeurons(low + (high - low) * place, log_rate, torch.full((1, neurons), FREQUENCY), gain)
