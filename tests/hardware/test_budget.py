"""Area, power and energy: closed forms, and within a fifth of what ngspice measures."""

import dataclasses
import json
import re

import numpy as np
import pytest

from mtc_hw.characterise import cells_for
from mtc_hw.errors import DataError
from mtc_hw.hardware.budget import (
    LAYOUT,
    SUM_BRANCHES,
    SUM_CAPACITOR,
    Activity,
    budget,
    magnitude_bits,
    mean_power,
    measured_budget,
)
from mtc_hw.hardware.conditions import at_supply
from mtc_hw.hardware.converters import ConverterSizes, converter_area, string_area
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import LEAK, SUM_BIAS, row_gain
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.map_run import estimated, measured
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.model.train import train
from mtc_hw.neuron_file import bare_spec, load_neuron
from mtc_hw.resources import folder
from mtc_hw.sources import Source
from mtc_hw.spec import RectifiedTanh, Synapse


@pytest.fixture(scope="module")
def tanh_network(network):
    return dataclasses.replace(network, synapse=RectifiedTanh(0.0))


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


def test_every_figure_has_a_formula_and_survives_json(mapped, tanh_network):
    found = budget(mapped(tanh_network, bits=8), Activity(1e-3, 2e-4))
    rows = json.loads(json.dumps(found.to_json()))
    assert [row["name"] for row in rows] == [item.name for item in found.items]
    assert all(row["formula"] and row["value"] > 0.0 for row in rows)
    assert found["energy per prediction"] == pytest.approx(2e-4 * found["power"])
    assert found["layer power"] == pytest.approx(
        sum(found[f"{part} power"] for part in ("branch", "input", "synapse"))
    )
    assert found["power"] == pytest.approx(found["layer power"] + found["readout power"])


def test_every_cell_of_a_network_takes_area(mapped, tanh_network):
    """The library's devices: by hand for neurons, inputs and synapses, and two outputs with sum and low-pass."""
    design = mapped(tanh_network)
    plain, wide = int(design.present[:LEAK].sum()), int(design.present[LEAK:].sum())
    inputs, synapses = 8, 8
    widths = 6 * plain + 12 * (wide + inputs) + 8 * synapses + 2 * (12 + 4 * 12)
    found = budget(design)
    assert found["transistor area"] == pytest.approx(LAYOUT * widths * 4e-6 * (4e-6 + 2 * 0.3e-6))
    neurons = design.capacitor[0].sum() + design.capacitor[1:][design.present[LEAK + 1 :]].sum()
    capacitors = neurons + 2 * (design.pole_capacitor.sum() + SUM_CAPACITOR)
    assert found["capacitor area"] == pytest.approx(capacitors / 1e-3)


def test_a_synapse_that_is_an_equation_has_no_devices(mapped, network, tanh_network):
    equation, cell = (budget(mapped(each)) for each in (network, tanh_network))
    difference = cell["transistor area"] - equation["transistor area"]
    assert difference == pytest.approx(LAYOUT * 8 * 8 * 4e-6 * (4e-6 + 2 * 0.3e-6))
    assert cell["synapse power"] > 1.5 * equation["synapse power"] > 0.0


def test_the_sum_s_branches_and_capacitor_are_the_template_s():
    text = (folder("netlist_templates") / "transistor" / "lowpass.cir.j2").read_text()
    body = text.partition(".subckt readout_sum")[2].partition(".ends")[0]
    assert float(re.search(r"\bc=(\S+)", body)[1]) == SUM_CAPACITOR
    # From vdd the pMOS whose gate is the bias's mirror; and what biases mb comes from vdd as well.
    assert len(re.findall(r"\(pmos, \"\w+\", \"\w+ keep vdd vdd\"", body)) + 1 == SUM_BRANCHES


def test_a_network_s_power_by_hand(mapped, tanh_network):
    design = mapped(tanh_network)
    share = (0.5, 0.25, 0.0, 0.125)
    found = budget(design, Activity(synapses=share))
    weights = np.abs(design.readout_dac.decode(design.readout_code))
    sent = weights * row_gain(design)[-2:] * share
    assert found["synapse power"] == pytest.approx(1.8 * (2 * weights.sum() + sent.sum()))
    poles = design.pole_dac.decode(design.pole_code).sum()
    into = (sent * np.sign(design.readout_code)).sum() + design.readout_unit * design.readout_offset.sum()
    assert found["readout power"] == pytest.approx(1.8 * (2 * (5 * SUM_BIAS + 2 * poles) - into))
    inputs = np.abs(design.input_dac.decode(design.input_code)).sum()
    assert found["input power"] == pytest.approx(1.8 * 2 * inputs)


def test_converters_are_counted_with_sign_splitter_and_one_string(mapped, tanh_network):
    design, sizes = mapped(tanh_network, bits=8), ConverterSizes(width=2e-6, length=8e-6)

    def each(kind, bits, octaves=0):
        return converter_area(kind, bits, octaves, 2e-6, 8e-6, sizes)

    references = int(design.present[: LEAK + 1].sum())
    filters = int(design.present[LEAK + 1 :].sum()) + 2 * 4
    offsets = int((design.offset_code != 0).sum())
    total = references * (each("bias", 8) + each("reference", 8) - string_area(sizes)) + string_area(sizes)
    total += filters * each("bias", 8, 12) + 8 * each("bias", 7)
    total += (8 + offsets) * (each("bias", 7) + each("sign", 7))
    trims = int(design.present.sum()) + int((design.input_code != 0).sum()) + references + design.count
    total += trims * (each("bias", 5) + each("sign", 5))
    assert budget(design, sizes=sizes)["converter area"] == pytest.approx(LAYOUT * total)
    assert budget(mapped(tanh_network))["converter area"] == 0.0
    assert (magnitude_bits(Dac(8, 1.0)), magnitude_bits(Dac(8, 1.0, signed=True))) == (8, 7)


def test_one_more_bit_doubles_a_converter(mapped, network):
    few, more = (budget(mapped(network, bits=bits, trim_bits=None))["converter area"] for bits in (10, 11))
    assert more == pytest.approx(2.0 * few, rel=0.05)


def test_four_single_neurons_cost_as_much_as_their_layer(mapped, network):
    whole = mapped(dataclasses.replace(network, readout=None))
    parts = [budget(whole.take(index)) for index in range(whole.count)]
    for name in ("transistor area", "capacitor area", "layer power", "input power"):
        assert budget(whole)[name] == pytest.approx(sum(part[name] for part in parts), rel=1e-12)


def test_the_measured_power_is_the_time_average(preset):
    time, current = np.array([0.0, 1.0, 3.0]), np.array([-1e-9, -3e-9, -3e-9])
    power = mean_power(at_supply(preset("tonic")[2], 2.0), time, current)
    assert power == pytest.approx(2.0 * 8e-9 / 3.0)
    found = measured_budget(power, Activity(interval=0.5, sample=0.1), power=3.0 * power)
    assert found["energy per spike"] == pytest.approx(0.5 * power)
    assert found["readout power"] == pytest.approx(2.0 * power)
    assert found["energy per prediction"] == pytest.approx(0.3 * power)


@pytest.mark.parametrize("time", [[], [1.0], [1.0, 1.0]])
def test_a_run_without_length_has_no_power(preset, time):
    with pytest.raises(DataError, match=r"^a run of \d time points has no mean power; simulate for longer$"):
        mean_power(preset("tonic")[2], np.array(time), -np.ones(len(time)))


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


@pytest.fixture(scope="module")
def eight():
    """A hardly trained network."""
    options = TrainOptions(hidden=8, iterations=2, candidates=1, batch=4, synapse="rectified_tanh")
    return train(mackey_glass_split(2000, 1000), options, progress=False).spec


@pytest.mark.parametrize("synapse", [Synapse(), RectifiedTanh(0.0)], ids=["equation", "transistors"])
def test_a_network_s_estimates_are_within_a_fifth_of_the_simulation(eight, mapped, runner, monkeypatch, synapse):
    """With inputs, synapses, sums and low-pass."""
    monkeypatch.setattr("mtc_hw.map_run.SAMPLES", 80)
    spec = dataclasses.replace(eight, synapse=synapse)
    design, source = mapped(spec, bits=8), Source(spec=spec)
    guess, seen = estimated(source, design), measured(source, design, runner)
    names = ["layer power", "readout power", "power", "energy per spike", "energy per prediction"]
    assert [item.name for item in seen.items] == names
    for name in names:
        assert guess[name] == pytest.approx(seen[name], rel=0.2), name
    assert guess["power"] == pytest.approx(seen["power"], rel=0.05)
