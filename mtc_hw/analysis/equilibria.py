"""The equilibria of a neuron at constant current, what surrounds each, and where rest gives way to firing."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtc_hw.analysis.excitability import classify_excitability, iv_curves, iv_slopes, voltage_grid
from mtc_hw.analysis.spikes import THRESHOLD
from mtc_hw.errors import SpecError
from mtc_hw.spec import ELEMENT_FILTER, SIGNS, Array, Neurons

SATURATED = 0.01  # slope of a leak that hardly acts any more
State = Literal["rest", "block", "fires", "bursts", "oscillates", "saddle"]


@dataclass(frozen=True)
class CurrentRange:
    """Currents at which a neuron has an equilibrium of that state."""

    state: State
    low: float  # I_u
    high: float  # I_u


@dataclass(frozen=True)
class Onset:
    """Where the lowest equilibrium stops being stable as the current rises: the rheobase of a neuron that fires."""

    current: float  # I_u
    voltage: float  # unit voltages
    type: Literal["I", "II"]  # II: a Hopf bifurcation, firing sets in at a rate above 0; I: a fold (Hodgkin 1948)


def states(neurons: Neurons, voltage: Array) -> tuple[tuple[State, ...], ...]:
    """What an equilibrium at each voltage (V,) would be, of each neuron, where the timescales are far apart:

        fires       the fast curve falls there, the slow one rises: V leaves it, U_slow brings V back
        bursts      the slow curve falls, the ultraslow one rises, in a neuron of that kind
        oscillates  the same in a slow neuron, without spikes
        saddle      the ultraslow curve falls: it parts two others
        rest, block all rise, and V is below the spike threshold, or above

    Ribar and Sepulchre 2019.
    """
    slopes = iv_slopes(neurons, voltage)
    kinds = [each.kind for each in classify_excitability(neurons)]
    regenerative: dict[str, State] = {"bursting": "bursts", "bistable": "bursts", "slow": "oscillates"}
    return tuple(
        tuple(
            _state(v, slope.tolist(), regenerative.get(kind, "fires"))
            for v, slope in zip(voltage.tolist(), slopes[:, :, n].T, strict=True)
        )
        for n, kind in enumerate(kinds)
    )


def _state(voltage: float, slopes: list[float], slow_state: State) -> State:
    fast, slow, ultraslow = slopes
    if ultraslow <= 0.0:
        return "saddle"
    if slow <= 0.0:
        return slow_state
    if fast <= 0.0:
        return "fires"
    return "rest" if voltage <= THRESHOLD else "block"


def equilibria(neurons: Neurons, current: Array) -> tuple[Array, ...]:
    """Voltages of each neuron's equilibria at its current (N,), from low to high. Raises SpecError."""
    if current.shape != (neurons.count,) or not np.isfinite(current).all():
        raise SpecError(f"current has shape {current.shape}; give one finite current for each of {neurons.count}")
    voltage = voltage_grid(neurons)
    drawn = iv_curves(neurons, voltage)[2] - current  # (V, N)
    return tuple(_found(neurons.take(n), voltage, drawn[:, n], float(current[n])) for n in range(neurons.count))


def _found(neuron: Neurons, voltage: Array, drawn: Array, current: float) -> Array:
    found = _crossings(voltage, drawn)
    # Beyond the grid the straight line is long, so that its end takes a step of Newton's.
    far = (found < voltage[0]) | (found > voltage[-1])
    off = iv_curves(neuron, found)[2, :, 0] - current
    return np.where(far, found - off / np.where(far, iv_slopes(neuron, found)[2, :, 0], 1.0), found)


def _crossings(voltage: Array, value: Array) -> Array:
    """Where the value passes zero, on straight lines; also before the grid and after it, where the leak acts alone.

    A leak that saturates there holds no equilibrium; the grid's end then stands for it.
    """
    before = np.flatnonzero((value[:-1] < 0.0) != (value[1:] < 0.0))
    part = value[before] / (value[before] - value[before + 1])
    inside = voltage[before] + part * (voltage[before + 1] - voltage[before])
    slope = np.maximum(np.diff(value)[[0, -1]] / np.diff(voltage)[[0, -1]], 0.0)
    beyond = voltage[[0, -1]] - np.where(slope > SATURATED, value[[0, -1]] / np.maximum(slope, SATURATED), 0.0)
    below, above = beyond[:1][value[:1] >= 0.0], beyond[1:][value[-1:] < 0.0]
    return np.concatenate([below, inside, above])


def behaviours(neurons: Neurons, current: Array) -> tuple[tuple[State, ...], ...]:
    """What surrounds each equilibrium at each neuron's current (N,), saddles left out, from low to high voltage.

    More than one: the neuron is bistable there, ("rest", "fires") rest beside spiking.
    """
    found = equilibria(neurons, current)
    each = (states(neurons.take(n), voltages)[0] for n, voltages in enumerate(found))
    return tuple(tuple(state for state in own if state != "saddle") for own in each)


def current_ranges(neuron: Neurons) -> tuple[CurrentRange, ...]:
    """Currents over which a neuron fires, bursts or oscillates around an equilibrium, from low to high voltage."""
    voltage = voltage_grid(neuron)
    current = iv_curves(neuron, voltage)[2, :, 0]
    named = np.array(states(neuron, voltage)[0])
    parts = np.split(np.arange(voltage.size), np.flatnonzero(named[1:] != named[:-1]) + 1)
    # To the next part's first point, so that neighbours meet.
    parts = [np.append(part, min(part[-1] + 1, voltage.size - 1)) for part in parts]
    active = [part for part in parts if named[part[0]] in ("fires", "bursts", "oscillates")]
    return tuple(
        CurrentRange(str(named[part[0]]), float(current[part].min()), float(current[part].max()))  # type: ignore[arg-type]
        for part in active
    )


def onset(neuron: Neurons) -> Onset | None:
    """Where rest loses its stability as the current slowly rises; None where it never does before the grid's end.

    The eigenvalues are those of the linearised equations with their actual time constants.
    """
    voltage = voltage_grid(neuron)
    jacobians = _jacobians(neuron, voltage)
    stable = np.linalg.eigvals(jacobians).real.max(axis=1) < 0.0
    if stable.all() or not stable[0]:
        return None
    low, high = voltage[int(np.argmin(stable)) - 1], voltage[int(np.argmin(stable))]
    for _ in range(30):
        middle = 0.5 * (low + high)
        unstable = np.linalg.eigvals(_jacobians(neuron, np.array([middle]))).real.max() >= 0.0
        low, high = (low, middle) if unstable else (middle, high)
    values = np.linalg.eigvals(_jacobians(neuron, np.array([high])))[0]
    leading = values[np.argmax(values.real)]
    current = float(iv_curves(neuron, np.array([low]))[2, 0, 0])
    return Onset(current, float(low), "II" if abs(leading.imag) > 0.0 else "I")


def rests(neurons: Neurons, current: Array) -> NDArray[np.bool_]:
    """Whether each neuron's lowest equilibrium at its current (N,) is stable and below the spike threshold: (N,)."""
    lowest = [found[:1] for found in equilibria(neurons, current)]
    leading = [np.linalg.eigvals(_jacobians(neurons.take(n), at)).real.max() for n, at in enumerate(lowest)]
    return np.array([value < 0.0 and at[0] <= THRESHOLD for value, at in zip(leading, lowest, strict=True)])


def _jacobians(neuron: Neurons, voltage: Array) -> Array:
    """d/dt of small deviations in (V, U_fast, U_slow, U_ultraslow) around each equilibrium: (V, 4, 4).

    An instantaneous fast filter is part of the membrane; its row then only decays.
    """
    bare = iv_slopes(neuron, voltage)  # (3, V, 1)
    fast, slow, ultraslow = bare[0, :, 0], bare[1, :, 0] - bare[0, :, 0], bare[2, :, 0] - bare[1, :, 0]
    leak = fast + _fast_conductance(neuron, voltage)
    tau = neuron.tau[:, 0].copy()
    instantaneous = tau[0] == 0.0
    tau[0] = 1.0 if instantaneous else tau[0]
    jacobians = np.zeros((voltage.size, 4, 4))
    jacobians[:, 0, 0] = -fast if instantaneous else -leak
    jacobians[:, 0, 1] = 0.0 if instantaneous else leak - fast
    jacobians[:, 0, 2], jacobians[:, 0, 3] = -slow, -ultraslow
    for row in (1, 2, 3):
        jacobians[:, row, row] = -1.0 / tau[row - 1]
        jacobians[:, row, 0] = 0.0 if row == 1 and instantaneous else 1.0 / tau[row - 1]
    return jacobians


def _fast_conductance(neuron: Neurons, voltage: Array) -> Array:
    """alpha sech^2 of the fast element, settled: (V,)."""
    fast = list(ELEMENT_FILTER).index(0)
    offset = neuron.offset[0, 0] if neuron.tau[0, 0] > 0.0 else 0.0
    seen = np.tanh(voltage + offset - neuron.delta[fast, 0])
    return np.asarray(SIGNS[fast] * neuron.alpha[fast, 0] * (1.0 - seen**2))
