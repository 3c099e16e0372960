"""A shaped neuron does in LSODA what was wanted, also when read back from its file."""

import dataclasses
import tempfile
from pathlib import Path

import pytest

from mtc_hw.analysis.excitability import classify_excitability
from mtc_hw.analysis.recipes import RECIPES
from mtc_hw.analysis.regimes import classify
from mtc_hw.analysis.shape import TOLERANCE, Proposal, Wish, shape
from mtc_hw.analysis.spikes import burst_statistics, spike_times
from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import NeuronFile, Stimulus, load_neuron, save_neuron
from mtc_hw.simulate.ode import integrate


def spikes_and_regime(neuron: NeuronFile):
    assert neuron.duration is not None
    trace = integrate(neuron.neurons, neuron.stimulus, neuron.duration, neuron.initial, spacing=0.25)
    spikes = spike_times(trace.time, trace.voltage[:, 0])
    return spikes, classify(spikes, neuron.duration, neuron.stimulus, float(trace.voltage[-1, 0]))


def reread(proposal: Proposal) -> NeuronFile:
    with tempfile.TemporaryDirectory() as folder:
        return load_neuron(save_neuron(proposal.neuron, Path(folder) / "shaped.toml"))


@pytest.mark.parametrize("wanted", ["tonic", "phasic", "adapting", "bistable"])
def test_a_shaped_neuron_s_file_shows_the_regime_and_its_curves_the_kind(wanted):
    proposal = shape(wanted)
    neuron = reread(proposal)
    _, regime = spikes_and_regime(neuron)
    assert regime == RECIPES[wanted].regime
    assert classify_excitability(neuron.neurons)[0].kind == RECIPES[wanted].kind
    assert neuron.name == proposal.wanted == wanted
    low, high = proposal.currents
    assert low < neuron.stimulus.steps[-1][1] < high


@pytest.mark.slow
@pytest.mark.parametrize("wanted", ["rebound", "phasic_burst"])
def test_a_slower_regime_is_shaped_too(wanted):
    assert spikes_and_regime(reread(shape(wanted)))[1] == wanted


def test_a_wished_interval_is_met():
    neuron = reread(shape("tonic", Wish(interval=20.0)))
    spikes, regime = spikes_and_regime(neuron)
    assert regime == "tonic"
    assert (spikes[-1] - spikes[5]) / (len(spikes) - 6) == pytest.approx(20.0, rel=TOLERANCE)


def test_wished_bursts_are_met():
    proposal = shape("bursting", Wish(period=450.0, spikes=5.0))
    spikes, regime = spikes_and_regime(reread(proposal))
    found = burst_statistics(spikes, proposal.neuron.duration)
    assert regime == "bursting"
    assert found.period == pytest.approx(450.0, rel=TOLERANCE)
    assert found.spikes_per_burst == pytest.approx(5.0, abs=0.5)


def test_a_bistable_neuron_rests_until_it_is_kicked_and_fires_on_afterwards():
    neuron = reread(shape("bistable", Wish(interval=40.0)))
    spikes, _ = spikes_and_regime(neuron)
    (_, level), (kick, _), (end, after) = neuron.stimulus.steps
    assert level == after
    assert spikes[0] > kick
    assert ((spikes > end + 200.0).sum()) > 5
    held = dataclasses.replace(neuron, stimulus=Stimulus(((0.0, level),)))
    assert spikes_and_regime(held)[1] == "silent"


def test_a_wished_current_moves_the_deltas_and_nothing_else():
    plain, moved = shape("tonic"), shape("tonic", Wish(current=0.1))
    assert moved.neuron.stimulus.steps[-1][1] == 0.1
    assert moved.neuron.neurons.delta[:2, 0] == pytest.approx(plain.neuron.neurons.delta[:2, 0] + 0.6)
    assert moved.neuron.neurons.alpha.tolist() == plain.neuron.neurons.alpha.tolist()
    assert moved.currents == pytest.approx([level + 0.6 for level in plain.currents], abs=0.03)
    assert spikes_and_regime(reread(moved))[1] == "tonic"


def test_a_proposal_says_why_and_what_was_verified():
    proposal = shape("tonic")
    assert proposal.reasons[0].startswith("the fast curve falls from -0.88 to 0.88")
    assert proposal.verified[0] == "I-V curves: spiking"
    assert proposal.verified[1].startswith("LSODA at ")
    assert proposal.figures["interval"] == pytest.approx(56.4, abs=0.1)


@pytest.mark.parametrize(
    ("wanted", "wish", "said"),
    [
        ("spiky", Wish(), "'spiky' is no regime to shape; there are: tonic, phasic, "),
        ("phasic", Wish(interval=5.0), "a phasic neuron has no interval to wish for; its figures: none"),
        ("tonic", Wish(period=5.0), "a tonic neuron has no period to wish for; its figures: interval"),
        ("tonic", Wish(interval=0.0), "the wished interval is 0; it must be > 0 and at most 2000"),
        ("tonic", Wish(interval=float("nan")), "the wished interval is nan"),
        ("bursting", Wish(spikes=1e6), r"the wished spikes is 1e\+06; it must be > 0 and at most 100"),
        ("tonic", Wish(current=9.0), "the wished current is 9; it must be from -2.9 to 1.9"),
        ("tonic", Wish(current=float("inf")), "the wished current is inf"),
        ("tonic", Wish(interval=2.0), "no tonic neuron was found with interval 2: the nearest has interval 8"),
        ("phasic", Wish(current=1.3), "spikes must still pass 0; wish for one nearer -1"),
    ],
)
def test_an_unknown_or_unreachable_wish_is_refused(wanted, wish, said):
    with pytest.raises(SpecError, match=said):
        shape(wanted, wish)
