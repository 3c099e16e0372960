"""The table of a run: Parquet, written in pieces so that memory stays flat; CSV on request."""

import dataclasses
import hashlib
import os
import types
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import get_args, get_type_hints

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from mtc_hw.montecarlo.row import ChipRow

GROUP = 4096  # rows written at once
_KINDS = {int: pa.int64(), float: pa.float64(), str: pa.string()}


def _kind(hint: object) -> pa.DataType:
    return _KINDS[next(each for each in (get_args(hint) or (hint,)) if each is not types.NoneType)]


SCHEMA = pa.schema([(each.name, _kind(get_type_hints(ChipRow)[each.name])) for each in dataclasses.fields(ChipRow)])


def write_table(rows: Iterable[ChipRow], path: Path, csv: bool = False) -> str:
    """Writes the rows as Parquet, and beside it as CSV; each file appears whole or not at all.

    Gives the table's digest: SHA-256 of every cell but the seconds, hexadecimal.
    """
    sha = hashlib.sha256()
    part = path.with_suffix(".part")
    spare = path.with_suffix(".csv.part")
    with pa.parquet.ParquetWriter(part, SCHEMA) as writer:
        sheet = pa.csv.CSVWriter(spare, SCHEMA) if csv else None
        for group in _groups(rows):
            for row in group:
                sha.update(dataclasses.replace(row, seconds=0.0).to_json().encode() + b"\n")
            table = pa.Table.from_pylist([dataclasses.asdict(row) for row in group], SCHEMA)
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


def _groups(rows: Iterable[ChipRow]) -> Iterator[list[ChipRow]]:
    pending = iter(rows)
    while group := list(islice(pending, GROUP)):
        yield group
