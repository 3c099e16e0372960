"""Adaptive neurons equal the published ones in both discretisations."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mtc_hw.model.adlif import AdLif, AdLifNeurons, Form, initial_adlif
from mtc_hw.model.chips import Chips, Spread
from mtc_hw.model.program import Program, unrolled


def published(c: dict[str, np.ndarray], current: np.ndarray, form: Form) -> tuple[np.ndarray, np.ndarray]:
    """Baronig et al. 2025 for currents (T, N): spikes and adaptation.

    A Euler-forward adaptation sees potential and spike of the step before.
    """
    alpha, beta, a, b = 1 - c["leak_u"], 1 - c["leak_w"], c["a"], c["b"]
    u, w, z = (np.zeros_like(alpha) for _ in range(3))
    spikes, adaptation = [], []
    for each in current:
        u_hat = alpha * u + (1 - alpha) * (-w + each)
        fires = (u_hat > 1.0).astype(float)
        u_new = np.where(fires > 0, 0.0, u_hat)
        if form == "se":
            w = beta * w + (1 - beta) * (a * u_new + b * fires) * 120.0
        else:
            w = beta * w + (1 - beta) * (a * u + b * z) * 120.0
        u, z = u_new, fires
        spikes.append(z)
        adaptation.append(w)
    return np.array(spikes), np.array(adaptation)


def drawn(form: Form = "se") -> AdLifNeurons:
    population = initial_adlif(20, torch.Generator().manual_seed(0), form)
    return replace(population, **{name: each.double() for name, each in population.tensors().items()})


@pytest.mark.parametrize("form", ["se", "ef"])
def test_equals_the_published_neuron(form: Form) -> None:
    population = drawn(form)
    c = population.coefficients(1.0)
    current = 15 * torch.randn((201, 20), generator=torch.Generator().manual_seed(1), dtype=torch.float64).cumsum(0)
    current = current / torch.arange(1, 202).sqrt()[:, None]
    middle = ((current[:-1] + current[1:]) / 2).numpy()
    plain = {name: value[0].numpy() for name, value in c.items() if isinstance(value, torch.Tensor)}
    spikes, adaptation = published(plain, middle, form)
    ours = unrolled(Program(population.dynamics(1.0), 1, None, "synapse"), current[None], c).outputs[0].numpy()
    assert 0.05 < spikes.mean() < 0.6
    assert np.array_equal(ours, spikes)
    state = (torch.zeros(1, 20, dtype=torch.float64),) * 3
    for each in torch.tensor(middle):
        state = population.dynamics(1.0).step(state, each, c)
    assert np.allclose(state[1][0].numpy(), adaptation[-1], rtol=1e-9)


def worked(form: Form) -> list[tuple[float, ...]]:
    """Three steps with both leaks 1/2, A = 1/60, B = 1/30."""
    half = torch.tensor(0.5, dtype=torch.float64)
    c = {"leak_u": half, "leak_w": half, "a": half / 30, "b": half / 15, "threshold": 1.0}
    state, seen = (torch.zeros((), dtype=torch.float64),) * 3, []
    for current in (1.0, 3.0, 6.0):
        state = AdLif(form).step(state, torch.tensor(current, dtype=torch.float64), c)
        seen.append(tuple(float(each) for each in state))
    return seen


def test_worked_steps_of_both_forms() -> None:
    """w gains half of 2 u + 4 z, of this step or of the step before."""
    assert np.allclose(worked("se"), [(0.5, 0.5, 0), (0.0, 2.25, 1), (0.0, 3.125, 1)])
    assert np.allclose(worked("ef"), [(0.5, 0.0, 0), (0.0, 0.5, 1), (0.0, 2.25, 1)])


def test_the_forms_differ_by_one_step_of_delay() -> None:
    """Without adaptation they are the same neuron; with it the symplectic one adapts a step earlier."""
    current = torch.full((1, 3, 20), 8.0, dtype=torch.float64)
    for coupled in (False, True):
        states = {}
        for form in ("se", "ef"):
            population = drawn(form)
            state = (torch.zeros(1, 20, dtype=torch.float64),) * 3
            c = population.coefficients(1.0)
            if not coupled:
                c |= {"a": 0.0, "b": 0.0}
            for each in current.unbind(1):
                state = population.dynamics(1.0).step(state, each, c)
            states[form] = state
        assert torch.equal(states["se"][0], states["ef"][0]) != coupled


@pytest.mark.parametrize("form", ["se", "ef"])
def test_euler_forward_diverges_where_symplectic_euler_stays(form: Form) -> None:
    """Below threshold a step is linear; its determinant is the square of the oscillation's growth."""
    places = [torch.tensor([[value]], dtype=torch.float64) for value in (1.0, 0.0, 1.0, 0.0)]
    c = AdLifNeurons(*places).coefficients(1.0) | {"threshold": 1e9}
    silent = torch.zeros(1, 1, dtype=torch.float64)
    columns = [
        AdLif(form).step((u, w, silent), silent, c)[:2] for u, w in ((silent + 1, silent), (silent, silent + 1))
    ]
    growth = float(np.linalg.det(np.array([[float(each) for each in column] for column in columns])))
    damping = math.exp(-1 / 25 - 1 / 60)
    excess = (1 - math.exp(-1 / 25)) * (1 - math.exp(-1 / 60)) * 120
    assert growth == pytest.approx(damping if form == "se" else damping + excess)
    assert (growth > 1) == (form == "ef")


def test_places_run_through_the_published_ranges() -> None:
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    for place, tau_u, tau_w in ((zero, 5.0, 60.0), (one, 25.0, 300.0), (one / 2, 15.0, 180.0)):
        c = AdLifNeurons(place, place, zero, zero).coefficients(2.0)
        assert float(-2 / torch.log1p(-c["leak_u"])) == pytest.approx(tau_u)
        assert float(-2 / torch.log1p(-c["leak_w"])) == pytest.approx(tau_w)


def test_confine_clips_to_the_published_ranges() -> None:
    beyond = [torch.tensor([[-0.5, 2.5]]).requires_grad_() for _ in range(4)]
    population = AdLifNeurons(*beyond)
    population.confine(1.0)
    clipped = [each.tolist()[0] for each in population.tensors().values()]
    assert clipped == [[0, 1], [0, 1], [0, 1], [0, 2]]
    assert all(each.requires_grad for each in beyond)


def test_both_time_constants_err_apart() -> None:
    population = drawn()
    chips = Chips(Spread(tau=0.1), 3, torch.Generator().manual_seed(4))
    c, nominal, draw = (
        population.coefficients(1.0, chips),
        population.coefficients(1.0),
        torch.Generator().manual_seed(4),
    )
    for name in ("leak_u", "leak_w"):
        factors = (0.1 * torch.randn((3, 20), generator=draw)).exp().double()
        assert torch.allclose(torch.log1p(-nominal[name]) / torch.log1p(-c[name]), factors)
    assert c["threshold"] == nominal["threshold"] == 1.0


def test_initial_parameters_fill_their_ranges() -> None:
    for name, each in initial_adlif(5000, torch.Generator().manual_seed(0)).tensors().items():
        top = 2.0 if name == "b" else 1.0
        assert 0 <= float(each.min()) < 0.01 * top
        assert 0.99 * top < float(each.max()) <= top
        assert float(each.mean()) == pytest.approx(top / 2, rel=0.05)
