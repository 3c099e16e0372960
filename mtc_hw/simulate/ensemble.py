"""Many neurons at once, by machine code: the classical Runge-Kutta method where LSODA one by one is slow.

The equations are those of `simulate.ode`; all neurons share the steps. Tangents are exact to some units in the last
place of one, wherever their arguments and offsets are. A neuron whose state grows out of all bounds is NaN, and so is
one with lags once exp(V) is too much for the precision: |V| above 87 unit voltages in float32, 708 in float64.
"""

import ctypes
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import ceil, isfinite
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from mtc_hw.errors import SpecError
from mtc_hw.formula.emit import vector_width
from mtc_hw.formula.precision import FLOAT32, FLOAT64, Precision
from mtc_hw.neuron_file import Stimulus
from mtc_hw.simulate.ensemble_flow import Structure, coefficients, in_use, select, structures
from mtc_hw.simulate.ensemble_loop import Entry, Loop, compiled
from mtc_hw.simulate.ode import SampledCurrent
from mtc_hw.spec import ELEMENT_FILTER, FILTERS, TAIL_SLOPE, Array, CellEffects, Curve, Neurons, Trace

STEP = 0.5  # of the shortest time constant
LARGEST_RUN = 5e10  # steps times neurons, a quarter of an hour
LARGEST_TRACE = 4e9  # voltages
CHUNKS = 4  # that each thread gets, so that none waits long for another
SMALLEST, LARGEST = 128, 1024  # lanes in a chunk
ROUNDING = 1e-9  # of a step
SLACK = 1.5  # by which a given step may exceed a neuron's own before that takes several

PRECISIONS = {"float32": FLOAT32, "float64": FLOAT64}
ROWS = {name: row for row, name in enumerate((*FILTERS, "membrane"))}
"""Rows of the state at the start."""


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


class _Span(NamedTuple):
    """A stretch of equal steps."""

    begin: float
    end: float
    intervals: int  # of equal length, over each of which the current is linear
    ends: Array  # (intervals + 1, N) or (intervals + 1, 1), or a single row for all ends

    def steps(self, longest: float) -> int:
        """Whole steps that fall on the intervals' ends and are no longer than that."""
        return self.intervals * max(1, ceil((self.end - self.begin) / self.intervals / longest - ROUNDING))


def integrate_many(
    neurons: Neurons,
    current: Holds | SampledCurrent,
    duration: float,
    start: Array,
    *,
    step: float | None = None,
    precision: Literal["float32", "float64"] = "float64",
    every: int = 1,
    threads: int = 0,
) -> Trace:
    """Voltage of each neuron over `duration` tau_m. `start` (4, N) holds U_fast, U_slow, U_ultraslow and V.

    Steps are equal between changes of current, fall on these and on a current's samples, and are no longer than
    `step`, tau_m, or `step_of`. The voltage, in the chosen precision, is that after `every` so many of them, and at
    each change of current. A neuron that needs shorter steps than `step` takes several to each. With `step` given,
    its voltage has the same bits whatever the other neurons are. Where a state is not finite at the end, the neuron's
    whole voltage is NaN. `threads` 0: as many as there are processors. Raises SpecError, also for a run of more than
    `LARGEST_RUN`.
    """
    longest = _checked(neurons, current, duration, start, step, precision, every, threads)
    spans = list(_spans(current, duration))
    counts = [span.steps(longest) for span in spans]
    taken = _taken(neurons, longest)
    _refuse_long(sum(counts), taken, longest, every)
    records = 1 + sum(ceil(count / every) for count in counts)
    run = _Run(PRECISIONS[precision], spans, counts, every, np.empty((records, neurons.count), precision))
    run.voltage[0] = start[ROWS["membrane"]]
    threads = threads or os.cpu_count() or 1
    chunk = min(LARGEST, SMALLEST * ceil(neurons.count / (SMALLEST * CHUNKS * threads)))
    with ThreadPoolExecutor(threads) as pool:
        try:
            jobs = [
                pool.submit(run, part, slice(first, first + chunk), start)
                for part in _parts(neurons, taken, run.precision)
                for first in range(0, len(part.lanes), chunk)
            ]
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Trace(run.times(), cast(Array, run.voltage))


def _checked(
    neurons: Neurons,
    current: Holds | SampledCurrent,
    duration: float,
    start: Array,
    step: float | None,
    precision: str,
    every: int,
    threads: int,
) -> float:
    """The longest step. Raises SpecError."""
    for name, value in (("duration", duration), ("step", 1.0 if step is None else step)):
        if not (isfinite(value) and value > 0.0):
            raise SpecError(f"{name} is {value}; it must be finite and > 0")
    if precision not in PRECISIONS:
        raise SpecError(f"precision is {precision!r}; there are {' and '.join(PRECISIONS)}")
    if every < 1 or threads < 0:
        raise SpecError(f"every is {every} and threads {threads}; give every >= 1 and threads >= 0")
    given = current.levels if isinstance(current, Holds) else current.samples
    lanes = neurons.count if given.ndim == 1 else given.shape[1]
    if lanes != neurons.count or start.shape != (len(ROWS), neurons.count):
        raise SpecError(
            f"currents of {lanes} neurons and a start of shape {start.shape} for "
            f"{neurons.count} neurons; give a column for each"
        )
    return step_of(neurons) if step is None else step


def _spans(current: Holds | SampledCurrent, duration: float) -> Iterator[_Span]:
    if isinstance(current, Holds):
        ends = [min(end, duration) for end in (*current.starts[1:], duration)]
        for begin, end, levels in zip(current.starts, ends, current.levels, strict=True):
            if begin < end:
                yield _Span(begin, end, 1, levels[None])
        return
    samples = np.ascontiguousarray(current.samples if current.samples.ndim == 2 else current.samples[:, None])
    whole = min(len(samples) - 1, int(duration / current.spacing + ROUNDING))
    known = min(whole * current.spacing, duration)
    if whole:
        yield _Span(0.0, known, whole, samples[: whole + 1])
    if duration - known > ROUNDING * current.spacing:
        last = samples[whole : whole + 1]
        if whole < len(samples) - 1:
            share = (duration - known) / current.spacing
            last = np.concatenate([last, last + share * (samples[whole + 1] - last)])
        yield _Span(known, duration, 1, last)


class _Part(NamedTuple):
    """Neurons of one structure that take equally many steps to one of the run's."""

    loop: Loop
    structure: Structure
    lanes: NDArray[np.intp]  # (M,)
    coefficients: Array  # (names, M)
    steps: int


def _taken(neurons: Neurons, step: float) -> NDArray[np.int64]:
    """Steps that each neuron takes to one of the run's: (N,)."""
    needed = np.ceil(step / (SLACK * steps_of(neurons)) - ROUNDING)
    return np.asarray(needed.clip(1.0, LARGEST_RUN), dtype=np.int64)


def _refuse_long(steps: int, taken: NDArray[np.int64], longest: float, every: int) -> None:
    """Raises SpecError."""
    slowest = int(taken.argmax())
    if steps * float(taken.sum()) > LARGEST_RUN:
        raise SpecError(
            f"{steps * float(taken.sum()):.3g} steps are too many: {steps} of {longest / float(taken[slowest]):.3g} "
            f"tau_m for neuron {slowest} of {len(taken)}, say; shorten the duration, take fewer neurons, or lengthen "
            "the shortest time constant"
        )
    if steps / every * len(taken) > LARGEST_TRACE:
        raise SpecError(
            f"{steps / every:.3g} voltages of each of {len(taken)} neurons are too many; raise `every`, shorten the "
            "duration or take fewer neurons"
        )


def _parts(neurons: Neurons, taken: NDArray[np.int64], precision: Precision) -> Iterator[_Part]:
    for structure, lanes in structures(neurons):
        c = coefficients(select(neurons, lanes), structure)
        names, values = tuple(c), np.stack(list(c.values()))
        edges = values[["edge" in name for name in names]]
        apart, steps = np.any(np.abs(edges) > precision.offset, axis=0), taken[lanes]
        for far, count in sorted(set(zip(apart.tolist(), steps.tolist(), strict=True))):
            chosen = np.flatnonzero((apart == far) & (steps == count))
            shaped = replace(structure, apart=far)
            yield _Part(compiled(shaped, names, precision), shaped, lanes[chosen], values[:, chosen], count)


@dataclass(frozen=True, eq=False)
class _Run:
    """What all lanes share."""

    precision: Precision
    spans: list[_Span]
    counts: list[int]  # steps of each span
    every: int
    voltage: NDArray[Any]  # (records, N)

    def times(self) -> Array:
        times = [np.zeros(1)]
        for span, count in zip(self.spans, self.counts, strict=True):
            kept = np.append(np.arange(self.every, count, self.every), count)
            times.append(np.linspace(span.begin, span.end, count + 1)[kept])
        return np.concatenate(times)

    def __call__(self, part: _Part, chunk: slice, start: Array) -> None:
        """Integrate some of a part's neurons."""
        lanes = part.lanes[chunk]
        width = vector_width(self.precision)
        padded = np.pad(lanes, (0, -len(lanes) % width), mode="edge")
        whole = len(padded) == len(lanes) and bool((np.diff(lanes) == 1).all())
        places = slice(int(lanes[0]), int(lanes[-1]) + 1) if whole else padded
        constants = np.ascontiguousarray(part.coefficients[:, chunk], self.precision.name)
        constants = np.pad(constants, ((0, 0), (0, len(padded) - len(lanes))), mode="edge")
        states = self._states(part.structure, start[:, padded])
        output = self.voltage[:, places] if whole else np.empty((len(self.voltage), len(padded)), self.precision.name)
        record = 1
        for span, count in zip(self.spans, self.counts, strict=True):
            self._advance(part, span, count, _felt(span.ends, places, width), constants, states, output[record:])
            record += ceil(count / self.every)
        if not whole:
            self.voltage[1:, lanes] = output[1:, : len(lanes)]
        lost = ~np.isfinite(states).all(axis=0)[: len(lanes)]
        if lost.any():
            self.voltage[:, lanes[lost]] = np.nan

    def _states(self, structure: Structure, start: Array) -> NDArray[Any]:
        """In the structure's order; tails at rest."""
        with np.errstate(over="ignore"):
            tail = np.exp(TAIL_SLOPE * start[ROWS["membrane"]])
            rows = [start[ROWS[name]] if name in ROWS else tail for name in structure.states]
            return np.stack(rows).astype(self.precision.name)

    def _advance(
        self,
        part: _Part,
        span: _Span,
        count: int,
        current: Array,
        constants: NDArray[Any],
        states: NDArray[Any],
        output: NDArray[Any],
    ) -> None:
        """One span: `states` are carried along in place, voltages written to `output`."""
        steps = count * part.steps
        size = (span.end - span.begin) / steps
        held = len(current) == 1
        intervals = steps if held else span.intervals
        substeps = steps // intervals
        stages = size * np.array([1 / 2, 1 / 2, 1.0, 0.0, 1 / 6, 1 / 3, 1 / 3, 1 / 6])
        numbers = [stages.astype(self.precision.name)]
        numbers.append((np.arange(2 * substeps + 1) / (2 * substeps)).astype(self.precision.name))
        word, wide = self.precision.word, current.itemsize
        table = {
            Entry.LANES: states.shape[1],
            Entry.COEFFICIENTS: constants.ctypes.data,
            Entry.STATES: states.ctypes.data,
            Entry.STAGES: numbers[0].ctypes.data,
            Entry.INTERVALS: intervals,
            Entry.SUBSTEPS: substeps,
            Entry.SHARES: numbers[1].ctypes.data,
            Entry.CURRENT: current.ctypes.data,
            Entry.CURRENT_ROW: 0 if held else current.strides[0] // wide,
            Entry.CURRENT_LANE: int(current.shape[1] == states.shape[1]),
            Entry.OUTPUT: output.ctypes.data,
            Entry.OUTPUT_ROW: output.strides[0] // word,
            Entry.EVERY: self.every * part.steps,
        }
        entries = (ctypes.c_int64 * len(Entry))(*(table[entry] for entry in Entry))
        part.loop.code.call(0, 0, ctypes.addressof(entries), None)


def _felt(ends: Array, places: slice | NDArray[np.intp], width: int) -> Array:
    """Currents of some lanes, those next to each other in place; where all share one, a vector of it."""
    if ends.shape[1] == 1:
        return np.repeat(ends, width, axis=1)
    return ends[:, places] if isinstance(places, slice) else np.take(ends, places, axis=1)


def step_of(neurons: Neurons) -> float:
    """The longest step that suits all neurons, tau_m."""
    return float(steps_of(neurons).min())


def steps_of(neurons: Neurons) -> Array:
    """Each neuron's longest step, tau_m, (N,): `STEP` of the shortest time constant of its membrane, of the filters
    that it uses and of their loops.
    """
    used = in_use(neurons)
    lag = np.where(used, neurons.tau, np.inf)
    gain = np.stack([np.where(np.equal(ELEMENT_FILTER, y)[:, None], neurons.alpha, 0.0).sum(0) for y in range(3)])
    filters = _steepest(neurons.filter_curve) / lag
    membrane = _steepest(neurons.leak_curve) * neurons.leak
    if neurons.cells is not None:
        steepest = _steepest_cells(neurons.cells)
        filters, membrane = steepest[1:] / lag, steepest[0] * neurons.leak
    # Of 400 bursting neurons with 5 % mismatch and of their circuits on 100 chips, all fire as often as by LSODA over
    # 4,000 tau_m up to 1.5 of these steps, and 1 % does not at 2: `benchmarks/ensemble.py`.
    rates = [np.ones_like(membrane), membrane, neurons.alpha[0] / 2.0, *filters, *np.sqrt(gain * filters)]
    if neurons.cells is not None:
        rates += [*np.divide(0.5, neurons.cells.lag, out=np.zeros_like(lag), where=used & (neurons.cells.lag > 0.0))]
    return np.asarray(STEP / np.max(rates, axis=0))


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
