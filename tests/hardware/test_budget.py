"""Area, power and energy: closed forms, and within a fifth of what ngspice measures."""

import dataclasses
import json

import numpy as np
import pytest

from mtc_hw.characterise import cells_for
from mtc_hw.errors import DataError
from mtc_hw.hardware.budget import LAYOUT, Activity, budget, measured_budget
from mtc_hw.hardware.conditions import at_supply
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.map_run import estimated, measured
from mtc_hw.neuron_file import load_neuron
from mtc_hw.neuron_run import bare_spec
from mtc_hw.sources import Source


def test_a_tonic_neuron_by_hand(preset):
    _, _, design = preset("tonic")
    found = budget(design, Activity(interval=1e-2, input_current=-5e-10))
    unit_widths = 2 * 6 + 2 * (8 + 2 * 2)  # two plain OTAs, leak and slow filter with two doubled devices each
    assert found["transistor area"] == pytest.approx(LAYOUT * unit_widths * 4e-6 * (4e-6 + 2 * 0.3e-6))
    assert found["capacitor area"] == pytest.approx((design.capacitor[0, 0] + design.capacitor[2, 0]) / 1e-3)
    assert found["converter area"] == 0.0
    assert found["power"] == found["layer power"] == pytest.approx(1.8 * (2 * design.bias().sum() + 5e-10))
    assert found["energy per spike"] == pytest.approx(1e-2 * found["power"])
    assert "energy per prediction" not in found


def test_every_figure_has_a_formula_and_survives_json(mapped, network):
    found = budget(mapped(network, bits=8), Activity(1e-3, 2e-4))
    rows = json.loads(json.dumps(found.to_json()))
    assert [row["name"] for row in rows] == [item.name for item in found.items]
    assert all(row["formula"] and row["value"] > 0.0 for row in rows)
    assert found["energy per prediction"] == pytest.approx(2e-4 * found["power"])
    assert found["power"] == pytest.approx(sum(found[f"{part} power"] for part in ("layer", "input", "readout")))


def test_one_more_bit_doubles_a_converter_and_its_area_is_an_argument(mapped, network):
    few, more = (budget(mapped(network, bits=bits))["converter area"] for bits in (10, 11))
    assert more == pytest.approx(2.0 * few, rel=0.05)
    design = mapped(network, bits=8)
    bought = budget(design, converter_area=lambda dac, unit: 1e-9 if isinstance(dac, Dac) else unit)
    converters = design.present.sum() + design.present[:5].sum() + design.input_code.size + design.count
    assert bought["converter area"] == pytest.approx(1e-9 * (converters + design.readout_code.size))


def test_two_equal_halves_cost_twice_one(mapped, network):
    whole = mapped(network)
    parts = [budget(whole.take(index)) for index in range(whole.count)]
    for name in ("transistor area", "capacitor area", "layer power", "input power"):
        assert budget(whole)[name] == pytest.approx(sum(part[name] for part in parts), rel=1e-12)


def test_the_measured_power_is_the_time_average(preset):
    time, current = np.array([0.0, 1.0, 3.0]), np.array([-1e-9, -3e-9, -3e-9])
    found = measured_budget(at_supply(preset("tonic")[2], 2.0), time, current, Activity(interval=0.5))
    assert found["layer power"] == pytest.approx(2.0 * 8e-9 / 3.0)
    assert found["energy per spike"] == pytest.approx(0.5 * found["layer power"])


@pytest.mark.parametrize("time", [[], [1.0], [1.0, 1.0]])
def test_a_run_without_length_has_no_power(preset, time):
    with pytest.raises(DataError, match=r"^a run of \d time points has no mean power; simulate for longer$"):
        measured_budget(preset("tonic")[2], np.array(time), -np.ones(len(time)))


@pytest.mark.parametrize(
    ("name", "duration", "edge"),
    [
        ("tonic", 500.0, 2e-6),
        ("tonic", 500.0, 4e-6),
        ("bursting", 6500.0, 2e-6),
        pytest.param("bursting", 6500.0, 4e-6, marks=pytest.mark.slow),
    ],
)
def test_estimates_are_within_a_fifth_of_the_simulation(technology, runner, name, duration, edge):
    file = dataclasses.replace(load_neuron(name), duration=duration)
    design = map_spec(bare_spec(file), technology, cells_for(technology, edge, edge), MappingOptions())
    source = Source(neuron=file)
    guess, seen = estimated(source, design), measured(source, design, runner)
    assert guess["layer power"] == pytest.approx(seen["layer power"], rel=0.03)
    assert guess["energy per spike"] == pytest.approx(seen["energy per spike"], rel=0.2)
