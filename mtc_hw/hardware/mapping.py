"""ModelSpec -> MappedDesign: conductances to bias codes, offsets to references, time constants to filter codes."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.cells import Cells
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import LEAK, MappedDesign, parasitic, pole_parasitic
from mtc_hw.hardware.mismatch import spread_of
from mtc_hw.hardware.rules import Draft, LowPass, violations
from mtc_hw.hardware.scale import Scale
from mtc_hw.hardware.technology import Technology
from mtc_hw.hardware.trim import TRIM_BITS, TrimDacs
from mtc_hw.spec import ELEMENT_FILTER, FILTERS, Array, ModelSpec

POLE_RESERVE = 8.0  # the low-pass's first pole takes all synapses' current: its converter reaches so much higher
RESERVE = 1.25  # converters of the offset and of the first pole reach past the largest current: room for a trim


@dataclass(frozen=True)
class MappingOptions:
    """How a model becomes a circuit. `bits = None` maps exactly: ideal converters, real-valued codes."""

    bits: int | None = 8
    trim_bits: int | None = 6  # of the trim converters, sign included; ideal ones where bits is None
    # What a trim changes at most: a current by a share, a reference by unit voltages, the constant current by unit
    # currents. None: as the mismatch of the unit transistor's size asks, see `trim_reach`.
    trim_current: float | None = None
    trim_reference: float | None = None
    trim_offset: float | None = None
    unit_current: float = 1e-9  # A: alpha = 1
    capacitor: float = 5e-12  # F: membrane, parasitics included; the slow filter has as much, the ultra-slow twice,
    # and a filter outside `filter_min` to `filter_max` twice, four times ... or half, a quarter ... of it
    capacitor_min: float = 5e-13  # F
    capacitor_max: float = 2e-10  # F
    filter_min: float = 1.4e-12  # A per unit voltage that a filter's OTA gives; below it leakage and what a spike
    # pushes through the OTA's own capacitance take over
    filter_max: float = 1.2e-9  # A per unit voltage
    alpha_max: float = 4.0  # full scale of the element and leak bias converters, in unit currents
    delta_max: float = 4.0  # the reference converter reaches this far either side, in unit voltages
    filter_octaves: int = 12  # the filters' splitter divides by up to 2 to this
    readout_current: float = 5e-10  # A: bias of the synapse with the largest weight
    readout_span: float = 0.4  # unit voltages of the low-pass's output for a standardised prediction of one
    current_max: float = 3e-8  # A; above it the OTAs leave weak inversion and bursting stops
    inversion_departure: float = 0.25  # a cell's gain per bias may fall so far below that of weak inversion
    leakage_departure: float = 0.6  # and rise so far above it by off-currents; the codes take the change into account
    parasitic_share: float = 0.5  # of a capacitor that the OTAs themselves may make up
    input_range: tuple[float, float] | None = None  # V: where the OTAs' inputs work; None: between the rails

    def __post_init__(self) -> None:
        wrong = []
        if self.bits is not None and self.bits not in range(2, 25):
            wrong.append(f"MappingOptions.bits is {self.bits}; use 2 to 24, or None for ideal converters")
        if self.trim_bits is not None and self.trim_bits not in range(2, TRIM_BITS + 2):
            wrong.append(f"MappingOptions.trim_bits is {self.trim_bits}; use 2 to {TRIM_BITS + 1}, or None")
        if self.trim_current is not None and not 0.0 < self.trim_current < 1.0:
            wrong.append(f"MappingOptions.trim_current is {self.trim_current}; it must be between 0 and 1")
        if self.filter_octaves not in range(41):
            wrong.append(f"MappingOptions.filter_octaves is {self.filter_octaves}; use 0 to 40")
        for name in (
            "unit_current",
            "capacitor",
            "capacitor_min",
            "capacitor_max",
            "filter_min",
            "filter_max",
            "readout_current",
            "readout_span",
            "alpha_max",
            "delta_max",
            "current_max",
            "inversion_departure",
            "leakage_departure",
            "parasitic_share",
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                wrong.append(f"MappingOptions.{name} is {value}; it must be finite and > 0")
        for name in ("trim_reference", "trim_offset"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                wrong.append(f"MappingOptions.{name} is {value}; it must be finite and > 0, or None")
        if self.input_range is not None and not self.input_range[0] < self.input_range[1]:
            wrong.append(f"MappingOptions.input_range is {self.input_range}; the first voltage must be the lower one")
        if wrong:
            raise UnmappableError(wrong)


def map_spec(spec: ModelSpec, technology: Technology, cells: Cells, options: MappingOptions) -> MappedDesign:
    """The design whose `as_spec` is within half an LSB of `spec`. Raises UnmappableError with every violation."""
    scale = Scale.from_capacitor(cells.unit, options.unit_current, options.capacitor)
    draft = draft_of(spec, technology, cells, options)
    if found := violations(draft, options):
        raise UnmappableError([str(each) for each in found])
    codes, dacs, poles = draft.codes, draft.dacs, draft.low_pass
    return MappedDesign(
        technology=technology,
        cells=cells,
        scale=scale,
        present=draft.present,
        bias_code=np.vstack([codes["bias"], codes["filter"]]),
        reference_code=codes["reference"],
        input_code=codes["input"],
        offset_code=codes["offset"],
        capacitor=draft.drawn,
        readout_code=codes["readout"],
        readout_offset=np.zeros(0) if spec.readout is None else spec.readout.offset,
        readout_unit=poles.unit,
        readout_span=_span(poles, dacs["pole"], cells),
        pole_code=codes["pole"],
        pole_capacitor=poles.capacitor,
        bias_dac=dacs["bias"],
        filter_dac=dacs["filter"],
        pole_dac=dacs["pole"],
        reference_dac=dacs["reference"],
        input_dac=dacs["input"],
        offset_dac=dacs["offset"],
        readout_dac=dacs["readout"],
        trim=_trim_dacs(technology, cells, scale, options),
        bias_trim=np.zeros(draft.present.shape),
        reference_trim=np.zeros(codes["reference"].shape),
        input_trim=np.zeros(codes["input"].shape),
        offset_trim=np.zeros(codes["offset"].shape),
        synapse=spec.synapse,
        leak_curve=spec.neurons.leak_curve,
        filter_curve=spec.neurons.filter_curve,
        input_curve=spec.input_curve,
        task=spec.task,
        step=spec.step,
        integrator=spec.integrator,
        spec_digest=spec.digest(),
    )


def draft_of(spec: ModelSpec, technology: Technology, cells: Cells, options: MappingOptions) -> Draft:
    """Everything that `map_spec` would set, whether or not a code and a device exist for it."""
    scale = Scale.from_capacitor(cells.unit, options.unit_current, options.capacitor)
    present = present_branches(spec)
    total = _capacitors(spec, scale, present, options)
    bias = _bias_currents(spec, cells, scale, present, total)
    poles = _low_pass(spec, cells, scale, options)
    wanted = _signed_currents(spec, cells, scale, poles)
    dacs = _converters(wanted, technology, scale, options)
    reference = technology.analog_ground + scale.volt * np.vstack([spec.neurons.delta, spec.neurons.rest])
    codes = {
        "bias": np.where(present[: LEAK + 1], dacs["bias"].encode(bias[: LEAK + 1]), 0.0),
        "filter": np.where(present[LEAK + 1 :], dacs["filter"].encode(bias[LEAK + 1 :]), 0.0),
        "reference": dacs["reference"].encode(reference),
        "pole": dacs["pole"].encode(poles.bias),
        **{kind: dacs[kind].encode(values) for kind, values in wanted.items()},
    }
    inputs, synapses = (codes["input"] != 0).sum(axis=1), (codes["readout"] != 0).sum(axis=0)
    added = parasitic(cells, present, inputs, synapses)
    offsets = spec.neurons.offset
    parts = (codes, dacs, total - added, added, offsets, poles)
    return Draft(technology, cells, scale.volt, present, bias, reference, *parts)


def present_branches(spec: ModelSpec) -> NDArray[np.bool_]:
    """Which OTAs each neuron needs, (8, N): elements with alpha > 0, the leak, and the filters they listen to."""
    elements = spec.neurons.alpha > 0
    filters = np.zeros((len(FILTERS), spec.neurons.count), bool)
    for row, listens in enumerate(ELEMENT_FILTER):
        filters[listens] |= elements[row]
    filters[0] &= spec.neurons.tau[0] > 0
    return np.vstack([elements, np.ones((1, spec.neurons.count), bool), filters])


def _signed_currents(spec: ModelSpec, cells: Cells, scale: Scale, poles: LowPass) -> dict[str, Array]:
    """Bias of each input transconductor and synapse with its weight's sign, and each neuron's constant current, A."""
    weights = spec.weights * scale.amp
    synapses = np.zeros((0, spec.neurons.count))
    if spec.readout is not None:
        full = spec.readout.weights * poles.unit
        synapses = np.sign(full) * cells.synapse.bias_for(np.abs(full))
    return {
        "input": np.sign(weights) * cells.wide_ota.bias_for(np.abs(weights)),
        "offset": spec.bias * scale.amp,
        "readout": synapses,
    }


def _low_pass(spec: ModelSpec, cells: Cells, scale: Scale, options: MappingOptions) -> LowPass:
    """The first pole takes the synapses' currents; they shrink where its capacitor or bias would be too large."""
    if spec.readout is None:
        return LowPass(1.0, np.zeros(0), np.zeros(0))
    tau = spec.readout.tau * scale.second
    largest = float(np.abs(spec.readout.weights).max()) or 1.0
    full = options.readout_current * float(cells.synapse.gain_at(np.array(options.readout_current)))
    reach = POLE_RESERVE * options.filter_max / RESERVE
    current = min(full / largest / options.readout_span, reach)  # A per unit voltage
    first = min(current * tau / scale.volt, 0.5 * options.capacitor_max)
    unit = first * scale.volt / tau * options.readout_span
    needed = options.capacitor * scale.volt / tau
    larger = max(0, math.ceil(math.log2(options.filter_min / needed)))
    smaller = max(0, math.ceil(math.log2(needed / options.filter_max)))
    other = options.capacitor * 2.0 ** (larger - smaller)
    total = np.array([first, other, other, other])
    return LowPass(unit, cells.wide_ota.bias_for(total * scale.volt / tau), total - pole_parasitic(cells))


def _capacitors(spec: ModelSpec, scale: Scale, present: NDArray[np.bool_], options: MappingOptions) -> Array:
    """Membrane and filter capacitors, parasitics included, F, (4, N)."""
    total = np.outer([1.0, 1.0, 1.0, 2.0], np.full(spec.neurons.count, options.capacitor))
    tau = np.where(present[LEAK + 1 :], spec.neurons.tau, 1.0)
    needed = total[1:] * scale.volt / (tau * scale.second)  # A per unit voltage
    larger = np.ceil(np.log2(np.maximum(options.filter_min / needed, 1.0)))
    smallest = np.floor(np.log2(np.maximum(total[1:] / options.capacitor_min, 1.0)))
    smaller = np.minimum(np.ceil(np.log2(np.maximum(needed / options.filter_max, 1.0))), smallest)
    total[1:] *= 2.0 ** np.where(present[LEAK + 1 :], larger - smaller, 0.0)
    return total


def _bias_currents(
    spec: ModelSpec, cells: Cells, scale: Scale, present: NDArray[np.bool_], capacitor: Array
) -> Array:
    """The bias of every OTA, A, (8, N), from the cells' measured gains."""
    tau = np.where(present[LEAK + 1 :], spec.neurons.tau, 1.0)
    elements = cells.ota.bias_for(spec.neurons.alpha * scale.amp)
    leak = cells.wide_ota.bias_for(spec.neurons.leak * scale.amp)
    filters = cells.wide_ota.bias_for(capacitor[1:] * scale.volt / (tau * scale.second))
    return np.where(present, np.vstack([elements, leak[None], filters]), 0.0)


def _span(poles: LowPass, dac: Dac, cells: Cells) -> float:
    """What the low-pass gives for a prediction of one, with its first pole's current as the converter has it."""
    if not poles.bias.size:
        return 1.0
    bias = dac.decode(dac.encode(poles.bias[:1]))
    return float(poles.unit / (bias * cells.wide_ota.gain_at(bias))[0])


def trim_reach(technology: Technology, cells: Cells) -> tuple[float, float, float]:
    """How far trims have to reach: a share of a current, unit voltages of a reference, unit currents of a constant.

    That is what the cells may be off systematically, and four standard deviations of the mismatch, or three and a
    half where another trim can stand in.
    """
    spread = spread_of(technology, cells)
    current = 0.12 + 4.0 * max(spread.alpha, spread.leak, spread.tau)
    reference = 0.17 + 3.5 * max(spread.delta, spread.rest, spread.offset)
    return min(current, 0.9), reference, 0.35 + 3.5 * spread.current


def _trim_dacs(technology: Technology, cells: Cells, scale: Scale, options: MappingOptions) -> TrimDacs:
    bits = None if options.bits is None else options.trim_bits
    levels = 1.0 if bits is None else 2.0 ** (bits - 1) - 1.0
    asked = (options.trim_current, options.trim_reference, options.trim_offset)
    needed = trim_reach(technology, cells)
    current, reference, offset = (own if own is not None else usual for own, usual in zip(asked, needed, strict=True))

    def dac(reach: float) -> Dac:
        return Dac(bits, reach / levels, signed=True)

    return TrimDacs(dac(current), dac(reference * scale.volt), dac(offset * scale.amp))


def _converters(
    signed_currents: dict[str, Array], technology: Technology, scale: Scale, options: MappingOptions
) -> dict[str, Dac]:
    """The converters; those of input, offset and readout take their full scale from the largest current."""
    levels = 256.0 if options.bits is None else 2.0**options.bits

    def signed(values: Array) -> Dac:
        largest = float(np.abs(values).max(initial=0.0)) or scale.amp
        return Dac(options.bits, largest / (levels / 2.0 - 1.0), signed=True)

    full_scale = options.alpha_max * scale.amp
    span = options.delta_max * scale.volt
    return {
        "bias": Dac(options.bits, full_scale / (levels - 1.0)),
        "filter": Dac(options.bits, full_scale / (levels - 1.0), octaves=options.filter_octaves),
        "pole": Dac(options.bits, POLE_RESERVE * full_scale / (levels - 1.0), octaves=options.filter_octaves),
        "reference": Dac(options.bits, 2.0 * span / levels, base=technology.analog_ground - span),
        "input": signed(signed_currents["input"]),
        "offset": signed(RESERVE * np.append(signed_currents["offset"], scale.amp)),
        "readout": signed(signed_currents["readout"]),
    }
