"""The unit transistor's drawn size: the one number, or two, that every command takes."""

import math
from dataclasses import dataclass

from mtc_hw.errors import TechnologyError
from mtc_hw.hardware.process import um

SMALLEST, LARGEST = 0.2, 100.0  # um


@dataclass(frozen=True)
class UnitSize:
    """Width and length, m. As text both in um, `2/8`."""

    width: float
    length: float

    def __str__(self) -> str:
        return f"{um(self.width)}/{um(self.length)}"

    @property
    def aspect(self) -> float:
        """Length over width."""
        return self.length / self.width


def parse_size(text: "str | UnitSize") -> UnitSize:
    """`2/8` or, for a square, `4`: width and length in um. A size comes back as it is. Raises TechnologyError."""
    if isinstance(text, UnitSize):
        return text
    parts = text.split("/")
    try:
        sides = [float(part) for part in parts]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise TechnologyError(
            f"size is {text!r}; give the unit transistor's width and length in um, 2/8, or one number for a square, 4"
        )
    for side in sides:
        if not (math.isfinite(side) and SMALLEST <= side <= LARGEST):
            raise TechnologyError(
                f"size is {text!r}; a unit transistor is {SMALLEST:g} to {LARGEST:g} um wide and long, not {side:g}"
            )
    # One rounding: 2 * 1e-6 is not always the number that 2e-6 is.
    return UnitSize(*(float(f"{side:.9g}e-6") for side in (sides[0], sides[-1])))


SQUARE = UnitSize(4e-6, 4e-6)
"""The size where none is given."""

LONG = UnitSize(1e-6, 16e-6)
"""As large as `SQUARE`, so that chips scatter alike, with a sixteenth of its off-currents, which go with W / L.

Those end bursting in the heat: the bias of an ultra-slow filter is a few picoamperes.
"""
