"""A design at another corner, temperature or supply: same codes, and what tracking saves, in ngspice."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.analysis.spikes import burst_statistics, interval_statistics
from mtc_hw.characterise import cells_for
from mtc_hw.errors import TechnologyError
from mtc_hw.hardware.conditions import at_condition, at_supply, at_temperature, technology_at, warming
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import MappedDesign, as_spec
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.rules import filter_floor
from mtc_hw.hardware.technology import load_technology
from mtc_hw.netlist.render import own_deck
from mtc_hw.neuron_file import bare_spec, load_neuron
from mtc_hw.neuron_run import observe
from mtc_hw.simulate.waveforms import to_trace

CODES = ("bias_code", "reference_code", "input_code", "offset_code", "readout_code", "capacitor", "present")
DACS = [each.name for each in dataclasses.fields(MappedDesign) if each.type in (Dac, "Dac")]
HOT, COLD = 85.0, -40.0


@pytest.mark.parametrize("tracking", ["ptat", "fixed"])
def test_at_its_own_temperature_and_supply_a_design_stays_what_it_is(mapped, network, tracking):
    design = mapped(network, bits=8)
    assert at_temperature(design, 27.0, tracking).digest == design.digest
    assert at_supply(design, 1.8).digest == design.digest


@pytest.mark.parametrize("tracking", ["ptat", "fixed"])
def test_there_and_back_is_where_it_began(mapped, network, tracking):
    design = mapped(network, bits=8)
    back = at_temperature(at_temperature(design, HOT, tracking), 27.0, tracking)
    assert (back.technology, back.scale.amp) == (design.technology, pytest.approx(design.scale.amp))
    assert back.readout_unit == pytest.approx(design.readout_unit, rel=1e-12)
    for name in DACS:
        one, other = getattr(back, name), getattr(design, name)
        assert (one.lsb, one.base) == (pytest.approx(other.lsb, rel=1e-12), pytest.approx(other.base, rel=1e-12))


@pytest.mark.parametrize("tracking", ["ptat", "fixed"])
def test_codes_and_capacitors_do_not_know_the_temperature(mapped, network, tracking):
    design = mapped(network, bits=8)
    hot = at_temperature(design, HOT, tracking)
    assert hot.technology.temperature == HOT
    for name in CODES:
        assert np.array_equal(getattr(hot, name), getattr(design, name)), name


def test_tracking_scales_every_converter_and_a_fixed_source_none(mapped, network):
    design = mapped(network, bits=8)
    ratio, ground = warming(design.technology, HOT), design.technology.analog_ground
    assert {"bias_dac", "filter_dac", "pole_dac", "reference_dac", "input_dac", "offset_dac", "readout_dac"} == set(
        DACS
    )
    tracked, fixed = (at_temperature(design, HOT, tracking) for tracking in ("ptat", "fixed"))
    for name in DACS:
        own, moved = getattr(design, name), getattr(tracked, name)
        zero = ground if name == "reference_dac" else 0.0
        assert moved.lsb == pytest.approx(ratio * own.lsb, rel=1e-12), name
        assert moved.base - zero == pytest.approx(ratio * (own.base - zero), rel=1e-12), name
        assert getattr(fixed, name) == own, name
    assert tracked.readout_unit == pytest.approx(ratio * design.readout_unit, rel=1e-12)
    # A prediction of one is as many unit voltages at the low-pass's output, within the change of a cell's gain.
    assert tracked.readout_span == pytest.approx(design.readout_span, rel=0.05)
    assert fixed.readout_span == design.readout_span


@pytest.mark.parametrize("tracking", ["ptat", "fixed"])
def test_at_its_own_condition_a_design_stays_what_it_is(mapped, network, tracking):
    design = mapped(network, bits=8)
    assert at_condition(design, load_technology("generic"), tracking).digest == design.digest


@pytest.mark.parametrize("tracking", ["ptat", "fixed"])
def test_a_condition_is_a_corner_a_supply_and_a_temperature(mapped, network, tracking):
    design = mapped(network, bits=8)
    there = load_technology("generic", "sf", 1.62, HOT)
    moved = at_condition(design, there, tracking)
    assert moved.technology is there
    same = dataclasses.replace(moved, technology=design.technology)
    warm = dataclasses.replace(at_temperature(design, HOT, tracking), technology=design.technology)
    assert same.digest == warm.digest, "a corner and a supply change the technology alone"
    deck = own_deck(at_condition(mapped(bare_spec(load_neuron("tonic"))), there, tracking), load_neuron("tonic"),
                    "transistor", 10.0).text  # fmt: skip
    assert there.cards.splitlines()[0] in deck
    assert "\n.temp 85" in deck and "1.62" in deck


def test_another_process_or_ground_is_refused(preset, technology):
    design = preset("tonic")[2]
    for change in ({"name": "other"}, {"analog_ground": 1.0}):
        with pytest.raises(
            TechnologyError, match=r"^this design is on generic with its analog ground at 1\.1 V, not on"
        ):
            at_condition(design, technology.model_copy(update=change), "ptat")
    low = technology.model_copy(update={"supply": 1.05})
    with pytest.raises(TechnologyError, match=r"^supply is 1\.05 V"):
        at_condition(design, low, "ptat")


@pytest.mark.parametrize("celsius", [COLD, 0.0, HOT])
def test_with_tracking_the_meaning_stays(mapped, network, celsius):
    design = mapped(network)
    meant, tracked = as_spec(design), as_spec(at_temperature(design, celsius, "ptat"))
    exact = {"rel": 1e-9, "abs": 1e-12}
    for name in ("delta", "rest"):
        assert getattr(tracked.neurons, name) == pytest.approx(getattr(meant.neurons, name), **exact)
    assert tracked.bias == pytest.approx(meant.bias, **exact)
    assert tracked.synapse == meant.synapse
    assert tracked.readout.offset == pytest.approx(meant.readout.offset, rel=0.01)
    # The cells' gain moves a little with the bias, most at the picoamperes of a filter.
    assert tracked.neurons.alpha == pytest.approx(meant.neurons.alpha, rel=0.01)
    assert tracked.weights == pytest.approx(meant.weights, rel=0.01)
    assert tracked.readout.weights == pytest.approx(meant.readout.weights, rel=0.01)
    assert tracked.readout.tau == pytest.approx(meant.readout.tau, rel=0.05)
    assert tracked.neurons.tau == pytest.approx(meant.neurons.tau, rel=0.05)


def test_without_tracking_references_shrink_and_time_constants_grow_as_the_temperature(mapped, network):
    design = mapped(network)
    meant, drifted = as_spec(design), as_spec(at_temperature(design, HOT, "fixed"))
    ratio = warming(design.technology, HOT)
    assert ratio == pytest.approx(358.15 / 300.15)
    assert drifted.neurons.delta == pytest.approx(meant.neurons.delta / ratio, rel=1e-9, abs=1e-12)
    has = design.present[5:]
    assert drifted.neurons.tau[has] == pytest.approx(ratio * meant.neurons.tau[has], rel=1e-9)
    # In units of tau_m at 27 C the membrane slows: every current moves V less.
    assert drifted.neurons.alpha == pytest.approx(meant.neurons.alpha / ratio, rel=1e-9)
    assert drifted.weights == pytest.approx(meant.weights / ratio, rel=1e-9)
    assert drifted.synapse.threshold == pytest.approx(meant.synapse.threshold / ratio)


def test_the_deck_says_the_temperature_and_the_scaled_steps(preset):
    file, _, design = preset("tonic", bits=8)
    ratio = warming(design.technology, HOT)
    for tracking, factor in (("ptat", ratio), ("fixed", 1.0)):
        hot = at_temperature(design, HOT, tracking)
        assert "\n.temp 85" in own_deck(hot, file, "transistor", 10.0).text
        assert hot.bias() == pytest.approx(factor * design.bias(), rel=1e-12)
        above = [d.reference_dac.decode(d.reference_code) - d.technology.analog_ground for d in (design, hot)]
        assert above[1] == pytest.approx(factor * above[0], rel=1e-9, abs=1e-12)


def spikes_of(design, file, duration, runner):
    outcome = runner([own_deck(design, file, "transistor", duration)])[0]
    return observe(to_trace(outcome.waveforms, design, 0), file, duration)


def test_tracking_keeps_a_tonic_neurons_interval_from_cold_to_hot(preset, runner):
    file, _, design = preset("tonic")
    intervals = {
        (tracking, celsius): interval_statistics(
            spikes_of(at_temperature(design, celsius, tracking), file, 600.0, runner)[0]
        ).median
        for tracking in ("ptat", "fixed")
        for celsius in (COLD, 27.0, HOT)
    }
    drift = {key: value / intervals[key[0], 27.0] - 1.0 for key, value in intervals.items()}
    assert abs(drift["ptat", COLD]) < 0.06 and abs(drift["ptat", HOT]) < 0.06
    assert drift["fixed", COLD] < -0.15 and drift["fixed", HOT] > 0.1


@pytest.fixture(scope="module")
def long_cells(technology):
    """Cells of 2/8 um at the technology's temperature, and hot."""
    return tuple(cells_for(each, 2e-6, 8e-6) for each in (technology, technology_at(technology, HOT)))


def test_heat_raises_the_filters_floor_and_long_transistors_lower_it(technology, cells, long_cells):
    options, ratio = MappingOptions(), warming(technology, HOT)
    hot = cells_for(technology_at(technology, HOT), 4e-6, 4e-6)
    square, long = filter_floor(cells, hot, ratio, options), filter_floor(*long_cells, ratio, options)
    assert filter_floor(cells, cells, 1.0, options) < long < 0.4 * square < 4e-12


@pytest.mark.slow
def test_bursting_holds_from_cold_to_hot_with_tracking_and_filters_above_the_off_currents(
    technology, long_cells, runner
):
    file = load_neuron("bursting")
    cells, hot = long_cells
    options = MappingOptions(bits=None)
    floor = filter_floor(cells, hot, warming(technology, HOT), options)
    sized, plain = (
        map_spec(bare_spec(file), technology, cells, MappingOptions(bits=None, filter_min=least))
        for least in (floor, 0.5 * options.filter_min)
    )
    found = [
        spikes_of(at_temperature(design, celsius, "ptat"), file, 5000.0, runner)
        for design, celsius in ((sized, COLD), (sized, HOT), (plain, HOT))
    ]
    sizes = [burst_statistics(spikes, 5000.0).spikes_per_burst for spikes, _ in found]
    assert [regime for _, regime in found[:2]] == ["bursting", "bursting"]
    assert sizes[0] == pytest.approx(sizes[1], abs=4)
    assert sizes[2] < 0.6 * sizes[1]


@pytest.mark.parametrize("volts", [1.1, 0.0, -1.0, float("nan"), float("inf")])
def test_a_supply_below_the_analog_ground_is_refused(preset, volts):
    text = r"^supply is \S+ V; it must be finite and above the analog ground, 1\.1 V$"
    with pytest.raises(TechnologyError, match=text):
        at_supply(preset("tonic")[2], volts)


@pytest.mark.parametrize("celsius", [-300.0, 400.0, float("nan")])
def test_a_temperature_that_the_technology_refuses_is_named(preset, celsius):
    with pytest.raises(TechnologyError, match=r"^temperature is "):
        at_temperature(preset("tonic")[2], celsius, "ptat")


def test_a_higher_supply_hardly_moves_the_interval(preset, runner):
    file, _, design = preset("tonic")
    low, high = (
        interval_statistics(spikes_of(at_supply(design, volts), file, 600.0, runner)[0]).median
        for volts in (1.62, 1.98)
    )
    assert high == pytest.approx(low, rel=0.05)
