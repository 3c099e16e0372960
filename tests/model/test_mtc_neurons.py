"""A trainable population: its start, its reach, its chips."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mtc_hw.model.chips import Chips
from mtc_hw.model.mtc_neurons import (
    ALPHA_REACH,
    DELTA_REACH,
    SLOW_REACH,
    ULTRASLOW_REACH,
    MtcNeurons,
    initial_mtc,
    perturbed,
)
from mtc_hw.spec import Curve, Neurons
from mtc_hw.spread import Spread


@pytest.fixture
def neurons() -> MtcNeurons:
    return initial_mtc(7, torch.Generator().manual_seed(0))


def chips(rows: int = 4, **spread: float) -> Chips:
    return Chips(Spread(**spread), rows, torch.Generator().manual_seed(1))


def test_the_first_half_spikes_and_the_second_bursts(neurons: MtcNeurons) -> None:
    alpha = neurons.parameters().alpha
    assert (alpha[2:, 0, :3] == 0).all() and (alpha[2:, 0, 3:] > 0).all() and (alpha[:2] > 0).all()


def test_initial_time_constants_lie_within_their_ranges() -> None:
    tau = initial_mtc(500, torch.Generator().manual_seed(0)).parameters().tau
    assert (tau[0] == 0).all() and tau[1].min() >= 2 and tau[1].max() <= 20
    assert tau[2].min() >= 50 and tau[2].max() <= 1000
    assert float(tau[2].log().mean()) == pytest.approx(math.log(50 * 1000) / 2, abs=0.1)


def test_the_same_seed_draws_the_same_neurons(neurons: MtcNeurons) -> None:
    again = initial_mtc(7, torch.Generator().manual_seed(0))
    assert all(torch.equal(tensor, again.tensors()[name]) for name, tensor in neurons.tensors().items())


def test_every_real_number_is_legal(neurons: MtcNeurons) -> None:
    for tensor in neurons.tensors().values():
        tensor.uniform_(-5, 5)
    p = neurons.parameters()
    values = {name: getattr(p, name)[:, 0].double().numpy() for name in ("alpha", "delta", "tau")}
    assert Neurons(**values).count == neurons.count == 7


def test_confining_brings_back_what_a_circuit_does_not_reach(neurons: MtcNeurons) -> None:
    kept = neurons.delta[1].clone()
    neurons.log_alpha[0], neurons.delta[0] = 9.0, -9.0
    neurons.log_tau[0], neurons.log_tau[1] = -9.0, 90.0
    for tensor in neurons.tensors().values():
        tensor.requires_grad_()
    neurons.confine(0.5)
    for tensor in neurons.tensors().values():
        tensor.requires_grad_(False)
    p = neurons.parameters()
    bounds = [(p.alpha[0], ALPHA_REACH[1]), (p.delta[0], DELTA_REACH[0])]
    bounds += [(p.tau[1], SLOW_REACH[0]), (p.tau[2], ULTRASLOW_REACH[1])]
    assert all(np.allclose(part.numpy(), bound) for part, bound in bounds)
    assert torch.equal(neurons.delta[1], kept)


def test_no_spread_is_the_nominal_chip(neurons: MtcNeurons) -> None:
    nominal, same = neurons.coefficients(0.5), neurons.coefficients(0.5, chips())
    assert nominal.keys() == same.keys()
    for name, value in nominal.items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(same[name])), name


@pytest.mark.parametrize("name", ["alpha", "tau", "leak", "delta", "rest", "offset"])
def test_a_spread_of_one_parameter_leaves_the_others_alone(neurons: MtcNeurons, name: str) -> None:
    p = neurons.parameters()
    drawn = perturbed(p, chips(**{name: 0.1}))
    for each in ("alpha", "tau", "leak", "delta", "rest", "offset"):
        own = getattr(drawn, each)
        if each == name:
            assert own.shape[-2] == 4 and not torch.equal(own[..., :1, :], own[..., 1:2, :])
        else:
            assert torch.equal(own, getattr(p, each)), each


def test_an_absent_element_stays_absent_and_an_absent_filter_too(neurons: MtcNeurons) -> None:
    drawn = perturbed(neurons.parameters(), chips(alpha=0.5, tau=0.5))
    assert (drawn.alpha[2:, :, :3] == 0).all() and (drawn.tau[0] == 0).all()


def test_errors_are_log_normal_or_normal_with_the_spreads_deviation() -> None:
    many = initial_mtc(50, torch.Generator().manual_seed(0))
    p = many.parameters()
    drawn = perturbed(p, chips(400, alpha=0.1, delta=0.2))
    assert float((drawn.alpha[0] / p.alpha[0]).log().std()) == pytest.approx(0.1, rel=0.03)
    assert float((drawn.delta - p.delta).std()) == pytest.approx(0.2, rel=0.03)


def test_neurons_know_their_curve_and_integrator() -> None:
    law = initial_mtc(4, torch.Generator(), "euler", Curve(0.45, 1.502)).dynamics(0.5)
    assert type(law).__name__ == "Euler" and law.leak_curve == law.filter_curve == Curve(0.45, 1.502)


def test_codes_replace_the_values_and_let_the_gradients_pass(neurons: MtcNeurons) -> None:
    p = neurons.parameters()
    own = {name: getattr(p, name)[:, 0].double().numpy() for name in ("alpha", "delta", "tau")}
    coded = replace(neurons, codes=Neurons(own["alpha"] * 1.25, own["delta"] + 0.5, own["tau"] * 2))
    neurons.delta.requires_grad_()
    neurons.log_tau.requires_grad_()
    snapped = coded.parameters()
    assert np.allclose(snapped.alpha[:, 0].detach().numpy(), own["alpha"] * 1.25)
    (gradient,) = torch.autograd.grad(snapped.delta.sum(), neurons.delta)
    assert (gradient == 1).all()
    (slope,) = torch.autograd.grad(snapped.tau[1:].sum(), neurons.log_tau)
    assert np.allclose(slope[:, 0].numpy(), own["tau"][1:], rtol=1e-5)  # of the float value, not of its code
