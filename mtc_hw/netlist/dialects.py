"""The same deck for another simulator: ngspice text as it is, Xyce, or Spectre.

The ngspice deck is the only source. It is read statement by statement and written again by the dialect's macros in
netlist_templates/dialects, so every template of ours comes along, and names and hierarchy stay.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, get_args

from mtc_hw.errors import DeckError
from mtc_hw.netlist.circuit import Statement, parse
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.expression import NUMBER, Access, formula, written
from mtc_hw.netlist.grammar import check
from mtc_hw.netlist.templates import macros, spice

Dialect = Literal["ngspice", "xyce", "spectre"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
EXTENSION: Mapping[Dialect, str] = {"ngspice": ".cir", "xyce": ".cir", "spectre": ".scs"}

OPTIONS = ("method", "gmin", "abstol", "vntol", "chgtol", "reltol", "trtol", "itl4")
"""The solver's options that the dialects' macros know; chgtol and trtol have no counterpart."""

_SUFFIXES = {"t": 12, "g": 9, "meg": 6, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18}
_SUFFIXED = re.compile(rf"({NUMBER})({'|'.join(sorted(_SUFFIXES, key=len, reverse=True))})?", re.IGNORECASE)
_FUNCTIONS = {name: name for name in ("tanh", "min", "max", "exp", "abs", "sqrt")}
_BSIM4_LEVELS = ("14", "54")
_SPECTRE_METHODS = {"trap": "traponly", "gear": "gear2only"}
_SENSE_SCALE = "1e-09"  # A/V: the voltage that carries a sensed current in Spectre is about a volt for a nanoampere


@dataclass(frozen=True)
class _Spelling:
    """How a dialect writes values: from a number or a formula of the ngspice deck."""

    number: Callable[[str], str]
    access: Callable[[Access], str]
    expression: str  # a format with one place

    def value(self, text: str) -> str:
        """A number, an {expression}, or a B source's bare expression."""
        if not text or _SUFFIXED.fullmatch(text):
            return self.number(text)
        return self.expression.format(written(formula(text), self.access, _FUNCTIONS))


def _plain(text: str) -> str:
    """4.1n as 4.1e-09: Spectre's suffixes know capitals, SPICE's do not."""
    found = _SUFFIXED.fullmatch(text)
    if found is None or not found[2]:
        return text
    return spice(float(Decimal(found[1]).scaleb(_SUFFIXES[found[2].lower()])))


def _spice_access(access: Access) -> str:
    return f"{access.quantity}({','.join(filter(None, (access.name, access.other)))})"


def _spectre_access(access: Access) -> str:
    return f"({_SENSE_SCALE}*v(sensed_{access.name}))" if access.quantity == "i" else _spice_access(access)


_SPELLINGS = {
    "xyce": _Spelling(str, _spice_access, "{{{}}}"),
    "spectre": _Spelling(_plain, _spectre_access, "({})"),
}


def export(deck: Deck, dialect: Dialect) -> Deck:
    """The deck in a dialect, its grammar checked; for ngspice the deck itself.

    Raises DeckError for a statement or a function that the dialect cannot express.
    """
    if dialect == "ngspice":
        return deck
    statements = parse(deck.text)
    if not statements:
        raise DeckError(f"deck {deck.name} is empty")
    settings = tuple(_settings(statements).items())
    origin = Statement("origin", value=deck.digest[:16], number=1)
    title, *rest = (_canonical(each, statements) for each in statements)
    text = "\n".join(_checked(each, dialect, settings) for each in (title, origin, *rest)).rstrip("\n") + "\n"
    check(text, dialect)
    return replace(deck, text=text)


_Settings = tuple[tuple[str, str], ...]


def _checked(statement: Statement, dialect: Dialect, settings: _Settings) -> str:
    """A statement's text in the dialect. Raises DeckError with the line."""
    try:
        return _text(replace(statement, number=0), dialect, settings)
    except DeckError as error:
        raise DeckError(f"line {statement.number}: {error} in dialect {dialect}") from None


@lru_cache(maxsize=8192)
def _text(statement: Statement, dialect: Dialect, settings: _Settings) -> str:
    adapted = _adapted(statement, dialect)
    parts = _with_sensors(adapted) if dialect == "spectre" else [adapted]
    return "\n".join(_printed(each, dialect, dict(settings)) for each in parts)


def _settings(statements: list[Statement]) -> dict[str, str]:
    """The solver's options, all of them known here. Raises DeckError for another."""
    found = {name: value for each in statements if each.kind == "options" for name, value in each.parameters}
    unknown = sorted(set(found) - set(OPTIONS))
    if unknown:
        raise DeckError(f"option {unknown[0]} has no counterpart in other dialects")
    method = found.get("method", "trap")
    if method not in _SPECTRE_METHODS:
        raise DeckError(f"method {method} has no counterpart in other dialects")
    return found | {"integration": _SPECTRE_METHODS[method]}


def _canonical(statement: Statement, statements: list[Statement]) -> Statement:
    """Wanted currents by their sources' own names: ngspice has no capitals, Spectre tells them apart."""
    if statement.kind != "save":
        return statement
    names = {each.name.lower(): each.name for each in statements if each.kind == "voltage"}
    wanted = tuple((q, names.get(name.lower(), name) if q == "i" else name) for q, name in statement.parameters)
    return replace(statement, parameters=wanted)


def _adapted(statement: Statement, dialect: Dialect) -> Statement:
    """Values, parameters and master in the dialect's spelling."""
    spelling, kind = _SPELLINGS[dialect], statement.kind
    if kind in ("comment", "blank", "origin", "options", "save", "initial", "transient"):
        return statement
    parameters = tuple((name, spelling.value(value)) for name, value in statement.parameters)
    adapted = replace(statement, value=spelling.value(statement.value), parameters=parameters)
    return _SPECTRE_FORMS[kind](adapted) if dialect == "spectre" and kind in _SPECTRE_FORMS else adapted


def _spectre_model(card: Statement) -> Statement:
    values = {name.lower(): value for name, value in card.parameters}
    kind, level = card.master.lower(), f"{float(values.get('level', '1')):g}"
    if kind not in ("nmos", "pmos") or level not in _BSIM4_LEVELS:
        raise DeckError(f".model {card.name}, {kind} of level {level}, has no counterpart")
    kept = tuple((name, value) for name, value in card.parameters if name.lower() != "level")
    return replace(card, master="bsim4", parameters=(("type", kind[0]), *kept))


def _spectre_wave(table: Statement) -> Statement:
    """Spectre's sources take the values themselves, not a factor; they are named by quantity."""
    factor = float(table.value)
    values = tuple(word for t, x in table.pairs for word in (t, spice(factor * float(x))))
    return replace(table, points=values)


_SPECTRE_FORMS: Mapping[str, Callable[[Statement], Statement]] = {"model": _spectre_model, "table": _spectre_wave}


def _with_sensors(statement: Statement) -> list[Statement]:
    """A B source that reads currents, with an element for each that turns it into a voltage."""
    found = re.findall(r"\bv\(sensed_(\w+)\)", statement.value) if statement.kind == "behavioural" else []
    sensors = [
        Statement("sensor", name=f"{statement.name}_{name}", nodes=(f"sensed_{name}", "0"), master=name)
        for name in dict.fromkeys(found)
    ]
    return [*sensors, statement]


def _printed(statement: Statement, dialect: Dialect, settings: Mapping[str, Any]) -> str:
    macro = macros(f"dialects/{dialect}.j2").get(statement.kind)
    if macro is None:
        raise DeckError(f"a {statement.kind} has no counterpart")
    text = macro(statement, settings).rstrip("\n")
    return text if statement.kind in ("comment", "blank") else "\n".join(map(_wrapped, text.split("\n")))


def _wrapped(line: str, width: int = 112) -> str:
    """A long statement on continuation lines, which start with + in Xyce and in Spectre."""
    if len(line) <= width:
        return line
    lines = [""]
    for word in line.split(" "):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n+ ".join(lines)
