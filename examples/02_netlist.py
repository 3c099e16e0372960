"""Map a neuron to codes and print its transistor-level deck's first lines."""

from pathlib import Path

import numpy as np

from mtc_hw.characterise import cells_for
from mtc_hw.hardware.design import BRANCHES, as_spec
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import load_technology
from mtc_hw.netlist.deck import write_decks
from mtc_hw.netlist.render import own_deck
from mtc_hw.neuron_file import bare_spec, load_neuron


def main() -> None:
    neuron, technology = load_neuron("bursting"), load_technology("generic")
    spec = bare_spec(neuron)
    design = map_spec(spec, technology, cells_for(technology, 4e-6, 4e-6), MappingOptions(bits=8))
    for branch, name in enumerate(BRANCHES):
        if design.present[branch, 0]:
            print(f"{name:20s} code {design.bias_code[branch, 0]:5.0f}  bias {design.bias()[branch, 0]:.3g} A")
    error = np.abs(as_spec(design).neurons.alpha - spec.neurons.alpha).max()
    print(f"largest quantisation error of alpha: {error:.2g}")
    deck = own_deck(design, neuron, "transistor", 3000.0)
    print("wrote", write_decks([deck], Path("example"))[0])


if __name__ == "__main__":
    main()
