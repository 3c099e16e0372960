"""What a neuron does over a grid of two of its parameters, by simulation, beside what its I-V curves say."""

import dataclasses
import difflib
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from mtc_hw.analysis.equilibria import behaviours, rests
from mtc_hw.analysis.fi_curve import spiking_starts
from mtc_hw.analysis.firing import SUSTAINED, Firing, fire, repeat, showing_time, started
from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import NeuronFile
from mtc_hw.simulate.ensemble import Holds
from mtc_hw.simulate.ensemble_flow import select
from mtc_hw.spec import ELEMENTS, FILTERS, Array, Neurons

PARAMETERS = (
    "current",
    *(f"alpha.{element}" for element in ELEMENTS),
    *(f"delta.{element}" for element in ELEMENTS),
    *(f"tau.{name}" for name in FILTERS),
)
"""What an axis can be: the keys of a neuron file; `current` is one that is constant from the start."""

LARGEST_MAP = 40_000  # cells


@dataclass(frozen=True, eq=False)
class Axis:
    """One parameter and its values. Raises SpecError."""

    parameter: str
    values: Array  # (points,), increasing; I_u, unit voltages or tau_m

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        values.setflags(write=False)
        object.__setattr__(self, "values", values)
        if self.parameter not in PARAMETERS:
            near = difflib.get_close_matches(self.parameter, PARAMETERS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(PARAMETERS)}"
            raise SpecError(f"{self.parameter!r} is no parameter of a map; {hint}")
        if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all() or (np.diff(values) <= 0.0).any():
            raise SpecError(f"{self.parameter} of a map needs two or more finite values that increase")
        lowest = float(values[0])
        if self.parameter.startswith("alpha.") and lowest < 0.0:
            raise SpecError(f"{self.parameter} starts at {lowest:g}; an alpha is >= 0, its sign is in the element")
        if self.parameter.startswith("tau.") and (lowest < 0.0 or (lowest == 0.0 and self.parameter != "tau.fast")):
            raise SpecError(f"{self.parameter} starts at {lowest:g}; a time constant is > 0, tau.fast also 0")


@dataclass(frozen=True, eq=False)
class RegimeMap:
    """The cells of a map, rows along y, columns along x."""

    name: str  # of the neuron
    x: Axis
    y: Axis
    firings: tuple[Firing, ...]  # of each cell, row by row
    bistable: NDArray[np.bool_]  # (Y, X): rest is stable, and from some start firing goes on
    predicted: NDArray[np.str_]  # (Y, X): `behaviours` at the last current, joined by +

    @property
    def regime(self) -> NDArray[np.str_]:
        """The regime from the neuron's own start: (Y, X)."""
        return np.array([each.regime for each in self.firings]).reshape(self.bistable.shape)

    @property
    def rate(self) -> Array:
        """Spikes per tau_m in the long run: (Y, X)."""
        return np.array([each.rate for each in self.firings]).reshape(self.bistable.shape)


def parse_axis(text: str) -> Axis:
    """`parameter:low:high:points` as evenly spaced values. Raises SpecError."""
    parts = text.split(":")
    try:
        parameter, low, high, points = parts[0], float(parts[1]), float(parts[2]), int(parts[3])
        if len(parts) != 4:
            raise ValueError
    except (ValueError, IndexError):
        raise SpecError(f"{text!r} is no axis; write parameter:low:high:points, as in tau.slow:10:100:19") from None
    if not (isfinite(low) and isfinite(high) and low < high):
        raise SpecError(f"{text!r} runs from {low:g} to {high:g}; give finite ends, the lower one first")
    if not 2 <= points <= LARGEST_MAP:
        raise SpecError(f"{text!r} has {points} points; give from 2 to {LARGEST_MAP}")
    return Axis(parameter, np.linspace(low, high, points))


def regime_map(neuron: NeuronFile, x: Axis, y: Axis, duration: float | None = None) -> RegimeMap:
    """The regime of a neuron over the grid of two axes, with its own stimulus unless `current` is an axis.

    At constant current each cell that does not fire on is tried once more from a spike's top, which finds rest beside
    firing. `duration`, tau_m, is by default long enough for the slowest cell. Raises SpecError.
    """
    check_axes(x, y)
    given = {axis.parameter: values for axis, values in zip((x, y), _grid(x, y), strict=True)}
    lanes, holds = cells(neuron, given)
    span = holds.starts[-1] + showing_time(lanes) if duration is None else duration
    firings = fire(lanes, holds, span, started(neuron.initial, lanes.count))
    shape = (y.values.size, x.values.size)
    last = holds.levels[-1]
    predicted = np.array(["+".join(found) or "none" for found in behaviours(lanes, last)]).reshape(shape)
    bistable = np.zeros(lanes.count, dtype=bool)
    if len(holds.starts) == 1:
        bistable = rests(lanes, last) & _fires_from_somewhere(lanes, holds, span, firings)
    return RegimeMap(neuron.name, x, y, firings, bistable.reshape(shape), predicted)


def check_axes(x: Axis, y: Axis) -> None:
    """Raises SpecError for a parameter given twice, or more cells than `LARGEST_MAP`."""
    if x.parameter == y.parameter:
        raise SpecError(f"both axes are {x.parameter}; a map needs two parameters")
    if x.values.size * y.values.size > LARGEST_MAP:
        raise SpecError(f"{x.values.size} x {y.values.size} cells are too many; give at most {LARGEST_MAP} together")


def _grid(x: Axis, y: Axis) -> tuple[Array, Array]:
    """Values (Y * X,) of both parameters, x the faster."""
    return np.tile(x.values, y.values.size), np.repeat(y.values, x.values.size)


def cells(neuron: NeuronFile, given: dict[str, Array]) -> tuple[Neurons, Holds]:
    """The neuron and its current once for each value (M,) of the parameters given."""
    count = next(iter(given.values())).size
    lanes = repeat(neuron.neurons, count)
    arrays = {name: getattr(lanes, name).copy() for name in ("alpha", "delta", "tau")}
    for parameter, values in given.items():
        if parameter != "current":
            array, row = parameter.split(".")
            arrays[array][(FILTERS if array == "tau" else ELEMENTS).index(row)] = values
    lanes = dataclasses.replace(lanes, **arrays)
    if "current" in given:
        return lanes, Holds.constant(given["current"])
    return lanes, Holds.shared(neuron.stimulus, count)


def _fires_from_somewhere(
    lanes: Neurons, holds: Holds, duration: float, firings: tuple[Firing, ...]
) -> NDArray[np.bool_]:
    fires = np.array([each.regime in SUSTAINED for each in firings])
    tried = [(n, _top(lanes.take(n))) for n in np.flatnonzero(~fires).tolist()]
    kept = [(n, top) for n, top in tried if top is not None]
    if kept:
        index = np.array([n for n, _ in kept])
        again = fire(
            select(lanes, index),
            Holds(holds.starts, holds.levels[:, index]),
            duration,
            np.concatenate([top for _, top in kept], axis=1),
        )
        fires[index] = [each.regime in SUSTAINED for each in again]
    return fires


def _top(neuron: Neurons) -> Array | None:
    starts = spiking_starts(neuron, np.zeros((4, 1)))
    return starts[0] if starts else None
