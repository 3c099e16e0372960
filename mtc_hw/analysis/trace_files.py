"""Columns out of a recording's file: .npz, ngspice's raw files, CSV of oscilloscopes and logic analysers."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mtc_hw.analysis.csv_table import read_csv, unit_of
from mtc_hw.errors import DataError
from mtc_hw.simulate.ngspice import read_raw
from mtc_hw.simulate.waveforms import Waveforms, load_waveforms
from mtc_hw.spec import Array

WAVEFORMS = {"axis", "names", "values"}  # arrays of what `Waveforms.save` writes
TIME_NAMES = r"(time|t|timestamp|x-axis|seconds?)\b|time[_ ].*"


@dataclass(frozen=True, eq=False)
class TraceFile:
    """Columns by name; all but those of an .npz are as long as `lines`."""

    path: Path
    columns: Mapping[str, Array]
    lines: NDArray[np.int64] | None  # of the file, from 1, for each row; None: the file has no lines
    time_unit: str | None  # of every time, where the kind of file tells it
    voltage_unit: str | None

    def column(self, name: str) -> Array:
        """By name, in any case, or by its number from 1. Raises DataError that lists the columns."""
        names = list(self.columns)
        folded = [each.lower() for each in names]
        if name in self.columns:
            return self.columns[name]
        if name.lower() in folded:
            return self.columns[names[folded.index(name.lower())]]
        if name.isdecimal() and 1 <= int(name) <= len(names):
            return self.columns[names[int(name) - 1]]
        raise DataError(f"{self.path} has no column {name!r}; there are: {', '.join(names)}")

    def time_column(self, wanted: str | None) -> str | None:
        """Name of the column of times: the wanted one, or the one called time, or the first of unnamed ones."""
        if wanted is not None:
            self.column(wanted)
            return wanted
        if len(self.columns) == 1:
            return None
        named = [name for name in self.columns if re.match(TIME_NAMES, name, re.IGNORECASE)]
        first = next(iter(self.columns))
        return named[0] if named else first if first == "1" else None

    def row(self, index: int) -> str:
        """Where row `index` stands, for a message."""
        return f"row {index}" if self.lines is None else f"line {self.lines[index]}"


def read_trace_file(path: Path) -> TraceFile:
    """By the file's name and first bytes. Raises DataError for what is no recording."""
    if not path.is_file():
        raise DataError(f"{path} does not exist or is a folder; give a recording: .npz, .raw, .csv or .txt")
    with path.open("rb") as opened:
        begin = opened.read(6)
    if begin.startswith(b"PK") or path.suffix == ".npz":
        return _npz(path)
    if begin == b"Title:" or path.suffix == ".raw":
        waves = read_raw(path)
        if waves is None:
            raise DataError(f"{path} holds no points of an ngspice run; look at the run's log")
        return _simulated(path, waves)
    table = read_csv(path)
    return TraceFile(path, table.columns, table.lines, None, None)


def _npz(path: Path) -> TraceFile:
    """What `Waveforms.save` wrote, or arrays by name: a column each, or (T, N) as name[0], name[1], ..."""
    try:
        # numpy leaves a file open that it opened itself and finds to be no archive.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            if set(stored.files) >= WAVEFORMS:
                return _simulated(path, load_waveforms(path))
            arrays = {name: np.asarray(stored[name]) for name in stored.files}
    except (OSError, ValueError, EOFError, TypeError, BadZipFile, zlib.error) as error:
        raise DataError(f"{path} holds no plain arrays: {error}") from None
    columns: dict[str, Array] = {}
    for name, array in arrays.items():
        if array.dtype.kind in "fiub" and array.ndim == 1:
            columns[name] = array.astype(np.float64)
        elif array.dtype.kind in "fiub" and array.ndim == 2:
            columns |= {f"{name}[{index}]": each.astype(np.float64) for index, each in enumerate(array.T)}
    if not columns:
        shapes = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in arrays.items())
        raise DataError(f"{path} holds no arrays of numbers (T,) or (T, N); it has: {shapes or 'none'}")
    return TraceFile(path, columns, None, "tau_m", "unit")


def _simulated(path: Path, waves: Waveforms) -> TraceFile:
    columns = {"time": waves.axis} | {name: value for name, value in waves.values.items() if name != "time"}
    return TraceFile(path, columns, None, "s", "V")


def unit_in(name: str, wanted: tuple[str, ...]) -> str | None:
    """The unit at the end of a column's name, where it is one of the wanted."""
    unit = unit_of(name)
    return unit if unit in wanted else None
