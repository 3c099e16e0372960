"""A rendered deck is code: it is read once more before anything runs it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mtc_hw.errors import DeckError
from mtc_hw.spice_lines import logical_lines

ALLOWED = {
    ".subckt", ".ends", ".model", ".param", ".temp", ".options", ".ic", ".save", ".tran", ".dc", ".ac", ".end",
}  # fmt: skip
_DEFINING = (".subckt", ".model")
_HEAD = re.compile(r"[^\s=]*")
_TWO_NODES_AND_VALUE = {"r": 4, "c": 4, "l": 4}


def lint(text: str) -> None:
    """Refuses a deck that ngspice would run wrongly or that could do more than simulate.

    Raises DeckError with every finding: a dot command outside the allowed set (.control, .include, .lib and .exec run
    or load code), a name used twice in one scope whatever its case, a subcircuit that is missing or called with
    another number of nodes, a passive without a value, a character that is not printable ASCII.
    """
    found = list(_findings(text))
    if found:
        raise DeckError("netlist refused: " + "; ".join(found[:20]))


@dataclass(frozen=True)
class _Statement:
    """One logical line."""

    number: int
    scope: str  # the subcircuit it stands in; empty at the top
    head: str  # first word in lower case
    positional: tuple[str, ...]  # words up to the first `name=value`

    @property
    def defines(self) -> str:
        """What may stand but once in a scope; empty for a command."""
        if self.head in _DEFINING:
            return " ".join(word.lower() for word in self.positional[:2])
        return "" if self.head.startswith(".") else self.head


def _findings(text: str) -> Iterator[str]:
    plain = text.isascii() and text.replace("\n", "").isprintable()
    unprintable = None if plain else re.search(r"[^\n -~]", text)
    if unprintable:
        yield f"character {unprintable.group()!r} at offset {unprintable.start()}"
    statements = list(_statements(text))
    first: dict[tuple[str, str], int] = {}
    for each in statements:
        if each.head.startswith(".") and each.head not in ALLOWED:
            yield f"line {each.number}: {each.head} is not allowed"
        elif each.head in _DEFINING and len(each.positional) < 2:
            yield f"line {each.number}: {each.head} has no name"
        elif each.defines and first.setdefault((each.scope, each.defines), each.number) != each.number:
            yield f"line {each.number}: {each.defines} is already on line {first[each.scope, each.defines]}"
        if len(each.positional) < _TWO_NODES_AND_VALUE.get(each.head[:1], 0):
            yield f"line {each.number}: {each.head} has no value"
    yield from _wrong_calls(statements)


def _wrong_calls(statements: Iterable[_Statement]) -> Iterator[str]:
    ports = {each.positional[1].lower(): len(each.positional) - 2 for each in statements if _is_subcircuit(each)}
    for each in statements:
        if not each.head.startswith("x"):
            continue
        called = each.positional[-1].lower() if len(each.positional) > 1 else ""
        nodes = len(each.positional) - 2
        if called not in ports:
            yield f"line {each.number}: no subcircuit {called!r}"
        elif ports[called] != nodes:
            yield f"line {each.number}: {called} has {ports[called]} ports, called with {nodes} nodes"


def _is_subcircuit(statement: _Statement) -> bool:
    return statement.head == ".subckt" and len(statement.positional) > 1


def _statements(text: str) -> Iterator[_Statement]:
    scope = ""
    for number, line in logical_lines(text, 2):
        head = (_HEAD.match(line) or [""])[0].lower()
        words = line.split(" params:")[0].replace(" =", "=").replace("= ", "=").split()
        keyed = next((i for i, word in enumerate(words) if "=" in word), len(words))
        statement = _Statement(number, scope, head, tuple(words[:keyed]))
        yield statement
        if _is_subcircuit(statement):
            scope = statement.positional[1].lower()
        elif head == ".ends":
            scope = ""
