"""SPICE text as logical lines: what the lint of decks and the check of card files both read."""

import re
from collections.abc import Iterator

_COMMENT = re.compile(r";|\s\$")


def logical_lines(text: str, first: int = 1) -> Iterator[tuple[int, str]]:
    """Lines from number `first` on, continuations joined and comments dropped, each with its first line's number."""
    joined: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.splitlines()[first - 1 :], first):
        # Most lines of a deck hold no comment, and looking is cheaper than splitting.
        stripped = (_COMMENT.split(line, 1)[0] if ";" in line or "$" in line else line).strip()
        if not stripped or stripped.startswith("*"):
            continue
        if stripped.startswith("+") and joined:
            joined[-1][1].append(stripped[1:])
        else:
            joined.append((number, [stripped]))
    return ((number, " ".join(parts)) for number, parts in joined)
