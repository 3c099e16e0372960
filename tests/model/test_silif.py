"""SiLIF equals the published neuron."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mtc_hw.model.chips import Chips, Spread
from mtc_hw.model.program import Program, unrolled
from mtc_hw.model.silif import SiLif, SiLifNeurons, initial_silif


def drawn() -> SiLifNeurons:
    population = initial_silif(20, torch.Generator().manual_seed(0))
    return replace(population, **{name: each.double() for name, each in population.tensors().items()})


def published(population: SiLifNeurons, current: np.ndarray) -> np.ndarray:
    """Fabre et al. for currents (T, N): spikes, from a silent start."""
    dt, log_a, log_b, a, b = (each[0].numpy() for each in population.tensors().values())
    alpha, beta = np.exp(-np.exp(log_a) * np.exp(dt)), np.exp(-np.exp(log_b) * np.exp(dt))
    u, w, s = (np.zeros_like(alpha) for _ in range(3))
    spikes = []
    for each in current:
        w = beta * w + a * u + b * s
        u = alpha * (u - s) + (1 - alpha) * (each - w)
        s = (u - 1.0 > 0).astype(float)
        spikes.append(s)
    return np.array(spikes)


def test_equals_the_published_neuron() -> None:
    population = drawn()
    current = 6 * torch.randn((21, 20), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    current = current.repeat_interleave(10, 0)
    spikes = published(population, ((current[:-1] + current[1:]) / 2).numpy())
    program = Program(population.dynamics(1.0), 1, None, "synapse")
    assert 0.05 < spikes.mean() < 0.6
    assert np.array_equal(unrolled(program, current[None], population.coefficients(1.0)).outputs[0].numpy(), spikes)


def test_worked_steps() -> None:
    """alpha = 1/2, beta = 1/4, A = 1, B = 2: u, w, s."""
    c = {"leak_u": torch.tensor(0.5), "leak_w": torch.tensor(0.75), "a": 1.0, "b": 2.0, "threshold": 1.0}
    state, seen = (torch.tensor(0.0),) * 3, []
    for current in (1.0, 4.0, 4.0):
        state = SiLif().step(state, torch.tensor(current), c)
        seen.append(tuple(float(each) for each in state))
    # w: 0, u = 1/2, 1/8 + 2 + 2; u: 1/2, (1/2 + 4 - 1/2) / 2, (2 - 1 + 4 - 33/8) / 2
    assert seen == [(0.5, 0.0, 0), (2.0, 0.5, 1), (0.4375, 4.125, 0)]


def test_the_reset_passes_gradient_where_the_boxcar_lets_it() -> None:
    """The third potential sees the second spike in its reset and in its adaptation."""
    c = {"leak_u": torch.tensor(0.5), "leak_w": torch.tensor(0.75), "a": 0.0, "b": 2.0, "threshold": 1.0}
    for drive, inside in ((2.2, True), (4.0, False)):
        current = torch.tensor(drive, requires_grad=True)
        first = SiLif().step((torch.tensor(0.0),) * 3, current, c)
        (slope,) = torch.autograd.grad(SiLif().step(first, torch.tensor(0.0), c)[0], current)
        # du1 = 1/2: through u 1/4, through the reset -1/4, through w -1/2
        assert float(slope) == pytest.approx(-0.5 if inside else 0.25)


def test_initial_time_constants_are_the_published_ones() -> None:
    """Rates of 10 to 250 and of 2.5 to 10 at steps of 0.004."""
    population = initial_silif(5000, torch.Generator().manual_seed(0))
    c = population.coefficients(1.0)
    for name, shortest, longest in (("leak_u", 1.0, 25.0), ("leak_w", 25.0, 100.0)):
        tau = -1 / torch.log1p(-c[name].double())
        assert float(tau.min()) == pytest.approx(shortest, rel=0.01)
        assert float(tau.max()) == pytest.approx(longest, rel=0.01)
        assert float(tau.median()) == pytest.approx(math.sqrt(shortest * longest), rel=0.1)
    for each, top in ((population.a, 1.0), (population.b, 2.0)):
        assert 0 <= float(each.min()) < 0.01
        assert 0.99 * top < float(each.max()) <= top


def test_half_a_step_takes_the_root_of_the_decay() -> None:
    whole, half = drawn().coefficients(1.0), drawn().coefficients(0.5)
    for name in ("leak_u", "leak_w"):
        assert torch.allclose((1 - half[name]) ** 2, 1 - whole[name])


def test_confine_clips_a_and_b_and_leaves_the_rates() -> None:
    population = SiLifNeurons(*(torch.tensor([[-9.0, 9.0]]) for _ in range(5)))
    population.confine(1.0)
    clipped = [each.tolist()[0] for each in population.tensors().values()]
    assert clipped == [[-9, 9], [-9, 9], [-9, 9], [0, 1], [0, 2]]


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
