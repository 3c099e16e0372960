"""A network in the circuit: gathered on one grid, a failed neuron marked and the rest right, the readout in it."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.errors import DeckError
from mtc_hw.hardware.design import as_spec, row_gain
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.model.run import run_spec
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.render import Series, neuron_deck
from mtc_hw.netlist.solver import NETWORK
from mtc_hw.readout import lowpass
from mtc_hw.simulate.network import GRID, SETTLED, gather, layer_decks, layer_features, run_layers, run_networks
from mtc_hw.spec import INITIAL_VOLTAGE, RectifiedTanh, Synapse

INPUTS = np.sin(0.2 * np.arange(81))[:, None]


@pytest.fixture(scope="module")
def design(small_network, mapped):
    return mapped(small_network, bits=8)


@pytest.mark.slow
def test_the_behavioural_layer_follows_the_software_network(design, runner):
    layer = run_layers([design], "behavioural", INPUTS, runner)[0]
    software = run_spec(as_spec(design), INPUTS, step=1.0 / 16)
    assert layer.failed == ()
    # A spike's edge moves 3 units a tau_m: hundredths of a tau_m show as a tenth (measured: 0.015 rms).
    error = layer.voltage[::GRID] - software.trace.voltage[::16]
    assert np.sqrt(np.mean(error**2)) < 0.03
    assert np.abs(error).max() < 0.15
    assert np.abs(layer_features(design, layer) - software.features).max() < 0.01


@pytest.mark.parametrize("synapse", [Synapse(0.1, 1.3), RectifiedTanh(0.2)], ids=["relu", "tanh"])
@pytest.mark.parametrize("curved", [False, True], ids=["linear", "curved"])
def test_the_behavioural_network_predicts_what_the_codes_mean(mapped, network, runner, synapse, curved):
    """Input curve, synapse currents, both sums and the low-pass are those of the equations."""
    spec = dataclasses.replace(network, synapse=synapse, input_curve=network.neurons.leak_curve if curved else None)
    design = mapped(spec, bits=8)
    inputs = np.cumsum(np.random.default_rng(3).normal(size=(201, 2)), axis=0) / 4.0
    found = run_networks([design], "behavioural", inputs, runner)[0]
    meant = run_spec(as_spec(design), inputs, step=1.0 / 16)
    assert found.failed == ()
    assert found.prediction.shape == meant.prediction.shape
    assert np.ptp(meant.prediction, axis=0).min() > 0.1
    assert found.prediction == pytest.approx(meant.prediction, abs=0.002)


@pytest.fixture(scope="module")
def run(mapped, network, runner):
    """A mismatched chip with transistor synapses' shape, over a wave, behavioural."""
    chip = perturb(mapped(dataclasses.replace(network, synapse=RectifiedTanh(0.0)), bits=8), 6, 0)
    inputs = np.cumsum(np.random.default_rng(3).normal(size=(81, 2)), axis=0) / 4.0
    return chip, run_networks([chip], "behavioural", inputs, runner)[0]


def test_the_sums_are_the_synapses_currents_by_sign(run):
    chip, found = run
    full = chip.row_bias()[-2:] * row_gain(chip)[-2:] * np.sign(chip.readout_code)  # (outputs, N) A
    # A synapse's random offset moves its threshold: a chip's sums are the nominal ones only to first order.
    sent = chip.synapse(found.layer.voltage) @ full.T
    assert found.layer.sums.shape == (len(found.layer.voltage), 2, 2)
    assert (found.layer.sums > -1e-15).all()
    difference = found.layer.sums[:, 0] - found.layer.sums[:, 1]
    assert np.abs(difference).max() > 0.2 * chip.readout_unit
    assert difference == pytest.approx(sent, abs=0.05 * chip.readout_unit)


def test_the_prediction_is_the_low_passed_difference_of_the_sums(run):
    chip, found = run
    difference = (found.layer.sums[:, 0] - found.layer.sums[:, 1]) / chip.readout_unit
    tau = chip.readout_tau / chip.scale.second
    expected = lowpass(difference, found.layer.step, tau)[::GRID] + chip.readout_offset
    assert found.prediction == pytest.approx(expected, abs=0.003)


@pytest.mark.slow
def test_a_neuron_s_deck_does_not_depend_on_the_batch(design, runner):
    together = run_layers([design, design], "behavioural", INPUTS[:20], runner)
    alone = run_layers([design], "behavioural", INPUTS[:20], runner)[0]
    for layer in together:
        np.testing.assert_array_equal(layer.voltage, alone.voltage)


def broken(deck: Deck) -> Deck:
    return Deck(deck.name, deck.text.replace("Vref ref 0", "Xref ref 0"), deck.wanted, deck.end)


def test_a_failed_neuron_stays_at_the_start_and_is_listed(design, runner):
    first, *others = layer_decks(design, "behavioural", INPUTS[:20])
    layer = gather(design, runner([broken(first), *others]), 19.0, 1.0)
    assert [outcome.deck for outcome in layer.failed] == [first.name]
    assert (layer.voltage[:, 0] == INITIAL_VOLTAGE).all()
    assert np.isnan(layer.power[0])
    assert (np.ptp(layer.voltage[:, 1:], axis=0) > 0.1).all()


@pytest.mark.parametrize("lost", ["readout_1", "neuron_2"])
def test_a_failed_run_is_listed_and_raises_nothing(mapped, network, runner, lost):
    design = mapped(network, bits=8)

    def losing(decks, done=None):
        return runner([broken(deck) if deck.name == lost else deck for deck in decks], done)

    inputs = np.zeros((11, 2))
    found, whole = (run_networks([design], "behavioural", inputs, run)[0] for run in (losing, runner))
    assert [outcome.deck for outcome in found.failed] == [lost]
    missing = np.isnan(found.prediction).all(axis=0)
    assert missing.tolist() == ([False, True] if lost == "readout_1" else [False, False])
    assert np.isfinite(found.prediction[:, ~missing]).all() and np.isfinite(found.power)
    if lost == "readout_1":
        np.testing.assert_array_equal(found.prediction[:, 0], whole.prediction[:, 0])
    assert 0.0 < found.power < whole.power


def test_without_a_readout_there_is_no_prediction_and_nothing_fails(mapped, network, runner):
    design = mapped(dataclasses.replace(network, readout=None), bits=8)
    found = run_networks([design], "behavioural", np.zeros((11, 2)), runner)[0]
    assert found.prediction.shape == (11, 0) and found.failed == ()


@pytest.mark.slow
def test_transistors_draw_power_in_proportion_to_the_unit_current(small_network, mapped, runner):
    small, large = (
        run_layers([mapped(small_network, unit_current=amp)], "transistor", INPUTS[:30], runner)[0]
        for amp in (0.5e-9, 1e-9)
    )
    assert np.nanmean(large.power) == pytest.approx(2.0 * np.nanmean(small.power), rel=0.1)


def test_an_input_that_ends_early_is_refused(design):
    with pytest.raises(DeckError, match=r"^4 tau_m of input for a run of 9 tau_m"):
        neuron_deck(design, 0, "behavioural", Series(INPUTS[:5], 1.0), 9.0, SETTLED, NETWORK)
