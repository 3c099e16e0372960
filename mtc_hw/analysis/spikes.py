"""Spike times from a waveform, and the statistics of intervals and bursts. Times in tau_m, or any one unit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtc_hw.errors import DataError
from mtc_hw.spec import Array, Trace

THRESHOLD = 0.0  # unit voltages; spikes swing from about -2.5 to 2.4
HYSTERESIS = 0.2  # unit voltages
LEAST_GAP = 2.0  # a silence between bursts lasts at least this many of the longest intervals within bursts
BISECTIONS = 50


@dataclass(frozen=True)
class IntervalStatistics:
    """Of the intervals between successive spikes; None where too few spikes define it."""

    count: int  # intervals
    mean: float | None
    median: float | None
    sd: float | None  # of a sample, n - 1
    cv: float | None  # sd / mean


@dataclass(frozen=True)
class BurstStatistics:
    """Of groups of spikes parted by silences. Means are over the complete bursts, those a silence follows."""

    count: int  # groups, complete or not; 0: the spikes fall into no groups
    complete: int
    gap: float | None  # intervals longer than this part two bursts
    starts: tuple[float, ...]  # first spike of each group
    sizes: tuple[int, ...]  # spikes of each group
    spikes_per_burst: float | None
    period: float | None  # mean time from one burst's first spike to the next one's
    intra_interval: float | None  # mean interval within bursts
    silence: float | None  # mean time from a burst's last spike to the next one's first


def spike_times(
    time: ArrayLike, voltage: ArrayLike, threshold: float = THRESHOLD, hysteresis: float = HYSTERESIS
) -> Array:
    """Times (spikes,) at which one voltage (T,) rises through `threshold`; the samples need not be uniform.

    After a spike the voltage must fall below threshold - hysteresis before another counts. Each time is a root of
    the cubic through the four samples around the crossing, or of the line where the trace ends. Raises DataError.
    """
    times, volts = np.asarray(time, dtype=np.float64), np.asarray(voltage, dtype=np.float64)
    if times.ndim != 1 or times.shape != volts.shape:
        raise DataError(f"time has shape {times.shape} and voltage {volts.shape}; give one voltage for each time")
    return _trains(times, volts[None], threshold, hysteresis)[0]


def spike_trains(trace: Trace, threshold: float = THRESHOLD, hysteresis: float = HYSTERESIS) -> tuple[Array, ...]:
    """`spike_times` of each neuron of a trace, the same bits; all at once, which takes a fraction of the time."""
    return _trains(np.asarray(trace.time, dtype=np.float64), trace.voltage.T, threshold, hysteresis)


def spike_counts(
    voltage: ArrayLike, threshold: float = THRESHOLD, hysteresis: float = HYSTERESIS
) -> NDArray[np.int_]:
    """How many `spike_times` each neuron of a voltage (T, N) has, (N,)."""
    lanes = np.ascontiguousarray(np.asarray(voltage).T)
    return np.array([_upward(lane, threshold, hysteresis).size for lane in lanes], dtype=np.int_)


def _trains(times: Array, voltage: NDArray[np.floating], threshold: float, hysteresis: float) -> tuple[Array, ...]:
    """Of voltages (N, T)."""
    _check_waveform(times, voltage)
    if not hysteresis >= 0.0:
        raise DataError(f"hysteresis is {hysteresis}; it must be >= 0")
    lanes = np.ascontiguousarray(voltage)
    before = [_upward(lane, threshold, hysteresis) for lane in lanes]
    lane = np.repeat(np.arange(len(lanes)), [each.size for each in before])
    roots = _crossings(times, lanes, threshold, lane, np.concatenate(before) if before else np.empty(0, np.intp))
    return tuple(np.split(roots, np.cumsum([each.size for each in before])[:-1]))


def _upward(volts: NDArray[np.floating], threshold: float, hysteresis: float) -> NDArray[np.intp]:
    """Samples before which a voltage (T,) has not, and after which it has risen through the threshold."""
    before = np.flatnonzero((volts[:-1] < threshold) & (volts[1:] >= threshold))
    if before.size == 0:
        return before
    lowest = np.minimum.reduceat(volts, before + 1)[:-1]  # between a crossing and the next one
    armed = np.concatenate([[True], lowest < threshold - hysteresis])
    return np.asarray(before[armed], dtype=np.intp)


def _check_waveform(times: Array, voltage: NDArray[np.floating]) -> None:
    for name, values in (("time", times), ("voltage", voltage)):
        if not np.isfinite(values).all():
            where = int(np.argwhere(~np.isfinite(values))[0][-1])
            raise DataError(f"{name}[{where}] is {values[..., where].min()}; a waveform must be finite")
    stuck = np.flatnonzero(np.diff(times) <= 0.0)
    if stuck.size:
        where = int(stuck[0]) + 1
        raise DataError(f"time[{where}] is {times[where]:g}, not after {times[where - 1]:g}; times must increase")


def _crossings(
    times: Array,
    lanes: NDArray[np.floating],
    threshold: float,
    lane: NDArray[np.intp],
    before: NDArray[np.intp],
) -> Array:
    """When voltages (N, T) pass the threshold between samples `before` and before + 1 of a `lane`, for each pair."""
    low, high = (lanes[lane, at].astype(np.float64) - threshold for at in (before, before + 1))
    roots = times[before] + low / (low - high) * (times[before + 1] - times[before])
    inside = (before >= 1) & (before + 2 < times.size)
    if inside.any():
        rows = before[inside, None] + np.arange(-1, 3)
        values = lanes[lane[inside, None], rows].astype(np.float64) - threshold
        roots[inside] = _cubic_roots(times[rows], values)
    return np.asarray(roots, dtype=np.float64)


def _cubic_roots(times: Array, values: Array) -> Array:
    """Root between the two middle points of the cubic through four, for each row of (crossings, 4).

    Newton's divided differences, then bisection: the middle values have opposite signs, so the root is bracketed.
    """
    first = np.diff(values) / np.diff(times)
    second = np.diff(first) / (times[:, 2:] - times[:, :-2])
    third = np.diff(second) / (times[:, 3:] - times[:, :-3])
    low, high = times[:, 1].copy(), times[:, 2].copy()
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        a, b, c = (middle - times[:, k] for k in range(3))
        value = values[:, 0] + a * (first[:, 0] + b * (second[:, 0] + c * third[:, 0]))
        low, high = np.where(value < 0.0, middle, low), np.where(value < 0.0, high, middle)
    return np.asarray(0.5 * (low + high))


def interval_statistics(spikes: ArrayLike) -> IntervalStatistics:
    """Statistics of the intervals of increasing spike times (spikes,)."""
    intervals = np.diff(checked_spikes(spikes))
    if intervals.size == 0:
        return IntervalStatistics(0, None, None, None, None)
    mean = float(intervals.mean())
    sd = float(intervals.std(ddof=1)) if intervals.size > 1 else None
    return IntervalStatistics(
        intervals.size, mean, float(np.median(intervals)), sd, None if sd is None else sd / mean
    )


def checked_spikes(spikes: ArrayLike, name: str = "spike times") -> Array:
    """Spike times as an array. Raises DataError unless they are finite and increase."""
    times = np.asarray(spikes, dtype=np.float64)
    if times.ndim != 1:
        raise DataError(f"{name} have shape {times.shape}; give one dimension")
    if not np.isfinite(times).all():
        where = int(np.flatnonzero(~np.isfinite(times))[0])
        raise DataError(f"{name}[{where}] is {times[where]}; every time must be finite")
    wrong = np.flatnonzero(np.diff(times) <= 0.0)
    if wrong.size:
        where = int(wrong[0]) + 1
        raise DataError(f"{name}[{where}] is {times[where]:g}, not after {times[where - 1]:g}; sort the times")
    return times


def burst_gap(intervals: ArrayLike) -> float | None:
    """Interval that parts bursts: the geometric middle of the widest gap in the sorted logarithms of the intervals.

    A gap counts where its upper side is at least `LEAST_GAP` times its lower one, and where no fewer intervals are
    short than long; otherwise the short ones are exceptions, not bursts. None when no gap counts.
    """
    logs = np.sort(np.log(np.asarray(intervals, dtype=np.float64)))
    jumps = np.diff(logs)
    short = np.arange(1, jumps.size + 1)
    jumps[(jumps < np.log(LEAST_GAP)) | (short < logs.size - short)] = 0.0
    if not jumps.any():
        return None
    widest = int(np.argmax(jumps))
    return float(np.exp(0.5 * (logs[widest] + logs[widest + 1])))


def burst_statistics(spikes: ArrayLike, end: float | None = None) -> BurstStatistics:
    """Bursts of increasing spike times (spikes,) recorded until `end`.

    The quiet time until `end` counts as a silence where it is longer than every interval, so one burst and rest is
    one complete burst. Without `end` the last group is not complete.
    """
    times = checked_spikes(spikes)
    intervals = np.diff(times)
    quiet = 0.0 if end is None or times.size == 0 else end - float(times[-1])
    lengths = np.append(intervals, quiet) if intervals.size and quiet > intervals.max() else intervals
    gap = burst_gap(lengths)
    if gap is None:
        return BurstStatistics(0, 0, None, (), (), None, None, None, None)
    bounds = np.concatenate([[0], np.flatnonzero(intervals > gap) + 1, [times.size]])
    starts, sizes = times[bounds[:-1]], np.diff(bounds)
    complete = sizes.size if quiet > gap else sizes.size - 1
    return BurstStatistics(
        count=sizes.size,
        complete=complete,
        gap=gap,
        starts=tuple(starts.tolist()),
        sizes=tuple(sizes.tolist()),
        spikes_per_burst=_mean(sizes[:complete]),
        period=_mean(np.diff(starts)),
        intra_interval=_mean(intervals[intervals <= gap]),
        silence=_mean(intervals[intervals > gap]),
    )


def _mean(values: Array | NDArray[np.intp]) -> float | None:
    return float(values.mean()) if values.size else None
