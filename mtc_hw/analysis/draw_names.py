"""Groups of draws by their instance paths: `n3.fast_negative.m1.threshold` is one quantity of one device."""

import re
from collections.abc import Sequence
from typing import Literal, get_args

from mtc_hw.errors import DataError

Level = Literal["draw", "device", "element", "kind", "quantity"]
LEVELS: tuple[Level, ...] = get_args(Level)


def group_of(draw: str, level: Level) -> str:
    """What a draw belongs to, from its path's parts between dots.

    A draw is the whole path, a device all but its last part, an element all but the last two; a kind is the element
    without its neuron's number; a quantity is the last part. A path too short for a level keeps its first part.
    """
    parts = draw.split(".")
    if level == "draw":
        return draw
    if level == "quantity":
        return parts[-1]
    if level == "device":
        return ".".join(parts[:-1]) or draw
    element = ".".join(parts[:-2] or parts[:1])
    return element if level == "element" else re.sub(r"^n\d+\.", "", element)


def groups_of(draws: Sequence[str], level: Level) -> dict[str, list[int]]:
    """Indices of the draws of each group, in order of appearance. Raises DataError for an unknown level."""
    if level not in LEVELS:
        raise DataError(f"no level {level!r} of draws; there are: {', '.join(LEVELS)}")
    groups: dict[str, list[int]] = {}
    for index, draw in enumerate(draws):
        groups.setdefault(group_of(draw, level), []).append(index)
    return groups
