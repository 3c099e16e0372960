"""A hidden layer in the circuit: gathered on one grid, a failed neuron marked and the rest right."""

import numpy as np
import pytest

from mtc_hw.hardware.design import as_spec
from mtc_hw.model.run import run_spec
from mtc_hw.netlist.deck import Deck
from mtc_hw.readout import predict
from mtc_hw.simulate.network import GRID, gather, layer_decks, layer_features, layer_prediction, run_layers
from mtc_hw.spec import INITIAL_VOLTAGE

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
    readout = as_spec(design).readout
    seen = layer_features(design, layer)
    assert np.abs(seen - software.features).max() < 0.01
    assert layer_prediction(design, layer, readout) == pytest.approx(predict(seen, readout), abs=1e-12)


@pytest.mark.slow
def test_a_neuron_s_deck_does_not_depend_on_the_batch(design, runner):
    together = run_layers([design, design], "behavioural", INPUTS[:20], runner)
    alone = run_layers([design], "behavioural", INPUTS[:20], runner)[0]
    for layer in together:
        np.testing.assert_array_equal(layer.voltage, alone.voltage)


def test_a_failed_neuron_stays_at_the_start_and_is_listed(design, runner):
    decks = layer_decks(design, "behavioural", INPUTS[:20])
    broken = Deck(decks[0].name, decks[0].text.replace("Cmembrane", "Xmembrane"), decks[0].wanted, decks[0].end)
    layer = gather(design, runner([broken, *decks[1:]]), 19.0, 1.0)
    assert [outcome.deck for outcome in layer.failed] == [decks[0].name]
    assert (layer.voltage[:, 0] == INITIAL_VOLTAGE).all()
    assert np.isnan(layer.power[0])
    assert (np.ptp(layer.voltage[:, 1:], axis=0) > 0.1).all()


@pytest.mark.slow
def test_transistors_draw_power_in_proportion_to_the_unit_current(small_network, mapped, runner):
    small, large = (
        run_layers([mapped(small_network, unit_current=amp)], "transistor", INPUTS[:30], runner)[0]
        for amp in (0.5e-9, 1e-9)
    )
    assert np.nanmean(large.power) == pytest.approx(2.0 * np.nanmean(small.power), rel=0.1)


def test_an_input_that_ends_early_is_refused(design):
    from mtc_hw.errors import DeckError
    from mtc_hw.netlist.render import Series, neuron_deck
    from mtc_hw.netlist.solver import NETWORK
    from mtc_hw.simulate.network import SETTLED

    with pytest.raises(DeckError, match=r"^4 tau_m of input for a run of 9 tau_m"):
        neuron_deck(design, 0, "behavioural", Series(INPUTS[:5], 1.0), 9.0, SETTLED, NETWORK)
