"""The test bench of one neuron's OTAs: a DC sweep of each with its output clamped."""

import dataclasses

from mtc_hw.hardware.design import MappedDesign
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.render import common_context
from mtc_hw.netlist.templates import render
from mtc_hw.netlist.views import Branch, Level, neuron_view

FILTER_CLAMP = -1.0
"""Unit voltages at which a filter's output is held while its input sweeps: the middle of what it sees in use."""

_OPTIONS = ("gmin=1e-16", "abstol=1e-16", "vntol=1e-8", "reltol=1e-6", "itl1=500", "itl2=500")


def sweep_deck(design: MappedDesign, index: int, level: Level, low: float, high: float, step: float) -> Deck:
    """Neuron `index`: v and every filter swept together from `low` to `high`, unit voltages.

    i(vo_<branch>) is the current that the OTA sends into v, and for a filter into its clamped output.
    """
    view = neuron_view(design, index, level)
    volt, ground = design.scale.volt, design.technology.analog_ground
    wanted = tuple(f"i(vo_{branch.name})" for branch in view.branches)
    context = common_context(design.technology, design.cells.width, design.cells.length) | {
        "title": f"bench of neuron {index}",
        "level": level,
        "digest": design.digest[:16],
        "branches": [_clamped(branch) for branch in view.branches],
        "filter_clamp": ground + FILTER_CLAMP * volt,
        "options": _OPTIONS,
        "wanted": wanted,
        "low": ground + low * volt,
        "high": ground + high * volt,
        "step": step * volt,
    }
    text = render("testbench/sweep.cir.j2", context)
    lint(text)
    # Half a step of slack: whether the last point is reached hangs on the rounding of ngspice's sum of steps.
    return Deck(f"bench_{index}", text, wanted, ground + (high - 0.5 * step) * volt)


def _clamped(branch: Branch) -> dict[str, object]:
    """An OTA on the bench: what it senses is the swept node; a filter still follows its own output."""
    filtering = branch.name.endswith("_filter")

    def node(name: str) -> str:
        if filtering and name == branch.out:
            return f"o_{branch.name}"
        return name if name.startswith("r_") else "in"

    wired = dataclasses.replace(branch, inp=node(branch.inp), inn=node(branch.inn))
    return {each.name: getattr(wired, each.name) for each in dataclasses.fields(wired)} | {
        "clamp": "clamp" if filtering else "in"
    }
