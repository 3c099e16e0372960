"""A bench measurement against the software neuron; the bench is made up: noise, a late start, its own clock."""

from pathlib import Path

import numpy as np

from mtc_hw.analysis.recording import Reading
from mtc_hw.compare_plots import comparison_figure
from mtc_hw.compare_run import Wanted, compare_recordings
from mtc_hw.neuron_file import load_neuron
from mtc_hw.simulate.ode import integrate

TAU_M = 1.31e-3  # s, on this bench
LATE = 700.0  # tau_m after the neuron's start


def measured(path: Path) -> Path:
    """What an oscilloscope might save: milliseconds and volts, 70 mV a unit voltage around 0.9 V, 5 mV of noise."""
    neuron = load_neuron("bursting")
    trace = integrate(neuron.neurons, neuron.stimulus, 6000.0, neuron.initial)
    time = np.arange(LATE, 6000.0, 0.5)
    noise = np.random.default_rng(0).normal(0.0, 5e-3, time.size)
    volts = 0.9 + 0.07 * np.interp(time, trace.time, trace.voltage[:, 0]) + noise
    table = np.stack([1e3 * TAU_M * (time - LATE), volts], axis=1)
    np.savetxt(path, table, delimiter=",", header="time (ms),CH1 (V)", comments="", fmt="%.6g")
    return path


def main() -> None:
    scope = measured(Path("scope.csv"))
    reading = Reading(threshold=0.9, hysteresis=0.05)  # V; tau_m is fitted
    found = compare_recordings("bursting", scope, Wanted(second=reading, align="scale", duration=6000.0))
    comparison_figure(found).savefig("comparison.png", dpi=120)
    print(f"tau_m {1e3 * found.tau_m:.3f} ms, the recording begins at {found.window[0]:.0f} tau_m")
    print(f"{found.comparison.reference_count} spikes of the software, {found.comparison.test_count} of the bench")
    print(f"Gamma {found.comparison.coincidence:.2f}, SPIKE-distance {found.comparison.spike_distance:.4f}")


if __name__ == "__main__":
    main()
