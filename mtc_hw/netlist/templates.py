"""The Jinja environment of the netlists: strict, numbers and names only through filters that check them."""

import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jinja2

from mtc_hw.errors import DeckError
from mtc_hw.resources import folder

_NAME = re.compile(r"[A-Za-z0-9_.#]+")
_TEXT = re.compile(r"[ -~]*")


def spice(value: float) -> str:
    """A number as SPICE text: shortest form that reads back to the same float64, no suffix letters.

    Raises DeckError for what is not a finite number.
    """
    number = float(value)
    if not math.isfinite(number):
        raise DeckError(f"a netlist value is {number}; every value must be finite")
    return repr(int(number)) if number.is_integer() and abs(number) < 1e9 else repr(number)


def parameters(values: Mapping[str, float]) -> str:
    """Subcircuit parameters, each with a leading blank; empty for none."""
    return "".join(f" {checked_name(name)}={spice(value)}" for name, value in values.items())


def checked_name(name: str) -> str:
    """A node or instance name. Raises DeckError for anything but letters, digits, `_`, `.` and `#`."""
    if not _NAME.fullmatch(name):
        raise DeckError(f"{name!r} is not a netlist name; use letters, digits and '_'")
    return name


def checked_line(text: str) -> str:
    """Text for a comment line: printable ASCII on one line. Raises DeckError otherwise."""
    if not _TEXT.fullmatch(str(text)):  # what a context lacks has no string and says so
        raise DeckError(f"{text!r} cannot stand in a netlist comment; use printable ASCII on one line")
    return text


@cache
def environment() -> jinja2.Environment:
    """Templates write `<< value >>` and `<% for %>`, since SPICE needs the braces for itself."""
    result = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder("netlist_templates")),
        undefined=jinja2.StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        auto_reload=False,
    )
    result.filters.update(spice=spice, parameters=parameters, line=checked_line)
    return result


def render(template: str, context: Mapping[str, Any]) -> str:
    return environment().get_template(template).render(context)


@cache
def macros(template: str) -> Mapping[str, Callable[..., str]]:
    """A template's macros by name."""
    module = environment().get_template(template).module
    return {name: value for name, value in vars(module).items() if not name.startswith("_") and callable(value)}
