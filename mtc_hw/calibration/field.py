"""The trims of a neuron together, all neurons at once: C dV/dt along the model's own course becomes the model's.

Matched one by one, a chip's transconductors still miss what the model does not know: output conductance, a mirror's
error, a follower's gain just below one. Their sum is measured, so the trims can make up for it where it counts.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration.aim import rates
from mtc_hw.calibration.observables import Table
from mtc_hw.calibration.setting import KNOBS, Knob, Setting
from mtc_hw.calibration.surface import FOLLOWERS, Surface
from mtc_hw.course import Course
from mtc_hw.hardware.design import BRANCHES, LEAK, MappedDesign, load_capacitance
from mtc_hw.rounding import Index, round_in_turn
from mtc_hw.spec import ELEMENT_FILTER, FILTERS, Array, ModelSpec

NEWTON = 3
"""Steps towards a follower's offset and rate; the second is already good to a thousandth."""

LINEAR = 2
"""Times that the neuron's current is made linear in its trims; what the third changes is below a code."""

SLOWEST = 0.1
"""A filter is never turned below this share of its rate."""


@dataclass(frozen=True)
class Prior:
    """How far a trim may be from where its own OTA's curve puts it, and what the curves are good for."""

    bias: float = 0.03  # relative
    reference: float = 0.05  # unit voltages
    constant: float = 0.1  # unit currents
    accuracy: float = 0.0015  # unit currents


def trim_field(
    design: MappedDesign,
    target: ModelSpec,
    table: Table,
    course: Course,
    aim: Setting,
    usable: NDArray[np.bool_],
    prior: Prior = Prior(),
    knobs: frozenset[Knob] = KNOBS,
) -> MappedDesign:
    """The design with the codes that bring every usable neuron's dV/dt nearest to the target's.

    `table` is a `surface.completed` look at the chip with the design's codes. `aim` is where the trims are expected,
    as `elements.match` finds it of the same look; what it would do to the curves is worked out, not measured. A
    neuron that is not usable keeps its codes.
    """
    neurons = _Neurons.of(design, target, table, course)
    usable = usable & neurons.complete
    wanted, filters = neurons.asked()
    change, shifts = neurons.followers(filters)
    if "filter" in knobs:
        turned = (1.0 + neurons.measured.bias[FOLLOWERS]) * np.maximum(1.0 + change, SLOWEST) - 1.0
        aim = replace(aim, bias=np.vstack([aim.bias[: LEAK + 1], turned]))
    width = _widths(design, prior)
    start, free = _pack(aim) / width, _free(design, knobs) & usable[:, None]
    values = start
    for _ in range(LINEAR):
        current, effect = neurons.current(_unpack(aim, values * width), shifts)
        effect = np.where(free[:, :, None], effect * width[:, None], 0.0)
        error = np.where(usable, wanted - current, 0.0).T
        normal = effect @ effect.transpose(0, 2, 1) / error.shape[1] + prior.accuracy**2 * np.eye(len(width))
        inverse = np.linalg.inv(normal)
        pull = (effect @ error[:, :, None])[..., 0] / error.shape[1] + prior.accuracy**2 * (start - values)
        values = values + (inverse @ pull[..., None])[..., 0]
    rounded = _rounded(design, values, inverse, width, (effect**2).sum(axis=2), free)
    return _set(design, _unpack(aim, rounded * width), usable)


def field_error(design: MappedDesign, target: ModelSpec, table: Table, course: Course) -> Array:
    """Root mean square of the current's error along the course, unit currents, (N,); NaN where not measured.

    `table` is a `surface.completed` look at the chip with the design's codes.
    """
    neurons = _Neurons.of(design, target, table, course)
    wanted, filters = neurons.asked()
    current, _ = neurons.current(neurons.measured, neurons.followers(filters)[1])
    error = np.sqrt(np.mean((current - wanted) ** 2, axis=0))
    return np.where(neurons.complete, error, np.nan)


@dataclass(frozen=True, eq=False)
class _Neurons:
    """Measured currents along a course."""

    design: MappedDesign
    target: ModelSpec
    surface: Surface
    course: Course
    measured: Setting  # with which the curves were taken

    @staticmethod
    def of(design: MappedDesign, target: ModelSpec, table: Table, course: Course) -> "_Neurons":
        return _Neurons(design, target, Surface.of(table), course, Setting.of(design))

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which neurons have a curve of every transconductor that they have, (N,)."""
        return np.asarray((self.surface.here | (self.design.row_bias() == 0.0)).all(axis=0))

    def asked(self) -> tuple[Array, Array]:
        """C dV/dt of the model along its course (T, N), and that of its filters (3, T, N), unit currents."""
        capacitor = load_capacitance(self.design) / self.design.scale.farad
        membrane, filters = rates(self.target, self.course)
        return membrane * capacitor[0], filters * capacitor[1:, None]

    def followers(self, wanted: Array) -> tuple[Array, Array]:
        """What each filter's bias must change by, relative, and its offset, unit voltages, (3, N) each."""
        change, shift = np.zeros((2, len(FILTERS), self.design.count))
        for index, row in enumerate(FOLLOWERS):
            state = self.course.filtered[index]
            for _ in range(NEWTON if self.surface.here[row].any() else 0):
                rate, slope = self.surface.at(row, self.course.voltage, state + shift[index])
                jacobian = np.stack([rate, -slope], axis=-1).transpose(1, 0, 2)
                normal = jacobian.transpose(0, 2, 1) @ jacobian
                size = np.trace(normal, axis1=1, axis2=2)
                normal = normal + np.eye(2) * (np.where(size > 0.0, 1e-9 * size, 1.0))[:, None, None]
                error = (wanted[index] - rate).T[..., None]
                step = np.linalg.solve(normal, jacobian.transpose(0, 2, 1) @ error)[..., 0]
                change[index], shift[index] = step[:, 0], shift[index] + np.clip(step[:, 1], -1.0, 1.0)
        here = self.surface.here[FOLLOWERS]
        return np.where(here, change, 0.0), np.where(here, shift, 0.0)

    def senses(self, row: int, shifts: Array) -> Array:
        """What a row's transconductor senses, (T, N), the filters' offsets added."""
        if row == LEAK:
            return self.course.voltage
        if row > LEAK:
            return self.course.inputs[:, row - len(BRANCHES)]
        listens = ELEMENT_FILTER[row]
        heard = self.course.filtered[listens] + shifts[listens]
        return np.where(self.design.present[LEAK + 1 + listens], heard, self.course.voltage)

    def current(self, setting: Setting, shifts: Array) -> tuple[Array, Array]:
        """Into v with other trims, (T, N), and what each trim adds, (N, K, T), by `_pack`, unit currents."""
        design, course, surface = self.design, self.course, self.surface
        scale, moved = setting.scale(self.measured), setting.shift(design, self.measured)
        inputs = course.inputs.shape[1]
        effect = np.zeros((2 * (LEAK + 1) + inputs + 1, *course.voltage.shape))
        fixed = design.offset_dac.decode(design.offset_code) + setting.offset
        total = np.repeat(fixed[None] / design.scale.amp, len(course.voltage), axis=0)
        effect[-1] = 1.0 / design.scale.amp
        biases = np.vstack([self.measured.bias[: LEAK + 1], self.measured.inputs.T])
        for knob, row in enumerate((*range(LEAK + 1), *range(len(BRANCHES), len(BRANCHES) + inputs))):
            value, slope = surface.at(row, self.senses(row, shifts) - moved[row], course.voltage)
            total += np.where(surface.here[row], scale[row] * value, 0.0)
            if row <= LEAK:
                effect[row] = value / (1.0 + biases[knob])
                effect[LEAK + 1 + row] = -scale[row] * slope / design.scale.volt
            else:
                effect[LEAK + 1 + knob] = value / (1.0 + biases[knob])
        return total, effect.transpose(2, 0, 1)


def _pack(setting: Setting) -> Array:
    """Trims that act on v, (N, K): elements' and leak's biases, references, the inputs, the constant current."""
    return np.column_stack([setting.bias[: LEAK + 1].T, setting.reference.T, setting.inputs, setting.offset])


def _unpack(setting: Setting, values: Array) -> Setting:
    """The setting with the values of `_pack`."""
    bias, reference, inputs = (
        values[:, : LEAK + 1],
        values[:, LEAK + 1 : 2 * (LEAK + 1)],
        values[:, 2 * (LEAK + 1) : -1],
    )
    return replace(
        setting,
        bias=np.vstack([bias.T, setting.bias[LEAK + 1 :]]),
        reference=reference.T,
        inputs=inputs,
        offset=values[:, -1],
    )


def _each(design: MappedDesign, bias: float, reference: float, inputs: float, offset: float) -> Array:
    """A number for each trim of `_pack`, (K,)."""
    counts = (LEAK + 1, LEAK + 1, design.input_code.shape[1], 1)
    return np.repeat((bias, reference, inputs, offset), counts)


def _widths(design: MappedDesign, prior: Prior) -> Array:
    scale = design.scale
    return _each(design, prior.bias, prior.reference * scale.volt, prior.bias, prior.constant * scale.amp)


def _free(design: MappedDesign, knobs: frozenset[Knob]) -> NDArray[np.bool_]:
    """Which trims there are and may be turned, (N, K)."""
    here = design.present[: LEAK + 1].T
    ends = (design.input_code != 0.0) & ("input" in knobs), np.full((design.count, 1), "offset" in knobs)
    return np.hstack([here & ("bias" in knobs), here & ("reference" in knobs), *ends])


def _rounded(
    design: MappedDesign, values: Array, inverse: Array, width: Array, weight: Array, free: NDArray[np.bool_]
) -> Array:
    """Values that the trim converters have, best together, (N, K); those that lose most are rounded first."""
    trim = design.trim
    step = _each(design, trim.current.lsb, trim.reference.lsb, trim.current.lsb, trim.offset.lsb) / width
    if trim.current.bits is None:
        return values
    dacs = trim.current, trim.reference, trim.current, trim.offset
    top = _each(design, *(dac.limits[1] for dac in dacs))
    problem = np.arange(len(values))
    beyond = np.maximum(np.abs(values) - top * step, 0.0)
    order = np.argsort(-(step**2 + beyond**2) * weight, axis=1)

    def nearest(index: Index, value: Array) -> Array:
        code = np.clip(np.rint(value / step[index]), -top[index], top[index])
        return np.where(free[problem, index], code * step[index], value)

    return round_in_turn(values, inverse, nearest, order)


def _set(design: MappedDesign, setting: Setting, usable: NDArray[np.bool_]) -> MappedDesign:
    """Usable neurons with the setting, the others as they are."""
    turned = setting.on(design)
    return replace(
        design,
        bias_trim=np.where(usable, turned.bias_trim, design.bias_trim),
        reference_trim=np.where(usable, turned.reference_trim, design.reference_trim),
        input_trim=np.where(usable[:, None], turned.input_trim, design.input_trim),
        offset_trim=np.where(usable, turned.offset_trim, design.offset_trim),
        readout_code=np.where(usable, turned.readout_code, design.readout_code),
    )
