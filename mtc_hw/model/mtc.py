"""The multi-timescale conductance neuron: its equations over one step, written once for reference and kernel.

Equations as in `mtc_hw.spec.Neurons` (arXiv:2605.11835; conductances after Ribar and Sepulchre, IEEE TCAS-I
66(8), 2019). No surrogate gradient: the dynamics are differentiable.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mtc_hw.errors import SpecError
from mtc_hw.model.algebra import Value, rise, tanh
from mtc_hw.model.circuit import (
    FILTER_ROWS,
    LARGEST_OFFSET,
    LARGEST_SLOPE,
    CircuitEuler,
    CircuitSplit,
    Effects,
    Ideal,
    circuit_coefficients,
    effect_tensors,
)
from mtc_hw.model.program import Coefficients, State, shares
from mtc_hw.spec import ELEMENTS, INITIAL_VOLTAGE, Curve, Neurons

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
    cells: Effects | None = None  # of a circuit's transconductors; with them the curves do not count


def parameters(neurons: Neurons, dtype: torch.dtype = torch.float64) -> Parameters:
    """The neurons' values as tensors with one row."""
    tensors = {name: torch.tensor(getattr(neurons, name), dtype=dtype).unsqueeze(-2) for name in TENSORS}
    cells = None if neurons.cells is None else effect_tensors(neurons.cells, dtype)
    return Parameters(**tensors, leak_curve=neurons.leak_curve, filter_curve=neurons.filter_curve, cells=cells)


def _curve(curve: Curve | None, x: Value) -> tuple[Value, Value]:
    """G(x) and G'(x); x and one for None."""
    if curve is None:
        return x, 1.0
    k, shift = curve.slope, curve.slope * curve.shift
    left, right = tanh(k * x - shift), tanh(k * x + shift)
    return curve.amplitude * (left + right), curve.amplitude * k * (2.0 - left * left - right * right)


@dataclass(frozen=True)
class _Mtc:
    """What both integrators share. State: membrane, slow, ultraslow and, where some tau_fast > 0, fast filter."""

    step_size: float  # tau_m
    leak_curve: Curve | None = None
    filter_curve: Curve | None = None
    fast_filter: bool = False

    @property
    def initial(self) -> tuple[float, ...]:
        return (INITIAL_VOLTAGE,) * (3 + self.fast_filter)

    @property
    def bounds(self) -> Mapping[str, float]:
        # A slope of 3 is as far as the kernel's phi1 goes; an offset leaves room for the exponentials.
        slopes = dict.fromkeys(("alpha_fast_negative", "leak"), LARGEST_SLOPE / self.step_size)
        return slopes | dict.fromkeys((f"delta_{element}" for element in ELEMENTS), LARGEST_OFFSET)

    def visible(self, state: State) -> Value:
        return state[0]

    def _seen(self, voltage: Value, fast: State, c: Coefficients) -> Value:
        """Voltage that the fast element sees; `fast` is empty without any fast filter."""
        return voltage + c["filtered"] * (fast[0] - voltage) if fast else voltage

    def _slow_current(self, slow: Value, ultraslow: Value, c: Coefficients) -> Value:
        """Current of the three elements that sit on a filter of their own."""
        return (
            c["alpha_slow_negative"] * tanh(slow - c["delta_slow_negative"])
            - c["alpha_slow_positive"] * tanh(slow - c["delta_slow_positive"])
            - c["alpha_ultraslow_positive"] * tanh(ultraslow - c["delta_ultraslow_positive"])
        )

    def _drive(self, name: str, voltage: Value, filtered: Value, c: Coefficients) -> Value:
        """F(V - U_y + o_y)."""
        return _curve(self.filter_curve, voltage - filtered + c[f"offset_{name}"])[0]


@dataclass(frozen=True)
class Euler(_Mtc):
    """Explicit Euler, the discretisation of the paper."""

    def step(self, state: State, current: Value, c: Coefficients) -> State:
        voltage, slow, ultraslow, *fast = state
        gate = tanh(self._seen(voltage, tuple(fast), c) - c["delta_fast_negative"])
        loss = c["leak"] * _curve(self.leak_curve, voltage - c["rest"])[0]
        flow = current - loss + c["alpha_fast_negative"] * gate + self._slow_current(slow, ultraslow, c)
        filters = zip(("slow", "ultraslow", "fast"), (slow, ultraslow, *fast), strict=False)
        moved = [
            filtered + c[f"whole_{name}"] * self._drive(name, voltage, filtered, c) for name, filtered in filters
        ]
        return voltage + self.step_size * flow, *moved


@dataclass(frozen=True)
class Split(_Mtc):
    """Second order: filters by their midpoint, the membrane by exponential Rosenbrock-Euler.

    Linearised about V at the frozen midpoint of the filters, V' = V + h phi1(z) f with z = h df/dV (Hochbruck and
    Ostermann, Acta Numerica 19, 2010, section 2.4, applied to the membrane alone). A linear filter is exact under the
    membrane's mean, a curved one takes the explicit midpoint.
    """

    def step(self, state: State, current: Value, c: Coefficients) -> State:
        voltage, _, _, *fast = state
        names = ("slow", "ultraslow", "fast")[: len(state) - 1]
        middle = [
            filtered + c[f"half_{name}"] * self._drive(name, voltage, filtered, c)
            for name, filtered in zip(names, state[1:], strict=True)
        ]
        gate = tanh(self._seen(voltage, tuple(middle[2:]), c) - c["delta_fast_negative"])
        value, slope = _curve(self.leak_curve, voltage - c["rest"])
        flow = (
            current
            - c["leak"] * value
            + c["alpha_fast_negative"] * gate
            + self._slow_current(middle[0], middle[1], c)
        )
        steepness = c["alpha_fast_negative"] * (1.0 - gate * gate)
        if fast:
            steepness = steepness - c["filtered"] * steepness
        after = voltage + rise(self.step_size * (steepness - c["leak"] * slope), self.step_size * flow)
        mean = 0.5 * (voltage + after)
        moved = []
        for name, filtered, half in zip(names, state[1:], middle, strict=True):
            seen = filtered if self.filter_curve is None else half
            moved.append(filtered + c[f"whole_{name}"] * self._drive(name, mean, seen, c))
        return after, *moved


Law = Euler | Split | CircuitEuler | CircuitSplit
DYNAMICS: dict[Integrator, type[Euler] | type[Split]] = {"euler": Euler, "split": Split}
CIRCUITS: dict[Integrator, type[CircuitEuler] | type[CircuitSplit]] = {"euler": CircuitEuler, "split": CircuitSplit}


def dynamics(p: Parameters, integrator: Integrator, step: float) -> Law:
    """The step function of these neurons. Raises SpecError for a step beyond a filter's stability, `step` < tau."""
    positive = p.tau.detach()[p.tau > 0]
    if bool((positive < step).any()):
        raise SpecError(
            f"integration step {step:g} tau_m exceeds the shortest filter time constant, {float(positive.min()):g} "
            f"tau_m; choose a step below it"
        )
    fast = bool((p.tau[0] > 0).any())
    if p.cells is None:
        return DYNAMICS[integrator](step, p.leak_curve, p.filter_curve, fast)
    lag = p.cells["lag"]
    rows = {name: row for name, row in FILTER_ROWS.items() if name != "fast" or fast}
    return CIRCUITS[integrator](step, fast, tuple(name for name, row in rows.items() if bool((lag[row] > 0).any())))


def coefficients(p: Parameters, law: Law) -> dict[str, Value]:
    """What the step sees, by name: (rows, N) each, or a number where all neurons share a trivial one."""
    if isinstance(law, CircuitEuler | CircuitSplit):
        assert p.cells is not None
        return circuit_coefficients(Ideal(*(getattr(p, name) for name in TENSORS)), p.cells, law)
    c: dict[str, Value] = {"leak": _plain(p.leak, 1.0), "rest": _plain(p.rest, 0.0)}
    for row, element in enumerate(ELEMENTS):
        c[f"alpha_{element}"], c[f"delta_{element}"] = p.alpha[row], p.delta[row]
    for name, row in FILTER_ROWS.items():
        if name == "fast" and not law.fast_filter:
            continue
        # An absent fast filter follows at any speed; nothing sees it.
        rate = law.step_size / torch.where(p.tau[row] > 0, p.tau[row], torch.ones_like(p.tau[row]))
        exact = isinstance(law, Split) and law.filter_curve is None
        c[f"half_{name}"], c[f"whole_{name}"] = rate / 2, -torch.expm1(-rate) if exact else rate
        c[f"offset_{name}"] = _plain(p.offset[row], 0.0)
    if law.fast_filter:
        c["filtered"] = (p.tau[0] > 0).to(p.tau.dtype)
    return c


def _plain(values: Tensor, usual: float) -> Value:
    """The usual number where all values are that and none is trained."""
    return usual if not values.requires_grad and bool((values == usual).all()) else values


class States(NamedTuple):
    """Voltages of the membrane and of the slow filters after every step, (1 + steps, B, N) each."""

    voltage: Tensor
    slow: Tensor
    ultraslow: Tensor


def simulate(
    current: Float[Tensor, "samples B N"],
    p: Parameters,
    step: float,
    substeps: int,
    integrator: Integrator = "split",
) -> States:
    """Every state after every substep, the initial one first, in the current's precision: the reference.

    `current` is sampled every `substeps` steps and linear in between; each step sees it at its own middle.
    Raises SpecError when a filter is stepped beyond its stability, `step` < tau.
    """
    law = dynamics(p, integrator, step)
    c = coefficients(p, law)
    state: State = tuple(torch.full_like(current[0], start) for start in law.initial)
    states = [state[:3]]
    # unbind, because indexing row by row makes the backward quadratic in time
    drive = current.unbind(0)
    for left, right in pairwise(drive):
        for share in shares(substeps):
            state = law.step(state, left + share * (right - left), c)
            states.append(state[:3])
    return States(*(torch.stack(parts) for parts in zip(*states, strict=True)))
