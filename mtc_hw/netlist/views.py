"""What the templates print: a design's neurons as plain records of names and numbers."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mtc_hw.hardware.design import (
    BRANCH_CELL,
    BRANCHES,
    COMMON,
    LEAK,
    SUM_BIAS,
    MappedDesign,
    load_capacitance,
    pole_parasitic,
    row_constant,
    row_gain,
    row_offset,
)
from mtc_hw.hardware.library import library_cell
from mtc_hw.netlist.converters import Instance
from mtc_hw.spec import ELEMENT_FILTER, FILTERS, SIGNS, Array, Curve, RectifiedTanh

Level = Literal["behavioural", "transistor"]


@dataclass(frozen=True)
class Code:
    """A converter's setting, printed so that code * lsb (+ base) is the value."""

    code: float
    lsb: float
    base: float = 0.0
    instance: Instance | None = None  # of transistors; None: the ideal converter
    trim: "Code | None" = None  # the trim converter beside it, its lsb what a code is worth here; None at code 0


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
    sign: Instance | None = None  # switch between a synapse's output and the two sums; None: wired to one of them


@dataclass(frozen=True)
class Capacitor:
    name: str
    node: str
    value: float  # F


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
    offset: Code | None


@dataclass(frozen=True)
class ReadoutView:
    """One output's sums and low-pass."""

    index: int
    sum_bias: float  # A
    offset: float  # A
    poles: tuple[Code, ...]
    parameters: dict[str, float]


def neuron_view(design: MappedDesign, index: int, level: Level) -> NeuronView:
    """Neuron `index` of the design."""
    one = design.take(index)
    filters = [f for row, f in enumerate(FILTERS) if one.present[LEAK + 1 + row, 0]]
    inputs = [f"x_{i}" for i in range(one.input_code.shape[1])]
    trim = _trim(one.offset_trim[0], one.offset_trims()[0])
    main = float(one.offset_code[0])
    offset = Code(main, one.offset_dac.lsb, trim=trim) if main or trim else None
    ports = ("v", *(f"u_{f}" for f in filters), *inputs, "ref", "vdd", "vss")
    states = (f"v_{index}", *(f"u_{f}_{index}" for f in filters))
    return NeuronView(
        index=index,
        summary=", ".join(BRANCHES[b] for b in np.flatnonzero(one.present[:, 0])),
        ports=ports,
        nodes=(*states, *inputs, "ref", "vdd", "0"),
        states=states,
        capacitors=_capacitors(one, level),
        branches=(*_branches(one, level), *_inputs(one, level)),
        offset=offset,
    )


def _capacitors(one: MappedDesign, level: Level) -> tuple[Capacitor, ...]:
    """The chip's capacitors; the behavioural level has no devices, so the parasitics are added to them."""
    total = load_capacitance(one) if level == "behavioural" else one.made(one.capacitor)
    result = [Capacitor("membrane", "v", float(total[0, 0]))]
    for row, name in enumerate(FILTERS):
        if one.present[LEAK + 1 + row, 0]:
            result.append(Capacitor(name, f"u_{name}", float(total[row + 1, 0])))
    return tuple(result)


def _branches(one: MappedDesign, level: Level) -> list[Branch]:
    known = _known(one) if level == "behavioural" else np.empty(0)
    return [
        Branch(
            BRANCHES[branch],
            _cell(one, branch, level),
            *_wiring(one, branch),
            bias=_bias(one, branch),
            reference=_reference(one, branch),
            parameters=(
                _equation(one, known[:, branch], _curve(one, branch))
                if level == "behavioural"
                else _devices(one, branch)
            ),
        )
        for branch in map(int, np.flatnonzero(one.present[:, 0]))
    ]


def _wiring(one: MappedDesign, branch: int) -> tuple[str, str, str]:
    """Both inputs' nodes and the output's. The reference's side gives the element its sign."""
    name = BRANCHES[branch]
    if branch > LEAK:
        node = f"u_{FILTERS[branch - LEAK - 1]}"
        return "v", node, node
    listens = "v" if branch == LEAK else _listens_to(one, branch)
    positive = branch != LEAK and SIGNS[branch] > 0
    inp, inn = (listens, f"r_{name}") if positive else (f"r_{name}", listens)
    return inp, inn, "v"


def _listens_to(one: MappedDesign, branch: int) -> str:
    row = ELEMENT_FILTER[branch]
    return f"u_{FILTERS[row]}" if one.present[LEAK + 1 + row, 0] else "v"


def _bias(one: MappedDesign, branch: int) -> Code:
    dac, code = one.dac(branch), one.bias_code[branch]
    trim = _trim(one.bias_trim[branch, 0], (dac.decode(code) * one.bias_trims()[branch])[0])
    return Code(float(dac.fine(code)[0]), float(dac.step(code)[0]), trim=trim)


def _trim(code: float, value: float) -> Code | None:
    """A trim converter whose code gives `value`, A or V."""
    return Code(float(code), float(value / code)) if code else None


def _reference(one: MappedDesign, branch: int) -> Code | None:
    if branch > LEAK:
        return None
    trim = _trim(one.reference_trim[branch, 0], one.reference_trims()[branch, 0])
    return Code(float(one.reference_code[branch, 0]), one.reference_dac.lsb, one.reference_dac.base, trim=trim)


def _curve(one: MappedDesign, branch: int) -> Curve | None:
    if branch == LEAK:
        return one.leak_curve
    return one.filter_curve if branch > LEAK else None


def _cell(one: MappedDesign, branch: int, level: Level) -> str:
    if level == "behavioural" and BRANCH_CELL[branch] == "wide_ota" and _curve(one, branch) is None:
        return "linear_ota"
    return BRANCH_CELL[branch]


def _inputs(one: MappedDesign, level: Level) -> list[Branch]:
    """Input transconductors; the sign is which of their inputs hears the signal."""
    known, result = _known(one) if level == "behavioural" else np.empty(0), []
    for i, code in enumerate(one.input_code[0]):
        if code == 0.0:
            continue
        row, node = len(BRANCHES) + i, f"x_{i}"
        main = float(abs(code))
        trim = _trim(one.input_trim[0, i], main * one.input_dac.lsb * one.input_trims()[0, i])
        inp, inn = (node, "ref") if code > 0 else ("ref", node)
        behavioural = level == "behavioural"
        result.append(
            Branch(
                name=f"input_{i}",
                cell="linear_ota" if behavioural and one.input_curve is None else "wide_ota",
                inp=inp,
                inn=inn,
                out="v",
                bias=Code(main, one.input_dac.lsb, trim=trim),
                reference=None,
                parameters=_equation(one, known[:, row], one.input_curve) if behavioural else _devices(one, row),
            )
        )
    return result


def synapse_template(design: MappedDesign, level: Level) -> str:
    """Where the synapse's subcircuit is."""
    return f"{level}/synapse.cir.j2" if isinstance(design.synapse, RectifiedTanh) else "saturated_relu.cir.j2"


def synapse_views(design: MappedDesign, index: int, level: Level) -> list[Branch]:
    """Neuron `index`'s synapse to each output, into the sum that its weight's sign says."""
    one = design.take(index)
    tanh = isinstance(one.synapse, RectifiedTanh)
    known, result = np.empty(0) if tanh and level == "transistor" else _known(one), []
    for output, code in enumerate(one.readout_code[:, 0]):
        if code == 0.0:
            continue
        row = len(one.rows) - len(one.readout_code) + output
        parameters = _devices(one, row)
        if level == "behavioural" or not tanh:
            span = 1.0 if isinstance(one.synapse, RectifiedTanh) else one.synapse.saturation - one.synapse.threshold
            gain, offset, _ = known[:, row]
            parameters = {"gain": float(gain), "unit": span * one.scale.volt} | _if_any("offset", offset)
        result.append(
            Branch(
                name=f"synapse_{output}_{index}",
                cell="synapse" if tanh else "saturated_relu",
                inp=f"v_{index}",
                inn="threshold",
                out=f"sum_{'p' if code > 0 else 'n'}_{output}",
                bias=Code(float(abs(code)), one.readout_dac.lsb),
                reference=None,
                parameters=parameters,
            )
        )
    return result


def readout_views(design: MappedDesign, level: Level) -> list[ReadoutView]:
    """Each output's sums and low-pass."""
    if not len(design.readout_offset):
        return []
    made = design.made(design.pole_capacitor[:, None])[:, 0]
    total = made + (pole_parasitic(design.cells) if level == "behavioural" else 0.0)
    parameters = {f"c{i + 1}": float(value) for i, value in enumerate(total)}
    if level == "behavioural":
        gains = design.pole_current / design.pole_dac.decode(design.pole_code)
        parameters |= {"gain1": float(gains[0]), "gain": float(gains[1]), "unit": design.scale.volt}
    dac, code = design.pole_dac, design.pole_code
    poles = tuple(Code(float(c), float(s)) for c, s in zip(dac.fine(code), dac.step(code), strict=True))
    return [
        ReadoutView(output, SUM_BIAS, float(offset) * design.readout_unit, poles, parameters)
        for output, offset in enumerate(design.readout_offset)
    ]


def _known(one: MappedDesign) -> Array:
    """Gain, offset (V) and constant (A) of every row of the one neuron, (3, rows)."""
    return np.array([each(one)[:, 0] for each in (row_gain, row_offset, row_constant)])


def _if_any(name: str, value: float) -> dict[str, float]:
    return {name: float(value)} if value else {}


def _equation(one: MappedDesign, known: Array, curve: Curve | None) -> dict[str, float]:
    """A behavioural cell's parameters, from its gain, offset (V) and constant (A)."""
    gain, offset, constant = known
    values = {"gain": float(gain), "unit": one.scale.volt} | _if_any("offset", offset) | _if_any("constant", constant)
    return values if curve is None else values | {"a": curve.amplitude, "k": curve.slope, "d": curve.shift}


def _devices(one: MappedDesign, row: int) -> dict[str, float]:
    """A transistor cell's parameters: nothing, or the virtual chip's draws, a device's own and all devices'."""
    if one.deviations is None:
        return {}
    own = one.deviations.threshold[row, :, 0], one.deviations.width[row, :, 0]
    common = dict(zip(COMMON, one.deviations.common[:, 0], strict=True))
    result = {}
    for prefix, values, quantity in (("vt", own[0], "threshold"), ("b", own[1], "gain")):
        for device, value in zip(library_cell(one.rows[row][1]).devices, values, strict=False):
            result[f"{prefix}_{device.name}"] = float(value + common[f"{device.polarity}mos_{quantity}"])
    return result
