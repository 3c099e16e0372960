"""A folder to take home: decks in one dialect, their codes as a table, a Verilog-A neuron, and a README to it all."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtc_hw import __version__
from mtc_hw.errors import DeckError
from mtc_hw.hardware.codes_file import rows_of, save_codes
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.netlist.deck import Deck, write_decks
from mtc_hw.netlist.dialects import EXTENSION, Dialect, export
from mtc_hw.netlist.readback import differences
from mtc_hw.netlist.templates import render
from mtc_hw.netlist.verilog import verilog_cards, verilog_module
from mtc_hw.netlist.views import Level
from mtc_hw.neuron_file import NeuronFile, save_neuron
from mtc_hw.spec import RectifiedTanh

MODULE, CARDS, README, NEURON = "mtc_neuron.va", "mtc_neurons.inc", "README.md", "neuron.toml"

_RUN: Mapping[Dialect, str] = {
    "ngspice": "`ngspice -b -r out.raw DECK.cir`, or `mtc-hw simulate THIS_FOLDER`; `.spiceinit` sets one thread.",
    "xyce": "`Xyce DECK.cir`; the result is `DECK.cir.csv`. A network's input needs Xyce's `FASTTABLE`.",
    "spectre": "`spectre DECK.scs`; the result is in `DECK.raw`. Nodes `sensed_<source>` carry a current, 1 V a nA.",
}
_CHECKED: Mapping[Dialect, str] = {
    "ngspice": "The options are printed in each deck.",
    "xyce": "Xyce's options are the nearest counterparts; trtol and chgtol have none.",
    "spectre": "Spectre's options are the nearest counterparts; trtol and chgtol have none.",
}
_UNRUN = (
    "The syntax was checked by a grammar; the deck was not run in this simulator. Compare one with ngspice first."
)
_CONVERTER = re.compile(r"^\.subckt (\w+) [^\n]*\bcode=[^\n]*\n(.*?)^\.ends", re.MULTILINE | re.DOTALL)


def write_export(
    decks: Sequence[Deck],
    design: MappedDesign,
    level: Level,
    dialect: Dialect,
    folder: Path,
    neuron: NeuronFile | None = None,
) -> list[Path]:
    """Everything of one export; gives the paths of the decks. A preset or file comes along as `neuron.toml`.

    Raises DeckError for a deck whose codes are not the design's, and for one that the dialect cannot express.
    """
    known = rows_of(design)
    for deck in decks:
        if found := differences(known, deck.text):
            raise DeckError(f"deck {deck.name} is not of this design: {'; '.join(found[:5])}")
    exported = [export(deck, dialect) for deck in decks]
    if dialect == "ngspice":
        paths = write_decks(exported, folder)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{deck.name}{EXTENSION[dialect]}" for deck in exported]
        for deck, path in zip(exported, paths, strict=True):
            path.write_text(deck.text, encoding="ascii")
    save_codes(design, folder)
    (folder / MODULE).write_text(verilog_module(design), encoding="ascii")
    (folder / CARDS).write_text(verilog_cards(design, dialect), encoding="ascii")
    if neuron is not None:
        save_neuron(neuron, folder / NEURON)
    text = _readme(decks, paths, design, level, dialect, neuron)
    (folder / README).write_text(text, encoding="utf-8")
    return paths


def ideal_converters(text: str) -> list[str]:
    """Names of the converters in a deck of ours that hold neither a transistor nor another subcircuit."""
    return [name for name, body in _CONVERTER.findall(text) if not re.search(r"^[mx]", body, re.MULTILINE | re.I)]


def _readme(
    decks: Sequence[Deck],
    paths: Sequence[Path],
    design: MappedDesign,
    level: Level,
    dialect: Dialect,
    neuron: NeuronFile | None,
) -> str:
    if not decks:
        raise DeckError("there is no deck to export; the design has no neuron")
    exact = design.bias_dac.bits is None
    converters = "All codes are real numbers: the design was mapped exactly." if exact else _widths(design)
    rows = [
        {"file": path.name, "digest": hashlib.sha256(path.read_bytes()).hexdigest(), "origin": deck.digest}
        for deck, path in zip(decks, paths, strict=True)
    ]
    context = {
        "title": f"Netlists for {dialect}",
        "version": __version__,
        "design_digest": design.digest,
        "neurons": design.count,
        "level": level,
        "technology": design.technology.name,
        "dialect": dialect,
        "chip": design.deviations,
        "pattern": f"*{EXTENSION[dialect]}",
        "decks": rows,
        "run": _RUN[dialect],
        "neuron": neuron is not None,
        "scale": design.scale,
        "outputs": len(design.readout_offset),
        "drawn_synapse": isinstance(design.synapse, RectifiedTanh),
        "readout_unit": design.readout_unit,
        "readout_span": design.readout_span if len(design.readout_offset) else 0.0,
        "analog_ground": design.technology.analog_ground,
        "supply": design.technology.supply,
        "ideal": ideal_converters(decks[0].text),
        "converters": converters,
        "options": _found(r"^\.options (.+)$", decks[0].text).split(),
        "max_step": _found(r"^\.tran \S+ \S+ \S+ (\S+)$", decks[0].text),
        "solver": _CHECKED[dialect] if dialect == "ngspice" else f"{_CHECKED[dialect]} {_UNRUN}",
    }
    return render("export/README.md.j2", context)


def _widths(design: MappedDesign) -> str:
    names = ("bias", "filter", "reference", "input", "offset", "readout", "pole")
    return "Bits: " + ", ".join(f"{name} {getattr(design, f'{name}_dac').bits}" for name in names) + "."


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise DeckError(f"a deck has no line of the form {pattern}")
    return found[1]
