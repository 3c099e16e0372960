"""The last trim of a neuron: all its codes together, so that dV/dt along the model's own course is the model's.

Matched one by one, a chip's transconductors still miss what the model does not know: output conductance, a mirror's
error, a follower's gain just below one. Their sum is measured, so the codes can make up for it where it counts.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from mtc_hw.calibration_plan import FieldTrim
from mtc_hw.course import Course
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import BRANCHES, LEAK, MappedDesign, load_capacitance
from mtc_hw.instrument import Observables
from mtc_hw.rounding import round_in_turn
from mtc_hw.spec import ELEMENT_FILTER, FILTERS, SIGNS, Array, ModelSpec
from mtc_hw.trims import Currents

NEWTON = 6
"""Steps towards a follower's offset and rate; the second is already good to a thousandth."""


class Knob(NamedTuple):
    """One converter: its value, in its own unit, and what moving it does to the neuron's current."""

    value: float  # A or V
    unit: float  # A or V that a change of one stands for
    effect: Array  # (points,) unit currents for a change of one
    width: float  # expected change
    dac: Dac
    write: Callable[[float], None]


@dataclass(frozen=True, eq=False)
class _Neuron:
    """One neuron's measured currents along its course."""

    design: MappedDesign
    target: ModelSpec
    course: Course
    index: int
    tables: dict[int, RectBivariateSpline]

    def heard(self, filtered: int, shift: float) -> Array:
        """What an element behind a filter senses, the filter's offset added, (points,)."""
        return np.asarray(self.course.filtered[filtered, :, self.index] + shift)

    def senses(self, row: int, shifts: Array) -> Array:
        if row == LEAK:
            return self.voltage
        if row < LEAK:
            listens = ELEMENT_FILTER[row]
            present = self.design.present[LEAK + 1 + listens, self.index]
            return self.heard(listens, float(shifts[listens])) if present else self.voltage
        return np.asarray(self.course.inputs[:, row - len(BRANCHES), self.index])

    @property
    def voltage(self) -> Array:
        return np.asarray(self.course.voltage[:, self.index])


def trim_field(
    design: MappedDesign,
    target: ModelSpec,
    seen: Observables,
    course: Course,
    plan: FieldTrim,
    measurable: NDArray[np.bool_],
) -> Currents:
    """The currents and references that bring every measurable neuron's dV/dt nearest to the target's."""
    wanted = Currents.of(design)
    capacitor = load_capacitance(design) / design.scale.farad
    for index in map(int, np.flatnonzero(measurable)):
        neuron = _Neuron(design, target, course, index, _tables(design, seen, index))
        shifts = _trim_filters(neuron, capacitor[1:, index], wanted)
        error = _wanted_current(neuron) * capacitor[0, index] - _current(neuron, shifts)
        _turn(_knobs(neuron, shifts, plan, wanted), error, plan.accuracy)
    return wanted


def field_error(
    design: MappedDesign, target: ModelSpec, seen: Observables, course: Course, measurable: NDArray[np.bool_]
) -> Array:
    """Root mean square of the current's error along the course, unit currents, (N,); NaN where not measured."""
    capacitor = load_capacitance(design) / design.scale.farad
    result = np.full(design.count, np.nan)
    for index in map(int, np.flatnonzero(measurable)):
        neuron = _Neuron(design, target, course, index, _tables(design, seen, index))
        shifts = np.array([_follower(neuron, row, capacitor[1 + row, index])[1] for row in range(len(FILTERS))])
        error = _current(neuron, shifts) - _wanted_current(neuron) * capacitor[0, index]
        result[index] = float(np.sqrt(np.mean(error**2)))
    return result


def _tables(design: MappedDesign, seen: Observables, index: int) -> dict[int, RectBivariateSpline]:
    """Current over what is sensed and the output voltage, unit currents, by row."""
    rows = len(BRANCHES) + design.input_code.shape[1]
    degree = min(3, len(seen.output) - 1)
    return {
        row: RectBivariateSpline(seen.voltage, seen.output, seen.current[row, :, :, index], kx=3, ky=degree)
        for row in range(rows)
        if np.isfinite(seen.current[row, :, :, index]).all()
    }


def _wanted_current(neuron: _Neuron) -> Array:
    """C dV/dt of the model along its course, for C = 1."""
    n, i, spec = neuron.target.neurons, neuron.index, neuron.target
    lost = neuron.voltage - n.rest[i]
    inputs = neuron.course.inputs[:, :, i]
    felt = inputs if spec.input_curve is None else spec.input_curve(inputs)
    total = spec.bias[i] + felt @ spec.weights[i] - n.leak[i] * (lost if n.leak_curve is None else n.leak_curve(lost))
    for row, sign in enumerate(SIGNS):
        sensed = neuron.course.filtered[ELEMENT_FILTER[row], :, i]
        total = total + sign * n.alpha[row, i] * np.tanh(sensed - n.delta[row, i])
    return np.asarray(total)


def _current(neuron: _Neuron, shifts: Array) -> Array:
    """What the chip's transconductors send into v along the course, unit currents."""
    design = neuron.design
    total = np.full_like(neuron.voltage, design.offset_current()[neuron.index] / design.scale.amp)
    for row, table in neuron.tables.items():
        if not LEAK < row < len(BRANCHES):
            total += table.ev(neuron.senses(row, shifts), neuron.voltage)
    return total


def _follower(neuron: _Neuron, row: int, capacitor: float) -> tuple[float, float]:
    """A filter's rate against the model's, and its offset, unit voltages, from its current along the course."""
    table = neuron.tables.get(LEAK + 1 + row)
    if table is None:
        return 1.0, 0.0
    n, i = neuron.target.neurons, neuron.index
    state = neuron.course.filtered[row, :, i]
    drive = neuron.voltage - state + n.offset[row, i]
    wanted = (drive if n.filter_curve is None else n.filter_curve(drive)) / n.tau[row, i]
    shift, change = 0.0, 0.0
    for _ in range(NEWTON):
        rate = table.ev(neuron.voltage, state + shift) / capacitor
        slope = table.ev(neuron.voltage, state + shift, dy=1) / capacitor
        change, moved = np.linalg.lstsq(np.stack([rate, slope], axis=1), wanted - rate, rcond=None)[0]
        shift += float(moved)
    return 1.0 + float(change), shift


def _trim_filters(neuron: _Neuron, capacitor: Array, wanted: Currents) -> Array:
    """Every filter's bias to the model's rate; what its offset adds to the voltage that elements hear, (3,)."""
    shifts = np.zeros(len(FILTERS))
    for row in range(len(FILTERS)):
        change, shifts[row] = _follower(neuron, row, float(capacitor[row]))
        wanted.bias[LEAK + 1 + row, neuron.index] *= max(change, 0.1)
    return shifts


def _knobs(neuron: _Neuron, shifts: Array, plan: FieldTrim, wanted: Currents) -> list[Knob]:
    design, i, knobs = neuron.design, neuron.index, []
    for row, table in neuron.tables.items():
        if LEAK < row < len(BRANCHES):
            continue
        sensed = neuron.senses(row, shifts)
        current = table.ev(sensed, neuron.voltage)
        if row >= len(BRANCHES):
            at, array = (i, row - len(BRANCHES)), wanted.inputs
            main = float(design.input_dac.decode(design.input_code)[at])
        else:
            at, array = (row, i), wanted.bias
            main = float(design.dac(row).decode(design.bias_code[row])[i])
        value = float(array[at])
        dac = dataclasses.replace(design.trim.current, base=main, lsb=abs(main) * design.trim.current.lsb)
        knobs.append(Knob(value, value, current, plan.bias, dac, _writer(array, at)))
        if row <= LEAK:
            slope = -table.ev(sensed, neuron.voltage, dx=1)
            volt, volts = design.scale.volt, wanted.reference
            own = float(volts[row, i])
            base = float(design.reference_dac.decode(design.reference_code)[row, i])
            dac = dataclasses.replace(design.trim.reference, base=base)
            knobs.append(Knob(own, volt, slope, plan.reference, dac, _writer(volts, (row, i))))
    ones, amperes = np.ones_like(neuron.voltage), wanted.offset
    write = _writer(amperes, (i,))
    base = float(design.offset_dac.decode(design.offset_code)[i])
    dac = dataclasses.replace(design.trim.offset, base=base)
    knobs.append(Knob(float(amperes[i]), design.scale.amp, ones, plan.constant, dac, write))
    return knobs


def _writer(array: Array, at: tuple[int, ...]) -> Callable[[float], None]:
    def write(value: float) -> None:
        array[at] = value

    return write


def _turn(knobs: list[Knob], error: Array, accuracy: float) -> None:
    """The changes that undo most of the error, among those that the converters have, written to their places."""
    effect = np.stack([knob.effect for knob in knobs], axis=1)
    prior = accuracy / np.array([knob.width for knob in knobs])
    inverse = np.asarray(np.linalg.inv(effect.T @ effect + len(error) * np.diag(prior**2)), dtype=np.float64)
    change = np.asarray(inverse @ (effect.T @ error), dtype=np.float64)

    def nearest(index: NDArray[np.intp], value: Array) -> Array:
        knob = knobs[int(index[0])]
        got = knob.dac.decode(knob.dac.nearest(knob.value + value * knob.unit))
        return np.asarray((got - knob.value) / knob.unit)

    steps = [float(np.max(knob.dac.step(knob.dac.nearest(np.array(knob.value))))) / abs(knob.unit) for knob in knobs]
    lost = np.array(steps) ** 2 * (effect**2).sum(axis=0)
    turned = round_in_turn(change[None], inverse[None], nearest, np.argsort(-lost)[None])[0]
    for knob, value in zip(knobs, turned, strict=True):
        knob.write(knob.value + float(value) * knob.unit)
