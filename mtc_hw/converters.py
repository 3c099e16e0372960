"""Measures transistor-level converters in ngspice: transfer, errors, supply current, output range."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from mtc_hw.errors import DataError
from mtc_hw.freeze import sized
from mtc_hw.hardware.converters import DEFAULT_SIZES, ConverterSizes
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.fields import load_fields, save_fields
from mtc_hw.hardware.technology import Technology
from mtc_hw.netlist.converter_views import Converters, check_level, drawn_dacs
from mtc_hw.netlist.converters import Instance, bias_instance, converter_bits, converter_context
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.render import common_context
from mtc_hw.netlist.templates import render
from mtc_hw.netlist.views import Level
from mtc_hw.simulate.pool import Workers, simulate
from mtc_hw.simulate.waveforms import Waveforms
from mtc_hw.spec import Array

# A picoampere through a hundred junctions: gmin must stay far below ngspice's default, and below the neurons' 1e-16.
OPTIONS = ("gmin=1e-18", "abstol=1e-19", "vntol=1e-9", "reltol=1e-6", "itl1=500", "itl2=50")
OUTPUT = (0.1, 0.6, 0.1)  # V: first, last, step; an OTA's bias diode stands at 0.2 to 0.5 V
CURRENTS = ("i(vo)", "i(vsupply)")
LOAD = 1e-9  # A out of a reference converter, which in use drives gates
SYNAPSE_CURRENT = 1e-8  # A through a sign switch
SUM = (0.1, 1.2, 0.1)  # V
STRIDE = 4  # octaves between measured gains, which differ by less than a percent
VERSION = 1
REMEDY = "characterise the converter again"


Choice = Literal["ideal", "transistor"]


@dataclass(frozen=True, eq=False)
class BiasDacRecord:
    """A bias converter's measured transfer; every octave has its own gain, which a mapper can take out."""

    technology: str  # digest
    temperature: float  # degrees Celsius
    sizes: ConverterSizes
    bits: int
    octaves: int
    lsb: float  # A at octave 0
    octave: Array  # (M,)
    code: Array  # (K,) fine codes, increasing
    output: Array  # (V,) V
    current: Array  # (M, K, V) A
    supply: Array  # (M, K) A, drawn from vdd with the output at its middle voltage
    loaded: Array  # (M,) A of the largest code into the bias diode of an OTA

    @cached_property
    def step(self) -> Array:
        """What one fine code is worth by design, A, (M,)."""
        return np.asarray(self.lsb / 2.0**self.octave)

    @cached_property
    def middle(self) -> Array:
        """Current at the middle output voltage, A, (M, K)."""
        return np.asarray(self.current[:, :, len(self.output) // 2])

    @cached_property
    def gain(self) -> Array:
        """Of each octave, between code 0 and the largest, relative to the design, (M,)."""
        return np.asarray(np.ptp(self.middle, axis=1) / (self.step * np.ptp(self.code)))

    @cached_property
    def offset(self) -> Array:
        """Current at code 0, LSB, (M,): what all the off legs leak."""
        return np.asarray(self.middle[:, 0] / self.step)

    @cached_property
    def inl(self) -> Array:
        """Distance from the line through the end points, LSB, (M, K)."""
        line = (self.code - self.code[0]) * (self.gain * self.step)[:, None]
        return np.asarray((self.middle - self.middle[:, :1] - line) / (self.gain * self.step)[:, None])

    @cached_property
    def dnl(self) -> Array:
        """Each step less one, LSB, between measured neighbours only, (M, pairs)."""
        pairs = np.diff(self.code) == 1
        return np.asarray((np.diff(self.middle, axis=1) / (self.gain * self.step)[:, None])[:, pairs] - 1.0)

    def gain_at(self, octave: float) -> float:
        """Gain of an octave that need not have been measured, by interpolation."""
        return float(np.interp(octave, self.octave, self.gain))

    @property
    def monotone(self) -> bool:
        return bool((np.diff(self.current, axis=1) > 0).all())

    @cached_property
    def compliance(self) -> Array:
        """Relative change of the full-scale current over the output voltages, (M,)."""
        return np.asarray(np.ptp(self.current[:, -1], axis=1) / self.middle[:, -1])


@dataclass(frozen=True, eq=False)
class ReferenceDacRecord:
    """A reference converter's measured transfer and output resistance."""

    technology: str
    temperature: float
    sizes: ConverterSizes
    bits: int
    lsb: float  # V
    base: float  # V
    code: Array  # (K,)
    value: Array  # (K,) V, into a gate
    resistance: Array  # (K,) ohm: the string at its tap and the switches

    @cached_property
    def inl(self) -> Array:
        """Distance from base + code * lsb, LSB, (K,): the string's ends are what they are told to be."""
        return np.asarray((self.value - self.base) / self.lsb - self.code)

    @property
    def string_current(self) -> float:
        """Drawn by the string, A: by every converter of the chip together, which share it."""
        return self.lsb * 2.0**self.bits / self.sizes.string_resistance


@dataclass(frozen=True, eq=False)
class SignSwitchRecord:
    """A readout weight's sign switch under a synapse's current."""

    technology: str
    temperature: float
    sizes: ConverterSizes
    current: float  # A
    sum: Array  # (V,) V at both sum nodes
    drop: Array  # (2, V) V from the synapse to its sum node, positive and negative sign
    leak: Array  # (2, V) A into the other sum node


def major_codes(bits: int) -> Array:
    """0, 1, and both sides of every power of two, where a binary-weighted converter errs most; and the largest."""
    powers = 2 ** np.arange(1, bits)
    return np.unique(np.concatenate([[0, 1, 2**bits - 1], powers - 1, powers])).astype(np.float64)


def measure_bias_dac(
    technology: Technology,
    dac: Dac,
    sizes: ConverterSizes = DEFAULT_SIZES,
    octaves: Sequence[int] | None = None,
    codes: Array | None = None,
    load: tuple[float, float] = (4e-6, 4e-6),
    jobs: int = 0,
) -> BiasDacRecord:
    """Transfer of a bias converter at its codes and octaves, all of them when None; `codes` begins with 0.

    `load` is the width and length, m, of the OTA whose bias diode is the load. One deck each: ngspice takes longer
    for the operating point of many converters in one. Raises UnmappableError for an ideal converter, DataError when a
    run fails.
    """
    codes = np.arange(dac.limits[1] + 1.0) if codes is None else codes
    chosen = np.arange(dac.octaves + 1.0) if octaves is None else np.array(octaves, dtype=np.float64)
    grid = chosen[:, None] * 2.0 ** converter_bits(dac) + codes
    context = common_context(technology, *load) | converter_context(technology, sizes, [dac], 1)
    decks = [_bias_deck(technology, context, bias_instance(dac, code), loaded=False) for code in grid.ravel()]
    decks += [_bias_deck(technology, context, bias_instance(dac, code), loaded=True) for code in grid[:, -1]]
    measured = np.array([[run[name] for name in CURRENTS] for run in _run(decks, technology, jobs)])
    clamped = measured[: grid.size].reshape(*grid.shape, len(CURRENTS), -1)
    voltages = clamped.shape[-1]
    return BiasDacRecord(
        technology=technology.digest(),
        temperature=technology.temperature,
        sizes=sizes,
        bits=converter_bits(dac),
        octaves=dac.octaves,
        lsb=dac.lsb,
        octave=chosen,
        code=codes,
        output=np.asarray(OUTPUT[0] + OUTPUT[2] * np.arange(voltages, dtype=np.float64)),
        current=clamped[:, :, 0],
        supply=clamped[:, :, 1, voltages // 2],
        loaded=measured[grid.size :, 0, voltages // 2],
    )


def measure_reference_dac(
    technology: Technology, dac: Dac, sizes: ConverterSizes = DEFAULT_SIZES, codes: Array | None = None
) -> ReferenceDacRecord:
    """Transfer of a reference converter at its codes, all of them when None.

    Raises UnmappableError for an ideal converter, DataError when a run fails.
    """
    codes = np.arange(dac.limits[1] + 1.0) if codes is None else codes
    bits = converter_bits(dac)
    context = common_context(technology, sizes.width, sizes.length) | converter_context(technology, sizes, [], bits)
    wanted = tuple(f"v(o{i})" for i in range(len(codes)))
    values = {"codes": codes, "lsb": dac.lsb, "base": dac.base, "load": LOAD}
    template = "testbench/reference_dac.cir.j2"
    (run,) = _run([_deck("reference converter", technology, template, context | values, wanted, 1.0)], technology, 1)
    free, loaded = np.array([run[name] for name in wanted]).T
    return ReferenceDacRecord(
        technology=technology.digest(),
        temperature=technology.temperature,
        sizes=sizes,
        bits=bits,
        lsb=dac.lsb,
        base=dac.base,
        code=codes,
        value=free,
        resistance=(free - loaded) / LOAD,
    )


def measure_sign_switch(technology: Technology, sizes: ConverterSizes = DEFAULT_SIZES) -> SignSwitchRecord:
    """Drop and leakage of a readout weight's sign switch. Raises DataError when the run fails."""
    context = common_context(technology, sizes.width, sizes.length) | converter_context(technology, sizes, [], 1)
    wanted = ("v(in_positive)", "v(in_negative)", "i(vminus_positive)", "i(vplus_negative)")
    low, high, step = SUM
    values = {"low": low, "high": high, "step": step, "current": SYNAPSE_CURRENT}
    template, end = "testbench/sign_switch.cir.j2", high - 0.5 * step
    (run,) = _run([_deck("sign switch", technology, template, context | values, wanted, end)], technology, 1)
    return SignSwitchRecord(
        technology=technology.digest(),
        temperature=technology.temperature,
        sizes=sizes,
        current=SYNAPSE_CURRENT,
        sum=run.axis,
        drop=np.array([run[name] - run.axis for name in wanted[:2]]),
        leak=np.array([run[name] for name in wanted[2:]]),
    )


def transistor_converters(design: MappedDesign, sizes: ConverterSizes = DEFAULT_SIZES, jobs: int = 0) -> Converters:
    """Converters of transistors for the decks of a design, each octave's gain measured now and taken out.

    The gain here is the current over the code's, the mean of half and of full scale, where a mapped code of a split
    converter is: leakage counts. Measured in seconds at every fourth octave and interpolated between. Raises
    UnmappableError for a design of ideal converters, TechnologyError for a unit device off the technology's grid,
    DataError when a run fails.
    """
    technology = sized(design.technology, [(sizes.width, sizes.length)])
    load, gains = (design.cells.width, design.cells.length), {}
    for dac in drawn_dacs(design):
        octaves = sorted({*range(0, dac.octaves, STRIDE), dac.octaves})
        codes = np.array([0.0, 2.0 ** (converter_bits(dac) - 1), dac.limits[1]])
        record = measure_bias_dac(technology, dac, sizes, octaves, codes, load, jobs)
        gain = (record.middle[:, 1:] / (record.step[:, None] * codes[1:])).mean(axis=1)
        gains[dac] = tuple(np.interp(np.arange(dac.octaves + 1.0), record.octave, gain).tolist())
    return Converters(technology, sizes, gains)


def chosen_converters(choice: Choice, design: MappedDesign, level: Level, jobs: int = 0) -> Converters | None:
    """What a deck is rendered with, None for ideal. Raises DeckError for transistors at the behavioural level."""
    if choice == "ideal":
        return None
    check_level(level)
    return transistor_converters(design, jobs=jobs)


def save_converter(record: BiasDacRecord | ReferenceDacRecord | SignSwitchRecord, path: Path) -> None:
    save_fields(record, path, f"mtc_hw {type(record).__name__}", VERSION)


def load_bias_dac(path: Path) -> BiasDacRecord:
    """Raises DataError for a file that holds none."""
    record: BiasDacRecord = load_fields(BiasDacRecord, path, "mtc_hw BiasDacRecord", VERSION, REMEDY)
    return record


def load_reference_dac(path: Path) -> ReferenceDacRecord:
    """Raises DataError for a file that holds none."""
    record: ReferenceDacRecord = load_fields(ReferenceDacRecord, path, "mtc_hw ReferenceDacRecord", VERSION, REMEDY)
    return record


def load_sign_switch(path: Path) -> SignSwitchRecord:
    """Raises DataError for a file that holds none."""
    record: SignSwitchRecord = load_fields(SignSwitchRecord, path, "mtc_hw SignSwitchRecord", VERSION, REMEDY)
    return record


def _bias_deck(technology: Technology, context: dict[str, object], instance: Instance, loaded: bool) -> Deck:
    """One converter: its output clamped and swept, or into an OTA's bias diode."""
    low, high, step = OUTPUT
    sweep = {"low": low, "high": high, "step": step, "loaded": loaded, "dac": instance}
    template, end = "testbench/bias_dac.cir.j2", high - 0.5 * step
    return _deck("bias converter", technology, template, context | sweep, CURRENTS, end)


def _deck(
    what: str, technology: Technology, template: str, context: dict[str, object], wanted: tuple[str, ...], end: float
) -> Deck:
    values = {"title": f"{what} of {technology.name}", "options": OPTIONS, "wanted": wanted}
    text = render(template, context | values)
    lint(text)
    return Deck(what, text, wanted, end)


def _run(decks: list[Deck], technology: Technology, jobs: int) -> list[Waveforms]:
    outcomes = simulate(decks, Workers(driver="ngspice", jobs=jobs))
    for each in outcomes:
        if each.waveforms is None:
            raise DataError(f"characterising the {each.deck} of {technology.name}: {each.status}: {each.reason}")
    return [each.waveforms for each in outcomes if each.waveforms is not None]
