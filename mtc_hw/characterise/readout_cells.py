"""Synapse, negative sum, low-pass and single transistors on their own benches. Each gives its figures by bias."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.constants import elementary_charge, k, zero_Celsius

from mtc_hw.characterise.bench import Bench
from mtc_hw.characterise.ranges import LINEAR, span
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.simulate.waveforms import Waveforms
from mtc_hw.spec import Array

Figures = dict[str, Array]

SWING = 0.15  # V either side of the threshold
REST, ON, EDGE, MAX_STEP = 5e-4, 2e-3, 1e-7, 2e-6  # s
CAPACITOR = 5e-12  # F, of each pole
DRIVE, DRIVE_STEP = 0.6, 0.01  # of the bias: the low-pass's input current either side
SUM_DRIVE = 10.0  # of the bias: the negative sum's largest input
UNITS_OUT = 1.5  # unit voltages at the low-pass's output for a standardised prediction of 2.5
AC_LOW, AC_HIGH, AC_POINTS = 1e-3, 1e5, 20  # Hz, Hz, points a decade
GATE_STEP = 5e-3  # V


def synapse_lag(bench: Bench, biases: Sequence[float]) -> Figures:
    """How long after its input has crossed the threshold a synapse gives half its current, and the charge it lacks.

    The input steps from 0.15 V below to 0.15 V above; the pMOS diode's node has first to come down from the supply.
    """
    names = [f"i(vo{i})" for i in range(len(biases))]
    end = REST + ON + REST
    pulse = {"low": -SWING, "high": SWING, "rise": REST, "edge": EDGE, "width": ON}
    times = {"step": MAX_STEP, "duration": end}
    seen = bench.run("synapse.cir.j2", names, end, biases=biases, options=TRANSISTOR.options(), **pulse, **times)
    lag, charge = zip(*(_delay(seen.axis, seen[name]) for name in names), strict=True)
    return {"lag": np.array(lag), "missing_charge": np.array(charge)}


def _delay(time: Array, current: Array) -> tuple[float, float]:
    """Half-current lag, s, and missing charge, C, of one pulse."""
    top = float(np.interp(REST + 0.9 * ON, time, current))
    early = (time > REST) & (time < REST + 0.9 * ON) & (current < 0.5 * top)
    # What couples through the gates comes first and is not the synapse's answer.
    lag = float(time[early][-1]) - REST if early.any() else 0.0
    return lag, top * ON - float(np.trapezoid(current, time))


def readout_sum(bench: Bench, biases: Sequence[float]) -> Figures:
    """The mirror's largest relative error, how far its input node moves, and the supply current at rest."""
    count = len(biases)
    wanted = [f"i(vp{i})" for i in range(count)] + [f"v(n{i})" for i in range(count)] + _supplies(count)
    drive = {"low": 0.0, "high": SUM_DRIVE, "step": 0.5}
    seen = bench.run("readout_sum.cir.j2", wanted, 0.95 * SUM_DRIVE, biases=biases, **drive)
    flows = seen.axis > 0.5
    ratio = [-seen[f"i(vp{i})"][flows] / (seen.axis[flows] * bias) for i, bias in enumerate(biases)]
    node = [seen[f"v(n{i})"] - bench.technology.analog_ground for i in range(count)]
    return {
        "mirror_error": np.abs(np.array(ratio) - 1.0).max(axis=1),
        "node_swing": np.ptp(np.array(node), axis=1),
        "supply_current": np.array([-seen[name][0] for name in _supplies(count)]),
    }


def lowpass(bench: Bench, biases: Sequence[float], unit: float) -> Figures:
    """Of four equal poles of 5 pF.

    `transresistance` is V at the output per input current in biases; `linear_low` to `linear_high` where the slope is
    within 5 %, V at the output; `error` the largest deviation from a straight line within 1.5 unit voltages at the
    output, relative to that; `pole` each stage's 3 dB frequency, Hz, and `tau_factor` its tau I_b / C, V.
    """
    count = len(biases)
    shared: dict[str, object] = {"biases": biases, "capacitor": CAPACITOR}
    nodes = ["v(p1_{})", "v(x{}.n2)", "v(x{}.n3)", "v(y_{})"]
    voltages = [node.format(i) for i in range(count) for node in nodes]
    drive: dict[str, object] = {"low": -DRIVE, "high": DRIVE, "step": DRIVE_STEP, "frequency": False}
    swept = bench.run("lowpass.cir.j2", [*voltages, *_supplies(count)], DRIVE - 0.5 * DRIVE_STEP, **shared, **drive)
    band: dict[str, object] = {"low": AC_LOW, "high": AC_HIGH, "points": AC_POINTS, "frequency": True}
    heard = bench.run("lowpass.cir.j2", voltages, None, **shared, **band)
    middle = int(np.argmin(np.abs(swept.axis)))
    poles = np.array([_poles(heard, [node.format(i) for node in nodes]) for i in range(count)])
    names = ("follower_gain", "transresistance", "offset", "linear_low", "linear_high", "error")
    result: dict[str, list[float]] = {name: [] for name in names}
    for i in range(count):
        first, last = (swept[node.format(i)] - bench.technology.analog_ground for node in (nodes[0], nodes[-1]))
        slope = np.gradient(last, swept.axis)
        low, high = np.interp(span(swept.axis, slope, LINEAR, 0.0), swept.axis, last)
        within = np.abs(last - last[middle]) <= UNITS_OUT * unit
        line = np.polyval(np.polyfit(swept.axis[within], last[within], 1), swept.axis[within])
        values = (slope[middle] / np.gradient(first, swept.axis)[middle], slope[middle], last[middle], low, high)
        for name, value in zip(
            result, (*values, np.abs(line - last[within]).max() / (UNITS_OUT * unit)), strict=True
        ):
            result[name].append(float(value))
    return {name: np.array(values) for name, values in result.items()} | {
        "pole": poles,
        "tau_factor": np.array(biases)[:, None] / (2.0 * np.pi * poles * CAPACITOR),
        "supply_current": np.array([-swept[name][middle] for name in _supplies(count)]),
    }


def _poles(heard: Waveforms, nodes: Sequence[str]) -> Array:
    """Each stage's 3 dB frequency, Hz: of its output over its input, the first's input being a current."""
    phasors = [np.abs(heard[node] + 1j * heard[f"imag({node})"]) for node in nodes]
    stages = [phasors[0], *(later / earlier for earlier, later in pairwise(phasors))]
    # A single pole's gain is 1 / sqrt(1 + (f / f_p)^2): straight in the logarithms around the 3 dB point.
    return np.array([_crossing(heard.axis, stage / stage[0]) for stage in stages])


def _crossing(frequency: Array, gain: Array) -> float:
    fall = int(np.argmax(gain < np.sqrt(0.5)))
    ends = slice(fall - 1, fall + 1)
    at = np.interp(-np.log(np.sqrt(0.5)), -np.log(gain[ends]), np.log(frequency[ends]))
    return float(np.exp(at))


def devices(bench: Bench, currents: Sequence[float]) -> dict[str, Figures]:
    """kappa = U_T d ln I / d V_gate of one transistor of each kind in saturation, body at the source, by current."""
    technology = bench.technology
    thermal = k * (technology.temperature + zero_Celsius) / elementary_charge
    sweep = {"high": technology.supply, "step": GATE_STEP}
    half = 0.5 * technology.supply
    seen = bench.run("devices.cir.j2", ("i(vn)", "i(vp)"), technology.supply - GATE_STEP, half=half, **sweep)
    result = {}
    for name, drain in (("nmos", np.abs(seen["i(vn)"])), ("pmos", np.abs(seen["i(vp)"]))):
        rising = np.maximum.accumulate(drain)
        gate = np.interp(np.log(currents), np.log(rising), seen.axis)
        kappa = thermal * np.interp(gate, seen.axis, np.gradient(np.log(drain), seen.axis))
        result[name] = {"kappa": kappa, "gate_voltage": gate}
    return result


def _supplies(count: int) -> list[str]:
    return [f"i(vd{i})" for i in range(count)]
