"""Untrained networks are as the options ask, and the best of a few is taken."""

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch

from mtc_hw.model.build import CIRCUIT_CURVE, best_start, initial_network, timing_of
from mtc_hw.model.mtc_neurons import MtcNeurons
from mtc_hw.model.network import Network
from mtc_hw.model.options import Kind, TrainOptions
from mtc_hw.spec import RectifiedTanh, Synapse

SMALL = TrainOptions(hidden=6, candidates=3)
KINDS: tuple[Kind, ...] = get_args(Kind)


def drawn(options: TrainOptions, inputs: int = 1, seed: int = 0) -> Network:
    return initial_network(options, 1.0, inputs, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_runs(kind: Kind) -> None:
    network = drawn(replace(SMALL, neuron=kind, curves="linear"))
    with torch.no_grad():
        seen = network.observe(torch.zeros((2, 9)), range(1, 9, 4))
    assert seen.features.shape == (2, 2, 6) and torch.isfinite(seen.features).all()


def test_only_mtc_neurons_have_a_synapse_and_substeps() -> None:
    mtc, lif = drawn(SMALL), drawn(replace(SMALL, neuron="lif"))
    assert mtc.synapse == Synapse() and mtc.timing.substeps == 2
    assert lif.synapse is None and lif.timing.substeps == 1 and lif.timing.step == 1.0
    assert drawn(replace(SMALL, synapse="rectified_tanh")).synapse == RectifiedTanh()


def test_timing_is_that_of_the_series_and_the_options() -> None:
    timing = timing_of(replace(SMALL, substeps=4, readout_tau=5.0), 2.0)
    assert (timing.sample, timing.substeps, timing.step, timing.readout) == (2.0, 4, 0.5, 5.0)


def test_layers_fit_behind_one_another() -> None:
    network = drawn(replace(SMALL, layers=3, recurrent=True), inputs=2)
    assert [tuple(layer.weights.shape) for layer in network.layers] == [(6, 2), (6, 6), (6, 6)]
    assert all(layer.recurrent is not None and layer.recurrent.shape == (6, 6) for layer in network.layers)
    assert all(layer.weights.is_contiguous() and layer.bias.shape == (6,) for layer in network.layers)


@pytest.mark.parametrize(("curves", "curve"), [("circuit", CIRCUIT_CURVE), ("linear", None)])
def test_curves_are_the_circuits_or_none(curves: str, curve: object) -> None:
    neurons = drawn(replace(SMALL, curves=curves)).layers[0].neurons
    assert isinstance(neurons, MtcNeurons) and neurons.leak_curve == neurons.filter_curve == curve


def test_a_surrogate_replaces_the_papers_own() -> None:
    assert drawn(replace(SMALL, neuron="lif", surrogate="boxcar")).layers[0].neurons.surrogate == "boxcar"
    assert drawn(replace(SMALL, neuron="lif")).layers[0].neurons.surrogate == "arctangent"


def test_an_input_scale_scales_the_first_layer_alone() -> None:
    one, other = drawn(replace(SMALL, layers=2, input_scale=1.0)), drawn(replace(SMALL, layers=2, input_scale=3.0))
    assert torch.allclose(3 * one.layers[0].weights, other.layers[0].weights)
    assert torch.equal(one.layers[1].weights, other.layers[1].weights)


def test_several_inputs_share_the_current_of_one() -> None:
    many = replace(SMALL, hidden=400, input_scale=1.0)
    assert float(drawn(many).layers[0].weights.std()) == pytest.approx(1.0, rel=0.1)
    assert float(drawn(many, inputs=16).layers[0].weights.std()) == pytest.approx(0.25, rel=0.1)


def test_bursting_neurons_lie_lower() -> None:
    bias = drawn(replace(SMALL, hidden=2000)).layers[0].bias
    assert float(bias[:1000].mean()) == pytest.approx(-1.0, abs=0.05)
    assert float(bias[1000:].mean()) == pytest.approx(-1.3, abs=0.05)


def test_the_same_seed_draws_the_same_network() -> None:
    one, same, other = drawn(SMALL), drawn(SMALL), drawn(SMALL, seed=1)
    assert all(torch.equal(tensor, same.tensors()[name]) for name, tensor in one.tensors().items())
    assert not torch.equal(one.layers[0].bias, other.layers[0].bias)


def scored(*scores: float) -> tuple[Network, list[Network]]:
    """The best start by given scores, and all candidates."""
    seen: list[Network] = []

    def score(network: Network) -> float:
        seen.append(network)
        return scores[len(seen) - 1]

    options = replace(SMALL, candidates=len(scores))
    return best_start(options, 1.0, 1, score, torch.Generator().manual_seed(0)), seen


@pytest.mark.parametrize(("scores", "place"), [((1.0, 2.0, 3.0), 0), ((3.0, 1.0, 2.0), 1), ((3.0, 2.0, 1.0), 2)])
def test_the_candidate_with_the_lowest_score_is_the_start(scores: tuple[float, ...], place: int) -> None:
    best, seen = scored(*scores)
    assert len(seen) == 3 and best is seen[place]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_candidate_that_diverged_is_not_the_start(place: int) -> None:
    scores = [1.0, 2.0, 3.0]
    scores[place] = math.nan
    best, seen = scored(*scores)
    assert best is seen[1 if place == 0 else 0]


def test_a_single_candidate_is_the_start_whatever_its_score() -> None:
    best, seen = scored(math.inf)
    assert best is seen[0]
