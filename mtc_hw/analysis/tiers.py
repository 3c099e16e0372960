"""What virtual chips do in a tier without ngspice: neurons as lanes of one compiled integration, and readouts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtc_hw.analysis.firing import started
from mtc_hw.analysis.spikes import spike_trains
from mtc_hw.hardware.design import MappedDesign, as_spec, load_capacitance, row_offset
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.readout import lowpass
from mtc_hw.simulate.ensemble import Holds, integrate_many, step_of
from mtc_hw.simulate.ensemble_flow import select
from mtc_hw.simulate.network import GRID, SETTLED, input_spacing
from mtc_hw.simulate.ode import SampledCurrent
from mtc_hw.spec import Array, ModelSpec, Trace

CompiledTier = Literal["ode", "cells"]
Precision = Literal["float32", "float64"]


BLOCK = 2e7  # voltages kept at once, 160 MB


def meant(design: MappedDesign, tier: CompiledTier) -> ModelSpec:
    """The tier's model of a design, a chip, or several side by side."""
    return as_spec(design) if tier == "ode" else as_cells(design)


def longest_step(design: MappedDesign, tier: CompiledTier) -> float:
    """Of a design without deviations, tau_m: all its chips take it, so that a lane's bits hang on no other chip."""
    return step_of(meant(design, tier).neurons)


@dataclass(frozen=True, eq=False)
class Lanes:
    """Chips of a design side by side, ready to run."""

    chips: MappedDesign  # one chip, or `population`
    spec: ModelSpec  # of them
    step: float  # tau_m, by `longest_step`; a neuron that needs shorter ones takes them
    precision: Precision = "float64"
    threads: int = 1

    def free(
        self, stimulus: Stimulus, initial: Initial, duration: float, lanes: NDArray[np.intp] | None = None
    ) -> Trace:
        """Each neuron, or each of `lanes` (M,), by itself under the stimulus, I_u, for `duration` tau_m."""
        lanes = np.arange(self.chips.count) if lanes is None else lanes
        steps, slowing = stimulus.steps, load_capacitance(self.chips)[0, lanes] / self.chips.scale.farad
        levels = np.array([level / slowing for _, level in steps]) + self.spec.bias[lanes]
        return integrate_many(
            select(self.spec.neurons, lanes),
            Holds(tuple(start for start, _ in steps), levels),
            duration,
            started(initial, len(lanes)),
            step=self.step,
            precision=self.precision,
            threads=self.threads,
        )

    def spikes(self, stimulus: Stimulus, initial: Initial, duration: float) -> tuple[Array, ...]:
        """When each neuron spikes in `free`, tau_m; [nan] for one whose voltage is not finite."""
        block, trains = max(1, int(BLOCK * self.step / duration)), []
        for first in range(0, self.chips.count, block):
            trace = self.free(stimulus, initial, duration, np.arange(first, min(first + block, self.chips.count)))
            finite = np.atleast_1d(np.isfinite(trace.voltage).all(axis=0))
            found = iter(spike_trains(Trace(trace.time, trace.voltage[:, finite])))
            trains += [next(found) if good else np.array([np.nan]) for good in finite]
        return tuple(trains)

    def driven(self, inputs: Array) -> Trace:
        """The layers on a series (T, inputs), standardised: their voltage at `GRID` points a sample."""
        spec, spacing = self.spec, input_spacing(self.chips)
        felt = inputs if spec.input_curve is None else spec.input_curve(inputs)
        # Added one by one: a matrix product's last bit may depend on how many chips there are.
        current = np.zeros((len(felt), 1)) + spec.bias
        for column, weights in zip(felt.T, spec.weights.T, strict=True):
            current += column[:, None] * weights
        record = spacing / GRID
        every = int(np.ceil(record / self.step))
        return integrate_many(
            spec.neurons,
            SampledCurrent(current, spacing),
            (len(felt) - 1) * spacing,
            started(SETTLED, self.chips.count),
            step=record / every,
            precision=self.precision,
            every=every,
            threads=self.threads,
        )

    def heard(self, trace: Trace, own: slice, chip: MappedDesign | None = None) -> tuple[Array, Array]:
        """What one chip, the columns `own`, made of `driven`: answer (samples, outputs) and features (samples, N).

        A `chip` that is given has a readout of its own; else it is what `population` took for all. Every synapse has
        its own random offset. Features are those of the first output's synapses.
        """
        if chip is not None:
            chips, readout, at = chip, as_spec(chip).readout, slice(None)
        else:
            chips, readout, at = self.chips, self.spec.readout, own
        assert readout is not None
        shift = row_offset(chips)[-len(readout.offset) :, at] / chips.scale.volt
        step, tau = float(trace.time[1]), float(chips.readout_taus[at][0]) / chips.scale.second
        voltage, answers, features = np.ascontiguousarray(trace.voltage[:, own], dtype=np.float64), [], np.empty(0)
        for output, offset in enumerate(readout.offset):
            sent = chips.synapse(voltage - shift[output])
            # Not a matrix product, for the same reason.
            summed = (sent * readout.weights[output, at]).sum(axis=1)
            answers.append(lowpass(summed, step, tau)[::GRID] + offset)
            features = features if output else lowpass(sent, step, tau)[::GRID]
        return np.stack(answers, axis=1), features
