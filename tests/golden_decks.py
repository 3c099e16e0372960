"""What tests/golden holds: a tonic neuron and a network of two, in every dialect.

After a wanted change of the decks: `python tests/golden_decks.py` writes them anew; look at the difference.
"""

from pathlib import Path

import numpy as np

from mtc_hw.characterise import cells_for
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import load_technology
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.dialects import DIALECTS, export
from mtc_hw.netlist.render import Series, network_deck, own_deck
from mtc_hw.netlist.solver import NETWORK
from mtc_hw.netlist.verilog import verilog_module
from mtc_hw.neuron_file import Initial, load_neuron
from mtc_hw.spec import ModelSpec, Neurons, Readout

FOLDER = Path(__file__).parent / "golden"


def tonic() -> tuple[ModelSpec, Deck]:
    """The preset's spec and its transistor deck."""
    file = load_neuron("tonic")
    spec = ModelSpec(file.neurons, np.zeros((1, 0)), np.zeros(1))
    return spec, own_deck(mapped(spec), file, "transistor", 50.0)


def two() -> tuple[ModelSpec, Deck]:
    """A spiking and a bursting neuron with one input and one output, behavioural, in one deck."""
    cells = cells_for(load_technology("generic"), 4e-6, 4e-6)
    neurons = Neurons(
        alpha=np.array([[2.0, 1.8], [2.0, 2.1], [0.0, 0.6], [0.0, 0.4]]),
        delta=np.array([[0.0, 0.2], [0.0, 0.1], [0.0, -1.4], [0.0, -1.5]]),
        tau=np.array([[0.0, 2.0], [50.0, 40.0], [1.0, 500.0]]),
        leak_curve=cells.leak_curve,
        filter_curve=cells.filter_curve,
    )
    readout = Readout(np.array([[0.8, -0.3]]), np.array([0.1]), tau=20.0)
    spec = ModelSpec(neurons, np.array([[1.0], [-0.7]]), np.array([-0.4, 0.5]), readout=readout)
    series = Series(np.array([[0.0], [1.0], [-0.5], [0.3], [0.2], [-1.0]]), 10.0)
    return spec, network_deck(mapped(spec), "behavioural", series, 50.0, Initial(), NETWORK)


def mapped(spec: ModelSpec):
    technology = load_technology("generic")
    return map_spec(spec, technology, cells_for(technology, 4e-6, 4e-6), MappingOptions())


def texts() -> dict[str, str]:
    """File names and contents."""
    decks = {"tonic": tonic()[1], "two": two()[1]}
    found = {f"{name}.{dialect}": export(deck, dialect).text for name, deck in decks.items() for dialect in DIALECTS}
    return found | {"two.va": verilog_module(mapped(two()[0]))}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="ascii")
