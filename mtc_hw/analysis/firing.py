"""What many neurons do, each with its own current: spike trains and regimes by `simulate.ensemble`."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from mtc_hw.analysis.regimes import Regime, classify
from mtc_hw.analysis.spikes import THRESHOLD, burst_statistics, spike_times
from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.simulate.ensemble import Holds, integrate_many, step_of
from mtc_hw.simulate.ensemble_flow import select
from mtc_hw.spec import Array, Neurons

BLOCK = 2e7  # voltages kept at once, 160 MB
INTERVALS = 30.0  # slow time constants that show a regime of single spikes
PERIODS = 6.0  # ultraslow time constants that show adaptation and bursts
SHORTEST = 600.0  # tau_m
SUSTAINED = ("tonic", "adapting", "bursting")
"""Regimes in which firing goes on."""


@dataclass(frozen=True, eq=False)
class Firing:
    """One neuron's run."""

    spikes: Array  # (spikes,), tau_m
    regime: Regime
    final_voltage: float
    duration: float  # tau_m

    @property
    def rate(self) -> float:
        """Spikes per tau_m in the long run: of whole bursts over their period, of the later intervals, or 0."""
        if self.regime not in SUSTAINED:
            return 0.0
        bursts = burst_statistics(self.spikes, self.duration)
        if self.regime == "bursting" and bursts.period:
            whole = int(np.sum(bursts.sizes[:-1]))
            return whole / (bursts.starts[-1] - bursts.starts[0])
        intervals = np.diff(self.spikes)
        return 1.0 / float(np.mean(intervals[intervals.size // 2 :]))


def repeat(neurons: Neurons, count: int) -> Neurons:
    """A neuron `count` times."""
    return select(neurons, np.zeros(count, dtype=np.intp))


def started(initial: Initial, count: int) -> Array:
    """The state (4, N) of `integrate_many` for neurons that start alike."""
    fast = initial.voltage if initial.fast is None else initial.fast
    return np.repeat(np.array([[fast], [initial.slow], [initial.ultraslow], [initial.voltage]]), count, axis=1)


def showing_time(neurons: Neurons) -> float:
    """Duration, tau_m, after which every one of the neurons has shown its regime at constant current."""
    slow = np.where(neurons.alpha[1:3].any(axis=0), INTERVALS * neurons.tau[1], 0.0)
    ultraslow = np.where(neurons.alpha[3] > 0.0, PERIODS * neurons.tau[2], 0.0)
    return max(SHORTEST, float(np.max(slow)), float(np.max(ultraslow)))


def fire(neurons: Neurons, holds: Holds, duration: float, start: Array) -> tuple[Firing, ...]:
    """Runs each neuron and names its regime. `start` (4, N) as in `integrate_many`. Raises SpecError."""
    if not (isfinite(duration) and duration > 0.0):
        raise SpecError(f"duration is {duration}; it must be finite and > 0")
    step = step_of(neurons)
    block = max(1, int(BLOCK * step / duration))
    firings: list[Firing] = []
    for first in range(0, neurons.count, block):
        part = np.arange(first, min(first + block, neurons.count))
        held = Holds(holds.starts, holds.levels[:, part])
        trace = integrate_many(select(neurons, part), held, duration, start[:, part], step=step)
        columns = zip(trace.voltage.T, held.levels.T, strict=True)
        firings += [_firing(trace.time, voltage, holds.starts, levels) for voltage, levels in columns]
    return tuple(firings)


def _firing(time: Array, voltage: Array, starts: Sequence[float], levels: Array) -> Firing:
    duration = float(time[-1])
    spikes = spike_times(time, voltage)
    stimulus = Stimulus(tuple(zip(starts, levels.tolist(), strict=True)))
    final = float(voltage[-1])
    return Firing(spikes, classify(spikes, duration, stimulus, final, THRESHOLD), final, duration)
