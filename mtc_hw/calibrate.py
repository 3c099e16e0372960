"""Calibration: codes trimmed until what is measured is what the model asks for.

The calibrator sees a chip only through `measure(codes) -> Observables`; its deviations stay hidden from it.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtc_hw.calibration_plan import Plan
from mtc_hw.course import Course
from mtc_hw.errors import DataError
from mtc_hw.field_trim import field_error, trim_field
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.fields import load_fields, save_fields
from mtc_hw.instrument import PREDICTIONS, Bench, Measure, Observables
from mtc_hw.spec import Array, ModelSpec, Readout
from mtc_hw.trims import match, with_currents

FORMAT, VERSION = "mtc_hw calibration", 3


@dataclass(frozen=True, eq=False)
class CalibrationRecord:
    """Codes that a calibration found, and how well they do."""

    plan: str
    design: str  # digest of the design that was calibrated, codes and nominal devices
    bias_trim: Array  # (8, N)
    reference_trim: Array  # (5, N)
    offset_trim: Array  # (N,)
    input_trim: Array  # (N, inputs)
    residual: Array  # (N,) rms error of the neuron's current along the model's course, unit currents
    calibrated: Array  # (N,) 1 where the neuron could be measured and trimmed
    readout_code: Array  # (outputs, N)
    readout_offset: Array  # (outputs,)
    readout_lsb: float
    pole_code: Array  # (4,)


def calibrate(
    design: MappedDesign, target: ModelSpec, measure: Measure, plan: Plan, course: Course
) -> CalibrationRecord:
    """Trims every neuron of a chip towards `target`, along its course.

    A neuron that cannot be measured keeps its codes.
    """
    nominal = dataclasses.replace(design, deviations=None)
    codes, measurable = nominal, np.ones(design.count, bool)

    def look() -> Observables:
        seen = measure(codes)
        np.logical_and(measurable, seen.complete(codes), out=measurable)
        return seen

    for _ in range(plan.rounds):
        codes = with_currents(codes, match(codes, target, look(), plan, measurable))
    for _ in range(plan.field.rounds):
        codes = with_currents(codes, trim_field(codes, target, look(), course, plan.field, measurable))
    seen = look()
    if target.readout is not None:
        codes = _trim_readout(codes, target.readout, seen.answer)
    return CalibrationRecord(
        plan=plan.name,
        design=nominal.digest,
        bias_trim=codes.bias_trim,
        reference_trim=codes.reference_trim,
        offset_trim=codes.offset_trim,
        input_trim=codes.input_trim,
        residual=field_error(codes, target, seen, course, measurable),
        calibrated=measurable.astype(np.float64),
        readout_code=codes.readout_code,
        readout_offset=codes.readout_offset,
        readout_lsb=codes.readout_dac.lsb,
        pole_code=codes.pole_code,
    )


def _trim_readout(design: MappedDesign, readout: Readout, answer: Array) -> MappedDesign:
    """The low-pass's gain by its first pole's bias, its zero by the constant current.

    The zero is nearly all offsets of the stages after the first pole, which no gain scales.
    """
    if not np.isfinite(answer).all():
        return design
    gain, zero = np.polyfit(PREDICTIONS, answer.T, 1)
    bias = design.pole_dac.decode(design.pole_code)
    bias[0] *= float(gain.mean())
    return dataclasses.replace(design, pole_code=design.pole_dac.nearest(bias), readout_offset=readout.offset - zero)


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
        bias_trim=record.bias_trim,
        reference_trim=record.reference_trim,
        offset_trim=record.offset_trim,
        input_trim=record.input_trim,
        readout_code=record.readout_code,
        readout_offset=record.readout_offset,
        readout_dac=dataclasses.replace(design.readout_dac, lsb=record.readout_lsb),
        pole_code=record.pole_code,
    )


def with_readout(record: CalibrationRecord, design: MappedDesign, readout: Readout) -> CalibrationRecord:
    """The record of a design with a refitted readout as codes; the largest current is their full scale.

    What the trims found out stays: how far each synapse's bias is off, and the low-pass's zero.
    """
    nominal = np.abs(design.readout_dac.decode(design.readout_code))
    trimmed = np.abs(dataclasses.replace(design.readout_dac, lsb=record.readout_lsb).decode(record.readout_code))
    off = np.where((nominal > 0) & (trimmed > 0), trimmed / np.where(nominal > 0, nominal, 1.0), 1.0)
    wanted = off * design.cells.synapse.bias_for(np.abs(readout.weights) * design.readout_unit)
    levels = design.readout_dac.limits[1] if design.readout_dac.bits is not None else 1.0
    dac = dataclasses.replace(design.readout_dac, lsb=float(wanted.max()) / levels)
    return dataclasses.replace(
        record,
        readout_code=dac.encode(np.sign(readout.weights) * wanted),
        readout_offset=readout.offset + record.readout_offset - design.readout_offset,
        readout_lsb=dac.lsb,
    )


def refit(record: CalibrationRecord, design: MappedDesign, readout: Readout, instrument: Bench) -> CalibrationRecord:
    """`with_readout`, and the low-pass trimmed once more: other weights load its sums otherwise."""
    changed = with_readout(record, design, readout)
    codes = apply(changed, design)
    trimmed = _trim_readout(codes, readout, instrument.readout(codes))
    return dataclasses.replace(changed, pole_code=trimmed.pole_code, readout_offset=trimmed.readout_offset)


def save_record(record: CalibrationRecord, path: Path) -> None:
    save_fields(record, path, FORMAT, VERSION)


def load_record(path: Path) -> CalibrationRecord:
    """Raises DataError for a file that holds no calibration."""
    record: CalibrationRecord = load_fields(CalibrationRecord, path, FORMAT, VERSION, "calibrate again")
    return record
