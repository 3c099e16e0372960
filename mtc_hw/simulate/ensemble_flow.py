"""The right-hand side of many neurons as a formula: of `Neurons`, and of a circuit's by `CellEffects`.

A formula holds only what its neurons have: an absent element, filter or lag is no term of it. Which formula a neuron
gets depends on that neuron alone.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtc_hw.formula.node import Node, exp, tanh
from mtc_hw.spec import EFFECT_ROWS, ELEMENT_FILTER, ELEMENTS, FILTERS, SIGNS, TAIL_SLOPE, Array, CellEffects, Neurons

LEAK = len(ELEMENTS)  # row of the leak among elements, leak and filters

Coefficients = Mapping[str, Node]
State = Mapping[str, Node]
"""V as "membrane", filters by name, q of a filter as its name with "tail" before it."""


@dataclass(frozen=True)
class Structure:
    """What neurons with the same formula have."""

    circuit: bool  # `CellEffects`
    leak_curve: bool
    filter_curve: bool
    elements: tuple[str, ...]
    filters: tuple[str, ...]  # with a time constant, and an element that sees them
    lags: tuple[str, ...]  # those of the filters
    apart: bool = False  # offsets too large for tangents that share an exponential

    @property
    def states(self) -> tuple[str, ...]:
        return ("membrane", *self.filters, *(f"tail_{name}" for name in self.lags))


def select(neurons: Neurons, index: ArrayLike) -> Neurons:
    """The neurons at `index` (M,), in that order, repeated where it repeats."""
    chosen = np.asarray(index, dtype=np.intp)
    arrays = ("alpha", "delta", "tau", "leak", "rest", "offset")
    cells = neurons.cells
    if cells is not None:
        cells = CellEffects(**{name: getattr(cells, name)[..., chosen] for name in EFFECT_ROWS})
    own = {name: getattr(neurons, name)[..., chosen] for name in arrays}
    return dataclasses.replace(neurons, **own, cells=cells)


def in_use(neurons: Neurons) -> NDArray[np.bool_]:
    """Filters (3, N) with a time constant that drive an element; the others may be anything and stand still."""
    elements = _present(neurons)
    driven = np.stack([elements[np.equal(ELEMENT_FILTER, y)].any(axis=0) for y in range(len(FILTERS))])
    return np.asarray(driven & (neurons.tau > 0.0))


def _present(neurons: Neurons) -> NDArray[np.bool_]:
    """Elements (4, N) that give a current."""
    there = neurons.alpha > 0.0
    return there if neurons.cells is None else there | (neurons.cells.constant[:LEAK] != 0.0)


def structures(neurons: Neurons) -> list[tuple[Structure, NDArray[np.intp]]]:
    """Each formula that is needed, and the neurons (M,) that it is for, increasing."""
    used = in_use(neurons)
    lags = np.zeros_like(used) if neurons.cells is None else used & (neurons.cells.lag > 0.0)
    marks = np.concatenate([_present(neurons), used, lags])
    keys, which = np.unique(2 ** np.arange(len(marks)) @ marks, return_inverse=True)
    found = []
    for number in range(len(keys)):
        lanes = np.flatnonzero(which == number)
        elements, filters, lagging = np.split(marks[:, lanes[0]], [LEAK, LEAK + len(FILTERS)])
        structure = Structure(
            circuit=neurons.cells is not None,
            leak_curve=neurons.leak_curve is not None,
            filter_curve=neurons.filter_curve is not None,
            elements=_named(ELEMENTS, elements),
            filters=_named(FILTERS, filters),
            lags=_named(FILTERS, lagging),
        )
        found.append((structure, lanes))
    return found


def _named(names: tuple[str, ...], there: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, present in zip(names, there, strict=True) if present)


def coefficients(neurons: Neurons, s: Structure) -> dict[str, Array]:
    """What the formula of these neurons sees, by name: (N,) each."""
    c = _leak(neurons) if neurons.cells is None else _at_membrane(neurons, neurons.cells)
    for name in s.elements:
        c |= _element(neurons, ELEMENTS.index(name))
    for name in s.filters:
        c |= _filter(neurons, FILTERS.index(name))
    for name in s.lags:
        assert neurons.cells is not None
        c[f"relax_{name}"] = 1.0 / neurons.cells.lag[FILTERS.index(name)]
    return c


def _leak(neurons: Neurons) -> dict[str, Array]:
    """Of an ideal neuron."""
    curve = neurons.leak_curve
    if curve is None:
        return {"leak": neurons.leak, "resting": neurons.leak * neurons.rest}
    k, half = np.full(neurons.count, curve.slope), neurons.leak * curve.amplitude
    edges = {"low_edge_leak": k * (neurons.rest - curve.shift), "high_edge_leak": k * (neurons.rest + curve.shift)}
    return edges | {"slope_leak": k, "low_leak": half, "high_leak": half}


def _at_membrane(neurons: Neurons, e: CellEffects) -> dict[str, Array]:
    """Inputs, output conductances and the leak of a circuit."""
    k, d, half = e.slope[0], e.shift[0], 0.5 * e.common_mode[LEAK]
    rest, amplitude = neurons.rest + e.offset[LEAK], neurons.leak * e.amplitude[0]
    return {
        "tilt_input": e.input_tilt,
        "conductance": e.conductance[0],
        "slope_leak": k,
        "low_edge_leak": k * (rest - d),
        "high_edge_leak": k * (rest + d),
        "low_leak": amplitude * (1.0 + e.skew[0]),
        "high_leak": amplitude * (1.0 - e.skew[0]),
        "constant_leak": e.constant[LEAK],
        "lift_leak": 1.0 + half * e.reference[LEAK],
        "lean_leak": half - e.tilt[LEAK],
        "half_leak": half,
    }


def _element(neurons: Neurons, row: int) -> dict[str, Array]:
    name, e = ELEMENTS[row], neurons.cells
    gain = {f"gain_{name}": SIGNS[row] * neurons.alpha[row]}
    if e is None:
        return gain | {f"edge_{name}": neurons.delta[row]}
    s, half = e.sharpness[row], 0.5 * e.common_mode[row]
    return gain | {
        f"sharpness_{name}": s,
        f"shift_{name}": s * e.output_shift[row],
        f"edge_{name}": s * (neurons.delta[row] + e.offset[row]),
        f"constant_{name}": e.constant[row],
        f"lift_{name}": 1.0 + half * e.reference[row],
        f"half_{name}": half,
        f"tilt_{name}": e.tilt[row],
    }


def _filter(neurons: Neurons, row: int) -> dict[str, Array]:
    name, e, curve = FILTERS[row], neurons.cells, neurons.filter_curve
    rate, offset = 1.0 / neurons.tau[row], neurons.offset[row]
    if e is None and curve is None:
        return {f"rate_{name}": rate, f"drive_{name}": rate * offset}
    if e is None and curve is not None:
        k, d = np.full(neurons.count, curve.slope), np.full(neurons.count, curve.shift)
        low = high = rate * curve.amplitude
    else:
        assert e is not None
        k, d, amplitude = e.slope[1 + row], e.shift[1 + row], rate * e.amplitude[1 + row]
        offset = offset + e.offset[LEAK + 1 + row]
        low, high = amplitude * (1.0 + e.skew[1 + row]), amplitude * (1.0 - e.skew[1 + row])
    shape = {f"slope_{name}": k, f"low_{name}": low, f"high_{name}": high}
    shape |= {f"low_edge_{name}": k * (d - offset), f"high_edge_{name}": -k * (d + offset)}
    if e is None:
        return shape
    half = 0.5 * e.common_mode[LEAK + 1 + row]
    return shape | {
        f"constant_{name}": rate * e.constant[LEAK + 1 + row],
        f"half_{name}_filter": half,
        f"lean_{name}": half - e.tilt[LEAK + 1 + row],
        f"conductance_{name}": rate * e.conductance[1 + row],
    }


def flow(s: Structure, c: Coefficients, state: State, current: Node) -> list[Node]:
    """d/dt of each of `Structure.states`."""
    seen = {name: state.get(name, state["membrane"]) for name in FILTERS}
    membrane = _membrane(s, c, state["membrane"], seen, current)
    pull = exp(TAIL_SLOPE * state["membrane"]) if s.lags else None
    driven = [followed(s, c, name, state, pull) for name in s.filters]
    risen = [] if pull is None else [c[f"relax_{name}"] * (pull - state[f"tail_{name}"]) for name in s.lags]
    return [membrane, *driven, *risen]


def _gate(s: Structure, x: Node, edge: Node) -> Node:
    """tanh(x - edge)."""
    return tanh(x + (-edge)) if s.apart else tanh(x - edge)


def _halves(s: Structure, c: Coefficients, name: str, x: Node) -> Node:
    """The two halves of a curve."""
    x = c[f"slope_{name}"] * x
    low, high = (_gate(s, x, c[f"{side}_edge_{name}"]) for side in ("low", "high"))
    return c[f"low_{name}"] * low + c[f"high_{name}"] * high


def sensed(s: Structure, c: Coefficients, name: str, heard: Node, voltage: Node) -> Node:
    """What one element, or the leak, adds to dV/dt; on a bench `heard`, what it senses, may be any voltage."""
    if name == "leak":
        return _drained(s, c, heard, voltage)
    if not s.circuit:
        return c[f"gain_{name}"] * _gate(s, heard, c[f"edge_{name}"])
    x = c[f"sharpness_{name}"] * heard - c[f"shift_{name}"] * voltage
    own = c[f"gain_{name}"] * _gate(s, x, c[f"edge_{name}"]) + c[f"constant_{name}"]
    return own * (c[f"lift_{name}"] + c[f"half_{name}"] * heard - c[f"tilt_{name}"] * voltage)


def _drained(s: Structure, c: Coefficients, heard: Node, voltage: Node) -> Node:
    if not s.circuit:
        return -_lost(s, c, heard)
    lifted = c["lift_leak"] + c["lean_leak"] * voltage
    if heard is not voltage:
        lifted = lifted + c["half_leak"] * (heard - voltage)
    return (c["constant_leak"] - _halves(s, c, "leak", heard)) * lifted


def _lost(s: Structure, c: Coefficients, heard: Node) -> Node:
    """An ideal neuron's leak."""
    return _halves(s, c, "leak", heard) if s.leak_curve else c["leak"] * heard - c["resting"]


def arriving(s: Structure, c: Coefficients, current: Node, voltage: Node) -> Node:
    """What is left of an input's current at this output, less what the output conducts."""
    return current * (1.0 - c["tilt_input"] * voltage) - c["conductance"] * voltage if s.circuit else current


def _membrane(s: Structure, c: Coefficients, voltage: Node, seen: State, current: Node) -> Node:
    """dV/dt, by the equations of `Neurons` or of `CellEffects`."""
    drift = arriving(s, c, current, voltage)
    if not s.circuit:
        drift = drift - _lost(s, c, voltage)
    for name in s.elements:
        drift = drift + sensed(s, c, name, seen[FILTERS[ELEMENT_FILTER[ELEMENTS.index(name)]]], voltage)
    return drift + _drained(s, c, voltage, voltage) if s.circuit else drift


def followed(s: Structure, c: Coefficients, name: str, state: State, pull: Node | None) -> Node:
    """dU/dt of a filter; `pull` is p, and None where there are no lags."""
    voltage, own = state["membrane"], state[name]
    if not s.circuit and not s.filter_curve:
        return c[f"rate_{name}"] * (voltage - own) + c[f"drive_{name}"]
    driven = _halves(s, c, name, voltage - own)
    if not s.circuit:
        return driven
    driven = (driven + c[f"constant_{name}"]) * (1.0 + c[f"half_{name}_filter"] * voltage + c[f"lean_{name}"] * own)
    if name in s.lags:
        assert pull is not None
        driven = driven * (pull / state[f"tail_{name}"])
    return driven - c[f"conductance_{name}"] * own
