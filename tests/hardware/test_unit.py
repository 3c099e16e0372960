"""The unit transistor's size as commands take it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw.errors import TechnologyError
from mtc_hw.hardware.unit import SQUARE, UnitSize, parse_size

SIDES = st.integers(200, 100_000)  # nm


def test_one_number_is_a_square_and_two_are_width_and_length():
    assert parse_size("4") == SQUARE == UnitSize(4e-6, 4e-6)
    assert parse_size("2/8") == UnitSize(2e-6, 8e-6)
    assert (parse_size("2/8").aspect, parse_size("8/2").aspect) == (4.0, 0.25)
    assert parse_size(SQUARE) is SQUARE


@given(SIDES, SIDES)
def test_a_size_s_text_gives_it_back(width, length):
    size = parse_size(f"{width / 1000:g}/{length / 1000:g}")
    assert parse_size(str(size)) == size
    assert size.width == pytest.approx(width * 1e-9, rel=1e-5)


@pytest.mark.parametrize("text", ["", "/", "2/", "/8", "2x8", "2/8/3", "big", "2 um"])
def test_what_is_no_size_is_refused_with_an_example(text):
    message = f"size is {text!r}; give the unit transistor's width and length in um, 2/8, or one number"
    with pytest.raises(TechnologyError, match=f"^{re.escape(message)}"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "side"), [("0.1", "0.1"), ("2/101", "101"), ("-2/8", "-2"), ("nan", "nan"), ("inf/2", "inf")]
)
def test_a_size_that_no_process_has_is_refused_with_the_limits(text, side):
    message = f"size is {text!r}; a unit transistor is 0.2 to 100 um wide and long, not {side}"
    with pytest.raises(TechnologyError, match=f"^{re.escape(message)}$"):
        parse_size(text)
