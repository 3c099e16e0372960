import re
import struct

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw.errors import DeckError
from mtc_hw.netlist.templates import checked_line, checked_name, environment, parameters, render, spice
from mtc_hw.resources import folder


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_reads_back_the_same(value):
    assert float(spice(value)) == value


@given(st.integers(0, 2**64 - 1))
def test_every_bit_pattern_is_either_exact_or_refused(bits):
    (value,) = struct.unpack("<d", struct.pack("<Q", bits))
    try:
        text = spice(value)
    except DeckError:
        assert value != value or abs(value) == float("inf")
    else:
        assert float(text) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_has_no_suffix_that_spice_could_misread(value):
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", spice(value))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(DeckError, match=f"^a netlist value is {value}; every value must be finite$"):
        spice(float(value))


@pytest.mark.parametrize("name", ["v", "x_0", "n1.m2", "9", "i#branch"])
def test_a_name_of_letters_and_digits_passes(name):
    assert checked_name(name) == name


@pytest.mark.parametrize("wrong", ["\n", " ", ";", "{", "=", "é", "*", "$", "+", "-"])
@pytest.mark.parametrize("place", ["{}ab", "a{}b", "ab{}"])
def test_a_name_with_anything_else_is_refused(wrong, place):
    with pytest.raises(DeckError, match=r"^'.*' is not a netlist name; use letters, digits and '_'$"):
        checked_name(place.format(wrong))


def test_an_empty_name_is_refused():
    with pytest.raises(DeckError, match=r"^'' is not a netlist name"):
        checked_name("")


@pytest.mark.parametrize("wrong", ["\n", "\r", "\t", "\x00", "é", "\u2028"])
@pytest.mark.parametrize("place", ["{}ab", "a{}b", "ab{}"])
def test_a_comment_of_more_than_a_printable_line_is_refused(wrong, place):
    with pytest.raises(DeckError, match=r"cannot stand in a netlist comment; use printable ASCII on one line$"):
        checked_line(place.format(wrong))


def test_a_printable_comment_passes():
    assert checked_line("neuron 3: 'slow', 5 %") == "neuron 3: 'slow', 5 %"


def test_parameters_are_names_and_numbers():
    assert parameters({"gain": 0.5, "k": 2.0}) == " gain=0.5 k=2"
    assert parameters({}) == ""
    with pytest.raises(DeckError, match="is not a netlist name"):
        parameters({"k=1 d": 2.0})
    with pytest.raises(DeckError, match="every value must be finite"):
        parameters({"k": float("nan")})


def test_a_template_that_lacks_a_value_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'title' is undefined"):
        render("top.cir.j2", {})


def test_templates_hold_no_arithmetic_and_no_defaults():
    for path in folder("netlist_templates").rglob("*.j2"):
        for expression in re.findall(r"<<(.+?)>>", path.read_text()):
            plain = re.sub(r"(?:mos|stage|bias|reference)\(.*\)|\"[^\"]*\"", "", expression)
            assert re.fullmatch(r"[\w\s.|()]*", plain), f"{path.name}: {expression}"
            assert "default" not in plain


def test_there_is_one_environment():
    assert environment() is environment()
