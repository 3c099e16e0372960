"""A deck of ours as data, statement by statement: what the dialects are written from.

Only what our own templates print is read: R, C, V, I, G, E, B, M and X lines, subcircuits, models and a transient
analysis. Anything else is an error, so that nothing is dropped on the way to another simulator.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from mtc_hw.errors import DeckError
from mtc_hw.netlist.expression import NUMBER

_VALUE = rf"(?:\{{[^{{}}]+\}}|{NUMBER}[a-z]*)"
_ASSIGNMENT = re.compile(rf"(\w+)\s*=\s*({_VALUE})", re.IGNORECASE)
_PARAMETERS = rf"(?P<parameters>(?:\s+\w+\s*=\s*{_VALUE})*)"
_POINTS = r"\((?P<points>[^()]+)\)"
_INPUT = rf"(?P<quantity>[vi])\s*=\s*(?:(?P<value>{NUMBER})\s*\*\s*)?pwl\(\s*time\s*,(?P<points>[^()]+)\)"


@dataclass(frozen=True)
class Statement:
    """One logical line. `value` is a number or {expression} as in the deck; for a comment, its text."""

    kind: str  # names the macro that writes it
    name: str = ""
    nodes: tuple[str, ...] = ()
    master: str = ""  # subcircuit, model, or a model's device
    value: str = ""
    quantity: str = ""  # v or i, what a B source sets
    parameters: tuple[tuple[str, str], ...] = ()
    points: tuple[str, ...] = ()  # times, s, and values, by turns
    number: int = 0  # of its first line

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Times and values of a waveform."""
        return list(zip(self.points[::2], self.points[1::2], strict=True))

    @property
    def stop(self) -> str:
        """End of a transient analysis, s."""
        return self.points[1]

    @property
    def max_step(self) -> str:
        """Longest step of a transient analysis, s."""
        return self.points[3]


def _element(letter: str, nodes: int, rest: str) -> re.Pattern[str]:
    wired = rf"(?P<nodes>\w+(?:\s+\w+){{{nodes - 1}}})"
    return re.compile(rf"(?P<name>{letter}\w*)\s+{wired}\s+{rest}", re.IGNORECASE)


_FORMS = (
    ("resistor", _element("r", 2, f"(?P<value>{_VALUE})")),
    ("capacitor", _element("c", 2, f"(?P<value>{_VALUE})")),
    ("voltage_wave", _element("v", 2, rf"pwl{_POINTS}")),
    ("current_wave", _element("i", 2, rf"pwl{_POINTS}")),
    ("voltage", _element("v", 2, rf"(?:dc\s+)?(?P<value>{_VALUE})")),
    ("current", _element("i", 2, rf"(?:dc\s+)?(?P<value>{_VALUE})")),
    ("transconductor", _element("g", 4, f"(?P<value>{_VALUE})")),
    ("amplifier", _element("e", 4, f"(?P<value>{_VALUE})")),
    ("table", _element("b", 2, _INPUT)),
    ("behavioural", _element("b", 2, r"(?P<quantity>[vi])\s*=\s*(?P<value>.+)")),
    ("transistor", _element("m", 4, rf"(?P<master>\w+){_PARAMETERS}")),
    (
        "instance",
        re.compile(rf"(?P<name>x\w*)\s+(?P<nodes>\w+(?:\s+\w+)*)\s+(?P<master>\w+){_PARAMETERS}", re.IGNORECASE),
    ),
    (
        "subckt",
        re.compile(rf"\.subckt\s+(?P<name>\w+)\s+(?P<nodes>\w+(?:\s+\w+)*?){_PARAMETERS}", re.IGNORECASE),
    ),
    ("ends", re.compile(r"\.ends\s+(?P<name>\w+)", re.IGNORECASE)),
    ("model", re.compile(rf"\.model\s+(?P<name>\w+)\s+(?P<master>\w+){_PARAMETERS}", re.IGNORECASE)),
    ("parameter", re.compile(rf"\.param{_PARAMETERS}", re.IGNORECASE)),
    ("temperature", re.compile(rf"\.temp\s+(?P<value>{NUMBER})", re.IGNORECASE)),
    ("options", re.compile(r"\.options(?P<settings>(?:\s+\w+=\S+)+)", re.IGNORECASE)),
    ("initial", re.compile(rf"\.ic(?P<volts>(?:\s+v\(\w+\)={NUMBER})+)", re.IGNORECASE)),
    ("save", re.compile(r"\.save(?P<wanted>(?:\s+[vi]\(\w+\))+)", re.IGNORECASE)),
    ("transient", re.compile(rf"\.tran(?P<times>(?:\s+{NUMBER}){{4}})", re.IGNORECASE)),
    ("end", re.compile(r"\.end", re.IGNORECASE)),
)


def parse(text: str) -> list[Statement]:
    """The statements of a deck in order, comments and blank lines among them.

    Raises DeckError with every line that is none of the forms above.
    """
    found, wrong = [], []
    for number, line in logical_lines(text):
        statement = _statement(line)
        if statement is None:
            wrong.append(f"line {number}: {line[:60]!r} has no counterpart in other dialects")
        else:
            found.append(replace(statement, number=number))
    if wrong:
        raise DeckError("; ".join(wrong[:20]))
    return found


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines, continuations joined; the title and every comment as a line that starts with `*`."""
    result: list[tuple[int, list[str]]] = []
    open_line: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if number == 1 or stripped.startswith("*") or not stripped:
            result.append((number, ["*" + stripped.lstrip("*") if stripped else ""]))
        elif stripped.startswith("+") and open_line is not None:
            open_line.append(stripped[1:])
        else:
            open_line = [stripped]
            result.append((number, open_line))
    return ((number, " ".join(parts)) for number, parts in result)


@lru_cache(maxsize=8192)
def _statement(line: str) -> Statement | None:
    """A logical line, without its number: most lines of a network's decks are the same."""
    if not line:
        return Statement("blank")
    if line.startswith("*"):
        return Statement("comment", value=line[1:].rstrip("\\ "))
    for kind, form in _FORMS:
        if found := form.fullmatch(line):
            return _filled(kind, found.groupdict())
    return None


def _filled(kind: str, groups: dict[str, str | None]) -> Statement | None:
    text = {name: value or "" for name, value in groups.items()}
    points = tuple(re.split(r"[\s,]+", text.get("points", "").strip())) if "points" in text else ()
    if len(points) % 2 or not all(re.fullmatch(NUMBER, point) for point in points):
        return None
    return Statement(
        kind,
        name=text.get("name", ""),
        nodes=tuple(text.get("nodes", "").split()),
        master=text.get("master", ""),
        value=text.get("value", "").strip() or ("1" if kind == "table" else ""),
        quantity=text.get("quantity", "").lower(),
        parameters=_assignments(text),
        points=points or tuple(text.get("times", "").split()),
    )


def _assignments(text: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Names and values: parameters, options, initial voltages by node, or wanted vectors by quantity."""
    if "volts" in text:
        return tuple(re.findall(rf"v\((\w+)\)=({NUMBER})", text["volts"], re.IGNORECASE))
    if "wanted" in text:
        return tuple((q.lower(), name) for q, name in re.findall(r"([vi])\((\w+)\)", text["wanted"], re.IGNORECASE))
    if "settings" in text:
        return tuple(re.findall(r"(\w+)=(\S+)", text["settings"]))
    return tuple(_ASSIGNMENT.findall(text.get("parameters", "")))
