"""Calibration: codes trimmed until what is measured is what the model asks for.

The calibrator sees a chip only through `measure(codes) -> Observables`; its deviations stay hidden from it.
"""

import dataclasses
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from scipy.optimize import least_squares

from mtc_hw.errors import DataError
from mtc_hw.hardware.design import BRANCHES, LEAK, MappedDesign, parasitic
from mtc_hw.hardware.fields import load_fields, save_fields
from mtc_hw.netlist.bench import FILTER_CLAMP, sweep_deck
from mtc_hw.netlist.views import Level
from mtc_hw.resources import folder
from mtc_hw.simulate.pool import Runner
from mtc_hw.spec import ELEMENT_FILTER, FILTERS, SIGNS, Array, Curve, ModelSpec, Readout

FORMAT, VERSION = "mtc_hw calibration", 1


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _increasing(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError("the second value must be the larger")
    return limits


_Level = Annotated[float, Field(ge=-100.0, le=100.0, allow_inf_nan=False)]
Range = Annotated[tuple[_Level, _Level], AfterValidator(_increasing)]
"""From, to; unit voltages."""


class Trims(_Strict):
    """Which codes of a group of OTAs may move."""

    bias: bool = True
    reference: bool = True


class CurrentTrim(_Strict):
    """The last trim: a neuron's whole DC current over a window, unit voltages."""

    trim: bool = True
    window: Range = (-2.0, 0.25)


class ReadoutTrim(_Strict):
    ridge: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-5  # per sample


class Plan(_Strict):
    """Which knobs turn on which observables, and in what order: elements, linear OTAs, the whole current, readout."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
    rounds: Annotated[int, Field(ge=1, le=20)] = 2
    sweep: Range = (-4.5, 4.0)
    step: Annotated[float, Field(gt=0.001, le=1.0)] = 0.1
    elements: Trims = Trims()
    linear: Trims = Trims()
    current: CurrentTrim = CurrentTrim()
    readout: ReadoutTrim = ReadoutTrim()

    @model_validator(mode="after")
    def _window_is_swept(self) -> Self:
        if not self.sweep[0] <= self.current.window[0] < self.current.window[1] - 2.0 * self.step:
            raise ValueError(f"current.window must begin within the sweep and hold three steps of {self.step:g}")
        if self.current.window[1] > self.sweep[1]:
            raise ValueError("current.window must end within the sweep")
        return self


def load_plan(name_or_path: str) -> Plan:
    """A shipped plan by name, or a user's file. Raises DataError with every violation."""
    shipped = {path.stem: path for path in sorted((folder("calibration") / "plans").glob("*.toml"))}
    path = shipped.get(name_or_path, Path(name_or_path))
    try:
        return Plan.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc'])) or 'it'} is {e['input']!r}: {e['msg']}" for e in error.errors()]
        raise DataError(f"plan {path}: " + "; ".join(wrong)) from None
    except (OSError, ValueError) as error:
        raise DataError(f"plan {path}: {error}; shipped plans: {', '.join(shipped)}") from None


@dataclass(frozen=True, eq=False)
class Observables:
    """DC sweeps of every OTA of every neuron. A neuron that could not be measured is NaN throughout."""

    voltage: Array  # (P,) unit voltages
    current: Array  # (8, P, N) unit currents into v, or into a filter's output; NaN where there is no OTA


Measure = Callable[[MappedDesign], Observables]


def bench(chip: MappedDesign, level: Level, plan: Plan, run: Runner) -> Measure:
    """An instrument on a chip: measures with the given codes and the chip's own deviations."""

    def measure(codes: MappedDesign) -> Observables:
        design = dataclasses.replace(codes, deviations=chip.deviations)
        decks = [sweep_deck(design, i, level, *plan.sweep, plan.step) for i in range(design.count)]
        outcomes = run(decks)
        points = round((plan.sweep[1] - plan.sweep[0]) / plan.step) + 1
        voltage = np.linspace(plan.sweep[0], plan.sweep[1], points)
        current = np.full((len(BRANCHES), points, design.count), np.nan)
        for neuron, outcome in enumerate(outcomes):
            if outcome.waveforms is None:
                continue
            at = (outcome.waveforms.axis - design.technology.analog_ground) / design.scale.volt
            for branch in np.flatnonzero(design.present[:, neuron]):
                values = outcome.waveforms[f"i(vo_{BRANCHES[branch]})"] / design.scale.amp
                current[branch, :, neuron] = np.interp(voltage, at, values)
        return Observables(voltage, current)

    return measure


@dataclass(frozen=True, eq=False)
class CalibrationRecord:
    """Codes that a calibration found, and how well they do."""

    plan: str
    design: str  # digest of the design that was calibrated, codes and nominal devices
    bias_code: Array  # (8, N)
    reference_code: Array  # (5, N)
    offset_code: Array  # (N,)
    residual: Array  # (N,) rms difference of the DC current from the model's in the window, unit currents
    calibrated: Array  # (N,) 1 where the neuron could be measured and trimmed
    readout_code: Array  # (outputs, N)
    readout_offset: Array  # (outputs,)
    readout_lsb: float


def calibrate(design: MappedDesign, target: ModelSpec, measure: Measure, plan: Plan) -> CalibrationRecord:
    """Trims every neuron of a chip towards `target`. A neuron that cannot be measured keeps its codes."""
    nominal = dataclasses.replace(design, deviations=None)
    codes, measurable = nominal, np.ones(design.count, bool)
    for _ in range(plan.rounds):
        seen = measure(codes)
        measurable &= _complete(seen, codes)
        codes = _trim(codes, target, seen, plan, measurable)
    seen = measure(codes)
    measurable &= _complete(seen, codes)
    if plan.current.trim:
        codes = _trim_current(codes, target, seen, plan, measurable)
        seen = measure(codes)
        measurable &= _complete(seen, codes)
    error = _current_error(codes, target, seen, plan)
    return CalibrationRecord(
        plan=plan.name,
        design=nominal.digest,
        bias_code=codes.bias_code,
        reference_code=codes.reference_code,
        offset_code=codes.offset_code,
        residual=np.sqrt(np.mean(error**2, axis=0)),
        calibrated=measurable.astype(np.float64),
        readout_code=codes.readout_code,
        readout_offset=codes.readout_offset,
        readout_lsb=codes.readout_dac.lsb,
    )


def apply(record: CalibrationRecord, design: MappedDesign) -> MappedDesign:
    """The design, or a virtual chip of it, with the record's codes.

    Raises DataError when the record was made for another design.
    """
    nominal = dataclasses.replace(design, deviations=None)
    if record.design != nominal.digest:
        raise DataError(
            f"this calibration is of design {record.design[:16]}, not of {nominal.digest[:16]}; calibrate again"
        )
    return dataclasses.replace(
        design,
        bias_code=record.bias_code,
        reference_code=record.reference_code,
        offset_code=record.offset_code,
        readout_code=record.readout_code,
        readout_offset=record.readout_offset,
        readout_dac=dataclasses.replace(design.readout_dac, lsb=record.readout_lsb),
    )


def with_readout(record: CalibrationRecord, design: MappedDesign, readout: Readout) -> CalibrationRecord:
    """The record with a refitted readout, its weights as codes; their full scale is the largest weight."""
    levels = design.readout_dac.limits[1] if design.readout_dac.bits is not None else 1.0
    dac = dataclasses.replace(design.readout_dac, lsb=float(np.abs(readout.weights).max()) / levels)
    return dataclasses.replace(
        record,
        readout_code=dac.encode(readout.weights),
        readout_offset=readout.offset,
        readout_lsb=dac.lsb,
    )


def _complete(seen: Observables, design: MappedDesign) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    finite = np.isfinite(seen.current).all(axis=1)
    return np.asarray((finite | ~design.present).all(axis=0))


def _trim(
    design: MappedDesign,
    target: ModelSpec,
    seen: Observables,
    plan: Plan,
    measurable: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> MappedDesign:
    """One round: every OTA's gain to its bias code, every zero crossing to its reference code."""
    bias, reference = design.bias(), design.reference_dac.decode(design.reference_code)
    capacitor = (design.capacitor + parasitic(design.cells, design.present)) / design.scale.farad
    volt = design.scale.volt
    for neuron in map(int, np.flatnonzero(measurable)):
        offsets = np.zeros(len(FILTERS))
        for branch in reversed(np.flatnonzero(design.present[:, neuron])):
            gain, crossing = _fit(design, target, int(branch), neuron, seen)
            if bias[branch, neuron] == 0.0 or gain <= 0.0:
                continue  # an OTA that is off, or beyond what its knobs can mend, says nothing about them
            if branch > LEAK:
                row = branch - LEAK - 1
                offsets[row] = FILTER_CLAMP - crossing
                if plan.linear.bias:
                    bias[branch, neuron] *= capacitor[row + 1, neuron] / target.neurons.tau[row, neuron] / gain
                continue
            trims = plan.linear if branch == LEAK else plan.elements
            wanted_gain = target.neurons.leak[neuron] if branch == LEAK else target.neurons.alpha[branch, neuron]
            heard = 0.0 if branch == LEAK else offsets[ELEMENT_FILTER[branch]]
            wanted = (target.neurons.rest[neuron] if branch == LEAK else target.neurons.delta[branch, neuron]) + heard
            if trims.bias:
                bias[branch, neuron] *= wanted_gain * capacitor[0, neuron] / gain
            if trims.reference:
                reference[branch, neuron] += (wanted - crossing) * volt
    return _with_codes(design, bias, reference)


def _fit(design: MappedDesign, target: ModelSpec, branch: int, neuron: int, seen: Observables) -> tuple[float, float]:
    """Gain, unit currents, and zero crossing, unit voltages, of one measured OTA."""
    x, current = seen.voltage, seen.current[branch, :, neuron]
    if branch < LEAK:
        return _fit_tanh(x, SIGNS[branch] * current)
    sign, centre = (-1.0, 0.0) if branch == LEAK else (1.0, FILTER_CLAMP)
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
    """Gain and middle of gain * tanh(x - middle), beside a constant and a slope, the output conductance."""

    def residual(p: Array) -> Array:
        return np.asarray(p[0] * np.tanh(x - p[1]) + p[2] + p[3] * x - current)

    gain, middle, *_ = least_squares(residual, [*_guess(x, current), 0.0, 0.0]).x
    return float(gain), float(middle)


def _guess(x: Array, current: Array) -> list[float]:
    """Half the swing, and where half of it is reached."""
    halfway = np.argmin(np.abs(current - 0.5 * (current[0] + current[-1])))
    return [0.5 * float(current[-1] - current[0]), float(x[halfway])]


def _trim_current(
    design: MappedDesign,
    target: ModelSpec,
    seen: Observables,
    plan: Plan,
    measurable: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> MappedDesign:
    """Leak bias and offset code from the difference of the whole DC current to the model's."""
    error = _current_error(design, target, seen, plan)
    at = _window(seen, plan)
    bias = design.bias()
    offset = design.offset_dac.decode(design.offset_code)
    for neuron in map(int, np.flatnonzero(measurable)):
        leak = seen.current[LEAK, at, neuron]
        change, constant = np.linalg.lstsq(
            np.stack([leak, np.ones_like(leak)], axis=1), -error[:, neuron], rcond=None
        )[0]
        bias[LEAK, neuron] *= 1.0 + change
        offset[neuron] += constant * design.scale.amp
    moved = _with_codes(design, bias, design.reference_dac.decode(design.reference_code))
    return dataclasses.replace(moved, offset_code=design.offset_dac.nearest(offset))


def _window(seen: Observables, plan: Plan) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    low, high = plan.current.window
    return np.asarray((seen.voltage >= low) & (seen.voltage <= high))


def _current_error(design: MappedDesign, target: ModelSpec, seen: Observables, plan: Plan) -> Array:
    """Measured minus wanted DC current in the window, unit currents, (points, N)."""
    at, neurons = _window(seen, plan), target.neurons
    v = seen.voltage[at][:, None]
    slowing = (design.capacitor + parasitic(design.cells, design.present))[0] / design.scale.farad
    leak = v - neurons.rest if neurons.leak_curve is None else neurons.leak_curve(v - neurons.rest)
    wanted = target.bias - neurons.leak * leak
    for row, sign in enumerate(SIGNS):
        wanted = wanted + sign * neurons.alpha[row] * np.tanh(v - neurons.delta[row])
    measured = np.zeros_like(wanted)
    for branch in range(LEAK + 1):
        heard = _follower_offset(design, seen, branch)
        for neuron in np.flatnonzero(design.present[branch]):
            whole = seen.current[branch, :, neuron]
            measured[:, neuron] += np.interp(v[:, 0] + heard[neuron], seen.voltage, whole)
    offset = design.offset_dac.decode(design.offset_code) / design.scale.amp
    return np.asarray(measured + offset - wanted * slowing)


def _follower_offset(design: MappedDesign, seen: Observables, branch: int) -> Array:
    """What the filter that a branch listens to adds to v at rest, unit voltages, (N,)."""
    result = np.zeros(design.count)
    if branch == LEAK:
        return result
    row = LEAK + 1 + ELEMENT_FILTER[branch]
    for neuron in np.flatnonzero(design.present[row]):
        current = seen.current[row, :, neuron]
        if np.isfinite(current).all():
            result[neuron] = FILTER_CLAMP - np.interp(0.0, current, seen.voltage)
    return result


def _with_codes(design: MappedDesign, bias: Array, reference: Array) -> MappedDesign:
    rows = [design.dac(branch).nearest(bias[branch]) for branch in range(len(BRANCHES))]
    return dataclasses.replace(
        design,
        bias_code=np.where(design.present, np.array(rows), 0.0),
        reference_code=design.reference_dac.nearest(reference),
    )


def save_record(record: CalibrationRecord, path: Path) -> None:
    save_fields(record, path, FORMAT, VERSION)


def load_record(path: Path) -> CalibrationRecord:
    """Raises DataError for a file that holds no calibration."""
    record: CalibrationRecord = load_fields(CalibrationRecord, path, FORMAT, VERSION, "calibrate again")
    return record
