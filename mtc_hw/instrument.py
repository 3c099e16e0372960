"""What a calibration sees of a chip: DC sweeps of its transconductors, here taken in ngspice."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration_plan import Plan
from mtc_hw.course import Course
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.netlist.bench import sweep_deck
from mtc_hw.netlist.render import readout_sweep
from mtc_hw.netlist.views import Level
from mtc_hw.simulate.pool import Runner
from mtc_hw.spec import Array

READOUT_REACH = 2.5
"""Predictions, either side of zero, over which the readout's gain and zero are measured."""


@dataclass(frozen=True, eq=False)
class Observables:
    """DC sweeps of every transconductor of every neuron, and of the readout. What could not be measured is NaN."""

    voltage: Array  # (P,) unit voltages, of what is sensed
    output: Array  # (Q,) unit voltages, of the output
    current: Array  # (rows, P, Q, N) unit currents out of the output, by `MappedDesign.rows`; NaN where there is none
    prediction: Array  # (S,) predictions that the sum's current stands for
    answer: Array  # (outputs, S) predictions that the low-pass's output stands for, the readout's offset left out

    def complete(self, design: MappedDesign) -> NDArray[np.bool_]:
        """Which neurons could be measured altogether, (N,)."""
        finite = np.isfinite(self.current).all(axis=(1, 2))
        return np.asarray((finite | (design.row_bias() == 0.0)).all(axis=0))


Measure = Callable[[MappedDesign], Observables]


def bench(chip: MappedDesign, level: Level, plan: Plan, run: Runner, course: Course) -> Measure:
    """An instrument on a chip: measures with the given codes and the chip's own deviations.

    The readout is measured with its sums carrying what they carry on average along the course.
    """

    def measure(codes: MappedDesign) -> Observables:
        design = dataclasses.replace(codes, deviations=chip.deviations)
        sweep = (*plan.sweep, plan.step)
        neurons = [sweep_deck(design, i, level, sweep, plan.outputs) for i in range(design.count)]
        outputs = range(len(design.readout_offset))
        rest = _mean_sums(design, course)
        sums = [readout_sweep(design, output, level, READOUT_REACH, rest[output]) for output in outputs]
        outcomes = run([*neurons, *sums])
        points = round((plan.sweep[1] - plan.sweep[0]) / plan.step) + 1
        voltage = np.linspace(plan.sweep[0], plan.sweep[1], points)
        current = np.full((len(design.rows), points, len(plan.outputs), design.count), np.nan)
        here = design.row_bias() > 0.0
        for neuron, outcome in enumerate(outcomes[: design.count]):
            if outcome.waveforms is None:
                continue
            for row in np.flatnonzero(here[:, neuron]):
                values = outcome.waveforms[f"i(vo_{_name(design, int(row), neuron)})"] / design.scale.amp
                current[row, :, :, neuron] = values.reshape(len(plan.outputs), -1)[:, :points].T
        prediction = np.linspace(-READOUT_REACH, READOUT_REACH, 41)
        answer = np.full((len(outputs), prediction.size), np.nan)
        unit = design.scale.volt * design.readout_span if len(outputs) else 1.0
        for output, outcome in zip(outputs, outcomes[design.count :], strict=True):
            if outcome.waveforms is not None:
                swept = outcome.waveforms.axis / design.readout_unit
                volts = outcome.waveforms[f"v(y_{output})"] - design.technology.analog_ground
                answer[output] = np.interp(prediction, swept, volts / unit)
        return Observables(voltage, np.array(plan.outputs), current, prediction, answer)

    return measure


def _mean_sums(design: MappedDesign, course: Course) -> Array:
    """Mean current into the positive and the negative sum of each output, A, (outputs, 2)."""
    full = design.readout_dac.decode(design.readout_code)
    mean = full * design.cells.synapse.gain_at(np.abs(full)) * design.synapse(course.voltage).mean(axis=0)
    return np.stack([np.maximum(mean, 0.0).sum(axis=1), np.maximum(-mean, 0.0).sum(axis=1)], axis=1)


def _name(design: MappedDesign, row: int, neuron: int) -> str:
    name = design.rows[row][0]
    return f"{name}_{neuron}" if name.startswith("synapse") else name
