"""The table of a run: Parquet, written in pieces so that memory stays flat; CSV on request."""

import dataclasses
import hashlib
import os
import types
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol, cast, get_args, get_type_hints

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from mtc_hw.montecarlo.row import ChipRow

GROUP = 4096  # rows written at once
_KINDS = {int: pa.int64(), float: pa.float64(), str: pa.string()}


def _kind(hint: object) -> pa.DataType:
    return _KINDS[next(each for each in (get_args(hint) or (hint,)) if each is not types.NoneType)]


def columns(kind: type, prefix: str = "") -> list[tuple[str, pa.DataType]]:
    """Columns of a dataclass of texts, numbers and further such dataclasses, whose name stands before theirs."""
    found = []
    for each in dataclasses.fields(kind):
        hint = get_type_hints(kind)[each.name]
        if dataclasses.is_dataclass(hint):
            found += columns(cast("type", hint), f"{prefix}{each.name}_")
        else:
            found.append((prefix + each.name, _kind(hint)))
    return found


SCHEMA = pa.schema(columns(ChipRow))


class TableRow(Protocol):
    """A row: its cells by column, and a text that tells it but for what it took."""

    def cells(self) -> dict[str, object]: ...

    def untimed(self) -> str: ...


def write_table(rows: Iterable[TableRow], path: Path, csv: bool = False, schema: pa.Schema = SCHEMA) -> str:
    """Writes the rows as Parquet, and beside it as CSV; each file appears whole or not at all.

    Gives the table's digest: SHA-256 of every cell but the seconds, hexadecimal.
    """
    sha = hashlib.sha256()
    part = path.with_suffix(".part")
    spare = path.with_suffix(".csv.part")
    with pa.parquet.ParquetWriter(part, schema) as writer:
        sheet = pa.csv.CSVWriter(spare, schema) if csv else None
        for group in _groups(rows):
            for row in group:
                sha.update(row.untimed().encode() + b"\n")
            table = pa.Table.from_pylist([row.cells() for row in group], schema)
            writer.write_table(table)
            if sheet is not None:
                sheet.write_table(table)
        if sheet is not None:
            sheet.close()
    os.replace(part, path)
    if csv:
        os.replace(spare, path.with_suffix(".csv"))
    return sha.hexdigest()


def read_table(path: Path) -> pa.Table:
    """A table that `write_table` wrote."""
    return pa.parquet.read_table(path)


def rows_of(table: pa.Table) -> list[ChipRow]:
    """Its rows, of a table that is not large."""
    return [ChipRow(**each) for each in table.to_pylist()]


def _groups(rows: Iterable[TableRow]) -> Iterator[list[TableRow]]:
    pending = iter(rows)
    while group := list(islice(pending, GROUP)):
        yield group
