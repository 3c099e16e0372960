"""Transistor-level converters as ngspice sees them: first the design's value, then the bound that was measured."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.characterise import cells_for
from mtc_hw.converters import (
    load_bias_dac,
    load_reference_dac,
    load_sign_switch,
    major_codes,
    measure_bias_dac,
    measure_reference_dac,
    measure_sign_switch,
    save_converter,
    transistor_converters,
)
from mtc_hw.errors import DataError, UnmappableError
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware import pdk
from mtc_hw.hardware.budget import budget, mean_power
from mtc_hw.hardware.converters import DEFAULT_SIZES
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import load_technology
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.render import own_deck
from mtc_hw.neuron_file import bare_spec, load_neuron
from mtc_hw.simulate import ngspice
from mtc_hw.simulate.waveforms import to_trace

BIAS = Dac(8, 4e-9 / 255)
SPLIT = dataclasses.replace(BIAS, octaves=12)
REFERENCE = Dac(8, 1.9e-3, base=0.85)
MAJOR = np.array([0.0, 1.0, 127.0, 128.0, 255.0])


@pytest.fixture(scope="module")
def bias(technology):
    return measure_bias_dac(technology, SPLIT, octaves=(0, 12), codes=MAJOR)


@pytest.fixture(scope="module")
def reference(technology):
    return measure_reference_dac(technology, REFERENCE)


@pytest.fixture(scope="module")
def switch(technology):
    return measure_sign_switch(technology)


def test_the_bias_current_is_the_codes_from_a_nanoampere_to_a_picoampere(bias):
    """The mirror's and the splitter's output conductance add 2.0 % at octave 0 and 3.8 % at octave 12."""
    assert bias.middle[:, -1] == pytest.approx([4e-9, 4e-9 / 4096], rel=0.045)
    assert bias.gain[1] > bias.gain[0] > 1.0


def test_the_bias_current_is_linear_and_monotone(bias):
    """The sum node follows the logarithm of the current and bends the transfer by 0.2 LSB; bits match to 0.012."""
    assert np.abs(bias.inl).max() < 0.25
    assert np.abs(bias.dnl).max() < 0.02
    assert bias.dnl.shape == (2, 2)  # 0 to 1, and the major carry
    assert bias.monotone


def test_legs_that_are_off_leak_less_than_a_hundredth_of_a_step(bias):
    assert (bias.offset > 0).all() and (bias.offset < 0.01).all()


def test_the_bias_current_hardly_sees_its_load(bias):
    """Nothing at octave 0; at octave 12 the kept unit's output conductance against its neighbours', 1.4 %."""
    assert bias.compliance[0] < 1e-3 and bias.compliance[1] < 0.02
    assert bias.loaded == pytest.approx(bias.middle[:, -1], rel=2e-3)


def test_the_supply_gives_all_legs_and_the_reference_whatever_the_octave(bias):
    expected = (MAJOR + DEFAULT_SIZES.reference_units) * BIAS.lsb
    for supply in bias.supply:
        assert supply == pytest.approx(expected, rel=0.025)


def test_a_warm_converter_leaks_at_its_smallest_currents(technology, bias):
    """At 125 degrees 86 fA come out of octave 12 at code 0, 22 of its steps, 1.5 pA of octave 0, a tenth of one."""
    warm = measure_bias_dac(
        technology.model_copy(update={"temperature": 125.0}), SPLIT, octaves=(0, 12), codes=np.array([0.0, 255.0])
    )
    assert warm.offset[0] < 0.2 and 5.0 < warm.offset[1] < 50.0
    assert warm.gain == pytest.approx([1.0, 1.0], abs=0.08)


def test_every_code_of_a_small_converter_is_on_the_line(technology):
    record = measure_bias_dac(technology, Dac(4, 4e-9 / 15))
    assert record.code.tolist() == list(range(16))
    assert record.middle[0] == pytest.approx(record.code * 4e-9 / 15, rel=0.03, abs=1e-14)
    assert np.abs(record.inl).max() < 0.03
    assert np.abs(record.dnl).max() < 0.03


def test_major_codes_stand_on_both_sides_of_every_carry():
    assert major_codes(4).tolist() == [0, 1, 2, 3, 4, 7, 8, 15]


def test_a_reference_without_mismatch_is_the_code(reference):
    """Only the ohm below the string's first tap is left, and what leaks through the switches' resistance."""
    assert reference.value == pytest.approx(0.85 + 1.9e-3 * np.arange(256), abs=2e-6)
    assert np.abs(reference.inl).max() < 1e-3


def test_a_references_resistance_is_mostly_its_switches(reference):
    """The string gives at most a quarter of its megohm. A pMOS switch opens less at the lower taps."""
    assert (reference.resistance > 2.5e5).all() and (reference.resistance < 1e7).all()
    assert (np.diff(reference.resistance[::32]) < 0).all()
    assert reference.string_current == pytest.approx(256 * 1.9e-3 / 1e6)


def test_a_sign_switch_passes_a_synapse_to_one_sum_alone(switch):
    """Towards a low sum node the gate at vss lets the drop grow; from 0.8 V up it stays below 20 mV."""
    high = switch.sum > 0.75
    assert (switch.drop > 0).all() and (switch.drop[:, high] < 0.02).all()
    assert (np.abs(switch.leak) < 1e-6 * switch.current).all()
    assert switch.drop[0] == pytest.approx(switch.drop[1], rel=1e-6)


def test_records_come_back_bit_for_bit(bias, reference, switch, tmp_path):
    for record, load in ((bias, load_bias_dac), (reference, load_reference_dac), (switch, load_sign_switch)):
        save_converter(record, tmp_path / "record.json")
        loaded = load(tmp_path / "record.json")
        for each in dataclasses.fields(record):
            assert np.array_equal(getattr(loaded, each.name), getattr(record, each.name)), each.name


def test_another_converters_record_is_refused(reference, tmp_path):
    save_converter(reference, tmp_path / "record.json")
    text = (
        r"record.json holds mtc_hw ReferenceDacRecord 1, expected mtc_hw BiasDacRecord 1; characterise the converter"
    )
    with pytest.raises(DataError, match=text):
        load_bias_dac(tmp_path / "record.json")


def test_a_converter_that_cannot_be_simulated_says_so(technology):
    broken = technology.model_copy(update={"cards": technology.cards.replace(".model pch pmos", ".model other pmos")})
    with pytest.raises(DataError, match=r"^characterising the sign switch of generic: missing model: "):
        measure_sign_switch(broken)


def interval(deck: Deck, design: MappedDesign) -> float:
    """Mean interval between spikes once the start is over, tau_m."""
    outcome = ngspice.run(deck, 60.0)
    assert outcome.ok, outcome.reason
    trace = to_trace(outcome.waveforms, design, 0)
    return float(np.diff(spike_times(trace.time, trace.voltage[:, 0])[1:]).mean())


@pytest.fixture(scope="module")
def tonic(mapped):
    neuron = load_neuron("tonic")
    return neuron, mapped(bare_spec(neuron), bits=8)


@pytest.fixture(scope="module")
def converters(tonic):
    return transistor_converters(tonic[1])


def test_a_neuron_on_transistor_converters_fires_as_on_ideal_ones(tonic, converters):
    """3 % faster for the converters' gains of 2 to 4 %, and within 0.2 % once these are taken out."""
    neuron, design = tonic
    ideal, corrected, raw = (
        interval(own_deck(design, neuron, "transistor", 300.0, each), design)
        for each in (None, converters, dataclasses.replace(converters, gains={}))
    )
    assert raw == pytest.approx(0.97 * ideal, rel=0.01)
    assert corrected == pytest.approx(ideal, rel=2e-3)


def test_the_gains_are_those_of_the_converters_measured_alone(converters, bias):
    """Half and full scale, code 128 and 255."""
    split = next(gains for dac, gains in converters.gains.items() if dac.octaves == 12)
    alone = (bias.middle[:, [3, 4]] / (bias.step[:, None] * MAJOR[[3, 4]])).mean(axis=1)
    assert [split[0], split[12]] == pytest.approx(alone, rel=1e-4)
    assert list(split) == sorted(split)


def test_converters_draw_what_the_budget_says(tonic, converters):
    """Beside the neuron's own current: measured 5.4 nW more, at 28 nW of the neuron."""
    neuron, design = tonic
    powers = []
    for each in (None, converters):
        outcome = ngspice.run(own_deck(design, neuron, "transistor", 300.0, each), 60.0)
        assert outcome.ok, outcome.reason
        powers.append(mean_power(design, outcome.waveforms.axis, outcome.waveforms["i(vdd)"]))
    assert budget(design)["converter power"] == pytest.approx(powers[1] - powers[0], rel=0.1)


def test_ideal_codes_have_no_transistor_converters(preset):
    with pytest.raises(UnmappableError, match=r"^an ideal converter has no transistors; map with --bits 8, "):
        transistor_converters(preset("tonic")[2])


@pytest.mark.pdk
@pytest.mark.slow
@pytest.mark.parametrize("name", ["gf180mcuD", "sky130A"])
def test_a_pdk_s_converters_fire_a_neuron_as_ideal_ones(name):
    technology = load_technology(name)
    if pdk.find(technology.library) is None:
        pytest.skip(f"PDK {name} is not installed")
    neuron, technology = load_neuron("tonic"), unit_sized(technology, 4e-6, 4e-6)
    design = map_spec(bare_spec(neuron), technology, cells_for(technology, 4e-6, 4e-6), MappingOptions())
    converters = transistor_converters(design)
    # From octave 8 on, 16 pA at full scale, what the off legs leak counts: up to ten LSB at octave 12.
    assert all(0.96 < gain < 1.04 for gains in converters.gains.values() for gain in gains[:9])
    ideal, drawn = (
        interval(own_deck(design, neuron, "transistor", 300.0, each), design) for each in (None, converters)
    )
    assert drawn == pytest.approx(ideal, rel=0.01)
