"""What the templates print: a design's neurons as plain records of names and numbers."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mtc_hw.hardware.cells import DEVICES
from mtc_hw.hardware.design import (
    BRANCH_CELL,
    BRANCHES,
    LEAK,
    MappedDesign,
    branch_constant,
    branch_gain,
    branch_offset,
    parasitic,
)
from mtc_hw.spec import ELEMENT_FILTER, FILTERS, SIGNS

Level = Literal["behavioural", "transistor"]


@dataclass(frozen=True)
class Code:
    """A converter's setting, printed so that code * lsb (+ base) is the value."""

    code: float
    lsb: float
    base: float = 0.0


@dataclass(frozen=True)
class Branch:
    """One OTA instance and the converters that set it."""

    name: str
    cell: str
    inp: str
    inn: str
    out: str
    bias: Code
    reference: Code | None
    parameters: dict[str, float]


@dataclass(frozen=True)
class Capacitor:
    name: str
    node: str
    value: float  # F


@dataclass(frozen=True)
class Input:
    index: int
    code: float
    lsb: float


@dataclass(frozen=True)
class NeuronView:
    """One neuron's subcircuit and how it is wired at the top."""

    index: int
    summary: str
    ports: tuple[str, ...]
    nodes: tuple[str, ...]
    states: tuple[str, ...]  # top-level nodes of v and of the filters it has
    capacitors: tuple[Capacitor, ...]
    branches: tuple[Branch, ...]
    inputs: tuple[Input, ...]
    offset: Code | None
    unit: float  # V


def neuron_view(design: MappedDesign, index: int, level: Level) -> NeuronView:
    """Neuron `index` of the design."""
    one = design.take(index)
    filters = [f for row, f in enumerate(FILTERS) if one.present[LEAK + 1 + row, 0]]
    inputs = tuple(
        Input(i, float(one.input_dac.fine(one.input_code[0, i : i + 1])[0]), one.input_dac.lsb)
        for i in range(one.input_code.shape[1])
    )
    offset = Code(float(one.offset_code[0]), one.offset_dac.lsb) if one.offset_code[0] else None
    ports = ("v", *(f"u_{f}" for f in filters), *(f"x_{i.index}" for i in inputs), "ref", "vdd", "vss")
    states = (f"v_{index}", *(f"u_{f}_{index}" for f in filters))
    return NeuronView(
        index=index,
        summary=", ".join(BRANCHES[b] for b in np.flatnonzero(one.present[:, 0])),
        ports=ports,
        nodes=(*states, *(f"x_{i.index}" for i in inputs), "ref", "vdd", "0"),
        states=states,
        capacitors=_capacitors(one, level),
        branches=tuple(_branches(one, level)),
        inputs=inputs,
        offset=offset,
        unit=design.scale.volt,
    )


def _capacitors(one: MappedDesign, level: Level) -> tuple[Capacitor, ...]:
    """Drawn capacitors; the behavioural level has no devices, so the parasitics are added to them."""
    total = one.capacitor + (parasitic(one.cells, one.present) if level == "behavioural" else 0.0)
    result = [Capacitor("membrane", "v", float(total[0, 0]))]
    for row, name in enumerate(FILTERS):
        if one.present[LEAK + 1 + row, 0]:
            result.append(Capacitor(name, f"u_{name}", float(total[row + 1, 0])))
    return tuple(result)


def _branches(one: MappedDesign, level: Level) -> list[Branch]:
    gain, offset, constant = (each(one)[:, 0] for each in (branch_gain, branch_offset, branch_constant))
    return [
        Branch(
            name=BRANCHES[branch],
            cell=_cell(one, branch, level),
            **_wiring(one, branch),
            bias=_bias(one, branch),
            reference=_reference(one, branch),
            parameters=(
                _equation(one, branch, gain[branch], offset[branch], constant[branch])
                if level == "behavioural"
                else _devices(one, branch)
            ),
        )
        for branch in map(int, np.flatnonzero(one.present[:, 0]))
    ]


def _wiring(one: MappedDesign, branch: int) -> dict[str, str]:
    """Input and output nodes. The reference's side gives the element its sign."""
    name = BRANCHES[branch]
    if branch > LEAK:
        node = f"u_{FILTERS[branch - LEAK - 1]}"
        return {"inp": "v", "inn": node, "out": node}
    listens = "v" if branch == LEAK else _listens_to(one, branch)
    positive = branch != LEAK and SIGNS[branch] > 0
    inp, inn = (listens, f"r_{name}") if positive else (f"r_{name}", listens)
    return {"inp": inp, "inn": inn, "out": "v"}


def _listens_to(one: MappedDesign, branch: int) -> str:
    row = ELEMENT_FILTER[branch]
    return f"u_{FILTERS[row]}" if one.present[LEAK + 1 + row, 0] else "v"


def _bias(one: MappedDesign, branch: int) -> Code:
    dac, code = one.dac(branch), one.bias_code[branch]
    return Code(float(dac.fine(code)[0]), float(dac.step(code)[0]))


def _reference(one: MappedDesign, branch: int) -> Code | None:
    if branch > LEAK:
        return None
    return Code(float(one.reference_code[branch, 0]), one.reference_dac.lsb, one.reference_dac.base)


def _cell(one: MappedDesign, branch: int, level: Level) -> str:
    curve = one.leak_curve if branch == LEAK else one.filter_curve
    if level == "behavioural" and BRANCH_CELL[branch] == "wide_ota" and curve is None:
        return "linear_ota"
    return BRANCH_CELL[branch]


def _equation(one: MappedDesign, branch: int, gain: float, offset: float, constant: float) -> dict[str, float]:
    """A behavioural cell's parameters; `offset` is V, `constant` A."""
    values = {"gain": float(gain), "unit": one.scale.volt} | ({"offset": float(offset)} if offset else {})
    if BRANCH_CELL[branch] == "ota" and constant:
        values["constant"] = float(constant)
    curve = one.leak_curve if branch == LEAK else one.filter_curve
    if BRANCH_CELL[branch] == "wide_ota" and curve is not None:
        values |= {"a": curve.amplitude, "k": curve.slope, "d": curve.shift}
    return values


def _devices(one: MappedDesign, branch: int) -> dict[str, float]:
    """A transistor cell's parameters: nothing, or the virtual chip's draws."""
    if one.deviations is None:
        return {}
    names = DEVICES[BRANCH_CELL[branch]]
    threshold = {f"vt_{d}": float(one.deviations.threshold[branch, i, 0]) for i, d in enumerate(names)}
    width = {f"b_{d}": float(one.deviations.width[branch, i, 0]) for i, d in enumerate(names)}
    return threshold | width
