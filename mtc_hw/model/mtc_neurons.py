"""A population of MTC neurons as trainable tensors, parametrised so that every real number is legal."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtc_hw.model.algebra import Value
from mtc_hw.model.chips import Chips
from mtc_hw.model.circuit import effect_tensors
from mtc_hw.model.mtc import Integrator, Law, Parameters, coefficients, dynamics
from mtc_hw.spec import CellEffects, Curve, Neurons

TYPICAL_ALPHA = (2.0, 2.0, 1.5, 1.5)
TYPICAL_DELTA = (0.0, 0.0, -1.5, -1.5)
"""Ribar's wide burster; a spiking neuron has its first two elements."""

INPUT_SCALE = 0.7
INPUT_BIAS = (-1.0, 0.4)  # mean and standard deviation; bursting neurons lie 0.3 lower

ALPHA_REACH = (0.1, 3.5)
DELTA_REACH = (-3.5, 3.5)
SLOW_REACH = (1.0, 200.0)
ULTRASLOW_REACH = (10.0, 1500.0)
"""What training may ask for: inside the default converters' full scale, with room for a chip's trims."""


@dataclass(frozen=True, eq=False)
class MtcNeurons:
    """Heterogeneous neurons: logarithms of alpha and of the filters' time constants, plain delta."""

    log_alpha: Tensor  # (4, 1, N)
    delta: Tensor  # (4, 1, N)
    log_tau: Tensor  # (2, 1, N), slow and ultraslow
    present: Tensor  # (4, 1, N), 1 or 0: absent elements have no conductance
    integrator: Integrator = "split"
    leak_curve: Curve | None = None
    filter_curve: Curve | None = None
    cells: CellEffects | None = None  # of the circuit that it is trained for; they stay as they are
    codes: Neurons | None = None  # what converters make of the values; gradients pass straight through

    @property
    def count(self) -> int:
        return self.delta.shape[-1]

    def tensors(self) -> dict[str, Tensor]:
        return {"log_alpha": self.log_alpha, "delta": self.delta, "log_tau": self.log_tau}

    def confine(self, step: float) -> None:
        """Bring the trained parameters back into what a circuit reaches, and filters above the step."""
        with torch.no_grad():
            if self.log_alpha.requires_grad:
                self.log_alpha.clamp_(*map(math.log, ALPHA_REACH))
            if self.delta.requires_grad:
                self.delta.clamp_(*DELTA_REACH)
            if self.log_tau.requires_grad:
                for row, (low, high) in enumerate((SLOW_REACH, ULTRASLOW_REACH)):
                    self.log_tau[row].clamp_(math.log(max(low, step)), math.log(high))

    def parameters(self) -> Parameters:
        """The values that a step sees, (…, 1, N)."""
        alpha = self.log_alpha.exp() * self.present
        tau = torch.cat([torch.zeros_like(self.log_tau[:1]), self.log_tau.exp()])
        ones = torch.ones_like(alpha[0])
        curves = self.leak_curve, self.filter_curve
        cells = None if self.cells is None else effect_tensors(self.cells, alpha.dtype)
        p = Parameters(alpha, self.delta, tau, ones, 0 * ones, torch.zeros_like(tau), *curves, cells)
        return p if self.codes is None else _snapped(p, self.codes)

    def dynamics(self, step: float) -> Law:
        return dynamics(self.parameters(), self.integrator, step)

    def coefficients(self, step: float, chips: Chips | None = None) -> dict[str, Value]:
        p = self.parameters()
        law = dynamics(p, self.integrator, step)
        return coefficients(p if chips is None else perturbed(p, chips), law)


def _snapped(p: Parameters, codes: Neurons) -> Parameters:
    """Parameters with the codes' values and the parameters' gradients."""
    return replace(
        p,
        alpha=_through(p.alpha, codes.alpha),
        delta=_through(p.delta, codes.delta),
        tau=_through(p.tau, codes.tau),
        leak=_through(p.leak, codes.leak),
        rest=_through(p.rest, codes.rest),
    )


def _through(own: Tensor, value: NDArray[np.float64]) -> Tensor:
    """The value, with the gradient of the tensor that stands for it."""
    return own + (torch.tensor(value, dtype=own.dtype).reshape(own.shape) - own).detach()


def perturbed(p: Parameters, chips: Chips) -> Parameters:
    """A row of parameters for each chip."""
    s, lanes = chips.spread, p.alpha.shape[-1]
    return replace(
        p,
        alpha=p.alpha * chips.factor(s.alpha, 4, lanes),
        delta=p.delta + chips.error(s.delta, 4, lanes),
        tau=p.tau * chips.factor(s.tau, 3, lanes),
        leak=p.leak * chips.factor(s.leak, lanes),
        rest=p.rest + chips.error(s.rest, lanes),
        offset=p.offset + chips.error(s.offset, 3, lanes),
    )


def initial_mtc(
    neurons: int, generator: torch.Generator, integrator: Integrator = "split", curve: Curve | None = None
) -> MtcNeurons:
    """The first half spikes, the second bursts: typical conductances 10 % apart, log-uniform time constants."""
    bursting = torch.arange(neurons) >= neurons // 2
    present = torch.ones(4, 1, neurons)
    present[2:, :, ~bursting] = 0.0
    centre = torch.tensor([TYPICAL_ALPHA, TYPICAL_DELTA]).reshape(2, 4, 1, 1)
    spread = 0.1 * torch.randn((2, 4, 1, neurons), generator=generator)
    tau = torch.rand((2, 1, neurons), generator=generator)
    low, high = torch.tensor([[2.0, 50.0], [20.0, 1000.0]]).log().reshape(2, 2, 1, 1)
    log_alpha = (centre[0] * (1 + spread[0]).clamp(0.1)).log()
    return MtcNeurons(log_alpha, centre[1] + spread[1], low + (high - low) * tau, present, integrator, curve, curve)
