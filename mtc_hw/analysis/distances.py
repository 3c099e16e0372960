"""Distances between spike trains and between waveforms, each from its paper's definition. Times in one unit.

Those without a time scale, the ISI- and the SPIKE-distance, are in `profiles`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

from mtc_hw.analysis.spikes import checked_spikes
from mtc_hw.errors import DataError
from mtc_hw.spec import Array, Trace

Indices = NDArray[np.intp]


def van_rossum(first: ArrayLike, second: ArrayLike, tau: float) -> float:
    """Distance D of van Rossum, Neural Computation 13(4), 2001: D^2 = (1/tau) integral of (f - g)^2 dt.

    f and g are the trains filtered by exp(-t/tau), t >= 0. One spike against none: D^2 = 1/2; two far apart: 1.
    D is a metric. f - g decays freely between spikes, so each interval's integral is closed and none is negative:
    no digits cancel, however alike the trains are.
    """
    _require(tau > 0.0 and np.isfinite(tau), "van Rossum's tau", tau, "finite and > 0")
    one, two = checked_spikes(first), checked_spikes(second)
    times, place = np.unique(np.concatenate([one, two]), return_inverse=True)
    jumps = np.bincount(place, np.repeat([1.0, -1.0], [one.size, two.size])).astype(np.float64)
    gaps = np.diff(times, append=np.inf) / tau
    heights = decayed_sums(jumps, np.concatenate([[0.0], gaps[:-1]])[: times.size])
    return float(np.sqrt(0.5 * (heights**2 * -np.expm1(-2.0 * gaps)).sum()))


def decayed_sums(values: Array, gaps: Array) -> Array:
    """h[k] = values[k] + exp(-gaps[k]) h[k - 1], for all k at once; `gaps` are >= 0.

    The recursion of Markage (Houghton and Kreuz, Network 23, 2012), by doubling: after p rounds h[k] holds the last
    2^p terms. Powers of the decay only shrink, so nothing overflows as it would in a cumulated sum.
    """
    sums, decay, step = values.astype(np.float64), np.exp(-gaps), 1
    while step < sums.size and decay[step:].any():
        sums[step:] += decay[step:] * sums[:-step]
        decay[step:] *= decay[:-step].copy()
        step *= 2
    return sums


def victor_purpura(first: ArrayLike, second: ArrayLike, cost: float) -> float:
    """Least cost of turning one train into the other (Victor and Purpura, J. Neurophysiol. 76(2), 1996).

    Adding or deleting a spike costs 1, moving it by dt costs `cost` * |dt|. A metric for cost > 0. Each row of the
    recursion needs the one before, so there is a loop over the spikes of the shorter train.
    """
    _require(cost >= 0.0 and np.isfinite(cost), "Victor and Purpura's cost", cost, "finite and >= 0")
    one, two = sorted((checked_spikes(first), checked_spikes(second)), key=len)
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
    return int(coincident_pairs(reference, test, window)[0].size)


def coincident_pairs(reference: ArrayLike, test: ArrayLike, window: float) -> tuple[Indices, Indices]:
    """Indices into both trains of as many pairs at most `window` apart as there can be, each spike in one at most.

    Each reference spike takes the first test spike within reach that the one before it left: for windows of equal
    width no choice gives more pairs.
    """
    _require(window >= 0.0 and np.isfinite(window), "coincidence window", window, "finite and >= 0")
    one, two = checked_spikes(reference), checked_spikes(test)
    first = np.searchsorted(two, one - window, side="left")
    beyond = np.searchsorted(two, one + window, side="right")
    kept = np.flatnonzero(first < beyond)
    while kept.size:
        # Were each spike served, its choice would be at least the one after its predecessor's.
        order = np.arange(kept.size)
        slack = np.maximum.accumulate(first[kept] - order)
        lost = slack + order >= beyond[kept]
        if not lost.any():
            return kept, slack + order
        # Only the first spike of a chain that finds none is certain to find none; the rest move up behind it.
        chain = np.cumsum(slack == first[kept] - order)
        losers = np.flatnonzero(lost)
        kept = np.delete(kept, losers[np.unique(chain[losers], return_index=True)[1]])
    return kept, kept


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


def distance_matrix(trains: Sequence[ArrayLike], metric: Callable[[Array, Array], float | None]) -> Array:
    """`metric` of every train with every other, (K, K), such as `lambda a, b: isi_distance(a, b, 0.0, 4000.0)`.

    Both orders are taken, since the coincidence factor depends on which is the reference; None becomes nan.
    Raises DataError that names a train whose times do not increase.
    """
    checked = [checked_spikes(train, f"spike times of train {index}") for index, train in enumerate(trains)]
    found = [[metric(one, two) for two in checked] for one in checked]
    return np.array(found, dtype=np.float64).reshape(len(checked), len(checked))


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
