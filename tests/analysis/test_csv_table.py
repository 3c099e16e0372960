import numpy as np
import pytest

from mtc_hw.analysis.csv_table import read_csv, unit_of
from mtc_hw.errors import DataError

NUMBERS = {"t": [0.0, 1.0, 2.5], "v": [-0.5, 1e-3, 2.0]}


def read(tmp_path, text, **keywords):
    path = tmp_path / "recording.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(**keywords))
    return read_csv(path)


@pytest.mark.parametrize(
    "text",
    [
        "t,v\n0,-0.5\n1,1e-3\n2.5,2\n",
        "t;v\r\n0;-0.5\r\n1;1e-3\r\n2.5;2\r\n",
        "t\tv\n0\t-0.5\n1\t1e-3\n2.5\t2",
        "t v\n 0 -0.5\n 1  1e-3\n2.5 2\n",
        "\ufeff\"t\", \"v\"\n0, -0.5\n1, 1e-3\n2.5, 2\n",
        "t;v\n0;-0,5\n1;1e-3\n2,5;2\n",
        "t,v,\n0,-0.5,\n1,1e-3,\n2.5,2,\n",
        "t,v\n\"0\",\"-0.5\"\n1,1e-3\n2.5,2\n",
        "# a scope\n% its setting\n; another\n// one more\n\nt,v\n0,-0.5\n\n1,1e-3\n# in between\n2.5,2\n",
        "Model,X1\nRecord Length,3,points\nt,v\n0,-0.5\n1,1e-3\n2.5,2\n",
    ],
    ids=["commas", "semicolons", "tabs", "blanks", "byte order mark", "decimal commas", "last comma", "quotes",
         "comments", "preamble"],
)  # fmt: skip
def test_every_spelling_of_a_table_is_the_same_table(tmp_path, text):
    table = read(tmp_path, text)
    assert {name: column.tolist() for name, column in table.columns.items()} == NUMBERS


def test_rows_know_their_lines(tmp_path):
    assert read(tmp_path, "# a\nt,v\n\n0,1\n# b\n1,2\n").lines.tolist() == [4, 6]


def test_columns_without_a_header_are_numbered(tmp_path):
    assert list(read(tmp_path, "0 1 2\n3 4 5\n").columns) == ["1", "2", "3"]


def test_one_column_keeps_its_name_whatever_is_in_it(tmp_path):
    table = read(tmp_path, "spike times (ms)\n1.5\n2\n")
    assert table.columns["spike times (ms)"].tolist() == [1.5, 2.0]


def test_a_line_of_units_goes_to_the_names_above(tmp_path):
    assert list(read(tmp_path, "x-axis,1\nsecond,Volt\n0,1\n1,2\n").columns) == ["x-axis [second]", "1 [Volt]"]


def test_names_that_are_there_twice_can_be_told_apart(tmp_path):
    assert list(read(tmp_path, "t,CH,CH\n0,1,2\n").columns) == ["t", "CH", "CH #2"]


def test_empty_cells_are_nan_at_their_places(tmp_path):
    columns = read(tmp_path, "a,b,c\n1,2,3\n4,,6\n7\n").columns
    assert np.array_equal(columns["b"], [2.0, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(columns["c"], [3.0, 6.0, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"recording\.csv is empty; give at least one line of numbers$"),
        ("# nothing\n\n", r"recording\.csv is empty; give at least one line of numbers$"),
        ("t,v\n", r"recording\.csv holds no line that begins with a number; give columns of numbers$"),
        ("t,v\n0,1\n1,abc\n", r"recording\.csv line 3, column v: 'abc' is no number; mend it$"),
        ("t,v\n# c\n0,1\n1,a\x07c\n", r"recording\.csv line 4, column v: \"'a\\\\x07c'\" is no number; mend it$"),
        ("0 1\n2 x\n", r"recording\.csv line 2, column 2: 'x' is no number; mend it$"),
        ("t,v\n0,1\n1,2,3\n", r"recording\.csv line 3 has 3 cells for 2 columns: t, v$"),
        (b"t,v\n0,\xff\n", r"recording\.csv is not UTF-8 text \(byte 6\); give \.npz, \.raw or a text file$"),
    ],
)
def test_what_is_no_table_is_refused_by_line_and_column(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.csv cannot be read: No such file"):
        read_csv(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("time (ms)", "ms"), ("CH1 [mV]", "mV"), ("t/us", "us"), ("spike_time_s", "s"), ("time (tau_m)", "tau_m"),
        ("Time [s]", "s"), ("t (\u00b5s)", "us"), ("t [\u03bcs]", "us"), ("CH2 (V)", "V"), ("x [second]", "s"),
        ("Channel 1", None), ("V", None), ("v(v_0)", None), ("items", None), ("time", None),
    ],
)  # fmt: skip
def test_a_unit_stands_at_the_end_of_a_name(name, unit):
    assert unit_of(name) == unit
