"""The views of a design whose converters are of transistors; those of inputs' biases and of offsets stay ideal."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mtc_hw.errors import DeckError
from mtc_hw.hardware.converters import DEFAULT_SIZES, ConverterSizes
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import BRANCHES, MappedDesign
from mtc_hw.hardware.technology import Technology
from mtc_hw.netlist.converters import Instance, bias_instance, converter_bits, converter_context, sign_nodes
from mtc_hw.netlist.views import Branch, Code, Level, NeuronView, ReadoutView


@dataclass(frozen=True)
class Converters:
    """Converters of transistors. Without gains a converter gives what its devices make of the code."""

    technology: Technology  # with the card of the converters' unit device
    sizes: ConverterSizes = DEFAULT_SIZES
    gains: Mapping[Dac, tuple[float, ...]] = field(default_factory=dict)  # measured, by octave; 1 where there is none

    def gain(self, dac: Dac, octave: int) -> float:
        return self.gains[dac][octave] if dac in self.gains else 1.0


def check_level(level: Level) -> None:
    """Raises DeckError for the behavioural level."""
    if level != "transistor":
        raise DeckError(f"converters of transistors are for the transistor level; this is the {level} one")


def drawn_dacs(design: MappedDesign) -> tuple[Dac, ...]:
    """The bias converters that a deck of transistor-level converters may hold, without sign.

    Raises UnmappableError for ideal ones.
    """
    readout = [design.pole_dac, design.readout_dac] if len(design.readout_code) else []
    return tuple(magnitude(dac) for dac in (design.bias_dac, design.filter_dac, *readout))


def magnitude(dac: Dac) -> Dac:
    """The converter of a signed one's magnitudes; any other as it is. Raises UnmappableError for an ideal one."""
    bits = converter_bits(dac)
    return dataclasses.replace(dac, bits=bits - 1, signed=False) if dac.signed else dac


def context(design: MappedDesign, converters: Converters) -> dict[str, object]:
    """What the templates need beside `common_context`, the cards with the unit device's included."""
    reference_bits = converter_bits(design.reference_dac)
    found = converter_context(converters.technology, converters.sizes, drawn_dacs(design), reference_bits)
    return found | {"cards": converters.technology.cards.rstrip()}


def neuron(design: MappedDesign, view: NeuronView, converters: Converters) -> NeuronView:
    """The neuron with its bias converters of transistors. References differ by their subcircuit alone."""
    rows = {name: design.dac(row) for row, name in enumerate(BRANCHES)}
    branches = tuple(
        dataclasses.replace(each, bias=_instance(each.bias, rows[each.name], converters))
        if each.name in rows
        else each
        for each in view.branches
    )
    return dataclasses.replace(view, branches=branches)


def synapse(design: MappedDesign, view: Branch, converters: Converters) -> Branch:
    """The synapse with its bias converter and a switch to both sums."""
    positive, drain = view.out.startswith("sum_p"), f"o_{view.name}"
    sums = tuple(f"sum_{sign}_{view.out.rpartition('_')[2]}" for sign in "pn")
    switches = _at_top(sign_nodes(1.0 if positive else -1.0))
    bias = _instance(view.bias, magnitude(design.readout_dac), converters, top=True)
    sign = Instance("sign_switch", (drain, *sums, "vdd", *switches), {})
    return dataclasses.replace(view, out=drain, bias=bias, sign=sign)


def readout(design: MappedDesign, view: ReadoutView, converters: Converters) -> ReadoutView:
    """The low-pass with its bias converters of transistors."""
    poles = tuple(_instance(code, design.pole_dac, converters, top=True) for code in view.poles)
    return dataclasses.replace(view, poles=poles)


def _instance(code: Code, dac: Dac, converters: Converters, top: bool = False) -> Code:
    octave = round(np.log2(dac.lsb / code.lsb))
    whole = code.code + octave * 2.0 ** converter_bits(dac)
    instance = bias_instance(dac, whole, converters.gain(dac, octave))
    if top:
        instance = dataclasses.replace(instance, nodes=_at_top(instance.nodes))
    return dataclasses.replace(code, instance=instance)


def _at_top(nodes: tuple[str, ...]) -> tuple[str, ...]:
    """Outside the subcircuits, which have a port vss, ground is 0."""
    return tuple("0" if node == "vss" else node for node in nodes)
