"""What a calibration sees of a chip: DC sweeps of its transconductors, here taken in ngspice."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration_plan import Plan
from mtc_hw.course import Course
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.netlist.bench import sweep_deck
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.render import readout_sweep
from mtc_hw.netlist.views import Level
from mtc_hw.simulate.outcome import Outcome
from mtc_hw.simulate.pool import Runner
from mtc_hw.spec import Array

READOUT_REACH = 2.5
"""Predictions, either side of zero, over which the readout's gain and zero are measured."""

PREDICTIONS = np.linspace(-READOUT_REACH, READOUT_REACH, 41)


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
"""Codes in, observables out: all that a calibration sees of a chip."""


@dataclass(frozen=True, eq=False)
class Bench:
    """An instrument on a chip: measures with the given codes and the chip's own deviations.

    The readout is measured with its sums carrying what they carry on average along the course.
    """

    chip: MappedDesign
    level: Level
    plan: Plan
    run: Runner
    course: Course

    def __call__(self, codes: MappedDesign) -> Observables:
        design, plan = self._of(codes), self.plan
        neurons = [
            sweep_deck(design, i, self.level, (*plan.sweep, plan.step), plan.outputs) for i in range(design.count)
        ]
        outcomes = self.run([*neurons, *self._readout_decks(design)])
        points = round((plan.sweep[1] - plan.sweep[0]) / plan.step) + 1
        current = np.full((len(design.rows), points, len(plan.outputs), design.count), np.nan)
        here = design.row_bias() > 0.0
        for neuron, outcome in enumerate(outcomes[: design.count]):
            if outcome.waveforms is None:
                continue
            for row in np.flatnonzero(here[:, neuron]):
                values = outcome.waveforms[f"i(vo_{_name(design, int(row), neuron)})"] / design.scale.amp
                current[row, :, :, neuron] = values.reshape(len(plan.outputs), -1)[:, :points].T
        voltage = np.linspace(plan.sweep[0], plan.sweep[1], points)
        answer = _answer(design, outcomes[design.count :])
        return Observables(voltage, np.array(plan.outputs), current, PREDICTIONS, answer)

    def readout(self, codes: MappedDesign) -> Array:
        """The readout alone: what the low-pass answers at PREDICTIONS, (outputs, S), NaN where it did not run."""
        design = self._of(codes)
        return _answer(design, self.run(self._readout_decks(design)))

    def _of(self, codes: MappedDesign) -> MappedDesign:
        return dataclasses.replace(codes, deviations=self.chip.deviations)

    def _readout_decks(self, design: MappedDesign) -> list[Deck]:
        rest = _mean_sums(design, self.course)
        outputs = range(len(design.readout_offset))
        return [readout_sweep(design, output, self.level, READOUT_REACH, rest[output]) for output in outputs]


def _answer(design: MappedDesign, outcomes: Sequence[Outcome]) -> Array:
    """Predictions that the low-passes' outputs stand for, (outputs, S)."""
    result = np.full((len(outcomes), PREDICTIONS.size), np.nan)
    for output, outcome in enumerate(outcomes):
        if outcome.waveforms is not None:
            swept = outcome.waveforms.axis / design.readout_unit
            volts = outcome.waveforms[f"v(y_{output})"] - design.technology.analog_ground
            result[output] = np.interp(PREDICTIONS, swept, volts / (design.scale.volt * design.readout_span))
    return result


def _mean_sums(design: MappedDesign, course: Course) -> Array:
    """Mean current into the positive and the negative sum of each output, A, (outputs, 2)."""
    full = design.readout_dac.decode(design.readout_code)
    mean = full * design.cells.synapse.gain_at(np.abs(full)) * design.synapse(course.voltage).mean(axis=0)
    return np.stack([np.maximum(mean, 0.0).sum(axis=1), np.maximum(-mean, 0.0).sum(axis=1)], axis=1)


def _name(design: MappedDesign, row: int, neuron: int) -> str:
    name = design.rows[row][0]
    return f"{name}_{neuron}" if name.startswith("synapse") else name
