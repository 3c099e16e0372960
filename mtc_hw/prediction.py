"""A trained network over a user's series, in software or in the circuit."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.plan import load_plan
from mtc_hw.calibration.purpose import Purpose
from mtc_hw.calibration.result import apply
from mtc_hw.characterise import cells_for
from mtc_hw.courses import network_course
from mtc_hw.errors import DataError
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.design import MappedDesign, as_spec
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import Technology
from mtc_hw.hardware.unit import UnitSize
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import resample
from mtc_hw.netlist.views import Level
from mtc_hw.simulate.network import run_networks
from mtc_hw.simulate.pool import Runner
from mtc_hw.spec import Array, ModelSpec, Task

PredictionLevel = Literal["software", "quantised", "behavioural", "transistor"]
WARM_UP = 250.0  # time units of the series that only bring the neurons and filters into step


@dataclass(frozen=True, eq=False)
class Prediction:
    """Values of the series, in its own units, at the times that are predicted."""

    time: Array  # (T,)
    value: Array  # (T,)


def read_series(path: Path) -> tuple[Array, Array]:
    """Columns `time` and `value` of a CSV file with a header. Raises DataError that names the row."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if not {"time", "value"} <= set(rows.fieldnames or ()):
                raise DataError(f"series {path} has columns {rows.fieldnames}; it needs time and value")
            numbers = [_numbers(row, rows.line_num, path) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"series {path} cannot be read: {error}") from None
    table = np.array(numbers, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _numbers(row: dict[str, str | None], line: int, path: Path) -> tuple[float, float]:
    try:
        return float(row["time"] or ""), float(row["value"] or "")
    except ValueError:
        raise DataError(f"series {path}, line {line}: {row['time']!r}, {row['value']!r} are no two numbers") from None


def write_prediction(prediction: Prediction, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["time", "value"])
        writer.writerows(zip(prediction.time.tolist(), prediction.value.tolist(), strict=True))


def predict_series(
    spec: ModelSpec,
    time: Array,
    value: Array,
    level: PredictionLevel,
    technology: Technology,
    mapping: MappingOptions,
    size: UnitSize,
    run: Runner | None,
) -> Prediction:
    """The series `horizon` later, from the end of the warm-up on.

    The two ngspice levels need `run`. Raises DataError for a network without a task, and for a series
    that ends before the warm-up does.
    """
    task = spec.task
    if task is None or spec.readout is None:
        raise DataError("this network has no task; train one with `mtc-hw train`")
    samples = resample(time, value, task.sample)
    first = round(WARM_UP / task.sample)
    if len(samples) <= first:
        raise DataError(
            f"the series spans {float(time[-1] - time[0]):g} time units; more than {WARM_UP:g} are needed, since the "
            "first part only brings the network into step"
        )
    inputs = ((samples - task.mean) / task.scale)[:, None]
    if level == "software":
        y = run_spec(spec, inputs).prediction[:, 0]
    else:
        technology = unit_sized(technology, size.width, size.length)
        cells = cells_for(technology, size.width, size.length)
        design = map_spec(spec, technology, cells, mapping)
        y = _in_hardware(design, spec, inputs, level, run)
    return _dated(y, first, float(time[0]), task)


def _in_hardware(
    design: MappedDesign, spec: ModelSpec, inputs: Array, level: PredictionLevel, run: Runner | None
) -> Array:
    meant = as_spec(design)
    if level == "quantised":
        return run_spec(meant, inputs).prediction[:, 0]
    assert run is not None
    circuit_level: Level = "transistor" if level == "transistor" else "behavioural"
    if circuit_level == "transistor":
        purpose = Purpose(spec, network_course(spec, inputs))
        instrument = NgspiceInstrument(design, circuit_level, run, purpose.course)
        design = apply(calibrate(design, purpose, instrument, load_plan("dc")), design)
    found = run_networks([design], circuit_level, inputs, run)[0]
    if found.failed:
        worst = found.failed[0]
        raise DataError(f"{len(found.failed)} decks did not run; {worst.deck}: {worst.status}: {worst.reason}")
    return found.prediction[:, 0]


def _dated(y: Array, first: int, start: float, task: Task) -> Prediction:
    at = np.arange(first, len(y), dtype=np.float64)
    return Prediction(start + task.sample * at + task.horizon, task.mean + task.scale * y[first:])
