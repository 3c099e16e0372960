"""The circuit-faithful neuron over one step: the equations of `spec.CellEffects`, for reference and kernel alike."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mtc_hw.model.algebra import Value, exp, rise, tanh
from mtc_hw.model.program import Coefficients, State
from mtc_hw.spec import EFFECT_ROWS, ELEMENTS, INITIAL_VOLTAGE, SIGNS, TAIL_SLOPE, CellEffects

SLOW_ELEMENTS = (("slow_positive", 0), ("slow_negative", 0), ("ultraslow_positive", 1))
"""Elements that sit on a filter of their own, and that filter's place among the states of the filters."""

FILTER_ROWS = {"slow": 1, "ultraslow": 2, "fast": 0}
LEAK = len(ELEMENTS)
LARGEST_SLOPE = 3.0
LARGEST_OFFSET = 6.5
"""Bounds of h alpha_fast, h leak and of what is subtracted in a tanh up to which the kernel is exact to float32."""

EDGES = (
    *(f"edge_{element}" for element in ELEMENTS),
    *(f"{side}_edge_{name}" for side in ("low", "high") for name in ("leak", "fast", "slow", "ultraslow")),
)

Effects = Mapping[str, Tensor]
"""`CellEffects` as tensors, (rows of the effect, 1, N) each, or (1, N)."""


def effect_tensors(cells: CellEffects, dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: torch.tensor(getattr(cells, name), dtype=dtype).unsqueeze(-2) for name in EFFECT_ROWS}


class Branch(NamedTuple):
    """A current and its slope in V."""

    current: Value
    slope: Value


@dataclass(frozen=True)
class _Circuit:
    """What both integrators share.

    State: membrane, slow, ultraslow and, where some tau_fast > 0, fast filter; then q of each filter in `lagging`.
    """

    step_size: float  # tau_m
    fast_filter: bool = False
    lagging: tuple[str, ...] = ()

    @property
    def filters(self) -> tuple[str, ...]:
        return ("slow", "ultraslow", "fast")[: 2 + self.fast_filter]

    @property
    def initial(self) -> tuple[float, ...]:
        tails = (math.exp(TAIL_SLOPE * INITIAL_VOLTAGE),) * len(self.lagging)
        return (*(INITIAL_VOLTAGE,) * (1 + len(self.filters)), *tails)

    @property
    def bounds(self) -> Mapping[str, float]:
        slopes = dict.fromkeys(("alpha_fast_negative", "leak"), LARGEST_SLOPE / self.step_size)
        return slopes | dict.fromkeys(EDGES, LARGEST_OFFSET)

    def visible(self, state: State) -> Value:
        return state[0]

    def _parts(self, state: State) -> tuple[Value, State, dict[str, Value]]:
        """Membrane, filters and tails by filter."""
        end = 1 + len(self.filters)
        return state[0], state[1:end], dict(zip(self.lagging, state[end:], strict=True))

    def _fast(self, voltage: Value, filtered: State, c: Coefficients) -> Branch:
        """The fast element, which sees the membrane or, where it has a time constant, its filter."""
        seen, share = voltage, 1.0
        if self.fast_filter:
            seen, share = voltage + c["filtered"] * (filtered[2] - voltage), 1.0 - c["filtered"]
        return _element("fast_negative", seen, share, voltage, c)

    def _membrane(self, voltage: Value, filtered: State, current: Value, c: Coefficients) -> Branch:
        """dV/dt and its slope in V at these filters."""
        branches = [self._fast(voltage, filtered, c), _leak(voltage, c)]
        branches += [_element(name, filtered[place], 0.0, voltage, c) for name, place in SLOW_ELEMENTS]
        flow = current * (1.0 - c["tilt_input"] * voltage) - c["conductance"] * voltage
        slope = -(c["tilt_input"] * current) - c["conductance"]
        for branch in branches:
            flow, slope = flow + branch.current, slope + branch.slope
        return Branch(flow, slope)

    def _drive(self, name: str, voltage: Value, filtered: Value, boost: Value, c: Coefficients) -> Value:
        """tau dU/dt of a filter; `boost` is p / q."""
        x = c[f"slope_{name}"] * (voltage - filtered)
        low, high = tanh(x - c[f"low_edge_{name}"]), tanh(x - c[f"high_edge_{name}"])
        core = c[f"low_{name}"] * low + c[f"high_{name}"] * high + c[f"constant_{name}"]
        core = core * (1.0 + c[f"half_mode_{name}"] * voltage + c[f"lean_{name}"] * filtered)
        return core * boost - c[f"conductance_{name}"] * filtered


def _boost(boost: Value, share: Value) -> Value:
    """`boost` where a neuron's filter has a lag, share 1, and one where it has none, share 0."""
    return boost if isinstance(share, float) and share == 1.0 else 1.0 + share * (boost - 1.0)


def _element(name: str, seen: Value, share: Value, voltage: Value, c: Coefficients) -> Branch:
    """`share` of what the element sees is the membrane itself."""
    gate = tanh(c[f"sharpness_{name}"] * seen - c[f"shift_{name}"] * voltage - c[f"edge_{name}"])
    core = c[f"alpha_{name}"] * gate + c[f"constant_{name}"]
    factor = c[f"lift_{name}"] + c[f"half_{name}"] * seen - c[f"tilt_{name}"] * voltage
    steepness = c[f"alpha_{name}"] * (1.0 - gate * gate) * (share * c[f"sharpness_{name}"] - c[f"shift_{name}"])
    return Branch(core * factor, steepness * factor + core * (share * c[f"half_{name}"] - c[f"tilt_{name}"]))


def _leak(voltage: Value, c: Coefficients) -> Branch:
    x = c["slope_leak"] * voltage
    low, high = tanh(x - c["low_edge_leak"]), tanh(x - c["high_edge_leak"])
    core = c["constant_leak"] - c["leak"] * (c["low_leak"] * low + c["high_leak"] * high)
    slope = c["low_leak"] * (1.0 - low * low) + c["high_leak"] * (1.0 - high * high)
    factor = c["lift_leak"] + c["lean_leak"] * voltage
    return Branch(core * factor, core * c["lean_leak"] - c["leak"] * c["slope_leak"] * slope * factor)


@dataclass(frozen=True)
class CircuitEuler(_Circuit):
    """Explicit Euler; a tail relaxes exactly under the membrane at the step's start."""

    def step(self, state: State, current: Value, c: Coefficients) -> State:
        voltage, filtered, tails = self._parts(state)
        pull = exp(TAIL_SLOPE * voltage) if tails else 0.0
        moved = []
        for name, own in zip(self.filters, filtered, strict=True):
            boost = _boost(pull / tails[name], c[f"tail_{name}"]) if name in tails else 1.0
            moved.append(own + c[f"whole_{name}"] * self._drive(name, voltage, own, boost, c))
        after = voltage + self.step_size * self._membrane(voltage, filtered, current, c).current
        return after, *moved, *(q + c[f"relax_{name}"] * (pull - q) for name, q in tails.items())


@dataclass(frozen=True)
class CircuitSplit(_Circuit):
    """Second order, as `mtc.Split`: filters by their midpoint, the membrane by exponential Rosenbrock-Euler.

    A tail relaxes exactly under the membrane's mean, and acts by its own mean.
    """

    def step(self, state: State, current: Value, c: Coefficients) -> State:
        voltage, filtered, tails = self._parts(state)
        pull = exp(TAIL_SLOPE * voltage) if tails else 0.0
        middle = []
        for name, own in zip(self.filters, filtered, strict=True):
            boost = _boost(pull / tails[name], c[f"tail_{name}"]) if name in tails else 1.0
            middle.append(own + c[f"half_{name}_filter"] * self._drive(name, voltage, own, boost, c))
        flow, slope = self._membrane(voltage, tuple(middle), current, c)
        after = voltage + rise(self.step_size * slope, self.step_size * flow)
        mean = 0.5 * (voltage + after)
        pull = exp(TAIL_SLOPE * mean) if tails else 0.0
        relaxed = {name: q + c[f"relax_{name}"] * (pull - q) for name, q in tails.items()}
        moved = []
        for name, own, half in zip(self.filters, filtered, middle, strict=True):
            boost = 1.0
            if name in tails:
                boost = _boost(2.0 * pull / (tails[name] + relaxed[name]), c[f"tail_{name}"])
            moved.append(own + c[f"whole_{name}"] * self._drive(name, mean, half, boost, c))
        return after, *moved, *relaxed.values()


class Ideal(NamedTuple):
    """The parameters of an ideal neuron, as in `mtc.Parameters`."""

    alpha: Tensor
    delta: Tensor
    tau: Tensor
    leak: Tensor
    rest: Tensor
    offset: Tensor


def circuit_coefficients(p: Ideal, e: Effects, law: CircuitEuler | CircuitSplit) -> dict[str, Value]:
    """What the step sees, by name: (rows, N) each, or a number where all neurons share one that is not trained."""
    c: dict[str, Tensor] = {"leak": p.leak, "conductance": e["conductance"][0], "tilt_input": e["input_tilt"]}
    half = 0.5 * e["common_mode"]
    lift = 1.0 + half[: LEAK + 1] * e["reference"]
    for row, element in enumerate(ELEMENTS):
        s = e["sharpness"][row]
        c[f"alpha_{element}"] = SIGNS[row] * p.alpha[row]
        c[f"sharpness_{element}"], c[f"shift_{element}"] = s, s * e["output_shift"][row]
        c[f"edge_{element}"] = s * (p.delta[row] + e["offset"][row])
        c[f"constant_{element}"], c[f"tilt_{element}"] = e["constant"][row], e["tilt"][row]
        c[f"lift_{element}"], c[f"half_{element}"] = lift[row], half[row]
    k, d, amplitude = e["slope"], e["shift"], torch.cosh(e["slope"] * e["shift"]) ** 2 / (2.0 * e["slope"])
    low, high = amplitude * (1.0 + e["skew"]), amplitude * (1.0 - e["skew"])
    rest = p.rest + e["offset"][LEAK]
    c |= {"slope_leak": k[0], "low_leak": low[0], "high_leak": high[0], "constant_leak": e["constant"][LEAK]}
    c |= {"low_edge_leak": k[0] * (rest - d[0]), "high_edge_leak": k[0] * (rest + d[0])}
    c |= {"lift_leak": lift[LEAK], "lean_leak": half[LEAK] - e["tilt"][LEAK]}
    for name in law.filters:
        row = FILTER_ROWS[name]
        branch = LEAK + 1 + row
        shifted = p.offset[row] + e["offset"][branch]
        rate = law.step_size / torch.where(p.tau[row] > 0, p.tau[row], torch.ones_like(p.tau[row]))
        c[f"whole_{name}"] = rate
        if isinstance(law, CircuitSplit):
            c[f"half_{name}_filter"] = rate / 2
        c |= {f"slope_{name}": k[row + 1], f"low_{name}": low[row + 1], f"high_{name}": high[row + 1]}
        c[f"low_edge_{name}"] = k[row + 1] * (d[row + 1] - shifted)
        c[f"high_edge_{name}"] = -k[row + 1] * (d[row + 1] + shifted)
        c |= {f"constant_{name}": e["constant"][branch], f"conductance_{name}": e["conductance"][row + 1]}
        c |= {f"half_mode_{name}": half[branch], f"lean_{name}": half[branch] - e["tilt"][branch]}
        if name in law.lagging:
            lag = e["lag"][row]
            kept = torch.exp(-law.step_size / torch.where(lag > 0, lag, torch.ones_like(lag)))
            c[f"tail_{name}"] = (lag > 0).to(lag.dtype)
            c[f"relax_{name}"] = 1.0 - torch.where(lag > 0, kept, torch.zeros_like(kept))
    if law.fast_filter:
        c["filtered"] = (p.tau[0] > 0).to(p.tau.dtype)
    return {name: values if name.startswith(TRAINED) else _shared(values) for name, values in c.items()}


TRAINED = ("alpha", "edge", "whole")
"""Beginnings of the names of what training changes: always tensors, so that a kernel serves all their values."""


def _shared(values: Tensor) -> Value:
    """The number that all neurons share, where none is trained."""
    if values.requires_grad or not bool((values == values.flatten()[0]).all()):
        return values
    return float(values.flatten()[0])
