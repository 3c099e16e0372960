"""Arithmetic of a deck's B sources and parameters, read as a tree and written in a dialect's spelling."""

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from mtc_hw.errors import DeckError

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ACCESS = re.compile(r"\b([vi])\(\s*(\w+)\s*(?:,\s*(\w+)\s*)?\)", re.IGNORECASE)
_HELD = re.compile(r"access__(\d+)")
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div)


@dataclass(frozen=True)
class Access:
    """v(node), v(node, other) or i(source)."""

    quantity: str  # v or i
    name: str
    other: str = ""


@dataclass(frozen=True, eq=False)
class Formula:
    """A valid expression: its tree, in which a voltage or current is a name `access__n`."""

    tree: ast.Expression
    accesses: tuple[Access, ...]

    @cached_property
    def names(self) -> set[str]:
        """Parameters and `time`."""
        called = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        names = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name) and id(node) not in called}
        return {name for name in names if not _HELD.fullmatch(name)}

    @cached_property
    def functions(self) -> set[str]:
        calls = (node.func for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        return {called.id for called in calls if isinstance(called, ast.Name)}


@lru_cache(maxsize=4096)
def formula(text: str) -> Formula:
    """The expression in `text`; ngspice's inner braces are read as parentheses.

    Raises DeckError for what is no arithmetic of numbers, names, voltages, currents and function calls.
    """
    accesses: list[Access] = []

    def hold(found: re.Match[str]) -> str:
        accesses.append(Access(found[1].lower(), found[2], found[3] or ""))
        return f"access__{len(accesses) - 1}"

    bare = _ACCESS.sub(hold, text).replace("{", "(").replace("}", ")")
    try:
        tree = ast.parse(bare.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise DeckError(f"{text!r} is no expression") from None
    for node in ast.walk(tree):
        if not _allowed(node):
            raise DeckError(f"{text!r} holds what no simulator's expression may")
    return Formula(tree, tuple(accesses))


def written(given: Formula, access: Callable[[Access], str], functions: Mapping[str, str]) -> str:
    """The expression without blanks, voltages and currents by `access`, functions by their names in the dialect.

    Raises DeckError for a function that is not in `functions`.
    """
    missing = given.functions - set(functions)
    if missing:
        raise DeckError(f"function {sorted(missing)[0]} has no counterpart")
    plain = ast.unparse(given.tree).replace(" ", "")
    named = re.sub(r"\b([a-z]\w*)\(", lambda found: f"{functions.get(found[1], found[1])}(", plain)
    return _HELD.sub(lambda found: access(given.accesses[int(found[1])]), named)


def _allowed(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        value = node.value
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and not node.keywords
    plain = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.UAdd, ast.USub, ast.Name, ast.Load, *_OPERATORS)
    return isinstance(node, plain)
