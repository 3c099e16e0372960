"""A user's file of transistor models: a netlist is code, so only models and parameters are let through."""

import re
from collections.abc import Iterator, Mapping

from mtc_hw.errors import TechnologyError
from mtc_hw.spice_lines import logical_lines

ALLOWED = (".model", ".param")
LEVELS = ("8", "49", "14", "54")
"""BSIM3 and BSIM4: the models that take `delvto`, by which mismatch goes in."""
_RANDOM = re.compile(r"\b(a?gauss|a?unif|limit)\s*\(", re.IGNORECASE)
_LEVEL = re.compile(r"\blevel\s*=\s*(\d+)(?:\.0*)?\b", re.IGNORECASE)
_SETS = re.compile(r"([A-Za-z_]\w*)\s*=")


def check_cards(text: str, models: Mapping[str, str], parameters: set[str]) -> None:
    """Refuses a card file that holds anything but .model and .param lines, or lacks one of `models` (kind: name).

    `parameters` are set by the corner, so the file itself must not. Raises TechnologyError with every finding.
    """
    wrong = list(_findings(text, parameters))
    defined = {}
    for _, line in logical_lines(text):
        words = line.split()
        if words[0].lower() == ".model" and len(words) > 2:
            defined[words[1].lower()] = (words[2].lower(), _LEVEL.search(line))
    for kind, name in models.items():
        found, level = defined.get(name.lower(), ("", None))
        if found != kind:
            wrong.append(f"it holds no `.model {name} {kind}`")
        elif level is None or level.group(1) not in LEVELS:
            wrong.append(f"{name} has level {level.group(1) if level else 'none'}; use BSIM3 or BSIM4: {_levels()}")
    if wrong:
        raise TechnologyError("the card file is refused: " + "; ".join(wrong[:20]))


def _levels() -> str:
    return ", ".join(LEVELS)


def _findings(text: str, parameters: set[str]) -> Iterator[str]:
    unprintable = re.search(r"[^\r\n\t -~]", text)
    if unprintable:
        yield f"character {unprintable.group()!r} at offset {unprintable.start()}"
    lowered = {name.lower() for name in parameters}
    for number, line in logical_lines(text):
        head = line.split()[0].lower()
        if head not in ALLOWED:
            yield f"line {number}: {head[:40]!r} is not allowed, only {' and '.join(ALLOWED)}"
        if _RANDOM.search(line):
            yield f"line {number}: it draws at random; mismatch is drawn by mtc_hw"
        if head == ".param":
            for name in sorted(lowered & {each.lower() for each in _SETS.findall(line)}):
                yield f"line {number}: {name} is what the corner sets"
