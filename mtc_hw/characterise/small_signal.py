"""Capacitances and bandwidths of the transconductors, by AC analysis."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtc_hw.characterise.bench import Bench
from mtc_hw.hardware.cells import MEASURED
from mtc_hw.spec import Array

PARASITIC_BIAS = 1e-9  # A
LOW, HIGH, POINTS = 10.0, 1e7, 10  # Hz, Hz, points a decade
CAPACITANCE_FREQUENCY = 100.0  # Hz
SYNAPSE_INPUT = 0.1  # V above the threshold: a synapse that is on
HALF_POWER = np.sqrt(0.5)


@dataclass(frozen=True)
class Probe:
    """A transconductor at an operating point, its input V from the analog ground."""

    kind: str
    bias: float  # A
    input: float = 0.0  # V


@dataclass(frozen=True, eq=False)
class SmallSignal:
    """By probe."""

    input_capacitance: Array  # F
    output_capacitance: Array  # F
    bandwidth: Array  # Hz: where the transconductance has fallen by 3 dB


def probe(kind: str, bias: float) -> Probe:
    return Probe(kind, bias, SYNAPSE_INPUT if kind == "synapse" else 0.0)


def small_signal(bench: Bench, probes: Sequence[Probe]) -> SmallSignal:
    names = [f"i(v{node}{i})" for i in range(len(probes)) for node in ("in", "out", "hold")]
    seen = bench.run("capacitance.cir.j2", names, None, columns=probes, low=LOW, high=HIGH, points=POINTS)
    phasor = np.array([seen[name] + 1j * seen[f"imag({name})"] for name in names])
    at = int(np.argmin(np.abs(np.log(seen.axis / CAPACITANCE_FREQUENCY))))
    farad = -phasor[:, at].imag / (2.0 * np.pi * seen.axis[at])
    held = np.abs(phasor[2::3])
    fallen = held < HALF_POWER * held[:, :1]
    bandwidth = np.where(fallen.any(axis=1), seen.axis[np.argmax(fallen, axis=1)], HIGH)
    return SmallSignal(farad[0::3], farad[1::3], bandwidth)


def capacitances(bench: Bench) -> tuple[Array, Array]:
    """Input and output capacitance of every transconductor, F."""
    seen = small_signal(bench, [probe(kind, PARASITIC_BIAS) for kind in MEASURED])
    return seen.input_capacitance, seen.output_capacitance
