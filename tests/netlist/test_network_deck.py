import dataclasses

import numpy as np
import pytest

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.hardware.design import as_spec
from mtc_hw.netlist.render import Series, network_deck, neuron_deck
from mtc_hw.netlist.solver import DRIVEN, NETWORK
from mtc_hw.neuron_file import Initial
from mtc_hw.readout import features, predict
from mtc_hw.simulate.network import SETTLED, run_networks
from mtc_hw.simulate.ode import SampledCurrent, integrate
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import ModelSpec, Neurons, Readout, RectifiedTanh, Synapse

DURATION, STEP = 200.0, 0.25  # tau_m
FINE = dataclasses.replace(NETWORK, reltol=1e-6, max_step=0.1)


@pytest.fixture(scope="module", params=[Synapse(), RectifiedTanh(0.2)], ids=["saturated_relu", "rectified_tanh"])
def runs(mapped, network, runner, request):
    """The design, its series, the whole network's waveforms and those of each neuron alone."""
    design = mapped(dataclasses.replace(network, synapse=request.param), bits=8)
    rng = np.random.default_rng(4)
    series = Series(rng.normal(size=(51, 2)), DURATION / 50)
    decks = [neuron_deck(design, i, "behavioural", series, DURATION, Initial(), FINE) for i in range(design.count)]
    decks.append(network_deck(design, "behavioural", series, DURATION, Initial(), FINE))
    *alone, whole = (outcome.waveforms for outcome in runner(decks))
    return design, series, whole, alone


def sampled(waveforms, design, index: int) -> np.ndarray:
    trace = to_trace(waveforms, design, index)
    return np.interp(np.arange(0.0, DURATION + STEP / 2, STEP), trace.time, trace.voltage[:, 0])


@pytest.mark.parametrize("index", range(4))
def test_a_neuron_does_the_same_in_the_network_and_alone(runs, index):
    design, _, whole, alone = runs
    # A spike climbs 3 units in a tau_m: 0.1 is an edge 0.03 tau_m early or late on another time grid.
    assert sampled(whole, design, index) == pytest.approx(sampled(alone[index], design, index), abs=0.1)


def test_the_network_spikes(runs):
    design, _, whole, _ = runs
    traces = [to_trace(whole, design, i) for i in range(design.count)]
    assert sum(len(spike_times(trace.time, trace.voltage[:, 0])) for trace in traces) > 4


def test_the_deck_s_readout_is_the_model_s(runs):
    design, _, whole, _ = runs
    readout = as_spec(design).readout
    voltage = np.stack([sampled(whole, design, i) for i in range(design.count)], axis=1)
    expected = predict(features(voltage, STEP, design.synapse, readout.tau), readout)
    grid = np.arange(len(expected)) * STEP * design.scale.second
    volts = np.stack([np.interp(grid, whole.axis, whole[f"v(y_{o})"]) for o in range(2)], axis=1)
    got = (volts - design.technology.analog_ground) / (design.scale.volt * design.readout_span)
    assert np.abs(expected - readout.offset).max() > 0.05
    # Samples every 0.25 tau_m catch a synapse's pulse of about a tau_m to a few per cent.
    assert got == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("index", range(4))
def test_the_deck_s_neurons_follow_the_model_s_equations(runs, index):
    design, series, whole, _ = runs
    meant = as_spec(design)
    current = SampledCurrent(series.values @ meant.weights[index] + meant.bias[index], series.spacing)
    reference = integrate(meant.neurons.take(index), current, DURATION, Initial(), spacing=STEP)
    got = sampled(whole, design, index)
    expected = np.interp(np.arange(len(got)) * STEP, reference.time, reference.voltage[:, 0])
    assert np.sqrt(np.mean((got - expected) ** 2)) < 0.03


@pytest.fixture(scope="module")
def six(cells, mapped):
    """Six unlike neurons on 8-bit converters, inputs, leak and filters through the cells' own curves."""
    rng = np.random.default_rng(8)
    bursts = np.arange(6) % 2
    neurons = Neurons(
        alpha=np.stack([rng.uniform(1.8, 2.2, 6), rng.uniform(1.8, 2.2, 6), 1.2 * bursts, 1.0 * bursts]),
        delta=np.stack([np.zeros(6), rng.uniform(-0.1, 0.1, 6), np.full(6, -1.4), np.full(6, -1.4)]),
        tau=np.stack([np.zeros(6), rng.uniform(20.0, 50.0, 6), np.full(6, 300.0)]),
        leak_curve=cells.leak_curve,
        filter_curve=cells.filter_curve,
    )
    spec = ModelSpec(
        neurons,
        weights=rng.uniform(-1.2, 1.2, (6, 2)),
        bias=rng.uniform(-1.0, 0.0, 6),
        synapse=RectifiedTanh(0.3),
        readout=Readout(rng.uniform(-0.8, 0.8, (1, 6)), np.array([0.1]), tau=8.0),
        input_curve=cells.leak_curve,
    )
    return mapped(spec, bits=8)


WAVE = np.cumsum(np.random.default_rng(9).normal(size=(121, 2)), axis=0) / 5.0


@pytest.mark.parametrize("level", ["behavioural", "transistor"])
def test_a_network_in_pieces_is_the_network_in_one_deck(six, runner, level):
    """A feed-forward layer loads nothing: a deck a neuron and one a readout give what one deck gives."""
    pieces = run_networks([six], level, WAVE, runner)[0]
    deck = network_deck(six, level, Series(WAVE, 1.0), 120.0, SETTLED, DRIVEN[level])
    whole = runner([deck])[0].waveforms
    assert pieces.failed == ()
    for index in range(six.count):
        trace = to_trace(whole, six, index)
        again = np.interp(pieces.layer.step * np.arange(481), trace.time, trace.voltage[:, 0])
        # A spike climbs 3 units in a tau_m, and the two decks' time steps differ.
        assert np.abs(again - pieces.layer.voltage[:, index]).max() < 0.15
    at = np.arange(121) * six.scale.second
    answer = (np.interp(at, whole.axis, whole["v(y_0)"]) - six.technology.analog_ground) / six.scale.volt
    assert np.ptp(pieces.prediction) > 0.25
    assert answer / six.readout_span == pytest.approx(pieces.prediction[:, 0], abs=0.002)
    supply = -whole["i(vdd)"] * six.technology.supply
    assert pieces.power == pytest.approx(np.trapezoid(supply, whole.axis) / whole.axis[-1], rel=0.01)
