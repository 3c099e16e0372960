"""One neuron's recording in model units, out of a file of voltages, logic levels or spike times."""

import dataclasses
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from mtc_hw.analysis.spikes import HYSTERESIS, THRESHOLD, spike_times
from mtc_hw.analysis.trace_files import TraceFile, read_trace_file, unit_in
from mtc_hw.errors import DataError
from mtc_hw.spec import Array, Trace

Kind = Literal["voltage", "levels", "spikes"]
TimeUnit = Literal["s", "ms", "us", "ns", "tau_m"]
VoltageUnit = Literal["V", "mV", "unit"]
WORDS = {"kind": get_args(Kind), "time_unit": get_args(TimeUnit), "voltage_unit": get_args(VoltageUnit)}
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
VOLTS = {"V": 1.0, "mV": 1e-3}
OWN_HYSTERESIS = 0.1  # of the voltage's span, where the file's own unit is all that is known
MEMBRANE = r"v\(v_\d+\)|voltage(\[\d+\])?"  # a membrane's vector in our decks, and in a trace saved as npz


@dataclass(frozen=True)
class Reading:
    """How a file is read; None: as the file says, or not known."""

    column: str | None = None  # voltages, levels or spike times
    time_column: str | None = None
    kind: Kind | None = None
    time_unit: TimeUnit | None = None
    tau_m: float | None = None  # s
    voltage_unit: VoltageUnit | None = None
    unit_voltage: float | None = None  # V
    ground: float | None = None  # V
    threshold: float | None = None  # in the file's unit
    hysteresis: float | None = None  # in the file's unit

    def __post_init__(self) -> None:
        for name, words in WORDS.items():
            value = getattr(self, name)
            if value is not None and value not in words:
                raise DataError(f"{name.replace('_', '-')} is {value!r}; it must be one of {', '.join(words)}")
        for name in ("tau_m", "unit_voltage"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0.0):
                raise DataError(f"{name.replace('_', '-')} is {value}; it must be finite and > 0")


@dataclass(frozen=True, eq=False)
class Recording:
    """Spikes of one neuron, and its voltage where it was recorded."""

    name: str
    kind: Kind
    column: str
    spikes: Array  # (spikes,)
    start: float  # of the recording; -inf and inf: the file holds spike times alone
    end: float
    time_unit: Literal["tau_m", "s"]  # of all times here
    tau_m: float | None = None  # s, by which the file's seconds became tau_m
    time: Array | None = None  # (T,)
    voltage: Array | None = None  # (T,), in unit voltages, or in the file's own unit
    voltage_unit: str = "unit"  # unit, V, mV, or empty for one that is not known

    def moved(self, scale: float, offset: float) -> "Recording":
        """The same with every time as scale * time + offset."""
        time = None if self.time is None else scale * self.time + offset
        return dataclasses.replace(
            self,
            spikes=scale * self.spikes + offset,
            start=scale * self.start + offset,
            end=scale * self.end + offset,
            time=time,
        )

    def trace(self) -> Trace | None:
        """The voltage, where it is in unit voltages."""
        if self.time is None or self.voltage is None or self.voltage_unit != "unit":
            return None
        return Trace(self.time, self.voltage[:, None])

    def span(self) -> tuple[float, float]:
        """Start and end, or first and last spike where the recording's ends are not known."""
        if np.isfinite(self.start):
            return self.start, self.end
        return (float(self.spikes[0]), float(self.spikes[-1])) if self.spikes.size else (0.0, 0.0)


def read_recording(path: Path, reading: Reading = Reading()) -> Recording:
    """Spikes, and a voltage where there is one. A voltage's spikes are `spike_times`; a level's are its rises.

    Raises DataError that names column, line and remedy.
    """
    file = read_trace_file(path)
    time_name = file.time_column(reading.time_column)
    name, values = _chosen(file, reading, time_name)
    alone = len(file.columns) == 1
    kind = reading.kind or ("spikes" if alone else "levels" if _is_logic(values) else "voltage")
    if kind == "spikes":
        found = _timeless(file, reading, kind, name, name)
        factor = _per_unit(file, reading, name)
        return dataclasses.replace(found, spikes=factor * _increasing(file, name, values))
    if time_name is None or values.size != file.column(time_name).size:
        raise DataError(
            f"{path} has no column of times for {name}; name it with --time-column, or say --kind spikes if they are "
            f"spike times. Columns: {', '.join(file.columns)}"
        )
    time = _per_unit(file, reading, time_name) * _increasing(file, time_name, file.column(time_name), whole=True)
    _whole(file, name, values)
    if time.size < 2:
        raise DataError(f"{path} holds {time.size} sample; a recording has two or more")
    found = _timeless(file, reading, kind, name, time_name)
    found = dataclasses.replace(found, time=time, start=float(time[0]), end=float(time[-1]))
    return _levels(file, found, values) if kind == "levels" else _voltages(file, found, values, reading)


def _chosen(file: TraceFile, reading: Reading, time_name: str | None) -> tuple[str, Array]:
    if reading.column is not None:
        return reading.column, file.column(reading.column)
    others = [name for name in file.columns if name != time_name]
    if len(others) > 1:
        others = [name for name in others if re.fullmatch(MEMBRANE, name)] or others
    if len(others) != 1:
        raise DataError(f"{file.path} has several columns; choose one with --column: {', '.join(file.columns)}")
    return others[0], file.columns[others[0]]


def _is_logic(values: Array) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _unit(file: TraceFile, reading: Reading, name: str) -> str:
    unit = reading.time_unit or unit_in(name, (*SECONDS, "tau_m")) or file.time_unit
    if unit is None:
        raise DataError(
            f"the unit of time in {file.path} is not known: give --time-unit s, ms, us, ns or tau_m, "
            f"or call the column {name} [ms]"
        )
    return unit


def _per_unit(file: TraceFile, reading: Reading, name: str) -> float:
    """What a time in the file's unit is multiplied by: to tau_m where that is known, else to seconds."""
    unit = _unit(file, reading, name)
    return 1.0 if unit == "tau_m" else SECONDS[unit] / (reading.tau_m or 1.0)


def _timeless(file: TraceFile, reading: Reading, kind: Kind, column: str, time_name: str) -> Recording:
    """A recording without spikes and samples, in the unit that `time_name` comes to."""
    seconds = _unit(file, reading, time_name) != "tau_m"
    time_unit: Literal["tau_m", "s"] = "s" if seconds and reading.tau_m is None else "tau_m"
    tau_m = reading.tau_m if seconds else None
    return Recording(str(file.path), kind, column, np.empty(0), -np.inf, np.inf, time_unit, tau_m)


def _whole(file: TraceFile, name: str, values: Array) -> None:
    gaps = np.flatnonzero(~np.isfinite(values))
    if gaps.size:
        where = int(gaps[0])
        said = "empty" if np.isnan(values[where]) else str(values[where])
        raise DataError(f"{file.path} {file.row(where)}, column {name} is {said}; every sample needs a finite number")


def _increasing(file: TraceFile, name: str, values: Array, whole: bool = False) -> Array:
    """Times, each after the one before; empty cells are left out unless the column must be `whole`."""
    if whole:
        _whole(file, name, values)
    rows = np.flatnonzero(~np.isnan(values))
    times = values[rows]
    stuck = np.flatnonzero(np.diff(times) <= 0.0)
    if stuck.size:
        where = int(stuck[0]) + 1
        raise DataError(
            f"{file.path} {file.row(int(rows[where]))}: {name} is {times[where]:g}, not after {times[where - 1]:g}; "
            "times must increase"
        )
    return times


def _levels(file: TraceFile, found: Recording, values: Array) -> Recording:
    """Spikes at the samples that are the first high ones; a level that begins high has no rise yet."""
    assert found.time is not None
    if not _is_logic(values):
        where = int(np.flatnonzero(~np.isin(values, (0.0, 1.0)))[0])
        said = f"{file.path} {file.row(where)}, column {found.column} is {values[where]:g}"
        raise DataError(f"{said}; a level is 0 or 1")
    rises = np.flatnonzero((values[:-1] == 0.0) & (values[1:] == 1.0)) + 1
    return dataclasses.replace(found, spikes=found.time[rises], time=None)


def _voltages(file: TraceFile, found: Recording, values: Array, reading: Reading) -> Recording:
    """In unit voltages where the unit voltage is known, else in the file's own unit, which needs a threshold."""
    unit = reading.voltage_unit or unit_in(found.column, tuple(VOLTS)) or file.voltage_unit
    factor, ground = 1.0, 0.0  # to unit voltages
    known = unit == "unit"
    if unit in VOLTS and reading.unit_voltage is not None and reading.ground is not None:
        factor, ground, known = VOLTS[unit] / reading.unit_voltage, reading.ground / VOLTS[unit], True
    if not known and reading.threshold is None:
        missing = "its unit is not known; give --voltage-unit, and" if unit is None else "give"
        raise DataError(
            f"no spike threshold for {found.column} of {file.path}: {missing} --unit-voltage and --ground, or "
            "--design, or --threshold in the file's own unit"
        )
    threshold = THRESHOLD if reading.threshold is None else factor * (reading.threshold - ground)
    voltage = factor * (values - ground)
    hysteresis = HYSTERESIS if known else OWN_HYSTERESIS * float(np.ptp(values))
    if reading.hysteresis is not None:
        hysteresis = factor * reading.hysteresis
    assert found.time is not None
    spikes = spike_times(found.time, voltage, threshold, hysteresis)
    if not spikes.size:
        low, high, level = values.min(), values.max(), threshold / factor + ground
        said = f"{found.column} of {file.path} goes from {low:.4g} to {high:.4g}"
        warnings.warn(f"{said} and never rises through the threshold, {level:.4g}", stacklevel=2)
    return dataclasses.replace(found, spikes=spikes, voltage=voltage, voltage_unit="unit" if known else unit or "")
