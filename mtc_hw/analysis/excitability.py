"""Steady-state I-V curves, one a timescale, and what their shapes say: a neuron is excitable where its current falls
as the voltage rises. Ribar and Sepulchre, IEEE TCAS-I 66(8):3028, 2019.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtc_hw.spec import ELEMENT_FILTER, FILTERS, SIGNS, Array, Curve, Neurons

RANGE = (-4.0, 4.0)  # unit voltages; spikes swing from about -3 to 3
POINTS = 401
MARGIN = 5.0  # unit voltages beyond the outermost delta, where a tanh is flat
RESOLUTION = 0.01  # unit voltages between the points at which a curve's slope is looked at
LARGEST_GRID = 100_000  # points
SHALLOW = 1e-3  # I_u; a shallower fold, one by an alpha 1 % above the leak, is lost in any circuit's noise

Kind = Literal["passive", "spiking", "bistable", "bursting", "slow", "latch"]


@dataclass(frozen=True)
class Window:
    """A range of voltages over which an I-V curve falls: its knees."""

    low: float  # V of the lower knee
    high: float  # V of the upper knee
    peak: float  # I_u, the curve at the lower knee
    trough: float  # I_u, the curve at the upper knee

    @property
    def depth(self) -> float:
        """I_u by which the curve falls."""
        return self.peak - self.trough


@dataclass(frozen=True)
class Excitability:
    """What one neuron's curves allow it to do at some constant current, and why."""

    kind: Kind
    windows: tuple[tuple[Window, ...], tuple[Window, ...], tuple[Window, ...]]  # of fast, slow, ultraslow
    reasons: tuple[str, ...]


def iv_curves(neurons: Neurons, voltage: ArrayLike) -> Array:
    """Current that the membrane draws once every filter as fast as x, or faster, has settled at V: (3, V, N).

        I_x(V) = g L(V - V_rest) - sum_{j: filter of j not slower than x} sign_j alpha_j tanh(V + o_j - delta_j)

    x is fast, slow, ultraslow; L, sign and o as in `Neurons`. Positive current leaves the membrane, so a curve that
    meets the input current while rising is an equilibrium that is stable at that timescale. The filters count in the
    order of `FILTERS`, whatever the time constants: an absent element's one may be anything. An instantaneous fast
    filter has no offset. Ribar and Sepulchre, IEEE TCAS-I 66(8), 2019.
    """
    v = np.asarray(voltage, dtype=np.float64)[:, None]  # (V, 1)
    lost = v - neurons.rest
    leak = neurons.leak * (lost if neurons.leak_curve is None else neurons.leak_curve(lost))
    tanh = [np.tanh(v - centre) for centre in centres(neurons)]
    return _summed(neurons, leak, tanh)


def iv_slopes(neurons: Neurons, voltage: ArrayLike) -> Array:
    """dI_x/dV of `iv_curves`: (3, V, N)."""
    v = np.asarray(voltage, dtype=np.float64)[:, None]
    lost = v - neurons.rest
    leak = neurons.leak * (np.ones_like(lost) if neurons.leak_curve is None else _slope(neurons.leak_curve, lost))
    return _summed(neurons, leak, [1.0 - np.tanh(v - centre) ** 2 for centre in centres(neurons)])


def centres(neurons: Neurons) -> Array:
    """Membrane voltage at which each element's tanh is zero once its filter has settled, delta - o: (4, N)."""
    offset = np.where(neurons.tau > 0.0, neurons.offset, 0.0)
    return np.asarray(neurons.delta - offset[list(ELEMENT_FILTER)])


def _summed(neurons: Neurons, leak: Array, elements: list[Array]) -> Array:
    curves, current = [], leak
    for x in range(len(FILTERS)):
        for j in (j for j, own in enumerate(ELEMENT_FILTER) if own == x):
            current = current - SIGNS[j] * neurons.alpha[j] * elements[j]
        curves.append(current)
    return np.stack(curves)


def _slope(curve: Curve, x: Array) -> Array:
    k, d = curve.slope, curve.shift
    upper, lower = np.tanh(k * (x - d)), np.tanh(k * (x + d))
    return np.asarray(curve.amplitude * k * (2.0 - upper**2 - lower**2))


def falling(neurons: Neurons) -> NDArray[np.bool_]:
    """Whether each I-V curve falls anywhere in `RANGE`, however little: (3, N)."""
    curves = iv_curves(neurons, np.linspace(*RANGE, POINTS))
    return np.asarray((np.diff(curves, axis=1) < 0.0).any(axis=1))


def bursters(neurons: Neurons) -> NDArray[np.bool_]:
    """Which neurons have the slow negative element, without which none bursts: (N,)."""
    return np.asarray(neurons.alpha[2] > 0.0)


def voltage_grid(neurons: Neurons) -> Array:
    """Voltages (V,) to `MARGIN` beyond every element's centre, `RESOLUTION` apart unless that is too many."""
    present = np.append(centres(neurons)[neurons.alpha > 0.0], neurons.rest)
    low, high = min(RANGE[0], float(present.min()) - MARGIN), max(RANGE[1], float(present.max()) + MARGIN)
    return np.linspace(low, high, min(int(np.ceil((high - low) / RESOLUTION)) + 1, LARGEST_GRID))


def windows(neurons: Neurons) -> tuple[tuple[tuple[Window, ...], ...], ...]:
    """Where each I-V curve falls by `SHALLOW` or more: of each neuron, of fast, slow and ultraslow, from low to high.

    A window that reaches the end of `voltage_grid` ends there.
    """
    voltage = voltage_grid(neurons)
    slopes = iv_slopes(neurons, voltage)  # (3, V, N)
    return tuple(
        tuple(_falls(neurons.take(n), x, voltage, slopes[x, :, n]) for x in range(len(FILTERS)))
        for n in range(neurons.count)
    )


def _falls(neuron: Neurons, x: int, voltage: Array, slope: Array) -> tuple[Window, ...]:
    negative = np.concatenate([[False], slope < 0.0, [False]])
    turns = np.flatnonzero(negative[1:] != negative[:-1])  # first falling point, first rising point, ...
    if turns.size == 0:
        return ()
    knees = np.array([_zero(voltage, slope, turn) for turn in turns.tolist()])
    currents = iv_curves(neuron, knees)[x, :, 0]
    pairs = zip(knees.reshape(-1, 2).tolist(), currents.reshape(-1, 2).tolist(), strict=True)
    found = (Window(low, high, peak, trough) for (low, high), (peak, trough) in pairs)
    return tuple(window for window in found if window.depth >= SHALLOW)


def _zero(voltage: Array, slope: Array, turn: int) -> float:
    """Where the slope is zero between points turn - 1 and turn, on a straight line; the end of the grid beyond it."""
    if turn in (0, voltage.size):
        return float(voltage[min(turn, voltage.size - 1)])
    part = slope[turn - 1] / (slope[turn - 1] - slope[turn])
    return float(voltage[turn - 1] + part * (voltage[turn] - voltage[turn - 1]))


def classify_excitability(neurons: Neurons) -> tuple[Excitability, ...]:
    """Each neuron's kind by the conditions of Ribar and Sepulchre (2019), on curves that are N-shaped (fall) or not:

        fast  slow  ultraslow
        no    no    no         passive: no regenerative current
        N     no    no         spiking
        N     N     no         bursting, if the slow curve has its knees below the fast one's
        N     N     N          bistable, rest beside spiking, under the same condition
        no    N     any        slow: it switches or oscillates, without an upstroke of its own

    Where the slow knees are not below, nothing slow ends the fast upstroke at high voltage: the slow filter is no
    recovery. Then an N-shaped ultraslow curve makes a latch of two rests, and a monotone one, by which the ultraslow
    element recovers, spiking. Folds below `SHALLOW` do not count.
    """
    return tuple(_decide(found) for found in windows(neurons))


def rest_beside_spikes(fast: tuple[Window, ...], slow: tuple[Window, ...]) -> bool:
    """Whether the slow curve rises from the middle of the fast one's uppermost window on, and falls below it.

    There the slow filter recovers from a spike above the knees and holds the rest below them. It is the condition
    delta_s- < delta_f of Ribar and Sepulchre in terms of knees, which also sees by how much the slow positive element
    restores the curve.
    """
    return bool(fast) and bool(slow) and slow[-1].high < 0.5 * (fast[-1].low + fast[-1].high)


def _decide(found: tuple[tuple[Window, ...], ...]) -> Excitability:
    fast, slow, ultraslow = found
    reasons = [_shape(name, own) for name, own in zip(FILTERS, found, strict=True)]
    beside = rest_beside_spikes(fast, slow)
    if fast and slow:
        middle = 0.5 * (fast[-1].low + fast[-1].high)
        where = "below" if beside else "not below"
        reasons.append(
            f"the slow knees, up to {slow[-1].high:.2f}, are {where} the fast window's middle, {middle:.2f}"
        )
    return Excitability(
        _kind(bool(fast), bool(slow), bool(ultraslow), beside), (fast, slow, ultraslow), tuple(reasons)
    )


def _kind(fast: bool, slow: bool, ultraslow: bool, beside: bool) -> Kind:
    if not fast:
        return "slow" if slow else "passive"
    if not slow:
        return "spiking"
    if beside:
        return "bistable" if ultraslow else "bursting"
    return "latch" if ultraslow else "spiking"


def _shape(name: str, found: tuple[Window, ...]) -> str:
    if not found:
        return f"the {name} curve rises everywhere"
    where = " and ".join(f"from {each.low:.2f} to {each.high:.2f}, by {each.depth:.2g} I_u" for each in found)
    return f"the {name} curve falls {where}"
