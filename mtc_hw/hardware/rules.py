"""The rules that a mapping must keep, each with a name; what breaks one says where, by how much, and the remedy."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mtc_hw.hardware.cells import Cell, Cells
from mtc_hw.hardware.dac import Codes, Dac
from mtc_hw.hardware.design import BRANCH_CELL, BRANCHES, LEAK
from mtc_hw.hardware.process import um
from mtc_hw.hardware.technology import Technology
from mtc_hw.spec import FILTERS, Array

PLATEAU = 1e-9  # A: above the off-currents even of a hot chip and far below strong inversion
SWING = 3.0  # unit voltages that a spike goes either side of the analog ground
CAPACITORS = ("membrane", *FILTERS)


class Limits(Protocol):
    """What the rules take from `MappingOptions`."""

    @property
    def capacitor_min(self) -> float: ...
    @property
    def capacitor_max(self) -> float: ...
    @property
    def current_max(self) -> float: ...
    @property
    def inversion_departure(self) -> float: ...
    @property
    def leakage_departure(self) -> float: ...
    @property
    def parasitic_share(self) -> float: ...
    @property
    def input_range(self) -> tuple[float, float] | None: ...


@dataclass(frozen=True, eq=False)
class LowPass:
    """The readout's low-pass: the first pole takes the synapses' current, the others follow; empty without one."""

    unit: float  # A for a weight of one
    bias: Array  # (4,) A
    capacitor: Array  # (4,) F, drawn


@dataclass(frozen=True, eq=False)
class Draft:
    """A mapping of which is not yet known whether it can be."""

    technology: Technology
    cells: Cells
    unit: float  # V
    present: NDArray[np.bool_]  # (8, N)
    bias: Array  # (8, N) A
    reference: Array  # (5, N) V
    codes: dict[str, Codes]
    dacs: dict[str, Dac]
    drawn: Array  # (4, N) F
    parasitic: Array  # (4, N) F
    filter_offset: Array  # (3, N), unit voltages
    low_pass: LowPass


@dataclass(frozen=True)
class Violation:
    """One value beyond one rule."""

    rule: str
    neuron: int | None  # None: every neuron
    element: str
    value: float
    limit: float  # the one that was passed
    text: str
    remedy: str

    def __str__(self) -> str:
        where = f"neuron {self.neuron} {self.element!r}" if self.neuron is not None else self.element
        return f"{where}: {self.text} (rule: {self.rule}); {self.remedy}"


def violations(draft: Draft, limits: Limits) -> list[Violation]:
    """Everything that no code can mend, rule by rule."""
    checks = (
        converter_reach(draft),
        bias_window(draft, limits),
        headroom(draft, limits),
        capacitor_range(draft, limits),
        legal_size(draft),
        unfolded(draft),
        poles(draft, limits),
    )
    return [each for found in checks for each in found]


_REMEDIES = {
    "bias": ("A", "lower alpha or raise MappingOptions.alpha_max"),
    "filter": ("A", "change tau, MappingOptions.capacitor or MappingOptions.filter_octaves"),
    "reference": ("V", "bring delta nearer to zero or raise MappingOptions.delta_max"),
}


def converter_reach(draft: Draft) -> list[Violation]:
    """Every bias, filter current and reference has a code."""
    wanted = {"bias": draft.bias[: LEAK + 1], "filter": draft.bias[LEAK + 1 :], "reference": draft.reference}
    rows = {"bias": slice(0, LEAK + 1), "filter": slice(LEAK + 1, None), "reference": slice(0, LEAK + 1)}
    found = []
    for kind, where in rows.items():
        dac, (unit, remedy) = draft.dacs[kind], _REMEDIES[kind]
        low, high = dac.reach
        for row, neuron in np.argwhere(dac.outside(draft.codes[kind]) & draft.present[where]):
            value = float(wanted[kind][row, neuron])
            text = (
                f"{kind} {value:.3g} {unit} is outside the {dac.bits}-bit converter's {low:.3g} to {high:.3g} {unit}"
            )
            limit = high if value > low else low
            found.append(Violation("converter reach", int(neuron), BRANCHES[where][row], value, limit, text, remedy))
    return found


def bias_window(draft: Draft, limits: Limits) -> list[Violation]:
    """Every OTA is biased where its gain per bias is that of weak inversion: neither leakage nor strong inversion."""
    found = []
    for row, name in enumerate(BRANCHES):
        low, high = window(_cell(draft.cells, row), limits)
        for neuron in np.flatnonzero(draft.present[row] & ((draft.bias[row] < low) | (draft.bias[row] > high))):
            value = float(draft.bias[row, neuron])
            leaks = value < low
            rule, limit = ("leakage", low) if leaks else ("inversion", high)
            why = "below which off-currents rule" if leaks else "above which the transistors leave weak inversion"
            remedy = (
                "raise MappingOptions.capacitor or MappingOptions.unit_current, or use longer transistors"
                if leaks
                else "lower alpha or MappingOptions.unit_current, or use wider transistors"
            )
            text = f"bias {value:.3g} A is outside {low:.3g} to {high:.3g} A: it passes {limit:.3g} A, {why}"
            found.append(Violation(rule, int(neuron), name, value, limit, text, remedy))
    return found


def window(cell: Cell, limits: Limits) -> tuple[float, float]:
    """Smallest and largest bias, A, at which a cell works as in weak inversion, from its measured gain.

    Off-currents let the gain per bias rise towards small biases, strong inversion lets it fall towards large ones.
    The window ends where it has gone `leakage_departure` above or `inversion_departure` below its plateau, at
    the smallest measured bias and at `current_max`.
    """
    departure = cell.gain / float(cell.gain_at(np.array(PLATEAU))) - 1.0
    log_bias = np.log(cell.bias)
    low = _crossing(log_bias[::-1], departure[::-1], limits.leakage_departure)
    high = _crossing(log_bias, -departure, limits.inversion_departure)
    return max(low or 0.0, float(cell.bias[0])), min(high or math.inf, limits.current_max)


def filter_floor(cells: Cells, hot: Cells, warming: float, limits: Limits) -> float:
    """Least current per unit voltage, A, of a filter's OTA that off-currents leave alone at a higher temperature too.

    `hot` are the same cells measured there; a PTAT bias is larger there by `warming`, the ratio of the temperatures.
    """
    least = np.array(window(hot.wide_ota, limits)[0] / warming)
    return float(least * cells.wide_ota.gain_at(least))


def _crossing(log_bias: Array, departure: Array, most: float) -> float | None:
    """The bias at which the departure first rises past `most` in the order given; None where it does not."""
    beyond = np.flatnonzero((departure[1:] > most) & (departure[:-1] <= most))
    if not beyond.size:
        return None
    pair = slice(int(beyond[0]), int(beyond[0]) + 2)
    return float(np.exp(np.interp(most, departure[pair], log_bias[pair])))


def _cell(cells: Cells, branch: int) -> Cell:
    return cells.ota if BRANCH_CELL[branch] == "ota" else cells.wide_ota


def headroom(draft: Draft, limits: Limits) -> list[Violation]:
    """Every reference, and a spike's swing, is where the OTAs' inputs work: bias tail, pair and mirror need room."""
    ground = draft.technology.analog_ground
    low, high = (0.0, draft.technology.supply) if limits.input_range is None else limits.input_range
    remedy = "bring delta nearer to zero or move the technology's analog ground"
    found = [
        _out_of_room(int(neuron), BRANCHES[row], "reference", float(draft.reference[row, neuron]), low, high, remedy)
        for row, neuron in np.argwhere(draft.present[: LEAK + 1] & _outside(draft.reference, low, high))
    ]
    remedy = "move the technology's analog ground or raise its supply"
    ends = [ground - SWING * draft.unit, ground + SWING * draft.unit]
    return found + [
        _out_of_room(None, "every membrane", "swing", end, low, high, remedy)
        for end in ends
        if bool(_outside(np.array(end), low, high))
    ]


def _outside(values: Array, low: float, high: float) -> NDArray[np.bool_]:
    return np.asarray((values < low) | (values > high))


def _out_of_room(
    neuron: int | None, element: str, what: str, value: float, low: float, high: float, remedy: str
) -> Violation:
    text = f"{what} {value:.3g} V is outside the OTAs' input range, {low:.3g} to {high:.3g} V"
    return Violation("headroom", neuron, element, value, low if value < low else high, text, remedy)


def capacitor_range(draft: Draft, limits: Limits) -> list[Violation]:
    """Every capacitor is large enough to be drawn and to outweigh the parasitics, and small enough for the chip."""
    total = draft.drawn + draft.parasitic
    exists = np.vstack([np.ones((1, total.shape[1]), bool), draft.present[LEAK + 1 :]])
    found = [
        Violation(
            "parasitics",
            int(neuron),
            CAPACITORS[row],
            float(draft.parasitic[row, neuron]),
            float(limits.parasitic_share * total[row, neuron]),
            f"parasitics of {draft.parasitic[row, neuron]:.3g} F are more than {limits.parasitic_share:.0%} of the "
            f"{total[row, neuron]:.3g} F capacitor",
            "raise MappingOptions.capacitor or use smaller transistors",
        )
        for row, neuron in np.argwhere(exists & (draft.parasitic > limits.parasitic_share * total))
    ]
    found += [
        Violation(
            "minimum capacitor",
            int(neuron),
            CAPACITORS[row],
            float(total[row, neuron]),
            limits.capacitor_min,
            f"a capacitor of {total[row, neuron]:.3g} F is less than {limits.capacitor_min:.3g} F",
            "raise MappingOptions.capacitor or lower MappingOptions.capacitor_min",
        )
        for row, neuron in np.argwhere(exists & (total < limits.capacitor_min * (1.0 - 1e-9)))
    ]
    return found + [
        Violation(
            "maximum capacitor",
            int(neuron),
            CAPACITORS[row],
            float(draft.drawn[row, neuron]),
            limits.capacitor_max,
            f"the time constant needs {draft.drawn[row, neuron]:.3g} F, more than {limits.capacitor_max:.3g} F",
            "shorten it, raise MappingOptions.unit_current or raise MappingOptions.capacitor_max",
        )
        for row, neuron in np.argwhere(exists & (draft.drawn > limits.capacitor_max))
    ]


def legal_size(draft: Draft) -> list[Violation]:
    """The unit transistor, and its double, are on the process's grid."""
    grid, cells = draft.technology.grid, draft.cells
    found = []
    for name, value, low, high in (
        ("width", cells.width, grid.width[0], 0.5 * grid.width[1]),
        ("length", cells.length, *grid.length),
    ):
        size = f"{name} {um(value)} um"
        if not low <= value <= high:
            limit, text = (low if value < low else high), f"{um(low)} to {um(high)} um"
            found.append(_size(value, limit, f"{size} is outside the process's {text}", "choose a size within"))
        elif not grid.holds(value):
            nearest = grid.up(value)
            remedy = f"use {um(nearest)} um"
            found.append(_size(value, nearest, f"{size} is not a multiple of {um(grid.step)} um", remedy))
    return found


def _size(value: float, limit: float, text: str, remedy: str) -> Violation:
    return Violation("legal grid", None, "every transistor", value, limit, text, remedy)


def unfolded(draft: Draft) -> list[Violation]:
    """Filter offsets: no knob sets one, but a reference moved by as much does the same."""
    return [
        Violation(
            "filter offset",
            int(neuron),
            f"{FILTERS[row]}_filter",
            float(draft.filter_offset[row, neuron]),
            0.0,
            f"offset {draft.filter_offset[row, neuron]:.3g} has no circuit",
            "subtract it from the delta of the elements that listen to this filter",
        )
        for row, neuron in np.argwhere(draft.filter_offset != 0.0)
    ]


def poles(draft: Draft, limits: Limits) -> list[Violation]:
    """Every pole of the readout's low-pass has a code, a bias in weak inversion and a capacitor."""
    dac, (least, most) = draft.dacs["pole"], window(draft.cells.wide_ota, limits)
    outside, remedy = dac.outside(draft.codes["pole"]), "change the readout's tau or MappingOptions.capacitor"
    found = []
    for i, (bias, farad) in enumerate(zip(draft.low_pass.bias, draft.low_pass.capacitor, strict=True)):
        for rule, bad, value, unit, (low, high) in (
            ("converter reach", bool(outside[i]), float(bias), "A", dac.reach),
            ("inversion" if bias > most else "leakage", not least <= bias <= most, float(bias), "A", (least, most)),
            (
                f"{'maximum' if farad > limits.capacitor_max else 'minimum'} capacitor",
                not limits.capacitor_min <= farad <= limits.capacitor_max,
                float(farad),
                "F",
                (limits.capacitor_min, limits.capacitor_max),
            ),
        ):
            if bad:
                text = f"{value:.3g} {unit} is outside {low:.3g} to {high:.3g} {unit}"
                limit = high if value > low else low
                found.append(Violation(rule, None, f"low-pass, pole {i + 1}", value, limit, text, remedy))
    return found
