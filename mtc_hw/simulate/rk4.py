"""Many neurons at once by the classical Runge-Kutta method: for sweeps and maps, where LSODA one by one is slow.

The equations are those of `simulate.ode`; all neurons share the steps. Kutta, Z. Math. Phys. 46, 1901.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import Stimulus
from mtc_hw.spec import (
    ELEMENT_FILTER,
    ELEMENTS,
    FILTERS,
    SIGNS,
    TAIL_SLOPE,
    Array,
    CellEffects,
    Curve,
    Neurons,
    Trace,
)

STEP = 0.5  # of the shortest time constant; a preset's spikes lie within 0.06 tau_m of LSODA's
LARGEST_RUN = 5e9  # steps times neurons, about five minutes
OVERHEAD = 300  # neurons that would cost as much as a step's fixed part


@dataclass(frozen=True, eq=False)
class Holds:
    """Currents that are constant from each start on; the neurons share the starts. Raises SpecError."""

    starts: tuple[float, ...]  # tau_m; they increase from 0
    levels: Array  # (holds, N), I_u

    def __post_init__(self) -> None:
        levels = np.array(self.levels, dtype=np.float64)
        if levels.ndim != 2 or levels.shape[0] != len(self.starts):
            raise SpecError(f"currents have shape {levels.shape}, expected ({len(self.starts)}, N): a row a hold")
        if not np.isfinite(levels).all():
            where = [int(i) for i in np.argwhere(~np.isfinite(levels))[0]]
            raise SpecError(f"current {where} is {levels[tuple(where)]}; every current must be finite")
        if not self.starts or self.starts[0] != 0.0 or (np.diff(self.starts) <= 0.0).any():
            raise SpecError(f"holds start at {self.starts}; the first must start at 0 and the others after it")
        levels.setflags(write=False)
        object.__setattr__(self, "levels", levels)

    @staticmethod
    def constant(levels: Array) -> "Holds":
        """One hold with a level (N,) for each neuron."""
        return Holds((0.0,), np.asarray(levels, dtype=np.float64)[None])

    @staticmethod
    def shared(stimulus: Stimulus, count: int) -> "Holds":
        """The same stimulus for `count` neurons."""
        levels = np.array([level for _, level in stimulus.steps])
        return Holds(tuple(start for start, _ in stimulus.steps), np.repeat(levels[:, None], count, axis=1))

    def spans(self, duration: float) -> list[tuple[float, float, Array]]:
        """(start, end, levels) of each hold that begins before `duration`."""
        ends = [min(end, duration) for end in (*self.starts[1:], duration)]
        held = zip(self.starts, ends, self.levels, strict=True)
        return [span for span in held if span[0] < span[1]]


def integrate_together(neurons: Neurons, holds: Holds, duration: float, start: Array) -> Trace:
    """Voltage of each neuron over `duration` tau_m. `start` (4, N) holds U_fast, U_slow, U_ultraslow and V.

    A hold is cut into equal steps no longer than `step_of`, so that every change of current falls on a step.
    Raises SpecError, also for a run of more than `LARGEST_RUN`.
    """
    if not (isfinite(duration) and duration > 0.0):
        raise SpecError(f"duration is {duration}; it must be finite and > 0")
    if holds.levels.shape[1] != neurons.count or start.shape != (len(FILTERS) + 1, neurons.count):
        raise SpecError(
            f"currents of {holds.levels.shape[1]} neurons and a start of shape {start.shape} for "
            f"{neurons.count} neurons; give a column for each"
        )
    longest = step_of(neurons)
    if duration / longest * (neurons.count + OVERHEAD) > LARGEST_RUN:
        raise SpecError(
            f"{duration:.3g} tau_m in steps of {longest:.3g} for {neurons.count} neurons are too many; shorten the "
            "duration, take fewer points, or lengthen the shortest time constant"
        )
    state, flow = _with_tails(start, neurons), _flow_of(neurons)
    times, voltages = [np.zeros(1)], [state[None, 3].copy()]
    for begin, end, levels in holds.spans(duration):
        steps = int(np.ceil((end - begin) / longest - 1e-9))
        flow.drive(levels)
        times.append(np.linspace(begin, end, steps + 1)[1:])
        voltages.append(_advance(flow, state, (end - begin) / steps, steps))
    return Trace(np.concatenate(times), np.concatenate(voltages))


def step_of(neurons: Neurons) -> float:
    """The longest step, tau_m: `STEP` of the shortest time constant of membrane, filters in use and their loops."""
    used = _in_use(neurons)
    lag = np.where(used, neurons.tau, np.inf)
    gain = np.stack([np.where(np.equal(ELEMENT_FILTER, y)[:, None], neurons.alpha, 0.0).sum(0) for y in range(3)])
    filters = _steepest(neurons.filter_curve) / lag
    membrane = _steepest(neurons.leak_curve) * neurons.leak
    if neurons.cells is not None:
        steepest = _steepest_cells(neurons.cells)
        filters, membrane = steepest[1:] / lag, steepest[0] * neurons.leak
    rates = [np.ones(1), membrane, neurons.alpha[0] / 2.0, filters.ravel(), np.sqrt(gain * filters).ravel()]
    if neurons.cells is not None:
        rates.append(np.divide(0.5, neurons.cells.lag, out=np.zeros_like(lag), where=neurons.cells.lag > 0.0).ravel())
    return STEP / float(np.concatenate(rates).max())


def _in_use(neurons: Neurons) -> NDArray[np.bool_]:
    """Filters (3, N) with a time constant that drive an element; the others may be anything and stand still."""
    driven = np.stack([(neurons.alpha[np.equal(ELEMENT_FILTER, y)] > 0.0).any(axis=0) for y in range(len(FILTERS))])
    return np.asarray(driven & (neurons.tau > 0.0))


def _steepest(curve: Curve | None) -> float:
    if curve is None:
        return 1.0
    x = np.linspace(-1.0, 1.0, 401) * (curve.shift + 3.0 / curve.slope)
    return float((np.diff(curve(x)) / np.diff(x)).max())


def _steepest_cells(cells: CellEffects) -> Array:
    """A bound of the curves' slopes, (4, N): at zero, where it is one, or at the middle of a half."""
    k, d = cells.slope, cells.shift
    return np.asarray(
        np.maximum(cells.amplitude * k * (1.0 + np.cosh(2.0 * k * d) ** -2), 1.0) * (1.0 + np.abs(cells.skew))
    )


class _Flow:
    """The right-hand side on states (4, N), in place: at these sizes allocating costs as much as the arithmetic."""

    def __init__(self, neurons: Neurons) -> None:
        self.neurons = neurons
        self.gain = np.array(SIGNS)[:, None] * neurons.alpha
        self.rate = np.where(_in_use(neurons), 1.0 / np.where(neurons.tau > 0.0, neurons.tau, 1.0), 0.0)
        self.instantaneous = neurons.tau[0] == 0.0
        self.seen = np.empty_like(self.gain)
        self.input = np.zeros(neurons.count)

    def drive(self, levels: Array) -> None:
        self.input = levels

    def __call__(self, state: Array, out: Array) -> None:
        """d/dt of `state`, which gets U_fast = V where the fast filter is instantaneous."""
        n, seen, voltage = self.neurons, self.seen, state[3]
        np.copyto(state[0], voltage, where=self.instantaneous)
        np.take(state, ELEMENT_FILTER, axis=0, out=seen, mode="clip")
        np.subtract(seen, n.delta, out=seen)
        np.tanh(seen, out=seen)
        np.multiply(seen, self.gain, out=seen)
        lost = voltage - n.rest
        np.add.reduce(seen, axis=0, out=out[3])
        out[3] += self.input
        out[3] -= n.leak * (lost if n.leak_curve is None else n.leak_curve(lost))
        lag = out[:3]
        np.subtract(voltage, state[:3], out=lag)
        lag += n.offset
        if n.filter_curve is not None:
            lag[:] = n.filter_curve(lag)
        lag *= self.rate


def _with_tails(start: Array, neurons: Neurons) -> Array:
    """The state with the filters' tails at rest, (7, N); without cells (4, N)."""
    if neurons.cells is None:
        return start.copy()
    return np.vstack([start, np.repeat(np.exp(TAIL_SLOPE * start[3:]), len(FILTERS), axis=0)])


class _CircuitFlow:
    """The right-hand side by the equations of `CellEffects`, on states (7, N): filters, membrane, tails."""

    def __init__(self, neurons: Neurons, cells: CellEffects) -> None:
        self.neurons, self.cells = neurons, cells
        self.gain = np.array(SIGNS)[:, None] * neurons.alpha
        self.rate = np.where(_in_use(neurons), 1.0 / np.where(neurons.tau > 0.0, neurons.tau, 1.0), 0.0)
        self.instantaneous = neurons.tau[0] == 0.0
        self.half = 0.5 * cells.common_mode
        self.delta = neurons.delta + cells.offset[: len(ELEMENTS)]
        self.rest = neurons.rest + cells.offset[len(ELEMENTS)]
        self.offset = neurons.offset + cells.offset[len(ELEMENTS) + 1 :]
        self.lift = 1.0 + self.half[: len(ELEMENTS) + 1] * cells.reference
        self.lagging = (cells.lag > 0.0) & (self.rate > 0.0)
        self.lag = np.where(self.lagging, cells.lag, 1.0)
        self.input = np.zeros(neurons.count)

    def drive(self, levels: Array) -> None:
        self.input = levels

    def _bend(self, row: int, x: Array) -> Array:
        """The leak's curve, row 0, or those of all filters, row 1."""
        rows = slice(0, 1) if row == 0 else slice(1, None)
        k, d, e = (each[rows] for each in (self.cells.slope, self.cells.shift, self.cells.skew))
        low, high = np.tanh(k * (x - d)), np.tanh(k * (x + d))
        return np.asarray(self.cells.amplitude[rows] * ((1.0 + e) * low + (1.0 - e) * high))

    def __call__(self, state: Array, out: Array) -> None:
        """d/dt of `state`, which gets U_fast = V where the fast filter is instantaneous."""
        n, c, voltage, elements = self.neurons, self.cells, state[3], slice(0, len(ELEMENTS))
        np.copyto(state[0], voltage, where=self.instantaneous)
        heard = np.concatenate([state[list(ELEMENT_FILTER)], voltage[None]])
        above = c.sharpness * (heard[elements] - self.delta - c.output_shift * voltage)
        own = np.concatenate([self.gain * np.tanh(above), n.leak * self._bend(0, self.rest - voltage)])
        own += c.constant[: len(own)]
        own *= self.lift + self.half[: len(own)] * heard - c.tilt[: len(own)] * voltage
        out[3] = own.sum(axis=0) + self.input * (1.0 - c.input_tilt * voltage) - c.conductance[0] * voltage
        pull = np.exp(TAIL_SLOPE * voltage)
        filtered, half, tilt = state[:3], self.half[len(own) :], c.tilt[len(own) :]
        driven = self._bend(1, voltage - filtered + self.offset) + c.constant[len(own) :]
        driven *= 1.0 + half * (voltage + filtered) - tilt * filtered
        driven *= np.where(self.lagging, pull / state[4:], 1.0)
        out[:3] = self.rate * (driven - c.conductance[1:] * filtered)
        out[4:] = np.where(self.lagging, (pull - state[4:]) / self.lag, 0.0)


def _flow_of(neurons: Neurons) -> _Flow | _CircuitFlow:
    """The right-hand side of ideal neurons, or of a circuit's."""
    return _Flow(neurons) if neurons.cells is None else _CircuitFlow(neurons, neurons.cells)


def _advance(flow: _Flow | _CircuitFlow, state: Array, step: float, steps: int) -> Array:
    """Voltages (steps, N) after each step; `state` is carried along in place."""
    voltages = np.empty((steps, state.shape[1]))
    first, second, third, fourth, trial = (np.empty_like(state) for _ in range(5))
    for index in range(steps):
        flow(state, first)
        for before, after, part in ((first, second, 0.5), (second, third, 0.5), (third, fourth, 1.0)):
            np.multiply(before, part * step, out=trial)
            trial += state
            flow(trial, after)
        second += third
        second *= 2.0
        second += first
        second += fourth
        second *= step / 6.0
        state += second
        voltages[index] = state[3]
    return voltages
