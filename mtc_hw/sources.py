"""What a command is given: a preset or neuron file, a trained network, a mapped design or an exported folder."""

import json
from dataclasses import dataclass
from pathlib import Path

from mtc_hw.checkpoint import FORMAT as CHECKPOINT
from mtc_hw.checkpoint import load_spec
from mtc_hw.errors import DataError, DeckError
from mtc_hw.hardware.codes_file import CODES, load_codes
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.design_file import FORMAT as DESIGN
from mtc_hw.hardware.design_file import load_design
from mtc_hw.netlist.export_folder import NEURON
from mtc_hw.netlist.readback import with_deck
from mtc_hw.neuron_file import NeuronFile, load_neuron, preset_names
from mtc_hw.resources import folder as shipped_folder
from mtc_hw.spec import ModelSpec


@dataclass(frozen=True, eq=False)
class Source:
    """One of the three is there; an exported folder of a preset or neuron file gives its design and the neuron."""

    neuron: NeuronFile | None = None
    spec: ModelSpec | None = None
    design: MappedDesign | None = None


def load_source(name: str) -> Source:
    """By what it is: a preset's name, a .toml file, a shipped network's name, a checkpoint (.safetensors, .json or
    the folder that `train` wrote), a design (.json), the folder that `netlist` wrote, with the codes of its table,
    or an ngspice deck in such a folder (.cir), with the codes of that deck.

    Raises DataError or SpecError that say what would have been understood.
    """
    path = Path(name)
    if name in preset_names() or path.suffix == ".toml":
        return Source(neuron=load_neuron(name))
    shipped = shipped_folder("models") / "networks" / f"{name}.json"
    if path.suffix == ".cir":
        return Source(design=_from_deck(path), neuron=_own_neuron(path.parent))
    if (path / CODES).is_file():
        return Source(design=load_codes(path), neuron=_own_neuron(path))
    if path.is_dir():
        path = path / "network.json"
    elif not path.exists() and shipped.exists():
        path = shipped
    if path.suffix == ".safetensors" or not path.suffix:
        path = path.with_suffix(".json")
    if not path.is_file():
        raise DataError(
            f"{name!r} is no preset ({', '.join(preset_names())}), neuron file (.toml), checkpoint, design "
            "or exported folder; check the path"
        )
    kind = _format(path)
    if kind == CHECKPOINT:
        return Source(spec=load_spec(path))
    if kind == DESIGN:
        return Source(design=load_design(path))
    raise DataError(f"{path} has format {kind!r}; expected {CHECKPOINT!r} or {DESIGN!r}")


def load_network(name: str) -> ModelSpec:
    """A trained network. Raises DataError for anything else."""
    spec = load_source(name).spec
    if spec is None:
        raise DataError(f"{name!r} is no trained network; give a checkpoint that `mtc-hw train` wrote")
    return spec


def _own_neuron(folder: Path) -> NeuronFile | None:
    """The neuron file that an exported folder may hold."""
    return load_neuron(str(folder / NEURON)) if (folder / NEURON).is_file() else None


def _from_deck(path: Path) -> MappedDesign:
    """The design of the folder that a deck stands in, with the deck's codes where it has any."""
    if not (path.parent / CODES).is_file():
        raise DataError(f"{path} does not stand in a folder that `mtc-hw netlist` wrote; keep {CODES} beside it")
    try:
        return with_deck(load_codes(path.parent), path.read_text(encoding="ascii"))
    except (OSError, ValueError, DeckError) as error:
        raise DataError(f"{path} gives no codes: {error}") from None


def _format(path: Path) -> object:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    return document.get("format") if isinstance(document, dict) else None
