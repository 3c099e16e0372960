"""Where each row of a Monte Carlo table stands, and which columns hold what."""

import numpy as np
import pyarrow as pa
import pytest
from synthetic_chips import chips, table

from mtc_hw.analysis.chip_table import Condition, at, finished, numbers, places, quantities, texts
from mtc_hw.errors import DataError

COLD = {"temperature": -40.0}


def test_rows_find_their_chip_and_condition_in_any_order():
    found = places(table({"sample": 7}, {"sample": 2} | COLD, {"sample": 2}, {"sample": 7} | COLD))
    assert found.samples.tolist() == [2, 7]
    assert found.conditions == (Condition("tt", 1.8, 27.0), Condition("tt", 1.8, -40.0))
    assert str(found.conditions[1]) == "tt, 1.8 V, -40 C"
    assert found.spread(np.array([True, False, False, True])).tolist() == [[False, False], [True, True]]


def test_one_condition_can_be_taken_out():
    rows = at(table({"sample": 1}, {"sample": 1} | COLD, {"sample": 3} | COLD), Condition("tt", 1.8, -40.0))
    assert rows["sample"].to_pylist() == [1, 3]


def test_a_failed_run_has_no_figures_even_where_it_left_some():
    made = table(
        {"isi_mean": 50.0, "regime": "tonic"}, {"isi_mean": 51.0, "regime": "tonic", "outcome": "timeout"}, {}
    )
    assert numbers(made, "isi_mean")[0] == 50.0
    assert np.isnan(numbers(made, "isi_mean")[1:]).all()
    assert texts(made, "regime") == ["tonic", None, None]
    assert finished(made).tolist() == [True, False, True]


def test_values_that_are_not_finite_count_as_missing():
    assert np.isnan(numbers(table({"power": float("inf")}, {"power": float("nan")}), "power")).all()


def test_quantities_are_the_columns_of_numbers_that_some_run_has():
    made, _ = chips(5)
    assert quantities(made) == ("spikes", "isi_mean", "power")
    assert quantities(table({"outcome": "timeout", "power": 1.0})) == ()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (table(), r"^the table has no rows; run at least one chip$"),
        (
            table({}).drop_columns(["corner", "outcome"]),
            r"^the table has no column corner, outcome; give a table that",
        ),
        (table({}, {"sample": 4}, {"sample": 4}), r"^sample 4 has 2 rows at tt, 1\.8 V, 27 C; give one a chip and"),
    ],
)
def test_a_table_that_is_none_is_refused(made, said):
    with pytest.raises(DataError, match=said):
        places(made)


def test_a_condition_or_a_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(DataError, match=r"^the table has no chip at ff, 1\.8 V, 27 C; there are: tt, 1\.8 V, 27 C$"):
        at(table({}), Condition("ff", 1.8, 27.0))
    with pytest.raises(
        DataError, match=r"^no quantity 'isi_men' in the table; there are: .*\(did you mean isi_mean\?\)$"
    ):
        numbers(table({}), "isi_men")
    with pytest.raises(DataError, match=r"^regime holds string; name a column of numbers$"):
        numbers(table({}), "regime")
    with pytest.raises(DataError, match=r"^power holds double; name a column of texts$"):
        texts(table({}), "power")


def test_a_column_of_a_dictionary_is_one_of_texts():
    made = table({"regime": "tonic"}, {})
    made = made.set_column(7, "regime", made["regime"].combine_chunks().dictionary_encode())
    assert pa.types.is_dictionary(made.schema.field("regime").type)
    assert texts(made, "regime") == ["tonic", None]
