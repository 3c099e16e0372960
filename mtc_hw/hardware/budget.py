"""What a design costs: area, power, and energy per spike and per prediction, each figure with its formula."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from mtc_hw.errors import DataError
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import BRANCH_CELL, BRANCHES, LEAK, MappedDesign
from mtc_hw.hardware.library import library_cell
from mtc_hw.spec import Array

LAYOUT = 2.5
"""Area of a placed device over its gate and diffusions: wells, guard rings, dummies and wiring. An assumption."""

DENSITY = 1e-3
"""F/m^2, 1 fF/um^2: the least of the MIM options of 180 nm-class processes (GF180MCU 1 to 2, SKY130 2 fF/um^2)."""

SPLITTER = 3  # unit devices of one octave of a current splitter (Delbruck et al., ISCAS 2010)
POLES = 4  # of the readout's low-pass
SWING = 5.0  # unit voltages that a spike moves the membrane

ConverterArea = Callable[[Dac, float], float]
"""Area, m^2, of a converter made of unit devices of the given area."""


@dataclass(frozen=True)
class Item:
    """One figure."""

    name: str
    value: float
    unit: str
    formula: str


@dataclass(frozen=True)
class Budget:
    """Figures in the order in which they are read."""

    items: tuple[Item, ...]

    def __getitem__(self, name: str) -> float:
        return next(item.value for item in self.items if item.name == name)

    def __contains__(self, name: object) -> bool:
        return any(item.name == name for item in self.items)

    def to_json(self) -> list[dict[str, object]]:
        return [asdict(item) for item in self.items]


@dataclass(frozen=True)
class Activity:
    """What a design does, as far as its energy depends on it. None: not known, the figure is left out."""

    interval: float | None = None  # s: mean time between two spikes of the whole design
    sample: float | None = None  # s: time of one prediction
    input_current: float = 0.0  # A: mean over time, into all membranes together, from outside the design


def converter_devices(dac: Dac, unit: float) -> float:
    """A binary-weighted converter's 2^bits - 1 unit devices and its splitter's; an ideal one has none."""
    return 0.0 if dac.bits is None else unit * (2.0**dac.bits - 1.0 + SPLITTER * dac.octaves)


def budget(
    design: MappedDesign,
    activity: Activity = Activity(),
    density: float = DENSITY,
    converter_area: ConverterArea = converter_devices,
) -> Budget:
    """Estimates from the design alone; `density` is the capacitors', F/m^2."""
    areas = _areas(design, density, converter_area)
    powers = _powers(design, activity)
    return Budget((*areas, *powers, *_energies(design, activity, powers[0].value, powers[-1].value)))


def _areas(design: MappedDesign, density: float, converter_area: ConverterArea) -> tuple[Item, ...]:
    devices, unit = _device_area(design), _placed(design, 1.0)
    exists = np.vstack([np.ones((1, design.count), bool), design.present[LEAK + 1 :]])
    capacitors = float(design.capacitor[exists].sum()) / density
    used = [(design.dac(row), int(design.present[row].sum())) for row in range(len(BRANCHES))]
    used += [
        (design.reference_dac, int(design.present[: LEAK + 1].sum())),
        (design.input_dac, design.input_code.size),
    ]
    used += [(design.offset_dac, design.count), (design.readout_dac, design.readout_code.size)]
    converters = sum(count * converter_area(dac, unit) for dac, count in used)
    return (
        Item("transistor area", devices, "m^2", f"{LAYOUT} sum W (L + 2 x diffusion) over every OTA's devices"),
        Item("capacitor area", capacitors, "m^2", f"sum C / ({density:g} F/m^2)"),
        Item("converter area", converters, "m^2", "unit devices of every converter: 2^bits - 1, and of its splitter"),
        Item("area", devices + capacitors + converters, "m^2", "transistors + capacitors + converters"),
    )


def _device_area(design: MappedDesign) -> float:
    widths = {kind: sum(device.width for device in library_cell(kind).devices) for kind in set(BRANCH_CELL)}
    return float(
        sum(_placed(design, widths[kind]) * design.present[row].sum() for row, kind in enumerate(BRANCH_CELL))
    )


def _placed(design: MappedDesign, units: float) -> float:
    """Area of a device of so many unit widths, m^2."""
    cells = design.cells
    return LAYOUT * units * cells.width * (cells.length + 2.0 * design.technology.diffusion)


def _powers(design: MappedDesign, activity: Activity) -> tuple[Item, ...]:
    """The hidden layer first: what a simulated deck draws; the last is the sum.

    An OTA takes I_b through its bias branch and I_b for its tail. Of the tail current, (I_b + I_out) / 2 goes through
    the mirror's diode and as much through its output device, so that the supply delivers I_b + I_out; and what the
    OTAs send into the membranes is, on average, what the inputs take out.
    """
    supply, bias = design.technology.supply, design.bias()
    constant = float(design.offset_dac.decode(design.offset_code).sum())
    layer = supply * (2.0 * float(bias.sum()) - activity.input_current - constant)
    inputs = 2.0 * supply * float(np.abs(design.input_dac.decode(design.input_code)).sum())
    outputs = len(design.readout_offset)
    weights = np.abs(design.readout_dac.decode(design.readout_code)) * design.scale.amp
    readout = 2.0 * supply * (float(weights.sum()) + outputs * POLES * design.scale.amp)
    return (
        Item("layer power", layer, "W", "V_dd (2 sum I_b - mean input current): bias and tail branch of every OTA"),
        Item("input power", inputs, "W", "2 V_dd sum |w| I_u: bias and tail of each input transconductor"),
        Item(
            "readout power",
            readout,
            "W",
            f"2 V_dd (sum |w| + {POLES} outputs) I_u: a synapse for each weight, {POLES} poles an output",
        ),
        Item("power", layer + inputs + readout, "W", "layer + inputs + readout"),
    )


def _energies(design: MappedDesign, activity: Activity, layer: float, power: float) -> tuple[Item, ...]:
    swing = SWING * design.scale.volt
    charge = float(design.capacitor[0].mean()) * swing * design.technology.supply
    items = [
        Item(
            "switched energy",
            charge,
            "J",
            f"V_dd C_m ({SWING:g} V_u): charge of one membrane in one spike; it comes out of tail currents, "
            "so it is part of the energy per spike",
        )
    ]
    if activity.interval is not None:
        items.append(Item("energy per spike", layer * activity.interval, "J", "layer power x mean time per spike"))
    if activity.sample is not None:
        items.append(Item("energy per prediction", power * activity.sample, "J", "power x time of one sample"))
    return tuple(items)


def measured_budget(
    design: MappedDesign, time: Array, supply_current: Array, activity: Activity = Activity()
) -> Budget:
    """The same figures out of a run: `time` (T,), s, and i(vdd) (T,), A, as ngspice gives it, which is negative.

    Raises DataError for a run without length.
    """
    if time.size < 2 or not time[-1] > time[0]:
        raise DataError(f"a run of {time.size} time points has no mean power; simulate for longer")
    mean = -float(np.trapezoid(supply_current, time)) / float(time[-1] - time[0])
    power = mean * design.technology.supply
    items = [Item("layer power", power, "W", "V_dd x mean of -i(vdd)")]
    if activity.interval is not None:
        items.append(
            Item("energy per spike", power * activity.interval, "J", "measured power x measured time per spike")
        )
    return Budget(tuple(items))
