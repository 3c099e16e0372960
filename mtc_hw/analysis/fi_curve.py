"""Firing rate against constant current, from rest and from firing: where the two differ the neuron is bistable."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtc_hw.analysis.equilibria import current_ranges, equilibria
from mtc_hw.analysis.excitability import windows
from mtc_hw.analysis.firing import SUSTAINED, Firing, fire, repeat, showing_time
from mtc_hw.errors import SpecError
from mtc_hw.simulate.ensemble import Holds
from mtc_hw.spec import Array, Neurons

NUDGE = 0.01  # unit voltages off the resting equilibrium, so that an unstable one is left
TOP = 1.5  # unit voltages by which a spike rises above the fast curve's upper knee
FEWEST = 2  # currents of a curve
WIDEN = 0.3  # of the predicted span of currents, shown on either side of it
QUIET_SPAN = (-2.0, 2.0)  # I_u, shown for a neuron without a falling curve


@dataclass(frozen=True, eq=False)
class FiCurve:
    """What one neuron does at each constant current in the long run."""

    current: Array  # (P,), I_u, increasing
    from_rest: tuple[Firing, ...]  # released beside its lowest equilibrium
    from_firing: tuple[Firing, ...]  # started as if in a spike; of several starts the one that fires longest

    def rate(self, of: tuple[Firing, ...]) -> Array:
        """Spikes per tau_m at each current: (P,)."""
        return np.array([each.rate for each in of])

    @property
    def bistable(self) -> NDArray[np.bool_]:
        """Currents at which rest stays at rest and firing goes on: (P,)."""
        pairs = zip(self.from_rest, self.from_firing, strict=True)
        return np.array([rest.regime == "silent" and fires.regime in SUSTAINED for rest, fires in pairs])

    @property
    def firing_from(self) -> float | None:
        """The lowest current that makes a resting neuron fire on; None: none does."""
        return self._lowest(self.from_rest)

    @property
    def firing_down_to(self) -> float | None:
        """The lowest current at which firing, once begun, goes on."""
        return self._lowest(self.from_firing)

    def _lowest(self, of: tuple[Firing, ...]) -> float | None:
        fires = np.flatnonzero([each.regime in SUSTAINED for each in of])
        return float(self.current[fires[0]]) if fires.size else None


def fi_curve(neuron: Neurons, current: ArrayLike, duration: float | None = None) -> FiCurve:
    """The f-I curve of one neuron at increasing currents (P,), I_u. `duration`, tau_m, of each run is by default
    long enough to show bursts and adaptation. Raises SpecError.
    """
    levels = _checked(neuron, current)
    rest = resting(neuron, levels)
    starts = [rest, *spiking_starts(neuron, rest)]
    lanes = repeat(neuron, levels.size * len(starts))
    holds = Holds.constant(np.tile(levels, len(starts)))
    span = showing_time(neuron) if duration is None else duration
    firings = fire(lanes, holds, span, np.concatenate(starts, axis=1))
    groups = [firings[first : first + levels.size] for first in range(0, len(firings), levels.size)]
    fired = tuple(max(each, key=_persistence) for each in zip(*groups, strict=True))
    return FiCurve(levels, tuple(groups[0]), fired)


def _checked(neuron: Neurons, current: ArrayLike) -> Array:
    levels = np.asarray(current, dtype=np.float64)
    if neuron.count != 1:
        raise SpecError(f"an f-I curve is of one neuron, not of {neuron.count}; take one with Neurons.take")
    if levels.ndim != 1 or levels.size < FEWEST:
        raise SpecError(f"currents have shape {levels.shape}; give {FEWEST} or more in one dimension")
    if not np.isfinite(levels).all() or (np.diff(levels) <= 0.0).any():
        raise SpecError(f"currents from {levels[0]:g} to {levels[-1]:g} must be finite and increase")
    return levels


def _persistence(firing: Firing) -> tuple[bool, int]:
    return firing.regime in SUSTAINED, firing.spikes.size


def resting(neuron: Neurons, current: Array) -> Array:
    """State (4, P), as `integrate_many` wants it, beside the lowest equilibrium at each current (P,)."""
    lowest = np.array([found[0] for found in equilibria(repeat(neuron, current.size), current)])
    return np.concatenate([lowest + neuron.offset, lowest[None] + NUDGE])


def spiking_starts(neuron: Neurons, rest: Array) -> tuple[Array, ...]:
    """States (4, P) at the top of a spike: V above the fast knees, the slow filters below them, amid them, at rest.

    None for a neuron whose fast curve rises everywhere.
    """
    fast = windows(neuron)[0][0]
    if not fast:
        return ()
    low, high = fast[-1].low, fast[-1].high
    middle, top = 0.5 * (low + high), high + TOP
    columns = ((top, low, low), (top, middle, low), (top, middle, middle))
    fixed = [np.repeat([[v], [slow], [ultraslow], [v]], rest.shape[1], axis=1) for v, slow, ultraslow in columns]
    return (*fixed, np.concatenate([np.full((1, rest.shape[1]), top), rest[1:3], np.full((1, rest.shape[1]), top)]))


def telling_span(neuron: Neurons) -> tuple[float, float]:
    """Currents, I_u, between which a neuron begins and ends to fire by its curves, and some on either side."""
    ranges = current_ranges(neuron)
    if not ranges:
        return QUIET_SPAN
    low, high = min(each.low for each in ranges), max(each.high for each in ranges)
    margin = WIDEN * (high - low)
    return low - margin, high + margin
