"""Capacitance of a follower's tail nodes, from the charge that a neuron's spikes push into a filter of some pA."""

from math import exp, log

import numpy as np
from scipy.optimize import least_squares

from mtc_hw.characterise.bench import Bench, Column, Level
from mtc_hw.hardware.scale import Scale
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.neuron_file import load_neuron
from mtc_hw.simulate.ode import integrate
from mtc_hw.spec import TAIL_SLOPE, Array

BIASES = np.array([1e-12, 3e-12, 1e-11, 3e-11])  # A; a larger bias takes hardly any charge
HELD = (-2.0, -1.5, -1.0)  # unit voltages of the output
UNIT_CURRENT, CAPACITOR = 1e-9, 5e-12  # A, F: of the neuron whose spikes these are, the mapper's defaults
BURST = (300.0, 900.0)  # tau_m, of the bursting preset
GRID, FINE = 1.0, 0.1  # tau_m, between the points of the input and between those of the integrals
REACH, STEP = 0.25, 0.0025  # V: of the DC sweep
START = 50.0  # fF


def tail_capacitance(bench: Bench, unit: float) -> Array:
    """That with which `spec.CellEffects` gives the charge beyond the DC transfer, F, at `BIASES`; `unit` in V."""
    second = Scale.from_capacitor(unit, UNIT_CURRENT, CAPACITOR).second
    return np.array([_fit(bench, float(bias), unit, second) for bias in BIASES])


def _fit(bench: Bench, bias: float, unit: float, second: float) -> float:
    time, voltage = _spikes()
    end = float(time[-1]) * second
    names = [f"i(vo{i})" for i in range(len(HELD))]
    given = {"bias": bias, "held": [level * unit for level in HELD], "duration": end, "step": 0.5 * second}
    points = list(zip((time * second).tolist(), (voltage * unit).tolist(), strict=True))
    seen = bench.run("tail.cir.j2", names, end, options=TRANSISTOR.options(), points=points, **given)
    fine = np.arange(0.0, float(time[-1]), FINE)
    passing, at = np.interp(fine, time, voltage), fine * second
    drive = np.array([np.interp(at, seen.axis, _charge(seen.axis, seen[name])) for name in names])
    still = _still(bench, bias, passing, unit)

    def residual(logarithm: Array) -> Array:
        lag = exp(float(logarithm[0])) * 1e-15 * unit / (bias * second)
        return np.asarray(_charge(at, still * _boost(passing, lag)) - drive).ravel() * 1e15

    return exp(float(least_squares(residual, [log(START)]).x[0])) * 1e-15


def _spikes() -> tuple[Array, Array]:
    """Time, tau_m, and voltage of a burst, unit voltages."""
    neuron = load_neuron("bursting")
    trace = integrate(neuron.neurons, neuron.stimulus, BURST[1], neuron.initial)
    time = np.arange(BURST[0], BURST[1], GRID)
    return time - time[0], np.interp(time, trace.time, trace.voltage[:, 0])


def _still(bench: Bench, bias: float, voltage: Array, unit: float) -> Array:
    """What the followers' DC transfer gives, A, (levels, T)."""
    ground = bench.technology.analog_ground
    levels = [Level(f"held{i}", "ref", level * unit) for i, level in enumerate(HELD)]
    columns = [Column("wide_ota", bias, "in", level.name, level.name) for level in levels]
    swept = bench.sweep(columns, levels, ground - REACH, ground + REACH, STEP)
    return np.array([np.interp(voltage * unit, swept.axis - ground, column) for column in swept.current.T])


def _charge(time: Array, current: Array) -> Array:
    """The integral of a current (..., T)."""
    parts = 0.5 * (current[..., 1:] + current[..., :-1]) * np.diff(time)
    return np.asarray(np.cumsum(np.concatenate([np.zeros_like(parts[..., :1]), parts], axis=-1), axis=-1))


def _boost(voltage: Array, lag: float) -> Array:
    """p / q of a follower that hears these voltages every `FINE` tau_m; `lag` in tau_m."""
    p, kept = np.exp(TAIL_SLOPE * voltage), exp(-FINE / lag)
    q = np.empty_like(p)
    q[0] = p[0]
    for index in range(1, len(p)):
        q[index] = kept * q[index - 1] + (1.0 - kept) * 0.5 * (p[index] + p[index - 1])
    return np.asarray(p / q)
