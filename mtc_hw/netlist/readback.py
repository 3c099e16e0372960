"""The codes that a deck of ours holds, read back from its text: what is in the netlist is what is in the table."""

import numpy as np

from mtc_hw.errors import DeckError
from mtc_hw.hardware.codes_file import Key, Row, rows_of, with_stored
from mtc_hw.hardware.design import BRANCHES, LEAK, MappedDesign
from mtc_hw.netlist.circuit import Statement, parse

_SUFFIXES = {"_bias": "bias", "_reference": "reference"}


def deck_codes(text: str) -> dict[Key, tuple[float, float]]:
    """Code and step (lsb over the splitter's octaves) of every converter in an ngspice deck of ours.

    Raises DeckError for a deck with other lines than ours, or a converter without code= and lsb=.
    """
    found: dict[Key, tuple[float, float]] = {}
    neuron = ""
    for each in parse(text):
        if each.kind == "subckt":
            neuron = each.name.removeprefix("neuron_") if each.name.startswith("neuron_") else ""
        elif each.kind == "ends":
            neuron = ""
        elif each.kind == "instance" and (key := _key(each, neuron)) is not None:
            found[key] = _code(each)
    return found


def with_deck(design: MappedDesign, text: str) -> MappedDesign:
    """The design with the codes that a deck holds; a deck of one neuron changes that neuron alone.

    Raises DeckError for a converter that the design does not have, or a step that is no octave of it.
    """
    known = rows_of(design)
    stored = {}
    for key, (code, step) in deck_codes(text).items():
        if key not in known:
            raise DeckError(f"the design has no neuron {key.neuron} {key.element!r} {key.kind!r}")
        stored[key] = _stored(known[key], code, step, key)
    return with_stored(design, stored)


def differences(design: MappedDesign, text: str) -> list[str]:
    """Where a deck's codes are not the design's, a line each; empty when they agree."""
    known, found = rows_of(design), deck_codes(text)
    result = []
    for key, (code, step) in found.items():
        row = known.get(key)
        if row is None:
            result.append(f"neuron {key.neuron} {key.element!r} {key.kind!r} is in the deck only")
        elif _stored(row, code, step, key) != row.stored:
            name = f"neuron {key.neuron} {key.element!r} {key.kind!r}"
            result.append(f"{name}: {code:g} in the deck, {row.code:g} in the design")
    held = {key.neuron for key in found if key.kind in ("bias", "filter")}
    converters = (key for key, row in known.items() if row.dac is not None and key.neuron in held)
    absent = (key for key in converters if key not in found and key.kind in ("bias", "filter", "reference", "input"))
    return result + [f"neuron {key.neuron} {key.element!r} {key.kind!r} is not in the deck" for key in absent]


def _key(instance: Statement, neuron: str) -> Key | None:
    """The row that a converter's instance belongs to; None for what is no converter."""
    if instance.master == "readout_weight":
        output, index = instance.name.removeprefix("Xweight_").split("_")
        return Key(index, f"output_{output}", "readout")
    name = instance.name[1:]
    if instance.master in ("input_gm", "offset_dac"):
        return Key(neuron, name, "input" if instance.master == "input_gm" else "offset")
    for suffix, kind in _SUFFIXES.items():
        if instance.master in ("bias_dac", "reference_dac") and name.endswith(suffix):
            element = name.removesuffix(suffix)
            filtering = element in BRANCHES[LEAK + 1 :]
            return Key(neuron, element, "filter" if filtering else kind)
    return None


def _code(instance: Statement) -> tuple[float, float]:
    values = dict(instance.parameters)
    try:
        return float(values["code"]), float(values["lsb"])
    except (KeyError, ValueError):
        raise DeckError(f"line {instance.number}: {instance.name} has no code= and lsb= that are numbers") from None


def _stored(row: Row, code: float, step: float, key: Key) -> float:
    """Code and octave as the design holds them."""
    if row.dac is None:
        raise DeckError(f"neuron {key.neuron} {key.element!r} {key.kind!r} has no converter")
    octaves = range(row.dac.octaves + 1 if row.dac.bits is not None else 1)
    fitting = [octave for octave in octaves if row.dac.lsb / 2.0**octave == step]
    if not fitting:
        raise DeckError(f"neuron {key.neuron} {key.element!r}: lsb is {step:g} A, no octave of {row.dac.lsb:g} A")
    wide = 2.0**row.dac.bits if row.dac.bits is not None else 0.0
    stored = code + fitting[0] * wide
    if row.dac.bits is not None and bool(row.dac.outside(np.array(stored))):
        raise DeckError(f"neuron {key.neuron} {key.element!r}: code {code:g} is none of the converter's")
    return stored
