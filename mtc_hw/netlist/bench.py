"""Test benches of one neuron's transconductors: each one's input swept at several output voltages."""

import dataclasses
from collections.abc import Sequence

from mtc_hw.hardware.design import MappedDesign
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.render import common_context
from mtc_hw.netlist.solver import SWEEP_OPTIONS
from mtc_hw.netlist.templates import render, spice
from mtc_hw.netlist.views import Branch, Level, neuron_view, synapse_template, synapse_views


def sweep_deck(
    design: MappedDesign, index: int, level: Level, sweep: tuple[float, float, float], outputs: tuple[float, ...]
) -> Deck:
    """Neuron `index`: all that its transconductors sense swept together, at each output voltage in turn.

    `sweep` is first, last and step, `outputs` an even grid, both in unit voltages. i(vo_<name>) is the current that
    comes out, output by output; a filter's output is also what it follows.
    """
    instruments = [*neuron_view(design, index, level).branches, *synapse_views(design, index, level)]
    return _bench(f"bench_{index}", design, level, instruments, sweep, outputs)


def synapse_deck(design: MappedDesign, index: int, level: Level, sweep: tuple[float, float, float]) -> Deck:
    """The same of its synapses alone, what they send held at the analog ground, where a readout's sums are."""
    return _bench(f"synapses_{index}", design, level, synapse_views(design, index, level), sweep, (0.0,))


def _bench(
    name: str,
    design: MappedDesign,
    level: Level,
    instruments: Sequence[Branch],
    sweep: tuple[float, float, float],
    outputs: tuple[float, ...],
) -> Deck:
    volt, ground = design.scale.volt, design.technology.analog_ground
    low, high, step = sweep
    wanted = tuple(f"i(vo_{each.name})" for each in instruments)
    spacing = outputs[1] - outputs[0] if len(outputs) > 1 else 1.0
    # Half a step of slack: whether the last point is reached hangs on the rounding of ngspice's sum of steps.
    swept = [low, high + 0.5 * step, step]
    held = [outputs[0], outputs[-1] + 0.5 * spacing, spacing]
    limits = [
        spice(value)
        for start, stop, each in (swept, held)
        for value in (ground + start * volt, ground + stop * volt, each * volt)
    ]
    context = common_context(design.technology, design.cells.width, design.cells.length) | {
        "title": name,
        "level": level,
        "digest": design.digest[:16],
        "branches": [_clamped(each) for each in instruments],
        "synapse_template": synapse_template(design, level),
        "threshold": design.synapse.threshold * volt,
        "options": SWEEP_OPTIONS,
        "wanted": wanted,
        "analysis": f".dc Vin {' '.join(limits[:3])} Vout {' '.join(limits[3:])}",
    }
    text = render("testbench/sweep.cir.j2", context)
    lint(text)
    return Deck(name, text, wanted, ground + (high - 0.5 * step) * volt)


def _clamped(branch: Branch) -> Branch:
    """The same on the bench: what it senses is the swept node; a filter still follows its own output."""
    filtering = branch.name.endswith("_filter")

    def node(name: str) -> str:
        if filtering and name == branch.out:
            return f"o_{branch.name}"
        return name if name.startswith("r_") or name in ("ref", "threshold") else "in"

    return dataclasses.replace(branch, inp=node(branch.inp), inn=node(branch.inn))
