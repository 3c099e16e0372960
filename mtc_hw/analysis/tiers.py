"""What virtual chips do in a tier without ngspice: neurons as lanes of one compiled integration, and readouts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mtc_hw.analysis.firing import started
from mtc_hw.hardware.design import MappedDesign, as_spec, load_capacitance, row_offset
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.readout import lowpass
from mtc_hw.simulate.ensemble import Holds, integrate_many, step_of
from mtc_hw.simulate.network import GRID, SETTLED, input_spacing
from mtc_hw.simulate.ode import SampledCurrent
from mtc_hw.spec import Array, ModelSpec, Trace

CompiledTier = Literal["ode", "cells"]
Precision = Literal["float32", "float64"]


def meant(design: MappedDesign, tier: CompiledTier) -> ModelSpec:
    """The tier's model of a design, a chip, or several side by side."""
    return as_spec(design) if tier == "ode" else as_cells(design)


@dataclass(frozen=True, eq=False)
class Lanes:
    """Chips of a design side by side, ready to run. A lane's bits do not depend on which others there are."""

    chips: MappedDesign  # one chip, or `population`
    spec: ModelSpec  # of them
    step: float  # tau_m, at most; the same for all chips of a design
    precision: Precision = "float64"
    threads: int = 1

    @staticmethod
    def of(
        chips: MappedDesign,
        nominal: MappedDesign,
        tier: CompiledTier,
        precision: Precision = "float64",
        threads: int = 1,
    ) -> "Lanes":
        """`nominal` is what decides the step: the design of which these are the chips. Raises SpecError."""
        return Lanes(chips, meant(chips, tier), step_of(meant(nominal, tier).neurons), precision, threads)

    def free(self, stimulus: Stimulus, initial: Initial, duration: float) -> Trace:
        """Every neuron by itself under the stimulus, I_u, for `duration` tau_m."""
        steps, slowing = stimulus.steps, load_capacitance(self.chips)[0] / self.chips.scale.farad
        return integrate_many(
            self.spec.neurons,
            Holds(
                tuple(start for start, _ in steps), np.array([level / slowing for _, level in steps]) + self.spec.bias
            ),
            duration,
            started(initial, self.chips.count),
            step=self.step,
            precision=self.precision,
            threads=self.threads,
        )

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

    def heard(self, trace: Trace, own: slice) -> tuple[Array, Array]:
        """What one chip, the columns `own`, made of `driven`: answer (samples, outputs) and features (samples, N).

        Every synapse has its own random offset. Features are those of the first output's synapses.
        """
        chips, readout = self.chips, self.spec.readout
        assert readout is not None
        shift = row_offset(chips)[-len(readout.offset) :, own] / chips.scale.volt
        step, tau = float(trace.time[1]), float(chips.readout_taus[own][0]) / chips.scale.second
        voltage, answers, features = np.ascontiguousarray(trace.voltage[:, own], dtype=np.float64), [], np.empty(0)
        for output, offset in enumerate(readout.offset):
            sent = chips.synapse(voltage - shift[output])
            # Not a matrix product, for the same reason.
            summed = (sent * readout.weights[output, own]).sum(axis=1)
            answers.append(lowpass(summed, step, tau)[::GRID] + offset)
            features = features if output else lowpass(sent, step, tau)[::GRID]
        return np.stack(answers, axis=1), features
