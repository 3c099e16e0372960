"""One arithmetic on tensors and on nodes."""

import math

import numpy as np
import pytest
import torch
from formulas import OPERATIONS, named, recorded, tensors

from mtc_hw.formula.node import Node
from mtc_hw.model.algebra import Surrogate, clamp, detach, exp, kept, rise, spike, surrogate_slope, tanh, where

SURROGATES: tuple[Surrogate, ...] = ("arctangent", "slayer", "boxcar")
X = torch.linspace(-3, 3, 25, dtype=torch.float64)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_recorded_operation_has_the_value_of_the_computed_one(name: str) -> None:
    expected = OPERATIONS[name](*tensors()).detach().numpy()
    assert np.abs(recorded(OPERATIONS[name]) - expected).max() < 3e-7


def test_operations_on_tensors_are_those_of_torch() -> None:
    assert torch.equal(tanh(X), torch.tanh(X)) and torch.equal(exp(X), torch.exp(X))
    assert torch.equal(clamp(X, -1.0), X.clamp(min=-1.0)) and torch.equal(clamp(X, -1.0, 2.0), X.clamp(-1.0, 2.0))
    assert torch.equal(where(X, 0.5, X, -X), torch.where(X >= 0.5, X, -X))
    assert kept(X) is X and not detach(X.clone().requires_grad_()).requires_grad


def test_rise_is_smooth_through_zero() -> None:
    z = torch.tensor([-2.0, -1e-3, -1e-9, 0.0, 1e-9, 1e-3, 2.0], dtype=torch.float64)
    exact = [2.0 * np.expm1(v) / v if v else 2.0 for v in z.tolist()]
    assert np.allclose(rise(z, 2.0).numpy(), exact, rtol=1e-12)
    assert torch.autograd.gradcheck(lambda slope: rise(slope, 2.0), z.requires_grad_())


def test_an_operation_records_its_name_and_arguments() -> None:
    x, y = named("state", 0), named("state", 1)
    assert (rise(x, y).op, rise(x, y).args) == ("rise", (x, y))
    assert (spike(x, "slayer").op, spike(x, "slayer").value) == ("spike", "slayer")
    assert [each.op for each in (kept(x), detach(x), clamp(x, 0.0), clamp(x, 0.0, 1.0))] == [
        "kept",
        "detach",
        "max",
        "min",
    ]
    assert isinstance(where(x, 0.5, 1.0, 0.0), Node)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_a_spike_is_a_step_whose_gradient_is_the_surrogate(surrogate: Surrogate) -> None:
    x = X.clone().requires_grad_()
    spikes = spike(x, surrogate)
    (gradient,) = torch.autograd.grad(spikes.sum(), x)
    assert torch.equal(spikes, (X >= 0).double())
    assert torch.equal(gradient, surrogate_slope(X, surrogate))


def test_surrogates_are_those_of_their_papers() -> None:
    assert torch.allclose(surrogate_slope(X, "arctangent"), 1 / (1 + (math.pi * X) ** 2))
    assert torch.allclose(surrogate_slope(X, "slayer"), 0.4 * 5 / 2 * torch.exp(-5 * X.abs()))
    assert torch.equal(surrogate_slope(X, "boxcar"), (X.abs() <= 0.5).double())


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_surrogates_are_even(surrogate: Surrogate) -> None:
    assert torch.allclose(surrogate_slope(X, surrogate), surrogate_slope(-X, surrogate))


def test_clamp_lets_the_gradient_pass_only_inside() -> None:
    x = torch.tensor([-2.0, -0.5, 0.0, 2.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(clamp(x, -1.0, 1.0).sum(), x)
    assert gradient.tolist() == [0.0, 1.0, 1.0, 0.0]
