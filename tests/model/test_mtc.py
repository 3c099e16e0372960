"""The reference neuron obeys its equations and has exact gradients."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from mtc_hw.errors import SpecError
from mtc_hw.model.mtc import TENSORS, Integrator, coefficients, dynamics, parameters, simulate
from mtc_hw.spec import ELEMENT_FILTER, INITIAL_VOLTAGE, SIGNS, Curve, Neurons

Population = Callable[..., Neurons]


def solved(neurons: Neurons, current: float, end: float) -> np.ndarray:
    """V, U_fast, U_slow, U_ultraslow of a single neuron at `end`, by LSODA on the equations of `spec.Neurons`."""
    leak = neurons.leak_curve or (lambda x: x)
    follow = neurons.filter_curve or (lambda x: x)
    alpha, delta, tau, offset = (getattr(neurons, name)[:, 0] for name in ("alpha", "delta", "tau", "offset"))

    def slope(_: float, y: np.ndarray) -> np.ndarray:
        v, filters = y[0], y[1:].copy()
        filters[0] = filters[0] if tau[0] > 0 else v
        seen = filters[list(ELEMENT_FILTER)]
        inward = (np.array(SIGNS) * alpha * np.tanh(seen - delta)).sum()
        dv = current - neurons.leak[0] * leak(v - neurons.rest[0]) + inward
        dy = np.array([follow(v - u + o) / t if t > 0 else 0.0 for u, o, t in zip(filters, offset, tau, strict=True)])
        return np.concatenate([[dv], dy])

    start = np.full(4, INITIAL_VOLTAGE)
    return np.asarray(solve_ivp(slope, (0, end), start, method="LSODA", rtol=1e-11, atol=1e-12).y[:, -1])


@pytest.mark.parametrize("fast", [0.0, 1.0])
@pytest.mark.parametrize(("integrator", "order"), [("euler", 1), ("split", 2)])
def test_integrators_converge_to_lsoda_at_their_order(
    population: Population, curve: Curve | None, fast: float, integrator: Integrator, order: int
) -> None:
    neurons = population(1, curve, fast=fast)
    truth = solved(neurons, 0.2, 12.0)
    errors = []
    for substeps in (20, 40, 80):
        current = torch.full((13, 1, 1), 0.2, dtype=torch.float64)
        states = simulate(current, parameters(neurons), 1 / substeps, substeps, integrator)
        errors.append(abs(float(states.voltage[-1, 0, 0]) - truth[0]) + abs(float(states.slow[-1, 0, 0]) - truth[2]))
    observed = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert observed[-1] == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("fast", [0.0, 1.0])
@pytest.mark.parametrize("integrator", ["euler", "split"])
def test_step_gradients_equal_finite_differences(
    population: Population, curve: Curve | None, fast: float, integrator: Integrator
) -> None:
    p = parameters(population(2, curve, fast=fast))
    tensors = [getattr(p, name).clone().requires_grad_(name != "tau" or fast > 0) for name in TENSORS]
    current = torch.tensor([[0.3, -0.5]], dtype=torch.float64, requires_grad=True)

    def stepped(current: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        own = replace(p, **dict(zip(TENSORS, values, strict=True)))
        law = dynamics(own, integrator, 0.5)
        c, state = coefficients(own, law), tuple(torch.full_like(current, start) for start in law.initial)
        for _ in range(3):
            state = law.step(state, current, c)
        return torch.stack(state)

    assert torch.autograd.gradcheck(stepped, (current, *tensors))


def test_tau_gradient_is_finite_for_an_instantaneous_fast_element(population: Population) -> None:
    p = parameters(population(2, Curve(0.45, 1.502)))
    tau = p.tau.clone().requires_grad_()
    simulate(torch.zeros((4, 1, 2), dtype=torch.float64), replace(p, tau=tau), 0.5, 2).voltage.sum().backward()
    assert tau.grad is not None
    assert torch.isfinite(tau.grad).all()


def test_neurons_with_and_without_a_fast_filter_live_side_by_side(
    population: Population, curve: Curve | None
) -> None:
    alone = [parameters(population(1, curve, fast=fast)) for fast in (0.0, 1.0)]
    both = replace(alone[0], **{name: torch.cat([getattr(p, name) for p in alone], -1) for name in TENSORS})
    current = torch.linspace(-1, 1, 20, dtype=torch.float64).reshape(10, 1, 2)
    together = simulate(current, both, 0.5, 2).voltage
    for lane, p in enumerate(alone):
        assert torch.allclose(together[..., [lane]], simulate(current[..., [lane]], p, 0.5, 2).voltage, atol=1e-13)


def test_an_absent_element_makes_its_delta_irrelevant(population: Population) -> None:
    p = parameters(population(3))
    alpha = p.alpha.clone()
    alpha[2:] = 0
    current = torch.zeros((9, 1, 3), dtype=torch.float64)
    before = simulate(current, replace(p, alpha=alpha), 0.5, 2)
    delta = p.delta.clone()
    delta[2:] += 5
    after = simulate(current, replace(p, alpha=alpha, delta=delta), 0.5, 2)
    assert torch.equal(before.voltage, after.voltage)


def test_permuting_neurons_permutes_their_voltages(population: Population, curve: Curve | None) -> None:
    p = parameters(population(5, curve))
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = replace(p, **{name: getattr(p, name)[..., order] for name in TENSORS})
    current = torch.linspace(-1, 1, 50, dtype=torch.float64).reshape(10, 1, 5)
    plain = simulate(current, p, 0.5, 2).voltage
    assert torch.equal(simulate(current[..., order], shuffled, 0.5, 2).voltage, plain[..., order])


def test_a_row_of_parameters_is_a_chip_of_its_own(population: Population) -> None:
    chips = [parameters(population(3, seed=seed)) for seed in (1, 2)]
    both = replace(chips[0], **{name: torch.cat([getattr(c, name) for c in chips], -2) for name in TENSORS})
    current = torch.zeros((9, 2, 3), dtype=torch.float64)
    together = simulate(current, both, 0.5, 2).voltage
    for row, chip in enumerate(chips):
        assert torch.equal(together[:, row], simulate(current[:, :1], chip, 0.5, 2).voltage[:, 0])


def test_current_is_linear_between_its_samples(population: Population) -> None:
    p = parameters(population(2))
    coarse = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64).reshape(3, 1, 1).expand(3, 1, 2)
    fine = torch.tensor([0.0, 0.5, 1.0, 0.0, -1.0], dtype=torch.float64).reshape(5, 1, 1).expand(5, 1, 2)
    one, other = simulate(coarse, p, 0.25, 4).voltage, simulate(fine, p, 0.25, 2).voltage
    assert torch.allclose(one, other, atol=1e-14)


@pytest.mark.parametrize("integrator", ["euler", "split"])
def test_a_trivial_parameter_that_nothing_trains_is_a_number(population: Population, integrator: Integrator) -> None:
    p = parameters(population(2))
    plain = replace(p, leak=torch.ones_like(p.leak), rest=0 * p.rest, offset=0 * p.offset)
    law = dynamics(plain, integrator, 0.5)
    c = coefficients(plain, law)
    assert (c["leak"], c["rest"], c["offset_slow"], c["offset_ultraslow"]) == (1.0, 0.0, 0.0, 0.0)
    trained = coefficients(replace(plain, leak=plain.leak.clone().requires_grad_()), law)
    assert isinstance(trained["leak"], torch.Tensor)


def test_a_run_starts_at_the_initial_voltage(population: Population) -> None:
    states = simulate(torch.zeros((2, 1, 3), dtype=torch.float64), parameters(population(3)), 0.5, 2)
    assert all((part[0] == INITIAL_VOLTAGE).all() and part.shape == (3, 1, 3) for part in states)


@pytest.mark.parametrize("integrator", ["euler", "split"])
def test_a_step_beyond_the_shortest_filter_is_refused(population: Population, integrator: Integrator) -> None:
    p = parameters(population(2, fast=0.2))
    message = (
        r"^integration step 0\.5 tau_m exceeds the shortest filter time constant, 0\.2 tau_m; choose a step below it$"
    )
    with pytest.raises(SpecError, match=message):
        simulate(torch.zeros((3, 1, 2), dtype=torch.float64), p, 0.5, 2, integrator)


def test_a_filter_that_training_made_too_short_is_refused(population: Population) -> None:
    p = parameters(population(2, fast=0.2))
    with pytest.raises(
        SpecError, match=r"^integration step 0\.5 tau_m exceeds the shortest filter time constant, 0\.2"
    ):
        dynamics(replace(p, tau=p.tau.clone().requires_grad_()), "split", 0.5)
