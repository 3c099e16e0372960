"""What transistor-level converters are made of: unit devices, splitter stages, resistors, area."""

import math
from dataclasses import dataclass
from typing import Literal

from mtc_hw.errors import UnmappableError

Kind = Literal["bias", "reference", "sign"]

STAGE_OCTAVES = 4
"""Octaves that one splitter stage divides by at most. A stage of n octaves has 2^n units, all of them saturated.

A ladder of equal transistors (Bult and Geelen, IEEE JSSC 27(12), 1992) needs fewer, but its series devices are in
triode and divide by two only as far as source and drain are alike, which they are not in BSIM4's weak inversion:
twelve stages of it, 1/16 um each on the generic card, gave 0.79 of the design's current, these give 1.04.
"""

MAX_OCTAVES = 12
"""Three stages: a fourth has no headroom below a 1.8 V supply, and 4 nA / 2^12 is a picoampere."""


@dataclass(frozen=True)
class ConverterSizes:
    """Unit device, and what the chip gives to all converters.

    A long and narrow unit: its off-current is a sixteenth of a square device's of the same area, and the mirrors,
    whose smallest leg carries one LSB, keep a gate-source voltage of several thermal voltages.
    """

    width: float = 1e-6  # m
    length: float = 16e-6  # m
    reference_units: int = 16  # units of the diode that takes the reference current of as many LSB
    gate: float = 0.5  # V: of the splitter's last stage, above the largest output voltage less a pMOS threshold
    gate_step: float = 0.2  # V from stage to stage, enough to keep each saturated
    string_resistance: float = 1e6  # ohm, the whole resistor string
    sheet_resistance: float = 1e3  # ohm per square: usual for high-resistance polysilicon
    resistor_width: float = 1e-6  # m

    def __post_init__(self) -> None:
        wrong = [
            f"ConverterSizes.{name} is {value}; it must be finite and > 0"
            for name, value in vars(self).items()
            if not (math.isfinite(value) and value > 0)
        ]
        if wrong:
            raise UnmappableError(wrong)


DEFAULT_SIZES = ConverterSizes()


def splitter_stages(octaves: int) -> tuple[int, ...]:
    """Octaves of each stage, from the supply's end. Raises UnmappableError for more than three stages reach."""
    if octaves not in range(MAX_OCTAVES + 1):
        raise UnmappableError(
            [f"a current splitter has 0 to {MAX_OCTAVES} octaves, not {octaves}; lower MappingOptions.filter_octaves"]
        )
    count = math.ceil(octaves / STAGE_OCTAVES)
    return tuple(octaves // count + (stage < octaves % count) for stage in range(count))


@dataclass(frozen=True)
class DeviceCount:
    """Parts of one converter."""

    units: int  # unit devices in mirrors, splitter and cascodes
    switches: int  # of one unit each
    resistors: int

    @property
    def devices(self) -> int:
        return self.units + self.switches


def device_count(kind: Kind, bits: int, octaves: int = 0, reference_units: int = 16) -> DeviceCount:
    """Parts of a converter.

    bias: 2^bits - 1 units in the legs and `reference_units` in their diode, three switches a bit; a splitter stage of
    n octaves has 2^n units, as many in the cascode that takes what is dropped, two switches an octave and one that is
    always closed. Without octaves one cascode of 2^4 units and its switch stand in its place.
    reference: 2^bits resistors and the tree's 2^(bits + 1) - 2 switches.
    sign: two switches.
    """
    if kind == "sign":
        return DeviceCount(0, 2, 0)
    if kind == "reference":
        return DeviceCount(0, 2 ** (bits + 1) - 2, 2**bits)
    splitter = sum(2 * 2**n for n in splitter_stages(octaves)) or 2**STAGE_OCTAVES
    switches = 3 * bits + 2 * octaves + max(len(splitter_stages(octaves)), 1)
    return DeviceCount(2**bits - 1 + reference_units + splitter, switches, 0)


def converter_area(
    kind: Kind, bits: int, octaves: int, width: float, length: float, sizes: ConverterSizes = DEFAULT_SIZES
) -> float:
    """Gate area of all unit devices of `width` and `length`, m, plus the resistors' bodies, m^2; no wiring."""
    count = device_count(kind, bits, octaves, sizes.reference_units)
    return count.devices * width * length + (string_area(sizes) if count.resistors else 0.0)


def string_area(sizes: ConverterSizes) -> float:
    """Of the resistors' bodies, m^2: a string of R ohm has R / sheet_resistance squares of resistor_width^2."""
    return sizes.string_resistance / sizes.sheet_resistance * sizes.resistor_width**2


def string_inl_sigma(bits: int, mismatch: float) -> float:
    """Standard deviation of a resistor string's INL at its middle, LSB, where it is largest.

    For relative resistor mismatch s, tap k of n = 2^bits has s sqrt(k (1 - k / n)): s sqrt(n) / 2 at the middle.
    """
    return mismatch * math.sqrt(2.0**bits) / 2.0
