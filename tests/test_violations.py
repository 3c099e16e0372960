"""What a user wrote wrong is said in one short line."""

from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mtc_hw.violations import violations


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid")
    bits: Annotated[int, Field(ge=2)]
    names: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "bits is missing"),
        ({"bits": 1}, "bits is 1: Input should be greater than or equal to 2"),
        ({"bits": 2, "bitz": {"a": "x" * 5000}}, "bitz is no known key"),
        ({"bits": 2, "a\nb": 1}, r"'a\nb' is no known key"),
        ({"names": [3]}, "bits is missing; names.0 is 3: Input should be a valid string"),
        ([], "it is []: Input should be a valid dictionary or instance of Table"),
    ],
)
def test_every_fault_is_told_with_its_place(table, said):
    with pytest.raises(ValidationError) as found:
        Table.model_validate(table)
    assert violations(found.value) == said


def test_a_long_value_is_cut_and_one_line():
    with pytest.raises(ValidationError) as found:
        Table.model_validate({"bits": "line\n" * 100})
    said = violations(found.value)
    assert said.isprintable() and len(said) < 150 and "..." in said


def test_a_number_of_thousands_of_digits_is_told_in_words():
    with pytest.raises(ValidationError) as found:
        Table.model_validate({"bits": 2, "names": 10**5000})
    assert violations(found.value).startswith("names is a number of thousands of digits: ")
