"""How unlike two spike trains are at each moment: the profiles of Kreuz and others, and their means over a recording.

No time scale has to be chosen. Times in one unit. The ends of the recording are treated as PySpike 0.9 treats them
(Mulansky and Kreuz, SoftwareX 5, 2016), so that the numbers are the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtc_hw.analysis.spikes import checked_spikes
from mtc_hw.errors import DataError
from mtc_hw.spec import Array


@dataclass(frozen=True, eq=False)
class Profile:
    """A dissimilarity over time, linear between successive edges; it may jump at an edge."""

    edges: Array  # (K + 1,), increasing, from the start of the recording to its end
    left: Array  # (K,), value right after each edge but the last
    right: Array  # (K,), value right before each edge but the first

    def mean(self) -> float:
        """Mean over the recording."""
        area = (0.5 * (self.left + self.right) * np.diff(self.edges)).sum()
        return float(area / (self.edges[-1] - self.edges[0]))


def isi_distance(first: ArrayLike, second: ArrayLike, start: float, end: float) -> float:
    """Mean of `isi_profile` over a recording from `start` to `end`: 0 for equal trains, below 1. Raises DataError."""
    return isi_profile(first, second, start, end).mean()


def spike_distance(first: ArrayLike, second: ArrayLike, start: float, end: float) -> float:
    """Mean of `spike_profile` over a recording from `start` to `end`: 0 for equal trains. Raises DataError."""
    return spike_profile(first, second, start, end).mean()


def isi_profile(first: ArrayLike, second: ArrayLike, start: float, end: float) -> Profile:
    """|x - y| / max(x, y) of the intervals x and y around each moment (Kreuz et al., J. Neurosci. Meth. 165, 2007).

    Before the first spike and after the last one the interval is the time to that end of the recording, or the
    interval next to it where that is longer. A train without spikes is one interval. Raises DataError.
    """
    trains = [_Train.of(each, start, end) for each in (first, second)]
    edges = _edges(trains)
    one, two = (train.intervals[train.place(edges)] for train in trains)
    value = np.abs(one - two) / np.maximum(one, two)
    return Profile(edges, value, value)


def spike_profile(first: ArrayLike, second: ArrayLike, start: float, end: float) -> Profile:
    """Dissimilarity of the spikes around each moment (Kreuz et al., J. Neurophysiol. 109, 2013).

    A spike's distance is the time to the other train's nearest spike. In each train it is interpolated between the
    spike before and the one after, both trains' values are weighted by the other's interval, and their sum is taken
    per mean interval. Before the first spike and after the last one a distance stays as it is. Raises DataError.
    """
    trains = [_Train.of(each, start, end) for each in (first, second)]
    edges = _edges(trains)
    distances = [one.distances(two) for one, two in (trains, trains[::-1])]
    intervals = [train.intervals[train.place(edges)] for train in trains]
    ends = []
    for moments in (edges[:-1], edges[1:]):
        near = [train.interpolated(own, edges, moments) for train, own in zip(trains, distances, strict=True)]
        total = near[0] * intervals[1] + near[1] * intervals[0]
        ends.append(2.0 * total / (intervals[0] + intervals[1]) ** 2)
    return Profile(edges, ends[0], ends[1])


@dataclass(frozen=True, eq=False)
class _Train:
    """A train with an auxiliary spike at or beyond each end of the recording."""

    spikes: Array  # (n,), n >= 1
    knots: Array  # (n + 2,)
    start: float
    end: float

    @staticmethod
    def of(spikes: ArrayLike, start: float, end: float) -> "_Train":
        if not (np.isfinite([start, end]).all() and start < end):
            raise DataError(f"the recording is from {start:g} to {end:g}; it must begin before it ends")
        own = checked_spikes(spikes)
        if own.size and not (start <= own[0] and own[-1] <= end):
            raise DataError(f"spikes from {own[0]:g} to {own[-1]:g} lie outside the recording, {start:g} to {end:g}")
        if own.size == 0:
            own = np.array([start, end])
        before, after = start, end
        if own.size > 1:
            before, after = min(start, 2.0 * own[0] - own[1]), max(end, 2.0 * own[-1] - own[-2])
        return _Train(own, np.concatenate([[before], own, [after]]), start, end)

    @property
    def intervals(self) -> Array:
        """(n + 1,); those at the ends count up to the auxiliary spikes."""
        return np.diff(self.knots)

    def place(self, edges: Array) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """Index of the interval that each piece between successive edges lies in."""
        return np.searchsorted(self.spikes, edges[:-1], side="right")

    def distances(self, other: "_Train") -> Array:
        """Distance (n + 2,) of each knot to the nearest one of the other train; the ends' are their neighbours'."""
        own = _nearest(self.spikes, other.knots)
        last = own[-1]
        if self.spikes.size == 1 and self.spikes[0] == self.start:
            # PySpike takes the end of the recording for this train's second spike.
            last = _nearest(np.array([self.end]), other.knots)[0]
        return np.concatenate([own[:1], own, [last]])

    def interpolated(self, values: Array, edges: Array, moments: Array) -> Array:
        """Values (n + 2,) at the knots, linear in between, at one moment of each piece between edges."""
        left = self.place(edges)
        share = (moments - self.knots[left]) / (self.knots[left + 1] - self.knots[left])
        return values[left] + share * (values[left + 1] - values[left])


def _edges(trains: list[_Train]) -> Array:
    """The ends of the recording and all spikes in between."""
    ends = [trains[0].start, trains[0].end]
    return np.unique(np.concatenate([ends, *(train.spikes for train in trains)]))


def _nearest(times: Array, knots: Array) -> Array:
    """Distance of each time to the nearest of increasing knots that begin before and end after all times."""
    right = np.clip(np.searchsorted(knots, times), 1, knots.size - 1)
    return np.minimum(np.abs(times - knots[right - 1]), np.abs(knots[right] - times))
