"""What the templates of transistor-level converters print, and the nodes that a code ties their ports to."""

from collections.abc import Sequence
from dataclasses import dataclass

from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.converters import STAGE_OCTAVES, ConverterSizes, splitter_stages
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.technology import Technology

ON, OFF = "vss", "vdd"
"""Where a pMOS switch's gate is tied."""

STRING_CONTACT = 1.0
"""Ohm between the string's lowest tap and its end, so that code 0 leaves no resistor without a value."""


@dataclass(frozen=True)
class Size:
    """A device of equal units in parallel, as fingers. m, m^2."""

    width: float  # all fingers
    length: float
    fingers: int
    area: float
    perimeter: float


@dataclass(frozen=True)
class Instance:
    """One converter in a deck: the nodes after its output and supply, its subcircuit and parameters."""

    cell: str
    nodes: tuple[str, ...]
    parameters: dict[str, float]


def converter_context(
    technology: Technology, sizes: ConverterSizes, bias_dacs: Sequence[Dac], reference_bits: int
) -> dict[str, object]:
    """All that transistor/bias_dac, reference_dac and weight_dac need beside `common_context`'s supply.

    Keys: unit_card, the unit device's card; unit, one unit device's Size; bias_dacs, a subcircuit for each bits and
    octaves among `bias_dacs`, which may repeat; reference_dac, the string's steps and the path of switches. Raises
    UnmappableError for an ideal converter and for more octaves than a splitter has, TechnologyError for a PDK's
    technology that has not been sized for the unit device.
    """
    return {
        "unit_card": technology.card("pmos", sizes.width, sizes.length),
        "unit": _size(sizes, technology, 1),
        "bias_dacs": [
            _bias_dac(bits, octaves, sizes, technology)
            for bits, octaves in sorted({(converter_bits(dac), dac.octaves) for dac in bias_dacs})
        ],
        "reference_dac": {
            "steps": 2**reference_bits,
            "resistor": sizes.string_resistance / 2**reference_bits,
            "contact": STRING_CONTACT,
            "path": [
                {
                    "bit": bit,
                    "source": f"path{bit}",
                    "to": "out" if bit == reference_bits - 1 else f"path{bit + 1}",
                }
                for bit in range(reference_bits)
            ],
        },
    }


def bias_cell(dac: Dac) -> str:
    """Name of the subcircuit. Raises UnmappableError for an ideal converter."""
    bits = converter_bits(dac)
    return f"bias_dac_{bits}" if not dac.octaves else f"split_bias_dac_{bits}_{dac.octaves}"


def bias_instance(dac: Dac, code: float, gain: float = 1.0) -> Instance:
    """A bias converter set to `code`, which Dac.encode gives: every bit and octave a port tied to vss or vdd.

    `gain` is the converter's measured one at this octave, which its reference current takes out.
    """
    bits = converter_bits(dac)
    if not float(code).is_integer() or not 0 <= code < (dac.octaves + 1) * 2**bits:
        raise UnmappableError([f"{code} is no code of a {bits}-bit converter of {dac.octaves} octaves"])
    octave, fine = divmod(int(code), 2**bits)
    on = [ON if fine >> bit & 1 else OFF for bit in range(bits)]
    passing = [OFF if number <= octave else ON for number in range(1, dac.octaves + 1)]
    nodes = ("vss", *on, *map(_complement, on), *passing, *map(_complement, passing))
    return Instance(bias_cell(dac), nodes, {"lsb": dac.lsb} | ({"gain": gain} if gain != 1.0 else {}))


def sign_nodes(code: float) -> tuple[str, str]:
    """Where a readout weight's sign switch is tied: ports `positive` and `negative`. Its magnitude is a bias code."""
    return ON if code > 0 else OFF, ON if code < 0 else OFF


def _complement(node: str) -> str:
    return OFF if node == ON else ON


def converter_bits(dac: Dac) -> int:
    """Raises UnmappableError for an ideal converter."""
    if dac.bits is None:
        raise UnmappableError(["an ideal converter has no transistors; map with --bits 8, or MappingOptions.bits"])
    return dac.bits


def _bias_dac(bits: int, octaves: int, sizes: ConverterSizes, technology: Technology) -> dict[str, object]:
    def size(units: int) -> Size:
        return _size(sizes, technology, units)

    numbers = range(1, octaves + 1)
    return {
        "name": bias_cell(Dac(bits, 1.0, octaves=octaves)),
        "bits": bits,
        "octaves": octaves,
        "ports": [
            "vss",
            *(f"{name}{bit}" for name in ("on", "off") for bit in range(bits)),
            *(f"{name}{number}" for name in ("pass", "drop") for number in numbers),
        ],
        "reference": size(sizes.reference_units),
        "legs": [{"bit": bit, "size": size(2**bit)} for bit in range(bits)],
        "stages": _stages(octaves, sizes, technology),
    }


def _stages(octaves: int, sizes: ConverterSizes, technology: Technology) -> list[dict[str, object]]:
    """The splitter from the supply's end; without octaves one cascode at the same gate voltage."""
    if not octaves:
        gate = sizes.gate + 2 * sizes.gate_step
        keep = _size(sizes, technology, 2**STAGE_OCTAVES)
        return [{"index": 1, "gate": gate, "next": "out", "keep": keep, "taps": []}]
    counts = splitter_stages(octaves)
    result: list[dict[str, object]] = []
    done = 0
    for index, count in enumerate(counts, 1):
        last = index == len(counts)
        taps = [
            {"octave": done + number, "size": _size(sizes, technology, 2 ** (count - number))}
            for number in range(1, count + 1)
        ]
        result.append(
            {
                "index": index,
                "gate": sizes.gate + (len(counts) - index) * sizes.gate_step,
                "next": "out" if last else f"split{index + 1}",
                "below": "vss" if last else f"gate{index + 1}",
                "keep": _size(sizes, technology, 1),
                "taps": taps,
                "waste": _size(sizes, technology, 2**count),
            }
        )
        done += count
    return result


def _size(sizes: ConverterSizes, technology: Technology, units: int) -> Size:
    area, perimeter = sizes.width * technology.diffusion, 2.0 * (sizes.width + technology.diffusion)
    return Size(units * sizes.width, sizes.length, units, units * area, units * perimeter)
