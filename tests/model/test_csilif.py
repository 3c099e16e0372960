"""C-SiLIF equals the published complex neuron."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mtc_hw.model.chips import Chips, Spread
from mtc_hw.model.csilif import CSiLif, CSiLifNeurons, initial_csilif
from mtc_hw.model.program import Program, unrolled


def drawn() -> CSiLifNeurons:
    population = initial_csilif(20, torch.Generator().manual_seed(0))
    return replace(population, **{name: each.double() for name, each in population.tensors().items()})


def published(population: CSiLifNeurons, current: np.ndarray) -> np.ndarray:
    """Fabre et al. in complex numbers for currents (T, N): spikes, from a silent start."""
    log_dt, log_rate, frequency, gain = (each[0].numpy() for each in population.tensors().values())
    pole = np.exp(np.exp(log_dt) * (-np.exp(log_rate) + 1j * frequency))
    u, s = np.zeros_like(pole), np.zeros(len(pole))
    spikes = []
    for each in current:
        u = pole * (u - 0.5 * s) + gain * each
        s = (2 * u.real - 1.0 > 0).astype(float)
        spikes.append(s)
    return np.array(spikes)


def test_equals_the_published_neuron() -> None:
    population = drawn()
    current = 2 * torch.randn((21, 20), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    current = current.repeat_interleave(10, 0)
    spikes = published(population, ((current[:-1] + current[1:]) / 2).numpy())
    program = Program(population.dynamics(1.0), 1, None, "synapse")
    assert 0.05 < spikes.mean() < 0.8
    assert np.array_equal(unrolled(program, current[None], population.coefficients(1.0)).outputs[0].numpy(), spikes)


def test_worked_steps() -> None:
    """lambda = i/2 turns by a quarter and halves: real, imaginary, spike."""
    c = {"cosine": 0.0, "sine": torch.tensor(0.5), "gain": 2.0, "threshold": 1.0}
    state, seen = (torch.tensor(0.0),) * 3, []
    for current in (0.5, 0.0, 0.0, 0.25):
        state = CSiLif().step(state, torch.tensor(current), c)
        seen.append(tuple(float(each) for each in state))
    # 1, then i/2 (1 - 1/2) = i/4, then i/2 i/4 = -1/8, then -i/16 + 1/2
    assert seen == [(1.0, 0.0, 1), (0.0, 0.25, 0), (-0.125, 0.0, 0), (0.5, -0.0625, 1)]


def test_an_undisturbed_neuron_rings_at_its_frequency() -> None:
    """u = lambda^n: the real part is a damped cosine."""
    population = drawn()
    c = population.coefficients(1.0) | {"threshold": 1e9, "gain": 1.0}
    state = (torch.zeros(1, 20, dtype=torch.float64),) * 3
    for step in range(41):
        state = population.dynamics(1.0).step(state, torch.tensor(float(step == 0)), c)
    time = 40 * population.log_dt.exp()
    ringing = torch.exp(-population.log_rate.exp() * time) * torch.cos(population.frequency * time)
    assert torch.allclose(state[0], ringing, rtol=1e-9, atol=1e-12)


def test_half_a_step_takes_the_root_of_the_pole() -> None:
    whole, half = drawn().coefficients(1.0), drawn().coefficients(0.5)
    long, short = (torch.complex(c["cosine"], c["sine"]) for c in (whole, half))
    assert torch.allclose(short**2, long)


def test_initial_poles_are_the_published_ones() -> None:
    population = initial_csilif(5000, torch.Generator().manual_seed(0))
    fine = population.log_dt.double().exp()
    assert float(fine.min()) == pytest.approx(0.01, rel=0.01)
    assert float(fine.max()) == pytest.approx(0.5, rel=0.01)
    assert float(fine.median()) == pytest.approx(math.sqrt(0.005), rel=0.1)
    assert torch.allclose(population.log_rate.exp(), torch.tensor(0.5))
    assert torch.allclose(population.frequency, torch.tensor(math.pi))
    assert 0 <= float(population.gain.min()) < 0.01 < 0.99 < float(population.gain.max()) <= 1


def test_decay_and_period_err_apart() -> None:
    population = drawn()
    chips = Chips(Spread(tau=0.1), 3, torch.Generator().manual_seed(4))
    c, nominal, draw = (
        population.coefficients(1.0, chips),
        population.coefficients(1.0),
        torch.Generator().manual_seed(4),
    )
    decay, period = ((0.1 * torch.randn((3, 20), generator=draw)).exp().double() for _ in range(2))
    size = (torch.hypot(each["cosine"], each["sine"]).log() for each in (nominal, c))
    angle = (torch.atan2(each["sine"], each["cosine"]) for each in (nominal, c))
    assert torch.allclose(next(size) / next(size), decay)
    assert torch.allclose(next(angle) / next(angle), period)


def test_chips_leave_the_gain() -> None:
    population = drawn()
    c = population.coefficients(1.0, Chips(Spread(tau=0.1, delta=0.1), 3, torch.Generator()))
    assert c["gain"] is population.gain
