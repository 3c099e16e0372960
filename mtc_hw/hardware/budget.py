"""What a design costs: area, power, and energy per spike and per prediction, each figure with its formula."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from mtc_hw.errors import DataError
from mtc_hw.hardware.converters import DEFAULT_SIZES, ConverterSizes, Kind, converter_area, string_area
from mtc_hw.hardware.dac import Codes, Dac
from mtc_hw.hardware.design import BRANCHES, LEAK, SUM_BIAS, MappedDesign, row_gain
from mtc_hw.hardware.library import library_cell
from mtc_hw.spec import Array, RectifiedTanh

LAYOUT = 2.5
"""Area of a placed device over its gate and diffusions: wells, guard rings, dummies and wiring. An assumption."""

DENSITY = 1e-3
"""F/m^2, 1 fF/um^2: the least of the MIM options of 180 nm-class processes (GF180MCU 1 to 2, SKY130 2 fF/um^2)."""

SWING = 5.0  # unit voltages that a spike moves the membrane
SUM_BRANCHES = 5  # of a readout_sum from the supply, each with its bias: mb, m8, mt, m9, m10
SUM_CAPACITOR = 1e-12  # F, of a readout_sum


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
    synapses: tuple[float, ...] = ()  # mean over time of each neuron's synapse, of its full output; empty: all off


def budget(
    design: MappedDesign,
    activity: Activity = Activity(),
    density: float = DENSITY,
    sizes: ConverterSizes = DEFAULT_SIZES,
) -> Budget:
    """Estimates from the design alone; `density` is the capacitors', F/m^2, `sizes` the converters'."""
    powers = _powers(design, activity)
    energies = _energies(design, activity, powers)
    return Budget((*_areas(design, density, sizes), *powers, *_converter_power(design, sizes), *energies))


def _areas(design: MappedDesign, density: float, sizes: ConverterSizes) -> tuple[Item, ...]:
    devices, converters = _device_area(design), _converter_area(design, sizes)
    exists = np.vstack([np.ones((1, design.count), bool), design.present[LEAK + 1 :]])
    poles = len(design.readout_offset) * (float(design.pole_capacitor.sum()) + SUM_CAPACITOR)
    capacitors = (float(design.capacitor[exists].sum()) + poles) / density
    return (
        Item("transistor area", devices, "m^2", f"{LAYOUT} sum W (L + 2 x diffusion) over every cell's devices"),
        Item("capacitor area", capacitors, "m^2", f"sum C / ({density:g} F/m^2): neurons', low-pass's, sums'"),
        Item(
            "converter area",
            converters,
            "m^2",
            f"{LAYOUT} x (sum W L of every converter's unit devices and switches + one string of resistors)",
        ),
        Item("area", devices + capacitors + converters, "m^2", "transistors + capacitors + converters"),
    )


def _instances(design: MappedDesign) -> Iterator[tuple[str, int]]:
    """Every cell of transistors and how often a deck instantiates it."""
    exists = np.vstack([design.present, design.input_code.T != 0, design.readout_code != 0])
    for (_, kind), here in zip(design.rows, exists, strict=True):
        # A saturated ReLU is an equation, which no cell of transistors does.
        if kind != "synapse" or isinstance(design.synapse, RectifiedTanh):
            yield kind, int(here.sum())
    yield "readout_sum", len(design.readout_offset)
    yield "lowpass", len(design.readout_offset)


def _device_area(design: MappedDesign) -> float:
    """LAYOUT times gates and diffusions, m^2."""
    cells, diffusion = design.cells, design.technology.diffusion
    return LAYOUT * sum(
        count * device.width * cells.width * (device.length * cells.length + 2.0 * diffusion)
        for kind, count in _instances(design)
        for device in library_cell(kind).devices
    )


def _bias_converters(design: MappedDesign) -> Iterator[tuple[Dac, Codes]]:
    """Every bias converter's kind with the codes, without sign, of those of this kind."""
    code, here = design.bias_code, design.present
    yield design.bias_dac, code[: LEAK + 1][here[: LEAK + 1]]
    yield design.filter_dac, code[LEAK + 1 :][here[LEAK + 1 :]]
    yield design.pole_dac, np.tile(design.pole_code, len(design.readout_offset))
    for dac, signed in ((design.input_dac, design.input_code), (design.readout_dac, design.readout_code)):
        yield dac, np.abs(signed[signed != 0])


def _trim_converters(design: MappedDesign) -> Iterator[tuple[Dac, int]]:
    """Each kind of trim converter and how many there are: every current, reference and neuron may be trimmed."""
    currents = int(design.present.sum()) + int((design.input_code != 0).sum())
    yield design.trim.current, currents
    yield design.trim.reference, int(design.present[: LEAK + 1].sum())
    yield design.trim.offset, design.count


def magnitude_bits(dac: Dac) -> int | None:
    """Bits of the converter itself, the sign being a matter of wiring; None for an ideal one."""
    return None if dac.bits is None else dac.bits - int(dac.signed)


def _converter_area(design: MappedDesign, sizes: ConverterSizes) -> float:
    """An ideal converter has none. All references share one string of resistors."""
    string = string_area(sizes)
    offsets, references = int((design.offset_code != 0).sum()), int(design.present[: LEAK + 1].sum())
    used: list[tuple[Kind, Dac, int]] = [("bias", dac, len(codes)) for dac, codes in _bias_converters(design)]
    used += [("sign", design.readout_dac, int((design.readout_code != 0).sum()))]
    used += [(kind, design.offset_dac, offsets) for kind in ("bias", "sign")]
    used += [("reference", design.reference_dac, references)]
    used += [(kind, dac, count) for dac, count in _trim_converters(design) for kind in ("bias", "sign")]
    total = 0.0
    for kind, dac, count in used:
        if (bits := magnitude_bits(dac)) is not None:
            each = converter_area(kind, bits, dac.octaves, sizes.width, sizes.length, sizes)
            total += count * each - (count - 1) * string * (kind == "reference")
    return LAYOUT * total


def _converter_power(design: MappedDesign, sizes: ConverterSizes) -> tuple[Item, ...]:
    """What transistor-level converters draw beside the currents that they give. Ideal ones draw nothing else."""
    extra = 0.0
    for dac, codes in _bias_converters(design):
        if dac.bits is None:
            return ()
        fine, step = dac.fine(codes), dac.step(codes)
        extra += float((sizes.reference_units * dac.lsb + fine * (dac.lsb - step)).sum())
    low, high = design.reference_dac.limits
    string = (high - low + 1.0) * design.reference_dac.lsb / sizes.string_resistance
    return (
        Item(
            "converter power",
            design.technology.supply * extra,
            "W",
            f"V_dd sum ({sizes.reference_units} lsb + fine code (lsb - lsb / 2^octave)): of transistor-level bias "
            "converters, reference and what the splitter drops; on top of the power, which counts I_b alone",
        ),
        Item(
            "string power",
            design.technology.supply * string,
            "W",
            "V_dd 2^bits lsb / R: the references' string of resistors, one for the chip; on top of the power",
        ),
    )


def _powers(design: MappedDesign, activity: Activity) -> tuple[Item, ...]:
    """Means over time. The layer is what the neurons' own decks draw; the last is the sum.

    An OTA takes I_b through its bias branch and I_b for its tail. Of the tail current, (I_b + I_out) / 2 goes through
    the mirror's diode and as much through its output device, so that the supply delivers I_b + I_out; and what all
    outputs send into the membranes is, on average, what comes from outside, with the sign reversed.
    """
    supply, bias, first = design.technology.supply, design.row_bias(), len(BRANCHES) + design.input_code.shape[1]
    constant = float(design.offset_current().sum())
    branches = supply * (2.0 * float(bias[: len(BRANCHES)].sum()) - activity.input_current - constant)
    inputs = 2.0 * supply * float(bias[len(BRANCHES) : first].sum())
    sent = (row_gain(design) * bias)[first:] * (np.array(activity.synapses) if activity.synapses else 0.0)
    transistors = isinstance(design.synapse, RectifiedTanh)
    weights = float(bias[first:].sum())
    synapses = supply * (2.0 * weights + float(sent.sum()) if transistors else weights)
    outputs, poles = len(design.readout_offset), float(design.pole_dac.decode(design.pole_code).sum())
    net = float((np.sign(design.readout_code) * sent).sum() + design.readout_unit * design.readout_offset.sum())
    readout = supply * (outputs * (SUM_BRANCHES * SUM_BIAS + 2.0 * poles) - net)
    layer = branches + inputs + synapses
    return (
        Item(
            "branch power", branches, "W", "V_dd (2 sum I_b - mean input current): bias and tail branch of every OTA"
        ),
        Item("input power", inputs, "W", "2 V_dd sum I_b: bias and tail of each input transconductor"),
        Item(
            "synapse power",
            synapses,
            "W",
            "V_dd sum (2 I_b + mean output): bias, tail and output mirror"
            if transistors
            else "V_dd sum I_b: the bias alone, since a saturated ReLU is an equation",
        ),
        Item("layer power", layer, "W", "branches + inputs + synapses: what the neurons' own decks draw"),
        Item(
            "readout power",
            readout,
            "W",
            f"V_dd (outputs ({SUM_BRANCHES} x {SUM_BIAS:g} A + 2 sum I_b) - mean current into the low-pass): "
            "branches of the sum, bias and tail of the poles",
        ),
        Item("power", layer + readout, "W", "layer + readout"),
    )


def _energies(design: MappedDesign, activity: Activity, powers: tuple[Item, ...]) -> tuple[Item, ...]:
    found = Budget(powers)
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
        items.append(
            Item(
                "energy per spike", found["layer power"] * activity.interval, "J", "layer power x mean time per spike"
            )
        )
    if activity.sample is not None:
        items.append(
            Item("energy per prediction", found["power"] * activity.sample, "J", "power x time of one sample")
        )
    return tuple(items)


def mean_power(design: MappedDesign, time: Array, supply_current: Array) -> float:
    """W over a run: `time` (T,), s, and i(vdd) (T,), A, as ngspice gives it, which is negative.

    Raises DataError for a run without length.
    """
    if time.size < 2 or not time[-1] > time[0]:
        raise DataError(f"a run of {time.size} time points has no mean power; simulate for longer")
    return -float(np.trapezoid(supply_current, time)) / float(time[-1] - time[0]) * design.technology.supply


def measured_budget(layer: float, activity: Activity = Activity(), power: float | None = None) -> Budget:
    """The same figures out of a run, which the activity is of too: the neurons' power and that of all, readout
    included, W; None when there is none."""
    items = [Item("layer power", layer, "W", "V_dd x mean of -i(vdd), of all neurons' decks")]
    if power is not None:
        items.append(Item("readout power", power - layer, "W", "V_dd x mean of -i(vdd), of all readouts' decks"))
        items.append(Item("power", power, "W", "layer + readout"))
    if activity.interval is not None:
        items.append(
            Item("energy per spike", layer * activity.interval, "J", "layer power x measured time per spike")
        )
    if activity.sample is not None and power is not None:
        items.append(Item("energy per prediction", power * activity.sample, "J", "power x time of one sample"))
    return Budget(tuple(items))
