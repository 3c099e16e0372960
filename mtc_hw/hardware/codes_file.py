"""A design's codes as a table for a spreadsheet, beside the design file, and back.

`design.json` is the design as it was exported, `codes.csv` has a row for each converter, capacitor and size. What
counts on the way back is the table's codes and capacitors; all else must be as exported.
"""

import csv
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtc_hw.errors import DataError
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import BRANCHES, LEAK, MappedDesign
from mtc_hw.hardware.design_file import load_design, save_design
from mtc_hw.spec import FILTERS

CODES, DESIGN = "codes.csv", "design.json"
COLUMNS = ("neuron", "element", "kind", "code", "octave", "lsb", "base", "value", "unit")
ROUNDED = 5  # digits that a spreadsheet leaves of a number when it saves what it shows
CAPACITORS = ("membrane", *FILTERS)


class Key(NamedTuple):
    """Which row: the neuron's number or nothing, the element's name, the kind."""

    neuron: str
    element: str
    kind: str


@dataclass(frozen=True)
class Row:
    """A converter at its setting, or a value without one."""

    array: str  # field of MappedDesign; empty for a size
    index: tuple[int, ...]
    dac: Dac | None
    stored: float  # what the array holds: a code with its octave, or the value itself
    unit: str

    @property
    def code(self) -> float:
        """The binary-weighted part."""
        assert self.dac is not None
        return float(self.dac.fine(np.array(self.stored)))

    @property
    def octave(self) -> int | None:
        """How often the splitter halves; none without a splitter."""
        if self.dac is None or self.dac.bits is None or not self.dac.octaves:
            return None
        return int(self.stored // 2.0**self.dac.bits)

    @property
    def value(self) -> float:
        """In `unit`."""
        return self.stored if self.dac is None else float(self.dac.decode(np.array(self.stored)))


def rows_of(design: MappedDesign) -> dict[Key, Row]:
    """Every converter, capacitor and size, by neuron."""
    rows: dict[Key, Row] = {}
    for neuron in range(design.count):
        rows |= _neuron_rows(design, neuron)
    for output, offset in enumerate(design.readout_offset):
        key = Key("", f"output_{output}", "readout_offset")
        rows[key] = Row("readout_offset", (output,), None, float(offset), "1")
    for pole, (code, farad) in enumerate(zip(design.pole_code, design.pole_capacitor, strict=True)):
        name = f"pole_{pole + 1}"
        rows[Key("", name, "pole")] = Row("pole_code", (pole,), design.pole_dac, float(code), "A")
        rows[Key("", name, "capacitor")] = Row("pole_capacitor", (pole,), None, float(farad), "F")
    for kind in ("width", "length"):
        rows[Key("", "transistor", kind)] = Row("", (), None, getattr(design.cells, kind), "m")
    return rows


def _neuron_rows(design: MappedDesign, neuron: int) -> dict[Key, Row]:
    name, rows = str(neuron), {}

    def add(element: str, kind: str, array: str, index: tuple[int, ...], dac: Dac | None, unit: str) -> None:
        rows[Key(name, element, kind)] = Row(array, index, dac, float(getattr(design, array)[index]), unit)

    for branch in map(int, np.flatnonzero(design.present[:, neuron])):
        kind = "bias" if branch <= LEAK else "filter"
        add(BRANCHES[branch], kind, "bias_code", (branch, neuron), design.dac(branch), "A")
        add(BRANCHES[branch], f"{kind}_trim", "bias_trim", (branch, neuron), design.trim.current, "1")
        if branch <= LEAK:
            add(BRANCHES[branch], "reference", "reference_code", (branch, neuron), design.reference_dac, "V")
            at = (branch, neuron)
            add(BRANCHES[branch], "reference_trim", "reference_trim", at, design.trim.reference, "V")
    for i in range(design.input_code.shape[1]):
        add(f"input_{i}", "input", "input_code", (neuron, i), design.input_dac, "A")
        add(f"input_{i}", "input_trim", "input_trim", (neuron, i), design.trim.current, "1")
    add("offset", "offset", "offset_code", (neuron,), design.offset_dac, "A")
    add("offset", "offset_trim", "offset_trim", (neuron,), design.trim.offset, "A")
    for output in range(len(design.readout_offset)):
        add(f"output_{output}", "readout", "readout_code", (output, neuron), design.readout_dac, "A")
    for row, capacitor in enumerate(CAPACITORS):
        if row == 0 or design.present[LEAK + row, neuron]:
            add(capacitor, "capacitor", "capacitor", (row, neuron), None, "F")
    return rows


def save_codes(design: MappedDesign, folder: Path) -> tuple[Path, Path]:
    """Writes `design.json` and `codes.csv` into the folder."""
    save_design(design, folder / DESIGN)
    with (folder / CODES).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for key, row in rows_of(design).items():
            lsb, base = ("", "") if row.dac is None else (_text(row.dac.lsb), _text(row.dac.base))
            code = "" if row.dac is None else _text(row.code)
            octave = "" if row.octave is None else str(row.octave)
            table.writerow([*key, code, octave, lsb, base, _text(row.value), row.unit])
    return folder / DESIGN, folder / CODES


def load_codes(folder: Path) -> MappedDesign:
    """The design of an exported folder with the table's codes and capacitors.

    Raises DataError with file and line for every row that is unknown, missing, there twice, or holds what its
    converter does not have.
    """
    design, path = load_design(folder / DESIGN), folder / CODES
    known, wrong = rows_of(design), []
    stored: dict[Key, float] = {}
    seen: dict[Key, int] = {}
    for line, cells in _read(path):
        key = Key(cells["neuron"], cells["element"], cells["kind"])
        if key not in known:
            wrong.append(f"{path}:{line}: the design has no {called(key)}")
        elif key in seen:
            wrong.append(f"{path}:{line}: {called(key)} is already on line {seen[key]}; keep one")
        else:
            found = list(_violations(cells, known[key]))
            wrong += [f"{path}:{line}: {called(key)}: {each}" for each in found]
            if not found:
                stored[key] = _stored(cells, known[key])
        seen.setdefault(key, line)
    wrong += [f"{path}: the row of {called(key)} is missing; export again" for key in known if key not in seen]
    if wrong:
        raise DataError("; ".join(wrong[:20]))
    return with_stored(design, stored)


def with_stored(design: MappedDesign, stored: Mapping[Key, float]) -> MappedDesign:
    """The design with these codes and values in its arrays."""
    known = rows_of(design)
    arrays: dict[str, Any] = {}
    for key, value in stored.items():
        row = known[key]
        # An equal value stays what it is: -0.0 prints as 0 and must keep its bits.
        if row.array and value != row.stored:
            array = arrays.setdefault(row.array, getattr(design, row.array).copy())
            array[row.index] = value
    for array in arrays.values():
        array.setflags(write=False)
    return dataclasses.replace(design, **arrays) if arrays else design


def _read(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells of each row. Raises DataError for what is no such table."""
    try:
        # Spreadsheets put a byte order mark in front.
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    table = csv.reader(text.splitlines())
    head = [cell.strip() for cell in next(table, [])]
    lacking = [name for name in COLUMNS if name not in head]
    if lacking:
        raise DataError(f"{path}:1: no column {', '.join(lacking)}; the first line must be {','.join(COLUMNS)}")
    for cells in table:
        if len(cells) != len(head):
            raise DataError(f"{path}:{table.line_num}: {len(cells)} cells, expected {len(head)}; separate by commas")
        yield table.line_num, {name: cell.strip() for name, cell in zip(head, cells, strict=True)}


def _violations(cells: Mapping[str, str], row: Row) -> Iterator[str]:
    """What is wrong with a row, with the remedy."""
    if cells["unit"] != row.unit:
        yield f"unit is {cells['unit']!r}, must stay {row.unit!r}"
    if row.dac is None:
        yield from _value_violations(cells["value"], row)
        return
    for column, wanted in (("lsb", row.dac.lsb), ("base", row.dac.base)):
        if _meant(cells[column], wanted) != wanted:
            yield f"{column} is {cells[column]!r}, the converter's is {_text(wanted)}; edit the code instead"
    found = list(_code_violations(cells, row.dac))
    yield from found
    if not found and cells["value"]:
        # The value of the edited code, or the exported one left standing; anything else was meant as a change.
        follows = Row(row.array, row.index, row.dac, _stored(cells, row), row.unit).value
        if not any(_meant(cells["value"], each) == each for each in (follows, row.value)):
            yield f"value is {cells['value']!r}, its code gives {_text(follows)}; edit the code, or clear the value"


def _code_violations(cells: Mapping[str, str], dac: Dac) -> Iterator[str]:
    code, (low, high) = _number(cells["code"]), dac.limits
    split = bool(dac.octaves) and dac.bits is not None
    low = 1.0 if split else low
    if not math.isfinite(code):
        yield f"code is {cells['code']!r}; it must be a number"
    elif dac.bits is not None and not code.is_integer():
        yield f"code is {cells['code']}; it must be an integer"
    elif not low <= code <= high:
        yield f"code is {cells['code']}; the converter has {_text(low)} to {_text(high)}"
    octave = _number(cells["octave"]) if split else 0.0
    if split and octave not in range(dac.octaves + 1):
        yield f"octave is {cells['octave']!r}; the splitter has 0 to {dac.octaves}"
    elif not split and cells["octave"]:
        yield f"octave is {cells['octave']!r}; this converter has none"


def _value_violations(text: str, row: Row) -> Iterator[str]:
    value = _meant(text, row.stored)
    if not row.array and value != row.stored:
        yield f"value is {text!r}, the cells were measured at {_text(row.stored)}; map again for another size"
    elif not math.isfinite(value) or (row.unit == "F" and value <= 0):
        yield f"value is {text!r}; it must be a {'number > 0' if row.unit == 'F' else 'finite number'}"


def _stored(cells: Mapping[str, str], row: Row) -> float:
    if row.dac is None:
        return _meant(cells["value"], row.stored)
    octave = float(cells["octave"] or 0.0)
    return _meant(cells["code"], row.code) + (octave * 2.0**row.dac.bits if row.dac.bits is not None else 0.0)


def called(key: Key) -> str:
    """A row's name in messages."""
    return f"{f'neuron {key.neuron} ' if key.neuron else ''}{key.element!r} {key.kind!r}"


def _meant(text: str, exported: float) -> float:
    """The number in a cell; the exported one where a spreadsheet rounded it to its five or more digits."""
    digits = max(len(re.sub(r"e.*|[^0-9]", "", text, flags=re.IGNORECASE).lstrip("0")), ROUNDED)
    value = _number(text)
    return exported if math.isfinite(value) and float(f"{exported:.{digits - 1}e}") == value else value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _text(value: float) -> str:
    """Shortest text that reads back to the same float64."""
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
