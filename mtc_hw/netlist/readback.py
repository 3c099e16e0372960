"""The codes that a deck of ours holds, read back from its text: what is in the netlist is what is in the table."""

import math
import re
from collections.abc import Mapping

import numpy as np

from mtc_hw.errors import DeckError
from mtc_hw.hardware.codes_file import Key, Row, called, rows_of, with_stored
from mtc_hw.hardware.design import BRANCHES, LEAK, MappedDesign
from mtc_hw.netlist.circuit import logical_lines

_SUFFIXES = {
    "_bias": "bias",
    "_reference": "reference",
    "_bias_trim": "bias_trim",
    "_reference_trim": "reference_trim",
}
_TRIM = "_trim"
_SCOPE = re.compile(r"\.(?:subckt neuron_(?P<neuron>\d+)|subckt|ends)\b.*", re.IGNORECASE)
_CALL = re.compile(r"X(?P<name>\w+)(?P<nodes>(?: \w+)+?) (?P<master>\w+)(?P<parameters>(?: \w+=\S+)*)", re.IGNORECASE)
_INPUT, _SYNAPSE = re.compile(r"input_\d+"), re.compile(r"synapse_(?P<output>\d+)_(?P<neuron>\d+)")
_DRAWN = re.compile(r"(?:split_)?bias_dac_(?P<bits>\d+)(?:_(?P<octaves>\d+))?")
_ON, _OFF = ("vss", "0"), ("vdd",)  # where the gates of a transistor-level converter's switches are tied
_POLE = re.compile(r"(?P<pole>pole_\d+)_\d+")


def deck_codes(text: str) -> dict[Key, tuple[float, float]]:
    """Code and step (lsb over the splitter's octaves) of every converter in an ngspice deck of ours.

    A converter of transistors has its code in how its switches are tied. An input's sign is which side of its
    transconductor hears the signal, a readout weight's the sum that its synapse sends to. Raises DeckError for a
    converter without code, for one of those without its wires, and for outputs whose low-passes differ.
    """
    found: dict[Key, tuple[float, float]] = {}
    signs: dict[Key, float] = {}
    neuron = ""
    for number, line in logical_lines(text):
        if scope := _SCOPE.fullmatch(line):
            neuron = scope["neuron"] or ""
        elif call := _CALL.fullmatch(line):
            key = _key(call["name"], call["master"], neuron)
            if key is None:
                signs |= _signed(call, neuron)
                continue
            code = _code(number, call)
            if found.setdefault(key, code) != code:
                raise DeckError(f"line {number}: {called(key)} differs from one before; a design has one")
    for key in found:
        if key.kind in ("input", "readout"):
            if key not in signs:
                raise DeckError(f"{called(key)} has a bias and no transconductor whose wires give its sign")
            found[key] = (signs[key] * found[key][0], found[key][1])
    return found


def with_deck(design: MappedDesign, text: str) -> MappedDesign:
    """The design with the codes that a deck holds; a deck of one neuron changes that neuron alone.

    Raises DeckError for a deck without codes, a converter that the design does not have, or a step that is no octave
    of it.
    """
    known, stored = rows_of(design), {}
    for key, (code, step) in deck_codes(text).items():
        if key not in known:
            raise DeckError(f"the design has no {called(key)}")
        stored[key] = _stored(known[key], code, step, key)
    if not stored:
        raise DeckError("no converter's code is in it; give an ngspice deck")
    # A trim at code 0 is not in a deck.
    there = {key.neuron for key in stored}
    idle = {key: 0.0 for key in known if key.kind.endswith(_TRIM) and key.neuron in there}
    return with_stored(design, idle | stored)


def differences(known: Mapping[Key, Row], text: str) -> list[str]:
    """Where a deck's codes are not those of a design's rows, a line each; empty when they agree."""
    result = []
    for key, (code, step) in deck_codes(text).items():
        if key not in known:
            result.append(f"{called(key)} is in the deck only")
        elif _stored(known[key], code, step, key) != known[key].stored:
            result.append(f"{called(key)}: {code:g} in the deck, {known[key].code:g} in the design")
    return result


def _key(name: str, master: str, neuron: str) -> Key | None:
    """The row that a converter's instance belongs to; None for what is no converter."""
    if master == "offset_dac":
        return Key(neuron, "offset", name)
    suffix = next((each for each in _SUFFIXES if name.endswith(each)), None)
    if suffix is None or not (master in ("bias_dac", "reference_dac", "series_dac") or _DRAWN.fullmatch(master)):
        return None
    element = name.removesuffix(suffix)
    if pole := _POLE.fullmatch(element):
        return Key("", pole["pole"], "pole")
    kind = _SUFFIXES[suffix]
    if key := _weight(element, neuron):
        return key._replace(kind=key.kind + _TRIM) if kind.endswith(_TRIM) else key
    return Key(neuron, element, kind.replace("bias", "filter") if element in BRANCHES[LEAK + 1 :] else kind)


def _weight(element: str, neuron: str) -> Key | None:
    """The row of an input transconductor or a synapse; None for any other instance."""
    if _INPUT.fullmatch(element):
        return Key(neuron, element, "input")
    synapse = _SYNAPSE.fullmatch(element)
    return synapse and Key(synapse["neuron"], f"output_{synapse['output']}", "readout")


def _signed(call: re.Match[str], neuron: str) -> dict[Key, float]:
    """The sign that an input transconductor's or a synapse's wires give; nothing for another instance."""
    key, nodes = _weight(call["name"].removesuffix("_sign"), neuron), call["nodes"].split()
    if key is None:
        return {}
    if call["master"] == "sign_switch":
        return {key: 1.0 if nodes[4] in _ON else -1.0}
    if key.kind == "readout" and not nodes[2].startswith("sum_"):
        return {}  # a switch says where its output goes
    positive = nodes[0] != "ref" if key.kind == "input" else nodes[2].startswith("sum_p_")
    return {key: 1.0 if positive else -1.0}


def _code(number: int, call: re.Match[str]) -> tuple[float, float]:
    values, drawn = dict(re.findall(r"(\w+)=(\S+)", call["parameters"])), _DRAWN.fullmatch(call["master"])
    try:
        if drawn:
            code, octave = _tied(call["nodes"].split()[3:], int(drawn["bits"]), int(drawn["octaves"] or 0))
            return code, float(values["lsb"]) / 2.0**octave
        code, step = float(values["code"]), float(values["lsb"])
        if math.isfinite(code) and math.isfinite(step):
            return code, step
    except (KeyError, ValueError):
        pass
    wanted = "ports tied to a code and lsb= that is a number" if drawn else "code= and lsb= that are numbers"
    raise DeckError(f"line {number}: X{call['name']} has no {wanted}")


def _tied(ports: list[str], bits: int, octaves: int) -> tuple[float, int]:
    """Fine code and octave that a converter's ports are tied to. Raises ValueError for ports that say neither."""
    on, off, passing, dropping = np.split(np.array(ports), np.cumsum([bits, bits, octaves]))
    closed, dropped = np.isin(on, _ON), np.isin(dropping, _ON)
    octave = int(dropped.sum())
    fits = (np.isin(ports, _ON + _OFF).all(), (closed != np.isin(off, _ON)).all(), dropped[:octave].all())
    if not (all(fits) and len(dropping) == octaves and (dropped != np.isin(passing, _ON)).all()):
        raise ValueError(ports)
    return float(closed @ 2.0 ** np.arange(bits)), octave


def _stored(row: Row, code: float, step: float, key: Key) -> float:
    """Code and octave as the design holds them."""
    assert row.dac is not None, "a converter's row"
    if key.kind.endswith(_TRIM):
        step = row.dac.lsb  # the deck's is what a code is worth on that chip
    octaves = range(row.dac.octaves + 1 if row.dac.bits is not None else 1)
    fitting = [octave for octave in octaves if row.dac.lsb / 2.0**octave == step]
    if not fitting:
        raise DeckError(f"{called(key)}: lsb is {step:g}, no octave of {row.dac.lsb:g}")
    wide = 2.0**row.dac.bits if row.dac.bits is not None else 0.0
    stored = code + fitting[0] * wide
    if row.dac.bits is not None and (not code.is_integer() or bool(row.dac.outside(np.array(stored)))):
        raise DeckError(f"{called(key)}: code {code:g} is none of the converter's")
    return stored
