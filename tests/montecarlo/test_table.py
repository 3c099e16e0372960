"""The table: every row, in pieces, with a digest that time does not change."""

import dataclasses

import pyarrow.csv

from mtc_hw.montecarlo import table
from mtc_hw.montecarlo.row import ChipRow
from mtc_hw.montecarlo.table import SCHEMA, columns, read_table, rows_of, write_table

ROWS = [
    ChipRow(0, "tt", 1.8, 27.0, "ok", regime="tonic", spikes=35, isi_mean=56.25, power=2.7e-8, seconds=0.5),
    ChipRow(1, "tt", 1.8, 27.0, "timestep", "neuron_0: timestep too small", "v_0", 1e-3, 2, seconds=3.0),
    ChipRow(2, "ff", 1.8, -40.0, "ok", r2=0.91, r2_refitted=0.99),
]


def test_a_table_reads_back(tmp_path):
    write_table(ROWS, tmp_path / "chips.parquet")
    assert rows_of(read_table(tmp_path / "chips.parquet")) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["chips.parquet"]


def test_the_csv_says_the_same(tmp_path):
    write_table(ROWS, tmp_path / "chips.parquet", csv=True)
    read = pyarrow.csv.read_csv(tmp_path / "chips.csv")
    assert read.column_names == SCHEMA.names
    assert read["isi_mean"].to_pylist() == [56.25, None, None]
    assert read["outcome"].to_pylist() == ["ok", "timestep", "ok"]


def test_the_digest_knows_every_cell_but_the_seconds(tmp_path):
    def digest(*rows):
        return write_table(rows, tmp_path / "t.parquet")

    first = ROWS[0]
    assert digest(first) == digest(dataclasses.replace(first, seconds=9.0))
    changed = [
        digest(dataclasses.replace(first, **{name: value})) for name, value in (("isi_mean", 56.3), ("rung", 1))
    ]
    assert len({digest(first), *changed, digest(first, first)}) == 4


def test_a_long_table_is_written_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "GROUP", 10)
    rows = [dataclasses.replace(ROWS[0], sample=k) for k in range(95)]
    write_table(iter(rows), tmp_path / "t.parquet")
    assert rows_of(read_table(tmp_path / "t.parquet")) == rows


def test_a_table_without_rows_still_has_its_columns(tmp_path):
    write_table([], tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").schema.names == SCHEMA.names


def test_a_row_within_a_row_has_columns_of_its_own():
    @dataclasses.dataclass(frozen=True)
    class Inner:
        count: int
        name: str | None

    @dataclasses.dataclass(frozen=True)
    class Outer:
        sample: int
        before: Inner

    assert [(name, str(kind)) for name, kind in columns(Outer)] == [
        ("sample", "int64"),
        ("before_count", "int64"),
        ("before_name", "string"),
    ]
