"""Columns of numbers out of text files as instruments, simulators and spreadsheets write them."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtc_hw.errors import DataError
from mtc_hw.spec import Array

LARGEST_FILE = 1 << 29  # bytes
LOOKED_AT = 50  # lines from the end, for what parts their cells
COMMENTS = ("#", "%", ";", "//", "!")
UNITS = {
    "s": "s", "sec": "s", "second": "s", "seconds": "s", "ms": "ms", "us": "us", "\u00b5s": "us", "\u03bcs": "us",
    "ns": "ns", "tau_m": "tau_m", "v": "V", "volt": "V", "volts": "V", "mv": "mV",
}  # fmt: skip
Line = tuple[int, list[str]]  # its number in the file, from 1, and its cells


@dataclass(frozen=True, eq=False)
class CsvTable:
    """Columns by name, in the file's order; nan where a cell is empty. Without a header their names are 1, 2, ..."""

    columns: Mapping[str, Array]  # each (T,)
    lines: NDArray[np.int64]  # (T,), number of each row's line in the file


def read_csv(path: Path) -> CsvTable:
    """Cells apart by semicolons, tabs, commas or blanks; lines that begin with one of `COMMENTS` do not count.

    A header is what comes before the first line that begins with a number; a last line of it that holds units alone
    goes to the names above. Where cells are not apart by commas, a comma may stand for the decimal point. Raises
    DataError that names line and column.
    """
    numbered = _lines(path)
    delimiter = _delimiter([line for _, line in numbered[-LOOKED_AT:]])
    first = next((at for at, (_, line) in enumerate(numbered) if _is_number(_cells(line, delimiter)[0])), None)
    if first is None:
        raise DataError(f"{path} holds no line that begins with a number; give columns of numbers")
    above, below = [line for _, line in numbered[:first]], numbered[first:]
    try:
        # Compiled; it knows no empty cells and no decimal commas.
        table = np.loadtxt([line for _, line in below], delimiter=delimiter, comments=None, ndmin=2)
        names = _names(above, delimiter, table.shape[1])
        if len(names) != table.shape[1]:
            raise ValueError
    except ValueError:
        rows = [(number, _cells(line, delimiter)) for number, line in below]
        names = _names(above, delimiter, max(len(cells) for _, cells in rows))
        table = _numbers(path, rows, names)
    lines = np.array([number for number, _ in below], dtype=np.int64)
    return CsvTable(dict(zip(names, table.T, strict=True)), lines)


def _lines(path: Path) -> list[tuple[int, str]]:
    """Number and text of each line that counts, at least one."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DataError(f"{path} holds more than {LARGEST_FILE >> 20} MiB; cut it, or save it as .npz")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); give .npz, .raw or a text file") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    numbered = ((number, line.strip(" \r")) for number, line in enumerate(text.split("\n"), start=1))
    kept = [(number, line) for number, line in numbered if line.strip() and not line.lstrip().startswith(COMMENTS)]
    if not kept:
        raise DataError(f"{path} is empty; give at least one line of numbers")
    return kept


def _delimiter(lines: Sequence[str]) -> str | None:
    """What at least half of the lines hold; None: blanks."""
    return next((each for each in (";", "\t", ",") if 2 * sum(each in line for line in lines) >= len(lines)), None)


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    if '"' in line:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
    cells = [cell.strip() for cell in line.split(delimiter)]
    if delimiter == ",":
        return cells
    return [cell.replace(",", ".") if _is_number(cell.replace(",", ".")) else cell for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _names(header: Sequence[str], delimiter: str | None, width: int) -> list[str]:
    """The names that a header of some lines gives to about `width` columns, or numbers."""
    if width == 1 and header:
        return [header[-1].strip().strip('"')]
    split = (_cells(line, delimiter) for line in header)
    fitting = [cells[:-1] if cells[-1] == "" else cells for cells in split]
    fitting = [cells for cells in fitting if len(cells) in (width, width - 1) and len(cells) > 0]
    if not fitting:
        return [str(number) for number in range(1, width + 1)]
    names = fitting[-1]
    if len(fitting) > 1 and all(cell.lower().strip("()[]") in UNITS for cell in names):
        units = [cell.strip("()[]") for cell in names]
        names = [f"{name} [{unit}]" for name, unit in zip(fitting[-2], units, strict=False)]
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return unique


def _numbers(path: Path, rows: Sequence[Line], names: Sequence[str]) -> Array:
    """(T, columns); a row may end early, or in one empty cell too many."""
    width = len(names)
    padded = []
    for number, cells in rows:
        if len(cells) > width and any(cells[width:]):
            raise DataError(f"{path} line {number} has {len(cells)} cells for {width} columns: {', '.join(names)}")
        padded.append(cells[:width] + [""] * (width - len(cells)))
    try:
        return np.array([[cell or "nan" for cell in cells] for cells in padded], dtype=np.float64)
    except ValueError:
        pairs = ((number, name, cell) for (number, _), cells in zip(rows, padded, strict=True)
                 for name, cell in zip(names, cells, strict=True))  # fmt: skip
        number, name, cell = next(found for found in pairs if found[2] and not _is_number(found[2]))
        shown = cell if cell.isprintable() else ascii(cell)
        raise DataError(f"{path} line {number}, column {name}: {shown!r} is no number; mend it") from None


def unit_of(name: str) -> str | None:
    """Unit that a column's name ends in: `time (ms)`, `CH1 [mV]`, `t/us`, `spike_time_s`."""
    found = re.search(rf"(?:[\[(/]\s*|_)({'|'.join(UNITS)})\s*[\])]?$", name, re.IGNORECASE)
    return UNITS[found[1].lower()] if found else None
