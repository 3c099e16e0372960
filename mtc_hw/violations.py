"""What pydantic found wrong in a user's tables, said in one line: where, the value, the rule."""

from typing import Any

from pydantic import ValidationError

SHOWN = 60
"""Characters of a value in a message."""


def violations(error: ValidationError) -> str:
    """Every fault, in one line."""
    return "; ".join(_told(found) for found in error.errors(include_url=False))


def short(value: object) -> str:
    """A value that a user wrote, on one line."""
    return _cut(_ascii(value))


def plain(value: object) -> str:
    """The same without quotes where a text can do without."""
    return _cut(value if isinstance(value, str) and value.isascii() and value.isprintable() else _ascii(value))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _ascii(value: object) -> str:
    """An integer beyond 4300 digits has no decimal form in Python."""
    try:
        return ascii(value)
    except ValueError:
        return "a number of thousands of digits"


def _told(found: Any) -> str:
    where, kind = ".".join(plain(part) for part in found["loc"]), found["type"]
    if kind == "value_error":  # our own, which name their value
        return f"{where}: {found['ctx']['error']}" if where else str(found["ctx"]["error"])
    if kind == "missing":
        return f"{where} is missing"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{where} is no known key"
    return f"{where or 'it'} is {short(found['input'])}: {found['msg']}"
