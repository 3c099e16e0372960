"""The multi-timescale conductance neuron in torch: the reference that every faster form is tested against.

Equations as in `mtc_hw.spec.Neurons` (arXiv:2605.11835; conductances after Ribar and Sepulchre, IEEE TCAS-I
66(8), 2019). Pure functions of tensors of any float dtype. No surrogate gradient: the dynamics are differentiable.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mtc_hw.errors import SpecError
from mtc_hw.spec import INITIAL_VOLTAGE, Curve, Neurons

Integrator = Literal["euler", "split"]

TENSORS = ("alpha", "delta", "tau", "leak", "rest", "offset")
"""Fields of `Parameters` that are tensors."""


@dataclass(frozen=True, eq=False)
class Parameters:
    """Parameters of N neurons, or of B rows of N: a row for each batch item makes each one a virtual chip."""

    alpha: Float[Tensor, "4 rows N"]
    delta: Float[Tensor, "4 rows N"]
    tau: Float[Tensor, "3 rows N"]  # tau_m; first row 0: the fast element sees the membrane itself
    leak: Float[Tensor, "rows N"]
    rest: Float[Tensor, "rows N"]
    offset: Float[Tensor, "3 rows N"]
    leak_curve: Curve | None = None
    filter_curve: Curve | None = None


class State(NamedTuple):
    """Voltages of the membrane and of the three filters, each (B, N)."""

    voltage: Tensor
    fast: Tensor
    slow: Tensor
    ultraslow: Tensor


def parameters(neurons: Neurons, dtype: torch.dtype = torch.float64) -> Parameters:
    """The neurons' values as tensors with one row."""
    tensors = {name: torch.tensor(getattr(neurons, name), dtype=dtype).unsqueeze(-2) for name in TENSORS}
    return Parameters(**tensors, leak_curve=neurons.leak_curve, filter_curve=neurons.filter_curve)


def rest_state(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> State:
    """Membrane and filters all at the voltage from which every run starts."""
    start = torch.full(shape, INITIAL_VOLTAGE, dtype=dtype)
    return State(start, start, start, start)


def curve_value(curve: Curve | None, x: Tensor) -> Tensor:
    """G(x); the identity for None."""
    if curve is None:
        return x
    k, d = curve.slope, curve.shift
    return curve.amplitude * (torch.tanh(k * (x - d)) + torch.tanh(k * (x + d)))


def curve_slope(curve: Curve | None, x: Tensor) -> Tensor:
    """G'(x); ones for None."""
    if curve is None:
        return torch.ones_like(x)
    k, d = curve.slope, curve.shift
    left, right = torch.tanh(k * (x - d)), torch.tanh(k * (x + d))
    return curve.amplitude * k * (2 - left * left - right * right)


def phi1(z: Tensor) -> Tensor:
    """(e^z - 1) / z, and its Taylor series where that quotient loses digits."""
    small = z.abs() < 1e-3
    safe = torch.where(small, torch.ones_like(z), z)
    return torch.where(small, 1 + z / 2 * (1 + z / 3 * (1 + z / 4)), torch.expm1(safe) / safe)


def _slow_current(p: Parameters, slow: Tensor, ultraslow: Tensor) -> Tensor:
    """Current of the three elements that sit on a filter of their own."""
    return (
        -p.alpha[1] * torch.tanh(slow - p.delta[1])
        + p.alpha[2] * torch.tanh(slow - p.delta[2])
        - p.alpha[3] * torch.tanh(ultraslow - p.delta[3])
    )


def _follow(p: Parameters, y: int, voltage: Tensor, filtered: Tensor, step: Tensor | float) -> Tensor:
    """F(V - U_y + o_y) step / tau_y: an explicit increment of filter y; zero where tau_y = 0."""
    tau = p.tau[y]
    rate = torch.where(tau > 0, step / torch.where(tau > 0, tau, torch.ones_like(tau)), torch.zeros_like(tau))
    return rate * curve_value(p.filter_curve, voltage - filtered + p.offset[y])


def euler_step(state: State, current: Tensor, p: Parameters, step: float) -> State:
    """One explicit Euler step of `step` tau_m, the discretisation of the paper."""
    voltage, fast, slow, ultraslow = state
    seen = torch.where(p.tau[0] > 0, fast, voltage)
    inward = p.alpha[0] * torch.tanh(seen - p.delta[0]) + _slow_current(p, slow, ultraslow)
    after = voltage + step * (current - p.leak * curve_value(p.leak_curve, voltage - p.rest) + inward)
    return State(
        after,
        torch.where(p.tau[0] > 0, fast + _follow(p, 0, voltage, fast, step), after),
        slow + _follow(p, 1, voltage, slow, step),
        ultraslow + _follow(p, 2, voltage, ultraslow, step),
    )


def _advance(p: Parameters, y: int, mean: Tensor, before: Tensor, middle: Tensor, step: float) -> Tensor:
    """Filter y after a step in which the membrane's mean is `mean`.

    Exact for a linear filter under a constant membrane; a curved one takes the explicit midpoint. Both second order.
    """
    if p.filter_curve is not None:
        return before + _follow(p, y, mean, middle, step)
    share = -torch.expm1(-step / torch.where(p.tau[y] > 0, p.tau[y], torch.full_like(p.tau[y], math.inf)))
    return before + share * (mean - before + p.offset[y])


def split_step(state: State, current: Tensor, p: Parameters, step: float) -> State:
    """One second-order step: filters by their midpoint, the membrane by exponential Rosenbrock-Euler.

    Linearised about V at the frozen midpoint of the filters, V' = V + h phi1(z) f with z = h df/dV (Hochbruck and
    Ostermann, Acta Numerica 19, 2010, section 2.4, applied to the membrane alone).
    """
    voltage, fast, slow, ultraslow = state
    slow_mid = slow + _follow(p, 1, voltage, slow, step / 2)
    ultraslow_mid = ultraslow + _follow(p, 2, voltage, ultraslow, step / 2)
    fast_mid = fast + _follow(p, 0, voltage, fast, step / 2)
    instantaneous = p.tau[0] == 0
    gate = torch.tanh(torch.where(instantaneous, voltage, fast_mid) - p.delta[0])
    across = voltage - p.rest
    flow = current - p.leak * curve_value(p.leak_curve, across) + p.alpha[0] * gate
    flow = flow + _slow_current(p, slow_mid, ultraslow_mid)
    slope = torch.where(instantaneous, p.alpha[0] * (1 - gate * gate), 0.0) - p.leak * curve_slope(
        p.leak_curve, across
    )
    after = voltage + step * phi1(step * slope) * flow
    mean = (voltage + after) / 2
    return State(
        after,
        torch.where(instantaneous, after, _advance(p, 0, mean, fast, fast_mid, step)),
        _advance(p, 1, mean, slow, slow_mid, step),
        _advance(p, 2, mean, ultraslow, ultraslow_mid, step),
    )


STEPS: dict[Integrator, Callable[[State, Tensor, Parameters, float], State]] = {
    "euler": euler_step,
    "split": split_step,
}


def substep_currents(current: Float[Tensor, "samples B N"], substeps: int) -> Float[Tensor, "steps B N"]:
    """Current at the middle of each of `substeps` equal parts of every interval, linear between the samples."""
    middle = (torch.arange(substeps, dtype=current.dtype) + 0.5) / substeps
    inside = torch.lerp(current[:-1].unsqueeze(1), current[1:].unsqueeze(1), middle.view(1, -1, 1, 1))
    return inside.flatten(0, 1)


def simulate(
    current: Float[Tensor, "samples B N"],
    p: Parameters,
    step: float,
    substeps: int,
    integrator: Integrator = "split",
    start: State | None = None,
) -> State:
    """Every state after every substep, (1 + (samples - 1) substeps, B, N) each, the initial one first.

    `current` is sampled every `substeps` steps and linear in between; each step sees it at its own middle.
    Raises SpecError when a curved filter is stepped beyond its stability, `step` < tau.
    """
    positive = p.tau[p.tau > 0]
    if bool((positive < step).any()):
        raise SpecError(
            f"integration step {step:g} tau_m exceeds the shortest filter time constant, {float(positive.min()):g} "
            f"tau_m; choose a step below it"
        )
    advance = STEPS[integrator]
    state = rest_state(tuple(current.shape[1:]), current.dtype) if start is None else start
    states = [state]
    # unbind, because indexing row by row makes the backward quadratic in time
    for drive in substep_currents(current, substeps).unbind(0):
        state = advance(state, drive, p, step)
        states.append(state)
    return State(*(torch.stack(parts) for parts in zip(*states, strict=True)))
