import dataclasses

import numpy as np
import pytest

from mtc_hw.hardware.conditions import at_temperature
from mtc_hw.hardware.design import BRANCHES, LEAK, as_spec, row_constant, row_offset
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.bench import sweep_deck, synapse_deck
from mtc_hw.spec import FILTERS, SIGNS, RectifiedTanh, Synapse

SWEEP, OUTPUTS = (-4.0, 4.0, 0.1), (-3.0, -1.0, 1.0)
X = np.linspace(-4.0, 4.0, 81)


@pytest.fixture(scope="module", params=[Synapse(0.2, 1.4), RectifiedTanh(0.2)], ids=["relu", "tanh"])
def swept(mapped, network, runner, request):
    """A mismatched chip's design and the bench sweeps of its four neurons, behavioural; inputs through a curve."""
    spec = dataclasses.replace(network, synapse=request.param, input_curve=network.neurons.leak_curve)
    chip = perturb(mapped(spec, bits=8), 2, 0)
    outcomes = runner([sweep_deck(chip, i, "behavioural", SWEEP, OUTPUTS) for i in range(chip.count)])
    return chip, [outcome.waveforms for outcome in outcomes]


def table(swept, neuron: int, name: str) -> np.ndarray:
    """Unit currents, (inputs, outputs)."""
    chip, waveforms = swept
    return waveforms[neuron][f"i(vo_{name})"].reshape(len(OUTPUTS), -1).T[: len(X)] / chip.scale.amp


@pytest.mark.parametrize("neuron", range(4))
def test_every_branch_gives_the_current_of_its_equation(swept, neuron):
    chip, _ = swept
    model = as_spec(chip).neurons
    for branch in np.flatnonzero(chip.present[:, neuron]):
        for column, output in enumerate(OUTPUTS):
            if branch < LEAK:
                expected = SIGNS[branch] * model.alpha[branch, neuron] * np.tanh(X - model.delta[branch, neuron])
                expected = expected + row_constant(chip)[branch, neuron] / chip.scale.amp
            elif branch == LEAK:
                expected = -model.leak[neuron] * model.leak_curve(X - model.rest[neuron])
            else:
                row = branch - LEAK - 1
                size = (1.0, 1.0, 2.0)[row] / model.tau[row, neuron]
                expected = size * model.filter_curve(X - output + model.offset[row, neuron])
            got = table(swept, neuron, BRANCHES[branch])[:, column]
            assert got == pytest.approx(expected, rel=1e-4, abs=1e-7), BRANCHES[branch]


@pytest.mark.parametrize("neuron", range(4))
def test_every_input_gives_its_weight_s_current(swept, neuron):
    chip, _ = swept
    model = as_spec(chip)
    for i, weight in enumerate(model.weights[neuron]):
        sign = np.sign(weight)
        offset = sign * row_offset(chip)[len(BRANCHES) + i, neuron] / chip.scale.volt
        expected = weight * chip.input_curve(X - offset)
        got = table(swept, neuron, f"input_{i}")
        assert got == pytest.approx(np.repeat(expected[:, None], len(OUTPUTS), axis=1), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("neuron", range(4))
def test_every_synapse_gives_its_weight_s_current_whatever_the_sum_s_sign(swept, neuron):
    chip, _ = swept
    weights = as_spec(chip).readout.weights[:, neuron]
    for output, weight in enumerate(weights):
        offset = row_offset(chip)[len(chip.rows) - 2 + output, neuron] / chip.scale.volt
        expected = abs(weight) * chip.readout_unit / chip.scale.amp * chip.synapse(X - offset)
        got = table(swept, neuron, f"synapse_{output}_{neuron}")
        assert got == pytest.approx(np.repeat(expected[:, None], len(OUTPUTS), axis=1), rel=1e-4, abs=1e-7)


def test_the_sweep_covers_the_range_asked_for_at_every_output(swept):
    chip, waveforms = swept
    axis = (waveforms[0].axis - chip.technology.analog_ground) / chip.scale.volt
    assert axis.reshape(len(OUTPUTS), -1)[:, : len(X)] == pytest.approx(np.tile(X, (len(OUTPUTS), 1)), abs=1e-9)


def test_a_bench_deck_is_named_and_stamped(mapped, network):
    design = mapped(network)
    deck = sweep_deck(design, 3, "transistor", (-1.0, 1.0, 0.5), OUTPUTS)
    assert deck.name == "bench_3"
    assert deck.end == pytest.approx(design.technology.analog_ground + 0.75 * design.scale.volt)
    assert deck.text.splitlines()[1].endswith(f"level transistor, technology generic, design {design.digest[:16]}")


def test_what_an_ota_does_on_the_bench_does_not_depend_on_the_others(mapped, network, runner):
    design = mapped(network)
    present = design.present.copy()
    present[2:4] = False
    present[LEAK + 3] = False
    fewer = dataclasses.replace(design, present=present)
    whole, part = (
        o.waveforms for o in runner([sweep_deck(d, 1, "transistor", (-3, 3, 0.5), OUTPUTS) for d in (design, fewer)])
    )
    for name in ("fast_negative", "slow_positive", "leak", "slow_filter", "input_0", "synapse_0_1"):
        assert part[f"i(vo_{name})"] == pytest.approx(whole[f"i(vo_{name})"], rel=1e-4, abs=1e-14)


def test_a_transistor_s_current_depends_on_its_output_and_an_equation_s_does_not(mapped, network, runner):
    design = mapped(network)
    decks = [sweep_deck(design, 0, level, (-3, 3, 0.5), OUTPUTS) for level in ("behavioural", "transistor")]
    for outcome, flat in zip(runner(decks), (True, False), strict=True):
        current = outcome.waveforms["i(vo_leak)"].reshape(len(OUTPUTS), -1) / design.scale.amp
        spread = np.ptp(current, axis=0).max()
        assert spread < 1e-6 if flat else spread > 1e-3


def test_only_a_filter_follows_its_own_output(mapped, network):
    text = sweep_deck(mapped(network), 1, "transistor", (-3, 3, 0.5), OUTPUTS).text
    followers = [line for line in text.splitlines() if line.startswith("X") and " in o_" in line]
    names = [line.split()[0] for line in followers if line.split()[2] == line.split()[3]]
    assert names == [f"X{name}_filter" for name in FILTERS]


def test_a_synapse_that_is_off_sends_what_it_leaks_whatever_its_code(mapped, network, runner):
    """About twice as much every ten kelvin."""
    design = mapped(dataclasses.replace(network, synapse=RectifiedTanh(0.1)), bits=8)
    codes = np.sign(design.readout_code) * np.array([[40.0], [80.0]])
    design = dataclasses.replace(design, readout_code=codes)
    leaks = []
    for celsius in (40.0, 70.0):
        there = at_temperature(design, celsius, "ptat")
        [outcome] = runner([synapse_deck(there, 0, "transistor", (-3.0, -2.5, 0.5))])
        leaks.append([outcome.waveforms[f"i(vo_synapse_{output}_0)"][0] for output in range(2)])
    cold, warm = np.array(leaks)
    assert (cold > 1e-13).all() and (warm < 2e-11).all()
    assert (warm / cold > 2.0).all() and (warm / cold < 12.0).all()
    assert warm[1] == pytest.approx(warm[0], rel=0.01)
