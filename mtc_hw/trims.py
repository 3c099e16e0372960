"""Trims of single transconductors: each one's own sweep against its own codes."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from mtc_hw.calibration_plan import Plan
from mtc_hw.hardware.design import LEAK, MappedDesign, load_capacitance
from mtc_hw.instrument import Observables
from mtc_hw.spec import ELEMENT_FILTER, FILTERS, SIGNS, Array, Curve, ModelSpec

OUTPUT = -1.0
"""Unit voltages of the output at which single OTAs are matched: the middle of what it sees in use."""


@dataclass(frozen=True, eq=False)
class Currents:
    """What the converters are to give: the calibration's knobs, before they are rounded to codes."""

    bias: Array  # (8, N) A
    reference: Array  # (5, N) V
    offset: Array  # (N,) A
    inputs: Array  # (N, inputs) A, signed
    synapses: Array  # (outputs, N) A, signed

    @staticmethod
    def of(design: MappedDesign) -> "Currents":
        return Currents(
            design.bias(),
            design.references(),
            design.offset_current(),
            design.input_current(),
            design.readout_dac.decode(design.readout_code),
        )


def match(
    design: MappedDesign, target: ModelSpec, seen: Observables, plan: Plan, measurable: NDArray[np.bool_]
) -> Currents:
    """Every OTA's gain by its bias, every zero crossing by its reference; a synapse's full output by its bias."""
    wanted = Currents.of(design)
    capacitor = load_capacitance(design) / design.scale.farad
    for neuron in map(int, np.flatnonzero(measurable)):
        offsets = np.zeros(len(FILTERS))
        for branch in reversed(np.flatnonzero(design.present[:, neuron])):
            if wanted.bias[branch, neuron] == 0.0:
                continue  # an OTA that is off gives nothing to measure
            gain, crossing = _fit(design, target, int(branch), neuron, seen)
            if gain <= 0.0:
                continue  # beyond what its knobs can mend
            if branch > LEAK:
                row = branch - LEAK - 1
                offsets[row] = OUTPUT - crossing
                if plan.linear.bias:
                    wanted.bias[branch, neuron] *= capacitor[row + 1, neuron] / target.neurons.tau[row, neuron] / gain
                continue
            trims = plan.linear if branch == LEAK else plan.elements
            own_gain = target.neurons.leak[neuron] if branch == LEAK else target.neurons.alpha[branch, neuron]
            heard = 0.0 if branch == LEAK else offsets[ELEMENT_FILTER[branch]]
            own = (target.neurons.rest[neuron] if branch == LEAK else target.neurons.delta[branch, neuron]) + heard
            if trims.bias:
                wanted.bias[branch, neuron] *= own_gain * capacitor[0, neuron] / gain
            if trims.reference:
                wanted.reference[branch, neuron] += (own - crossing) * design.scale.volt
        if plan.elements.bias:
            _match_synapses(design, target, seen, neuron, wanted)
    return wanted


def _match_synapses(
    design: MappedDesign, target: ModelSpec, seen: Observables, neuron: int, wanted: Currents
) -> None:
    """Full output to the weight. The sum node sits at the analog ground."""
    if target.readout is None:
        return
    rows = range(len(design.rows) - len(target.readout.weights), len(design.rows))
    shape = target.synapse(seen.voltage)
    for output, row in enumerate(rows):
        if wanted.synapses[output, neuron] == 0.0:
            continue
        current = _at_output(seen, row, neuron, 0.0) * design.scale.amp / design.readout_unit
        gain = float(current @ shape / (shape @ shape))
        if gain > 0.0:
            wanted.synapses[output, neuron] *= abs(target.readout.weights[output, neuron]) / gain


def _at_output(seen: Observables, row: int, neuron: int, output: float) -> Array:
    """A row's current over what it senses, at one output voltage, linear between those measured."""
    table = seen.current[row, :, :, neuron]
    right = int(np.clip(np.searchsorted(seen.output, output), 1, len(seen.output) - 1))
    low, high = seen.output[right - 1 : right + 1]
    share = (output - low) / (high - low)
    return np.asarray((1.0 - share) * table[:, right - 1] + share * table[:, right])


def _fit(design: MappedDesign, target: ModelSpec, branch: int, neuron: int, seen: Observables) -> tuple[float, float]:
    """Gain, unit currents, and zero crossing, unit voltages, of one measured OTA."""
    x, current = seen.voltage, _at_output(seen, branch, neuron, OUTPUT)
    if branch < LEAK:
        return _fit_tanh(x, SIGNS[branch] * current)
    sign, centre = (-1.0, 0.0) if branch == LEAK else (1.0, OUTPUT)
    cells, neurons = design.cells, target.neurons
    # The measured cell's shape, or, where a level's OTA is what the model assumes, that one: whichever fits.
    leak, follower = (cells.leak_curve, neurons.leak_curve), (cells.filter_curve, neurons.filter_curve)
    inside = np.abs(x - centre) < 3.0
    fits = [_fit_wide(x[inside], sign * current[inside], curve) for curve in (leak if branch == LEAK else follower)]
    return min(fits)[1:]


def _fit_wide(x: Array, current: Array, curve: Curve | None) -> tuple[float, float, float]:
    """Cost, gain and zero crossing of gain * curve(x - crossing); None is the straight line."""

    def residual(p: Array) -> Array:
        at = x - p[1]
        return np.asarray(p[0] * (at if curve is None else curve(at)) - current)

    found = least_squares(residual, _guess(x, current))
    return float(found.cost), float(found.x[0]), float(found.x[1])


def _fit_tanh(x: Array, current: Array) -> tuple[float, float]:
    """Gain and middle of gain * tanh(x - middle), beside a constant and a slope."""

    def residual(p: Array) -> Array:
        return np.asarray(p[0] * np.tanh(x - p[1]) + p[2] + p[3] * x - current)

    gain, middle, *_ = least_squares(residual, [*_guess(x, current), 0.0, 0.0]).x
    return float(gain), float(middle)


def _guess(x: Array, current: Array) -> list[float]:
    """Half the swing, and where half of it is reached."""
    halfway = np.argmin(np.abs(current - 0.5 * (current[0] + current[-1])))
    return [0.5 * float(current[-1] - current[0]), float(x[halfway])]


def with_currents(design: MappedDesign, wanted: Currents) -> MappedDesign:
    """The design with the codes nearest to the wanted values."""
    main = dataclasses.replace(
        design,
        **{
            name: np.zeros_like(getattr(design, name))
            for name in ("bias_trim", "reference_trim", "input_trim", "offset_trim")
        },
    )
    trim, bias, inputs = design.trim, main.bias(), main.input_current()
    return dataclasses.replace(
        design,
        bias_trim=trim.current.nearest(wanted.bias / np.where(bias > 0.0, bias, 1.0) - (bias > 0.0)),
        reference_trim=trim.reference.nearest(wanted.reference - main.references()),
        offset_trim=trim.offset.nearest(wanted.offset - main.offset_current()),
        input_trim=trim.current.nearest(wanted.inputs / np.where(inputs != 0.0, inputs, 1.0) - (inputs != 0.0)),
        readout_code=design.readout_dac.nearest(wanted.synapses),
    )
