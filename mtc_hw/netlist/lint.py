"""A rendered deck is code: it is read once more before anything runs it."""

import re
from collections.abc import Iterator

from mtc_hw.errors import DeckError

ALLOWED = {
    ".subckt", ".ends", ".model", ".param", ".temp", ".options", ".ic", ".save", ".tran", ".dc", ".ac", ".end",
}  # fmt: skip
_WORD = re.compile(r"[^\s=]+")
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


def _findings(text: str) -> Iterator[str]:
    unprintable = re.search(r"[^\n -~]", text)
    if unprintable:
        yield f"character {unprintable.group()!r} at offset {unprintable.start()}"
    names: dict[tuple[str, str], int] = {}
    ports: dict[str, int] = {}
    calls: list[tuple[int, str, int]] = []
    scope = ""
    for number, line in _logical_lines(text):
        words = _WORD.findall(line.split(" params:")[0])
        head = words[0].lower()
        if head.startswith("."):
            if head not in ALLOWED:
                yield f"line {number}: {head} is not allowed"
            if head == ".subckt":
                scope = words[1].lower()
                ports[scope] = len(_positional(line)) - 2
            elif head == ".ends":
                scope = ""
            continue
        if (scope, head) in names:
            yield f"line {number}: {words[0]} is already on line {names[scope, head]}"
        names[scope, head] = number
        positional = _positional(line)
        if head[0] == "x":
            calls.append((number, positional[-1].lower(), len(positional) - 2))
        elif len(positional) < _TWO_NODES_AND_VALUE.get(head[0], 0):
            yield f"line {number}: {words[0]} has no value"
    yield from _wrong_calls(calls, ports)


def _wrong_calls(calls: list[tuple[int, str, int]], ports: dict[str, int]) -> Iterator[str]:
    for number, called, nodes in calls:
        if called not in ports:
            yield f"line {number}: no subcircuit {called!r}"
        elif ports[called] != nodes:
            yield f"line {number}: {called} has {ports[called]} ports, called with {nodes} nodes"


def _positional(line: str) -> list[str]:
    """The words of a line up to its first `name=value`."""
    words = line.replace(" =", "=").replace("= ", "=").split()
    keyed = next((i for i, word in enumerate(words) if "=" in word), len(words))
    return words[:keyed]


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines after the title with continuations joined and comments dropped, each with its first line's number."""
    joined: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.splitlines()[1:], 2):
        stripped = line.strip()
        if not stripped or stripped.startswith("*"):
            continue
        if stripped.startswith("+") and joined:
            joined[-1][1].append(stripped[1:])
        else:
            joined.append((number, [stripped]))
    return ((number, " ".join(parts)) for number, parts in joined)
