"""Distances between spike trains and between waveforms, each from its paper's definition. Times in one unit."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import trapezoid

from mtc_hw.analysis.spikes import checked_spikes
from mtc_hw.errors import DataError
from mtc_hw.spec import Array, Trace


def van_rossum(first: ArrayLike, second: ArrayLike, tau: float) -> float:
    """Distance D of van Rossum, Neural Computation 13(4), 2001: D^2 = (1/tau) integral of (f - g)^2 dt.

    f and g are the trains filtered by exp(-t/tau), t >= 0. One spike against none: D^2 = 1/2; two far apart: 1.
    Closed form in linear time by the recursion of Houghton and Kreuz, Network 23, 2012. D is a metric.
    """
    _require(tau > 0.0 and np.isfinite(tau), "van Rossum's tau", tau, "finite and > 0")
    one, two = checked_spikes(first), checked_spikes(second)
    times = np.concatenate([one, two])
    order = np.argsort(times, kind="stable")
    signs = np.concatenate([np.ones(one.size), -np.ones(two.size)])[order].tolist()
    decays = np.exp(-np.diff(times[order], prepend=-np.inf) / tau).tolist()
    memory, previous, overlap = 0.0, 0.0, 0.0
    for sign, decay in zip(signs, decays, strict=True):
        memory = decay * (memory + previous)
        overlap += sign * memory
        previous = sign
    return float(np.sqrt(max(0.5 * times.size + overlap, 0.0)))


def victor_purpura(first: ArrayLike, second: ArrayLike, cost: float) -> float:
    """Least cost of turning one train into the other (Victor and Purpura, J. Neurophysiol. 76(2), 1996).

    Adding or deleting a spike costs 1, moving it by dt costs `cost` * |dt|. A metric for cost > 0.
    """
    _require(cost >= 0.0 and np.isfinite(cost), "Victor and Purpura's cost", cost, "finite and >= 0")
    one, two = checked_spikes(first), checked_spikes(second)
    columns = np.arange(two.size + 1, dtype=np.float64)
    row = columns.copy()
    for count, spike in enumerate(one, start=1):
        moved = row[:-1] + cost * np.abs(two - spike)
        best = np.concatenate([[count], np.minimum(moved, row[1:] + 1.0)])
        # Adding spikes along the row costs 1 a column: a running minimum once that slope is taken out.
        row = np.minimum.accumulate(best - columns) + columns
    return float(row[-1])


def coincidences(reference: ArrayLike, test: ArrayLike, window: float) -> int:
    """Number of pairs of spikes at most `window` apart, each spike in one pair at most."""
    _require(window >= 0.0 and np.isfinite(window), "coincidence window", window, "finite and >= 0")
    one, two = checked_spikes(reference).tolist(), checked_spikes(test).tolist()
    pairs, i, j = 0, 0, 0
    while i < len(one) and j < len(two):
        if abs(one[i] - two[j]) <= window:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif one[i] < two[j]:
            i += 1
        else:
            j += 1
    return pairs


def coincidence_factor(reference: ArrayLike, test: ArrayLike, duration: float, window: float) -> float | None:
    """Gamma of Kistler, Gerstner and van Hemmen 1997, as in Jolivet et al. 2008: 1 for equal trains, 0 by chance.

    (coincidences - chance) / ((n_reference + n_test) / 2) / (1 - 2 rate window), where chance = 2 rate window
    n_reference is what a Poisson train of the test's rate would reach. None where both trains are empty, or the test
    fires so fast that every spike coincides by chance.
    """
    _require(duration > 0.0 and np.isfinite(duration), "duration", duration, "finite and > 0")
    one, two = checked_spikes(reference), checked_spikes(test)
    certain = 2.0 * window * two.size / duration
    if one.size + two.size == 0 or certain >= 1.0:
        return None
    excess = coincidences(one, two, window) - certain * one.size
    return float(excess / (0.5 * (one.size + two.size)) / (1.0 - certain))


def waveform_rmse(reference: Trace, test: Trace, neuron: int = 0, spacing: float = 0.25) -> float:
    """Root mean square of the voltages' difference, in unit voltages, over the time that both traces cover.

    Both are interpolated linearly to one grid of at most `spacing` tau_m. Raises DataError.
    """
    _require(spacing > 0.0 and np.isfinite(spacing), "grid spacing", spacing, "finite and > 0")
    for name, trace in (("reference", reference), ("test", test)):
        if not 0 <= neuron < trace.voltage.shape[1]:
            raise DataError(f"neuron {neuron} is not in the {name} trace, which has {trace.voltage.shape[1]}")
    start = max(float(reference.time[0]), float(test.time[0]))
    end = min(float(reference.time[-1]), float(test.time[-1]))
    if not end > start:
        raise DataError(f"the traces do not overlap: one begins at {start:g}, the other ends at {end:g}")
    grid = np.linspace(start, end, int(np.ceil((end - start) / spacing)) + 1)
    difference = _voltage(reference, neuron, grid) - _voltage(test, neuron, grid)
    return float(np.sqrt(trapezoid(difference**2, grid) / (end - start)))


def _voltage(trace: Trace, neuron: int, grid: Array) -> Array:
    return np.interp(grid, trace.time, trace.voltage[:, neuron])


def _require(holds: bool, name: str, value: float, rule: str) -> None:
    if not holds:
        raise DataError(f"{name} is {value}; it must be {rule}")
