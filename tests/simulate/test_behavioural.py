"""What must stay the same, or change sign, when a behavioural circuit is changed in a known way."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.hardware.design import BRANCHES
from mtc_hw.netlist.bench import sweep_deck
from mtc_hw.netlist.render import Series, network_deck, neuron_deck
from mtc_hw.netlist.solver import ACCURATE
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.simulate.ode import integrate
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import ModelSpec, Neurons

KICK = Series(np.array([[0.0, 0.4], [1.0, -0.3], [-0.5, 0.8], [0.7, 0.1]]), 20.0)


def spikes(outcome, design, index: int = 0) -> np.ndarray:
    trace = to_trace(outcome.waveforms, design, index)
    return spike_times(trace.time, trace.voltage[:, 0])


@pytest.mark.parametrize("name", ["tonic", "phasic", "adapting", "silent"])
def test_a_deck_spikes_when_the_equations_do(preset, runner, name):
    file, spec, design = preset(name)
    duration = min(file.duration, 1000.0)
    reference = integrate(spec.neurons, file.stimulus, duration, file.initial)
    expected = spike_times(reference.time, reference.voltage[:, 0])
    deck = neuron_deck(design, 0, "behavioural", file.stimulus, duration, file.initial, ACCURATE)
    assert spikes(runner([deck])[0], design) == pytest.approx(expected, abs=0.1)


@pytest.mark.slow
def test_bursts_are_those_of_the_equations_spike_by_spike(preset, runner):
    file, spec, design = preset("bursting")
    reference = integrate(spec.neurons, file.stimulus, 5000.0, file.initial)
    expected = spike_times(reference.time, reference.voltage[:, 0])
    deck = neuron_deck(design, 0, "behavioural", file.stimulus, 5000.0, file.initial, ACCURATE)
    assert len(expected) > 18
    assert spikes(runner([deck])[0], design) == pytest.approx(expected, abs=0.1)


def swapped(text: str, branch: int) -> str:
    """The bench deck with one OTA's inputs exchanged."""
    name = BRANCHES[branch]
    [line] = [each for each in text.splitlines() if each.startswith(f"X{name} ")]
    call, inp, inn, *rest = line.split()
    return text.replace(line, " ".join([call, inn, inp, *rest]))


@pytest.mark.parametrize("branch", [0, 1, 2, 3, 4, 6, 7])
def test_swapping_an_ota_s_inputs_negates_its_current(preset, runner, branch):
    design = preset("bursting", bits=8)[2]
    deck = sweep_deck(design, 0, "behavioural", (-3.0, 3.0, 0.25), (-2.0, 0.0, 2.0))
    one, other = runner([deck, dataclasses.replace(deck, text=swapped(deck.text, branch))])
    name = f"i(vo_{BRANCHES[branch]})"
    assert np.ptp(one.waveforms[name]) > 1e-12
    assert other.waveforms[name] == pytest.approx(-one.waveforms[name], rel=1e-6, abs=1e-18)


@pytest.mark.parametrize("option", [{"capacitor": 12e-12}, {"unit_current": 0.4e-9}])
def test_time_counts_in_units_of_the_capacitor_over_the_current(mapped, preset, runner, option):
    file, spec, design = preset("tonic")
    other = mapped(spec, **option)
    assert not 0.9 < other.scale.second / design.scale.second < 1.1
    decks = [neuron_deck(d, 0, "behavioural", file.stimulus, 400.0, file.initial, ACCURATE) for d in (design, other)]
    one, two = (spikes(o, d) for o, d in zip(runner(decks), (design, other), strict=True))
    assert len(one) > 5
    assert one == pytest.approx(two, abs=0.1)


def permuted(spec: ModelSpec, order: list[int]) -> ModelSpec:
    arrays = {name: getattr(spec.neurons, name)[..., order] for name in ("alpha", "delta", "tau")}
    neurons = dataclasses.replace(spec.neurons, **arrays)
    readout = dataclasses.replace(spec.readout, weights=spec.readout.weights[:, order])
    return dataclasses.replace(
        spec, neurons=neurons, weights=spec.weights[order], bias=spec.bias[order], readout=readout
    )


def test_permuting_the_neurons_permutes_their_runs(mapped, network, runner):
    order = [2, 0, 3, 1]
    design, moved = mapped(network, bits=8), mapped(permuted(network, order), bits=8)

    def run(d):
        decks = [neuron_deck(d, i, "behavioural", KICK, 60.0, Initial(), ACCURATE) for i in range(d.count)]
        return [outcome.waveforms[f"v(v_{i})"] for i, outcome in enumerate(runner(decks))]

    before, after = run(design), run(moved)
    for new, old in enumerate(order):
        assert np.array_equal(after[new], before[old])


def test_the_readout_does_not_mind_the_order_of_the_neurons(mapped, network, runner):
    design, moved = mapped(network, bits=8), mapped(permuted(network, [2, 0, 3, 1]), bits=8)
    grid = np.linspace(0.0, 60.0 * design.scale.second, 200)
    decks = [network_deck(d, "behavioural", KICK, 60.0, Initial(), ACCURATE) for d in (design, moved)]
    one, other = (np.interp(grid, o.waveforms.axis, o.waveforms["v(y_0)"]) for o in runner(decks))
    assert one == pytest.approx(other, abs=1e-4)


def test_a_disconnected_neuron_changes_nothing(mapped, network, runner):
    def with_one_more(array: np.ndarray, value: float) -> np.ndarray:
        return np.concatenate([array, np.full((*array.shape[:-1], 1), value)], axis=-1)

    n = network.neurons
    neurons = Neurons(
        with_one_more(n.alpha, 1.5),
        with_one_more(n.delta, 0.0),
        with_one_more(n.tau, 30.0),
        leak_curve=n.leak_curve,
        filter_curve=n.filter_curve,
    )
    readout = dataclasses.replace(network.readout, weights=with_one_more(network.readout.weights, 0.0))
    more = dataclasses.replace(
        network,
        neurons=neurons,
        weights=np.vstack([network.weights, np.zeros((1, 2))]),
        bias=np.append(network.bias, 0.0),
        readout=readout,
    )
    designs = [mapped(spec, bits=8) for spec in (network, more)]
    alone = [neuron_deck(d, 1, "behavioural", KICK, 60.0, Initial(), ACCURATE) for d in designs]
    whole = [network_deck(d, "behavioural", KICK, 60.0, Initial(), ACCURATE) for d in designs]
    one, other, few, many = (outcome.waveforms for outcome in runner([*alone, *whole]))
    assert np.array_equal(one["v(v_1)"], other["v(v_1)"])
    grid = np.linspace(0.0, few.axis[-1], 200)
    for name in ("v(y_0)", "v(y_1)"):
        values = [np.interp(grid, w.axis, w[name]) for w in (few, many)]
        assert values[0] == pytest.approx(values[1], abs=1e-4)


def test_a_step_of_current_acts_when_it_comes(preset, runner):
    """Before a step nothing of it is felt; after it the run is that of a neuron that had it."""
    file, _, design = preset("tonic")
    held, stepped = Stimulus(((0.0, -3.0),)), Stimulus(((0.0, -3.0), (40.0, 0.5)))
    decks = [neuron_deck(design, 0, "behavioural", s, 120.0, file.initial, ACCURATE) for s in (held, stepped)]
    one, other = (to_trace(o.waveforms, design, 0) for o in runner(decks))
    grid = np.linspace(0.0, 39.9, 100)
    before = [np.interp(grid, t.time, t.voltage[:, 0]) for t in (one, other)]
    assert before[0] == pytest.approx(before[1], abs=1e-4)
    assert not len(spike_times(one.time, one.voltage[:, 0]))
    assert len(spike_times(other.time, other.voltage[:, 0]))
