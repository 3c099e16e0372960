"""The accurate software reference: each neuron's equations by LSODA, from one discontinuity of the input to the next.

LSODA: Petzold 1983, in Hindmarsh's ODEPACK, through scipy. Values between its steps are its own Nordsieck
interpolation, as accurate as the steps.
"""

import warnings
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, isfinite, tanh
from typing import NamedTuple

import numpy as np
from scipy.integrate import ODEintWarning, odeint

from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.spec import ELEMENTS, FILTERS, SIGNS, TAIL_SLOPE, Array, CellEffects, Curve, Neurons, Trace

LARGEST_TRACE = 50_000_000  # samples of one neuron
STEPS_PER_SAMPLE = 100_000
LEAK = len(ELEMENTS)  # row of the leak among elements, leak and filters
FILTER_STATES = (1, 2, 0)  # rows of the filters in the order of their states


@dataclass(frozen=True, eq=False)
class SampledCurrent:
    """A network's input: samples at 0, spacing, 2 spacing ..., linear in between, held after the last."""

    samples: Array  # (samples,) for every neuron, or (samples, N); in I_u
    spacing: float  # tau_m

    def __post_init__(self) -> None:
        samples = np.array(self.samples, dtype=np.float64)
        if samples.ndim not in (1, 2) or samples.shape[0] < 2:
            raise SpecError(
                f"input current has shape {samples.shape}; give (samples,) or (samples, N), 2 samples or more"
            )
        if not np.isfinite(samples).all():
            where = [int(i) for i in np.argwhere(~np.isfinite(samples))[0]]
            raise SpecError(f"input current {where} is {samples[tuple(where)]}; every sample must be finite")
        _require_positive("spacing of the input's samples", self.spacing)
        samples.setflags(write=False)
        object.__setattr__(self, "samples", samples)

    def times(self) -> Array:
        return np.arange(self.samples.shape[0], dtype=np.float64) * self.spacing


Current = Stimulus | SampledCurrent | Callable[[float], float]


def integrate(
    neurons: Neurons,
    current: Current,
    duration: float,
    initial: Initial | Sequence[Initial] = Initial(),  # noqa: B008  frozen, so one instance serves every call
    *,
    rtol: float = 1e-9,
    atol: float = 1e-9,
    spacing: float = 0.125,
) -> Trace:
    """The neurons' free or driven course over `duration` tau_m, sampled every `spacing` and at every stimulus step.

    Each neuron is integrated alone, with its own steps. A callable must be smooth over `spacing`; it and a sampled
    current bound LSODA's step, so that no pulse is jumped over. Raises SpecError.
    """
    for name, value in (("duration", duration), ("spacing", spacing), ("rtol", rtol), ("atol", atol)):
        _require_positive(name, value)
    if rtol < 1e-13:
        raise SpecError(f"rtol is {rtol:g}; double precision allows no less than 1e-13")
    if duration / spacing > LARGEST_TRACE:
        raise SpecError(f"{duration / spacing:.3g} samples are too many; raise spacing or shorten duration")
    starts = (initial,) * neurons.count if isinstance(initial, Initial) else tuple(initial)
    if len(starts) != neurons.count:
        raise SpecError(f"{len(starts)} initial states for {neurons.count} neurons; give one, or one for each")
    courses = [
        _course(
            _Constants.of(neurons, index),
            _pieces(current, index, neurons.count, duration, spacing),
            start,
            rtol,
            atol,
        )
        for index, start in enumerate(starts)
    ]
    states = np.stack([state[:, :3] for _, state in courses], axis=-1)  # (T, 3, N)
    return Trace(time=courses[0][0], voltage=states[:, 0], slow=states[:, 1], ultraslow=states[:, 2])


@dataclass(frozen=True, slots=True)
class _Bend:
    """A `Curve` for one scalar."""

    amplitude: float
    slope: float
    shift: float

    def __call__(self, x: float) -> float:
        return self.amplitude * (tanh(self.slope * (x - self.shift)) + tanh(self.slope * (x + self.shift)))

    @staticmethod
    def of(curve: Curve | None) -> "_Bend | None":
        return None if curve is None else _Bend(curve.amplitude, curve.slope, curve.shift)


@dataclass(frozen=True, slots=True)
class _Skewed:
    """A curve of `CellEffects` for one scalar."""

    low: float  # amplitude of the half at +shift
    high: float
    slope: float
    shift: float

    def __call__(self, x: float) -> float:
        return self.low * tanh(self.slope * (x - self.shift)) + self.high * tanh(self.slope * (x + self.shift))


class _Constants(NamedTuple):
    """One neuron as scalars: numpy's overhead on three numbers is far more than their arithmetic."""

    alpha: tuple[float, ...]
    delta: tuple[float, ...]
    tau: tuple[float, ...]
    offset: tuple[float, ...]
    leak: float
    rest: float
    leak_bend: _Bend | None
    filter_bend: _Bend | None
    cells: "_Cells | None"

    @staticmethod
    def of(neurons: Neurons, index: int) -> "_Constants":
        rows = (neurons.alpha, neurons.delta, neurons.tau, neurons.offset)
        alpha, delta, tau, offset = (tuple(row[:, index].tolist()) for row in rows)
        leak, rest = float(neurons.leak[index]), float(neurons.rest[index])
        bends = _Bend.of(neurons.leak_curve), _Bend.of(neurons.filter_curve)
        if neurons.cells is not None:
            own = _column(neurons.cells.take(index).offset)
            delta, rest = _sums(delta, own[:LEAK]), rest + own[LEAK]
            offset = _sums(offset, own[LEAK + 1 :])
        cells = None if neurons.cells is None else _Cells.of(neurons.cells, index)
        return _Constants(alpha, delta, tau, offset, leak, rest, *bends, cells)


class _Cells(NamedTuple):
    """One neuron's `CellEffects` as scalars; factor and lift are 1 + c (U + r) / 2 as lift + factor U."""

    sharpness: tuple[float, ...]
    output_shift: tuple[float, ...]
    bends: tuple[_Skewed, ...]  # leak, fast, slow, ultraslow
    constant: tuple[float, ...]
    lift: tuple[float, ...]
    factor: tuple[float, ...]
    tilt: tuple[float, ...]
    conductance: tuple[float, ...]
    lag: tuple[float, ...]
    input_tilt: float

    @staticmethod
    def of(cells: CellEffects, index: int) -> "_Cells":
        own = cells.take(index)
        shapes = (own.amplitude * (1.0 + own.skew), own.amplitude * (1.0 - own.skew), own.slope, own.shift)
        bends = tuple(_Skewed(*map(float, values)) for values in zip(*(each[:, 0] for each in shapes), strict=True))
        half = 0.5 * own.common_mode[:, 0]
        # A filter's other input is its output: that is a state, not a constant.
        lift = 1.0 + half * np.append(own.reference[:, 0], np.zeros(len(FILTERS)))
        return _Cells(
            sharpness=_column(own.sharpness),
            output_shift=_column(own.output_shift),
            bends=bends,
            constant=_column(own.constant),
            lift=tuple(lift.tolist()),
            factor=tuple(half.tolist()),
            tilt=_column(own.tilt),
            conductance=_column(own.conductance),
            lag=_column(own.lag),
            input_tilt=float(own.input_tilt[0]),
        )


def _sums(some: tuple[float, ...], others: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(one + other for one, other in zip(some, others, strict=True))


def _column(values: Array) -> tuple[float, ...]:
    return tuple(values[:, 0].tolist())


@dataclass(frozen=True, slots=True)
class _Constant:
    level: float

    def __call__(self, time: float) -> float:
        return self.level


@dataclass(frozen=True, slots=True)
class _Linear:
    times: list[float]
    samples: list[float]

    def __call__(self, time: float) -> float:
        right = bisect_right(self.times, time)
        if right in (0, len(self.times)):
            return self.samples[0 if right == 0 else -1]
        start, low = self.times[right - 1], self.samples[right - 1]
        return low + (self.samples[right] - low) * (time - start) / (self.times[right] - start)


class _Piece(NamedTuple):
    """A stretch over which the current is continuous."""

    times: Array  # samples, both ends included
    current: Callable[[float], float]
    longest_step: float  # 0: LSODA's own choice


def _pieces(current: Current, index: int, count: int, duration: float, spacing: float) -> list[_Piece]:
    if isinstance(current, Stimulus):
        return [
            _Piece(_grid(start, end, spacing), _Constant(level), 0.0) for start, end, level in current.holds(duration)
        ]
    grid = _grid(0.0, duration, spacing)
    if not isinstance(current, SampledCurrent):
        return [_Piece(grid, current, spacing)]
    samples = current.samples
    if samples.ndim == 2 and samples.shape[1] != count:
        raise SpecError(f"input current has {samples.shape[1]} columns for {count} neurons; give one column for each")
    column = samples if samples.ndim == 1 else samples[:, index]
    return [_Piece(grid, _Linear(current.times().tolist(), column.tolist()), current.spacing)]


def _grid(start: float, end: float, spacing: float) -> Array:
    """Both ends and the multiples of `spacing` between, none of them a rounding error away from an end."""
    first, last = int(np.floor(start / spacing)), int(np.ceil(end / spacing))
    inner = np.arange(first, last + 1) * spacing
    margin = 1e-6 * spacing
    return np.concatenate([[start], inner[(inner > start + margin) & (inner < end - margin)], [end]])


def _course(
    constants: _Constants, pieces: list[_Piece], initial: Initial, rtol: float, atol: float
) -> tuple[Array, Array]:
    """Times (T,) and states (T, 3 or more): voltage, slow, ultraslow, fast where it has a time constant, tails."""
    fast = initial.voltage if initial.fast is None else initial.fast
    state = np.array([initial.voltage, initial.slow, initial.ultraslow, fast][: 4 if constants.tau[0] > 0 else 3])
    if constants.cells is not None:
        tails = sum(constants.cells.lag[row] > 0.0 for row in FILTER_STATES[: len(state) - 1])
        state = np.append(state, np.full(tails, exp(TAIL_SLOPE * initial.voltage)))
    times, states = [np.zeros(1)], [state[None]]
    for piece in pieces:
        course = _solve(constants, piece, state, rtol, atol)
        state = course[-1]
        times.append(piece.times[1:])
        states.append(course[1:])
    return np.concatenate(times), np.concatenate(states)


def _solve(constants: _Constants, piece: _Piece, state: Array, rtol: float, atol: float) -> Array:
    with warnings.catch_warnings():
        # The warning carries less than the message in `report`, which becomes an error below.
        warnings.simplefilter("ignore", ODEintWarning)
        course, report = odeint(
            _flow,
            state,
            piece.times,
            args=(piece.current, constants),
            rtol=rtol,
            atol=atol,
            hmax=piece.longest_step,
            mxstep=STEPS_PER_SAMPLE,
            full_output=True,
        )
    if report["message"] != "Integration successful.":
        span = f"between {piece.times[0]:g} and {piece.times[-1]:g} tau_m"
        cause = str(report["message"]).splitlines()[0]
        raise SpecError(f"LSODA failed {span}: {cause} Check the current and tau, or raise rtol")
    lost = ~np.isfinite(course).all(axis=1)
    if lost.any():
        # LSODA reports success after a derivative that is not a number.
        reached = float(piece.times[np.argmax(lost)])
        raise SpecError(f"the voltage is not finite at time {reached:g} tau_m; check the current up to that time")
    return course


def _flow(state: Array, time: float, current: Callable[[float], float], constants: _Constants) -> tuple[float, ...]:
    """d/dt of (V, U_slow, U_ultraslow) or (V, U_slow, U_ultraslow, U_fast): the equations of `Neurons`."""
    if constants.cells is not None:
        return _circuit_flow(state, current(time), constants, constants.cells)
    alpha, delta, tau, offset, leak, rest, leak_bend, filter_bend, _ = constants
    voltage, slow, ultraslow, *rest_of_state = state.tolist()
    fast = rest_of_state[0] if rest_of_state else voltage
    lost = voltage - rest if leak_bend is None else leak_bend(voltage - rest)
    drift = (
        current(time)
        - leak * lost
        + alpha[0] * tanh(fast - delta[0])
        - alpha[1] * tanh(slow - delta[1])
        + alpha[2] * tanh(slow - delta[2])
        - alpha[3] * tanh(ultraslow - delta[3])
    )
    errors = [voltage - slow + offset[1], voltage - ultraslow + offset[2]]
    lags = [tau[1], tau[2]]
    if rest_of_state:
        errors.append(voltage - fast + offset[0])
        lags.append(tau[0])
    if filter_bend is not None:
        errors = [filter_bend(error) for error in errors]
    return drift, *(error / lag for error, lag in zip(errors, lags, strict=True))


def _circuit_flow(state: Array, current: float, constants: _Constants, cells: _Cells) -> tuple[float, ...]:
    """As `_flow`, by the equations of `CellEffects`."""
    alpha, delta, tau, offset, leak, rest, *_ = constants
    sharpness, moved, bends, constant, lift, factor, tilt, conductance, lag, input_tilt = cells
    rows = FILTER_STATES[: 2 + (tau[0] > 0)]
    voltage, *filtered = state[: 1 + len(rows)].tolist()
    seen = (filtered[2] if len(rows) > 2 else voltage, filtered[0], filtered[0], filtered[1])
    drift = current * (1.0 - input_tilt * voltage) - conductance[0] * voltage
    for row, heard in enumerate(seen):
        above = heard - delta[row] - moved[row] * voltage
        own = SIGNS[row] * alpha[row] * tanh(sharpness[row] * above) + constant[row]
        drift += own * (lift[row] + factor[row] * heard - tilt[row] * voltage)
    drained = constant[LEAK] + leak * bends[0](rest - voltage)
    drift += drained * (lift[LEAK] + (factor[LEAK] - tilt[LEAK]) * voltage)
    pull, tails = exp(TAIL_SLOPE * voltage), iter(state[1 + len(rows) :].tolist())
    rates, risen = [drift], []
    for row, own in zip(rows, filtered, strict=True):
        branch = LEAK + 1 + row
        driven = bends[1 + row](voltage - own + offset[row]) + constant[branch]
        driven *= 1.0 + factor[branch] * (voltage + own) - tilt[branch] * own
        if lag[row] > 0.0:
            tail = next(tails)
            driven *= pull / tail
            risen.append((pull - tail) / lag[row])
        rates.append((driven - conductance[1 + row] * own) / tau[row])
    return (*rates, *risen)


def _require_positive(name: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise SpecError(f"{name} is {value}; it must be finite and > 0")
