"""The grammar of the dialects that we write, strict: what a foreign simulator would stumble over is found here.

Xyce and Spectre are not at hand where this is made. Their grammars follow the Xyce Reference Guide and the Spectre
Circuit Simulator Reference, cut down to the statements that our decks hold.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from mtc_hw.errors import DeckError
from mtc_hw.netlist.circuit import parse
from mtc_hw.netlist.expression import NUMBER, formula
from mtc_hw.netlist.lint import lint

FUNCTIONS = {"tanh", "min", "max", "exp", "abs", "sqrt"}
SPECTRE_RESERVED = {
    "altergroup", "correlate", "else", "end", "ends", "export", "for", "freq", "function", "global", "ic", "if", "in",
    "inline", "input", "invisible", "library", "local", "march", "model", "nodeset", "out", "output", "parameters",
    "paramset", "plot", "print", "protect", "pwr", "real", "return", "save", "scalem", "sens", "simulator",
    "statistics", "subckt", "temp", "temper", "time", "tnom", "to", "truncate", "unprotect", "vary", "visible",
}  # fmt: skip
"""Spectre's words that no instance, subcircuit, model or analysis may be called; a node or parameter may."""

SPECTRE_PRIMITIVES = {
    "resistor": (2, {"r"}),
    "capacitor": (2, {"c"}),
    "vsource": (2, {"type"}),
    "isource": (2, {"type"}),
    "vccs": (4, {"gm"}),
    "vcvs": (4, {"gain"}),
    "ccvs": (2, {"rm", "probe"}),
    "bsource": (2, set()),
}
"""Spectre's built-in masters that we use: nodes and parameters that must be there."""

_NAME = r"[A-Za-z_]\w*"
_NODES = r"\w+(?: \w+)*"
_PARAMETERS = re.compile(r"(\w+)=(\([^=]*\)|\{[^{}=]*\}|\[[^\]]*\]|[^\s=]+)")


@dataclass
class _Scope:
    """What is known where a statement stands."""

    name: str = ""
    parameters: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


@dataclass
class _Book:
    """Definitions of the whole deck."""

    ports: dict[str, int]
    parameters: dict[str, set[str]]
    models: set[str]


def check(text: str, dialect: str) -> None:
    """Raises DeckError with the lines of a deck that are not the dialect's grammar.

    Every line parses, every subcircuit and model that is called is there with as many ports and with those
    parameters, expressions know their names and functions, printed and initialised nodes exist, and nothing of
    another dialect is left.
    """
    found = list(_CHECKS[dialect](text))
    if found:
        raise DeckError(f"{dialect} netlist refused: " + "; ".join(found[:20]))


def _ngspice(text: str) -> Iterator[str]:
    lint(text)
    parse(text)
    return iter(())


def _logical(text: str, comment: str) -> list[tuple[int, str]]:
    """Logical lines without comments; those of Xyce and Spectre both continue with +."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("+ ") and lines:
            lines[-1] = (lines[-1][0], lines[-1][1] + line[1:])
        elif line and not line.startswith(comment):
            lines.append((number, line))
    return lines


def _expression(text: str, scope: _Scope) -> Iterator[str]:
    """What is wrong with a value that stands for a number."""
    if re.fullmatch(rf"{NUMBER}(?:[a-zA-Z]+)?", text):
        return
    try:
        found = formula(text)
    except DeckError as error:
        yield str(error)
        return
    unknown = (found.names - scope.parameters) | (found.functions - FUNCTIONS)
    yield from (f"{name} is not known here" for name in sorted(unknown))


def _call(name: str, nodes: int, given: set[str], book: _Book) -> Iterator[str]:
    """What is wrong with an instance of a subcircuit."""
    if name not in book.ports:
        yield f"no subcircuit {name}"
    elif book.ports[name] != nodes:
        yield f"{name} has {book.ports[name]} ports, called with {nodes} nodes"
    else:
        yield from (f"{name} has no parameter {each}" for each in sorted(given - book.parameters[name]))


_XYCE_VALUE = rf"(?:{NUMBER}[a-zA-Z]*|\{{[^{{}}]+\}})"
_XYCE_FORMS = {
    "two": re.compile(rf"(?P<name>[RC]\w*) (?P<nodes>\w+ \w+) (?P<value>{_XYCE_VALUE})", re.IGNORECASE),
    "source": re.compile(rf"(?P<name>[VI]\w*) (?P<nodes>\w+ \w+) DC (?P<value>{_XYCE_VALUE})", re.IGNORECASE),
    "wave": re.compile(rf"(?P<name>[VI]\w*) (?P<nodes>\w+ \w+) PWL\((?: {NUMBER} {NUMBER})+ \)", re.IGNORECASE),
    "four": re.compile(rf"(?P<name>[GE]\w*) (?P<nodes>\w+ \w+ \w+ \w+) (?P<value>{_XYCE_VALUE})", re.IGNORECASE),
    "table": re.compile(
        rf"(?P<name>B\w*) (?P<nodes>\w+ \w+) [VI]=\{{{NUMBER}\*fasttable\(time(?:, {NUMBER}, {NUMBER})+\)\}}",
        re.IGNORECASE,
    ),
    "behavioural": re.compile(r"(?P<name>B\w*) (?P<nodes>\w+ \w+) [VI]=(?P<value>\{[^{}]+\})", re.IGNORECASE),
    "transistor": re.compile(
        r"(?P<name>M\w*) (?P<nodes>\w+ \w+ \w+ \w+) (?P<model>\w+)(?P<parameters>(?: \w+=\S+)+)", re.IGNORECASE
    ),
    "instance": re.compile(
        rf"(?P<name>X\w*) (?P<nodes>{_NODES}) (?P<call>\w+)(?: PARAMS:(?P<parameters>(?: \w+=\S+)+))?",
        re.IGNORECASE,
    ),
}
_XYCE_FORMS |= {
    ".subckt": re.compile(rf"\.subckt (?P<name>\w+) (?P<nodes>{_NODES})(?: PARAMS:(?P<parameters>(?: \w+=\S+)+))?"),
    ".ends": re.compile(r"\.ends (?P<name>\w+)"),
    ".model": re.compile(r"\.model (?P<name>\w+) [np]mos(?P<parameters>(?: \w+=\S+)+)", re.IGNORECASE),
    ".param": re.compile(r"\.param(?P<parameters>(?: \w+=\S+)+)"),
    ".options": re.compile(r"\.options (?:device|timeint|nonlin-tran)(?: \w+=\S+)+"),
    ".ic": re.compile(rf"\.ic V\((?P<node>\w+)\)={NUMBER}"),
    ".print": re.compile(r"\.print tran format=csv(?P<wanted>(?: [VI]\(\w+\))+)"),
    ".tran": re.compile(rf"\.tran {NUMBER} {NUMBER} 0 {NUMBER}"),
    ".end": re.compile(r"\.end"),
}


def _xyce(text: str) -> Iterator[str]:
    title, *lines = [(1, text.splitlines()[0]), *_logical("\n" + text.partition("\n")[2], "*")]
    if not title[1].startswith("*"):
        yield "line 1: the title is no comment"
    book = _book(lines, _XYCE_FORMS[".subckt"], _XYCE_FORMS[".model"])
    yield from _walk(lines, False, _xyce_line, book)
    if not lines or lines[-1][1] != ".end":
        yield "the last line is not .end"


def _xyce_line(kind: str, found: re.Match[str], scope: _Scope, book: _Book) -> Iterator[str]:
    groups = {name: value or "" for name, value in found.groupdict().items()}
    assigned = dict(_PARAMETERS.findall(groups.get("parameters", "")))
    if kind not in (".subckt", ".ends"):
        for value in (*assigned.values(), *filter(None, [groups.get("value")])):
            yield from _expression(value, scope)
    if "call" in groups:
        yield from _call(groups["call"], len(groups["nodes"].split()), set(assigned), book)
    if groups.get("model") and groups["model"] not in book.models:
        yield f"no model {groups['model']}"
    if kind == ".print":
        yield from _missing(re.findall(r"V\((\w+)\)", groups["wanted"]), scope.nodes, "node")
        yield from _missing(re.findall(r"I\((\w+)\)", groups["wanted"]), scope.names, "source")
    if kind == ".ic":
        yield from _missing([groups["node"]], scope.nodes, "node")


_SPECTRE_FORMS = {
    "language": re.compile(r"simulator lang=spectre"),
    "global": re.compile(r"global 0"),
    "subckt": re.compile(rf"subckt (?P<name>{_NAME}) \((?P<nodes>{_NODES})\)"),
    "ends": re.compile(rf"ends (?P<name>{_NAME})"),
    "parameters": re.compile(r"parameters(?P<parameters>(?: \w+=\S+)+)"),
    "model": re.compile(rf"model (?P<name>{_NAME}) (?:bsim4) type=[np](?P<parameters>(?: \w+=\S+)+)"),
    "ic": re.compile(rf"ic(?P<set>(?: \w+={NUMBER})+)"),
    "save": re.compile(r"save(?P<wanted>(?: \w+(?::p)?)+)"),
    "options": re.compile(rf"(?P<name>{_NAME}) options(?P<parameters>(?: \w+=\S+)+)"),
    "transient": re.compile(
        rf"(?P<name>{_NAME}) tran stop={NUMBER} maxstep={NUMBER} method=(?:traponly|gear2only) maxiters=\d+"
    ),
    "wave": re.compile(
        rf"(?P<name>{_NAME}) \((?P<nodes>\w+ \w+)\) [vi]source type=pwl wave=\[(?: {NUMBER} {NUMBER})+ \]"
    ),
    "instance": re.compile(
        rf"(?P<name>{_NAME}) \((?P<nodes>{_NODES})\) (?P<master>{_NAME})(?P<parameters>(?: \w+=\S+)*)"
    ),
}


def _spectre(text: str) -> Iterator[str]:
    lines = _logical(text, "//")
    if not text.startswith("//") or [line for _, line in lines[:2]] != ["simulator lang=spectre", "global 0"]:
        yield "line 1: a comment, the language and the ground come first"
    book = _book(lines, _SPECTRE_FORMS["subckt"], _SPECTRE_FORMS["model"])
    yield from _walk(lines, True, _spectre_line, book)
    if sum(bool(_SPECTRE_FORMS["transient"].fullmatch(line)) for _, line in lines) != 1:
        yield "there is not one transient analysis"


def _spectre_line(kind: str, found: re.Match[str], scope: _Scope, book: _Book) -> Iterator[str]:
    groups = {name: value or "" for name, value in found.groupdict().items()}
    if groups.get("name") in SPECTRE_RESERVED:
        yield f"{groups['name']} is a reserved word"
    assigned = dict(_PARAMETERS.findall(groups.get("parameters", "")))
    if kind == "instance":
        yield from _spectre_instance(groups, assigned, scope, book)
    if kind == "save":
        wanted = groups["wanted"].split()
        yield from _missing([each for each in wanted if not each.endswith(":p")], scope.nodes, "node")
        yield from _missing([each[:-2] for each in wanted if each.endswith(":p")], scope.names, "source")
    if kind == "ic":
        yield from _missing(re.findall(r"(\w+)=", groups["set"]), scope.nodes, "node")


def _spectre_instance(
    groups: Mapping[str, str], assigned: dict[str, str], scope: _Scope, book: _Book
) -> Iterator[str]:
    master, nodes = groups["master"], len(groups["nodes"].split())
    values = {name: value for name, value in assigned.items() if name not in ("type", "probe")}
    for value in values.values():
        yield from _expression(value, scope)
    if master in SPECTRE_PRIMITIVES:
        count, needed = SPECTRE_PRIMITIVES[master]
        if nodes != count:
            yield f"{master} has {count} nodes, not {nodes}"
        yield from (f"{master} needs {each}" for each in sorted(needed - set(assigned)))
        if master == "bsource" and set(assigned) not in ({"i"}, {"v"}):
            yield "bsource needs one of i and v"
    elif master in book.models:
        if nodes != 4:
            yield f"a transistor has 4 nodes, not {nodes}"
    else:
        yield from _call(master, nodes, set(assigned), book)


_Line = Callable[[str, re.Match[str], _Scope, _Book], Iterator[str]]


def _book(lines: list[tuple[int, str]], subckt: re.Pattern[str], model: re.Pattern[str]) -> _Book:
    """All definitions. Spectre's parameters stand on the line after the subcircuit's."""
    book = _Book({}, {}, set())
    for (_, line), (_, after) in zip(lines, [*lines[1:], (0, "")], strict=True):
        if found := subckt.fullmatch(line):
            declared = found.groupdict().get("parameters") or (after if after.startswith("parameters") else "")
            book.ports[found["name"]] = len(found["nodes"].split())
            book.parameters[found["name"]] = {name for name, _ in _PARAMETERS.findall(declared)}
        elif found := model.fullmatch(line):
            book.models.add(found["name"])
    return book


def _walk(lines: list[tuple[int, str]], spectre: bool, examine: _Line, book: _Book) -> Iterator[str]:
    """Every line against its form, names once a scope, scopes closed."""
    top = _Scope(nodes={"0"})
    scope = top
    for number, line in lines:
        kind, found = _form(line, spectre)
        if found is None:
            yield f"line {number}: {line[:60]!r} is not understood"
            continue
        if kind.endswith("subckt"):
            if scope is not top:
                yield f"line {number}: subcircuit {found['name']} inside {scope.name}"
            nodes = set(found["nodes"].split())
            scope = _Scope(found["name"], top.parameters | book.parameters[found["name"]], nodes)
        elif kind.endswith("ends"):
            if found["name"] != scope.name:
                yield f"line {number}: {scope.name or 'nothing'} is open, not {found['name']}"
            scope = top
        elif kind in (".param", "parameters") and scope is top:
            top.parameters |= {name for name, _ in _PARAMETERS.findall(found["parameters"])}
        yield from (f"line {number}: {each}" for each in examine(kind, found, scope, book))
        yield from (f"line {number}: {each}" for each in _entered(kind, found, scope))
    if scope is not top:
        yield f"subcircuit {scope.name} is not closed"


@lru_cache(maxsize=8192)
def _form(line: str, spectre: bool) -> tuple[str, re.Match[str] | None]:
    """The form of a line; most lines of a network's decks are the same."""
    forms = _SPECTRE_FORMS if spectre else _XYCE_FORMS
    return next(((kind, found) for kind, form in forms.items() if (found := form.fullmatch(line))), ("", None))


def _entered(kind: str, found: re.Match[str], scope: _Scope) -> Iterator[str]:
    """Notes an element's name and nodes in its scope. Capitals tell names apart in Spectre only."""
    groups = found.groupdict()
    if kind.endswith("subckt") or not groups.get("nodes"):
        return
    if groups["name"].lower() in {each.lower() for each in scope.names}:
        yield f"{groups['name']} is there twice"
    scope.names.add(groups["name"])
    nodes = set(groups["nodes"].split())
    lowered = {each.lower() for each in scope.nodes}
    yield from (f"node {each} differs in capitals only" for each in nodes - scope.nodes if each.lower() in lowered)
    scope.nodes |= nodes


def _missing(wanted: list[str], known: set[str], what: str) -> Iterator[str]:
    return (f"there is no {what} {each}" for each in wanted if each not in known)


_CHECKS: Mapping[str, Callable[[str], Iterator[str]]] = {"ngspice": _ngspice, "xyce": _xyce, "spectre": _spectre}
