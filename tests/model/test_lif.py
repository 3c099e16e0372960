"""Leaky integrate-and-fire equals snnTorch's; what holds for every spiking neuron holds for each."""

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtc_hw.model.adlif import initial_adlif
from mtc_hw.model.algebra import Surrogate, spike
from mtc_hw.model.chips import Chips, Spread
from mtc_hw.model.csilif import initial_csilif
from mtc_hw.model.kernel import fused
from mtc_hw.model.lif import Lif, LifNeurons, initial_lif, leak
from mtc_hw.model.program import Program, unrolled
from mtc_hw.model.silif import initial_silif

# Input scales at which most of a few neurons fire within a few steps.
MAKERS: dict[str, tuple[Callable[..., Any], float]] = {
    "lif": (initial_lif, 6.0),
    "se": (initial_adlif, 6.0),
    "ef": (lambda count, draw: initial_adlif(count, draw, "ef"), 6.0),
    "silif": (initial_silif, 6.0),
    "csilif": (initial_csilif, 2.0),
}
SLOPES: dict[Surrogate, Callable[[Tensor], Tensor]] = {
    "arctangent": lambda x: 1 / (1 + (math.pi * x) ** 2),
    "slayer": lambda x: 0.4 * 5 / 2 * torch.exp(-5 * x.abs()),
    "boxcar": lambda x: (x.abs() <= 0.5).double(),
}


def neurons(kind: str, count: int = 20, seed: int = 0) -> Any:
    return MAKERS[kind][0](count, torch.Generator().manual_seed(seed))


def currents(scale: float, rows: int, samples: int, count: int, seed: int = 1) -> Tensor:
    """Currents (rows, samples, count) that stay long enough to make slow neurons fire."""
    draw = torch.Generator().manual_seed(seed)
    slow = torch.randn((rows, samples // 10 + 1, count), generator=draw, dtype=torch.float64)
    return scale * slow.repeat_interleave(10, 1)[:, :samples]


def cast(population: Any, dtype: torch.dtype) -> Any:
    """A copy whose tensors collect gradients."""
    return replace(
        population,
        **{name: each.to(dtype).clone().requires_grad_() for name, each in population.tensors().items()},
    )


def results(
    population: Any, current: Tensor, rows: int, run: Callable[..., Any], output: str = "synapse"
) -> list[Tensor]:
    """Outputs, then the gradients of their weighted sum for the currents and for every tensor."""
    program = Program(population.dynamics(1.0), 1, None, output, decay=math.exp(-1 / 3))  # type: ignore[arg-type]
    chips = Chips(Spread(tau=0.1, delta=0.1), rows, torch.Generator().manual_seed(5)) if rows > 1 else None
    current = current.clone().requires_grad_()
    outputs = run(program, current, population.coefficients(1.0, chips)).outputs
    weights = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    loss = (outputs * weights.to(outputs.dtype)).sum()
    return [outputs.detach(), *torch.autograd.grad(loss, (current, *population.tensors().values()))]


def assert_kernel_equals_reference(population: Any, scale: float, rows: int, output: str) -> Tensor:
    """The output on which both agree."""
    current = currents(scale, 3, 61, 20)
    exact = results(cast(population, torch.float64), current, rows, unrolled, output)
    compiled = results(cast(population, torch.float32), current.float(), rows, fused, output)
    for one, other in zip(compiled, exact, strict=True):
        assert float((one - other).abs().max()) <= 3e-5 * float(other.abs().max())
    return compiled[0]


@pytest.mark.parametrize("kind", MAKERS)
def test_kernel_fires_as_the_reference_on_every_chip(kind: str) -> None:
    spikes = assert_kernel_equals_reference(neurons(kind), MAKERS[kind][1], 3, "synapse")
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert 0.02 < float(spikes.mean()) < 0.8


@pytest.mark.parametrize("kind", MAKERS)
def test_kernel_has_the_features_and_gradients_of_the_reference(kind: str) -> None:
    assert_kernel_equals_reference(neurons(kind), MAKERS[kind][1], 1, "features")


@pytest.mark.parametrize("surrogate", SLOPES)
def test_kernel_takes_every_surrogate(surrogate: Surrogate) -> None:
    population = replace(neurons("lif"), surrogate=surrogate, detached=False)
    assert_kernel_equals_reference(population, 6.0, 1, "synapse")


@pytest.mark.parametrize("surrogate", SLOPES)
def test_a_spike_steps_at_zero_and_slopes_as_its_closed_form(surrogate: Surrogate) -> None:
    x = torch.linspace(-2, 2, 402, dtype=torch.float64).requires_grad_()
    fired = spike(x, surrogate)
    assert torch.equal(fired, (x > 0).double())
    (slope,) = torch.autograd.grad(fired.sum(), x)
    assert torch.allclose(slope, SLOPES[surrogate](x.detach()), rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", MAKERS)
def test_chips_without_spread_are_the_nominal_neurons(kind: str) -> None:
    population = neurons(kind)
    nominal = population.coefficients(1.0)
    chips = population.coefficients(1.0, Chips(Spread(alpha=1.0, leak=1.0), 3, torch.Generator()))
    assert nominal.keys() == chips.keys()
    for name, value in nominal.items():
        assert torch.equal(torch.as_tensor(value).expand(3, 20), torch.as_tensor(chips[name]).expand(3, 20))


@pytest.mark.parametrize("kind", MAKERS)
def test_thresholds_err_by_what_was_drawn_and_nothing_else_does(kind: str) -> None:
    population = neurons(kind)
    nominal = population.coefficients(1.0)
    off = population.coefficients(1.0, Chips(Spread(delta=0.2), 3, torch.Generator().manual_seed(4)))
    drawn = torch.randn((3, 20), generator=torch.Generator().manual_seed(4))
    assert torch.equal(off.pop("threshold"), 1 + 0.2 * drawn)
    assert all(torch.equal(value.expand(3, 20), nominal[name].expand(3, 20)) for name, value in off.items())


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("drive", [0.0, 1.0, 1e4])
def test_gradients_are_finite(kind: str, drive: float) -> None:
    population = cast(neurons(kind), torch.float64)
    current = drive * currents(1.0, 2, 41, 20)
    for each in results(population, current, 1, unrolled)[1:]:
        assert bool(torch.isfinite(each).all())


@pytest.mark.parametrize("kind", MAKERS)
def test_every_tensor_learns(kind: str) -> None:
    """A tensor that no gradient reaches would be trained in vain."""
    gradients = results(cast(neurons(kind), torch.float64), currents(MAKERS[kind][1], 2, 61, 20), 1, unrolled)
    assert all(float(each.abs().max()) > 0 for each in gradients[1:])


@pytest.mark.parametrize("kind", MAKERS)
def test_tensors_are_the_fields_in_their_order(kind: str) -> None:
    population = neurons(kind)
    own = [each.name for each in fields(population) if isinstance(getattr(population, each.name), Tensor)]
    assert list(population.tensors()) == own
    assert all(each is getattr(population, name) for name, each in population.tensors().items())
    assert all(each.shape == (1, 20) for each in population.tensors().values())


@pytest.mark.parametrize("kind", MAKERS)
def test_confining_leaves_legal_values_alone(kind: str) -> None:
    population, same = neurons(kind), neurons(kind)
    population.confine(1.0)
    assert all(torch.equal(each, same.tensors()[name]) for name, each in population.tensors().items())


@pytest.mark.parametrize("kind", MAKERS)
def test_equal_populations_share_a_program(kind: str) -> None:
    one, other = (Program(neurons(kind, seed=seed).dynamics(1.0), 1, None, "synapse") for seed in (0, 1))
    assert one == other
    assert hash(one) == hash(other)


def test_worked_steps() -> None:
    """Leak 1/2: halfway to the current in every step, and one lower after a spike."""
    c = {"leak": torch.tensor(0.5), "threshold": 1.0}
    state, seen = (torch.tensor(0.0), torch.tensor(0.0)), []
    for current in (1.5, 1.5, 3.0, 3.0, 0.0, 0.0):
        state = Lif().step(state, torch.tensor(current), c)
        seen.append((float(state[0]), float(state[1])))
    assert seen == [(0.75, 0), (1.125, 1), (1.0625, 1), (1.03125, 1), (-0.484375, 0), (-0.2421875, 0)]


def snntorch_leaky(current: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """`snntorch.Leaky(beta, reset_mechanism="subtract")`, transcribed from its documentation: (T, N)."""
    membrane, spikes = np.zeros_like(beta), []
    for each in current:
        reset = membrane > 1.0
        membrane = beta * membrane + each - reset * 1.0
        spikes.append(membrane > 1.0)
    return np.array(spikes, dtype=float)


def test_equals_snntorch_leaky() -> None:
    """Its input arrives as a jump, so a current counts by 1 - beta."""
    population = cast(neurons("lif"), torch.float64)
    c = population.coefficients(1.0)
    current = currents(6.0, 1, 200, 20)
    ours = unrolled(Program(population.dynamics(1.0), 1, None, "synapse"), current, c).outputs[0].detach().numpy()
    beta = 1 - c["leak"][0].detach().numpy()
    jumps = (1 - beta) * (current[0, :-1] + current[0, 1:]).numpy() / 2
    assert ours.mean() > 0.05
    assert np.array_equal(ours, snntorch_leaky(jumps, beta))


def test_voltage_below_threshold_is_exact_at_any_step() -> None:
    population = LifNeurons(torch.tensor([[5.0]], dtype=torch.float64).log())
    for steps in (1, 4, 30):
        state = (torch.zeros(1, 1, dtype=torch.float64),) * 2
        for _ in range(steps):
            state = population.dynamics(12 / steps).step(state, 0.9, population.coefficients(12 / steps))
        assert float(state[0]) == pytest.approx(0.9 * (1 - math.exp(-12 / 5)), rel=1e-12)


def test_the_leak_of_a_long_time_constant_keeps_its_digits() -> None:
    assert float(leak(torch.tensor(1e6), 1.0)) == pytest.approx(1e-6 - 5e-13, rel=2e-7)


@pytest.mark.parametrize("detached", [True, False])
def test_gradient_through_the_reset(detached: bool) -> None:
    """dV2/dI1 = l (1 - l), less what the first spike's slope takes off."""
    c = {"leak": torch.tensor(0.5, dtype=torch.float64), "threshold": 1.0}
    current = torch.tensor(2.4, dtype=torch.float64, requires_grad=True)
    law = Lif(detached=detached)
    first = law.step((torch.zeros(()), torch.zeros(())), current, c)
    (slope,) = torch.autograd.grad(law.step(first, 0.0, c)[0], current)
    through = 0.0 if detached else 0.5 / (1 + (0.2 * math.pi) ** 2)
    assert float(slope) == pytest.approx(0.25 - through, rel=1e-9)


def test_time_constants_err_by_what_was_drawn() -> None:
    population = neurons("lif")
    chips = Chips(Spread(tau=0.1), 3, torch.Generator().manual_seed(4))
    factors = (0.1 * torch.randn((3, 20), generator=torch.Generator().manual_seed(4))).exp()
    taken = population.coefficients(1.0, chips)["leak"]
    assert torch.allclose(-1 / torch.log1p(-taken) / population.log_tau.exp(), factors, rtol=1e-4)


def test_initial_time_constants_fill_their_range_evenly() -> None:
    tau = initial_lif(10000, torch.Generator().manual_seed(0), 2.0, 50.0).log_tau.exp()
    assert 2.0 <= float(tau.min()) < 2.01
    assert 49.5 < float(tau.max()) <= 50.01
    assert float(tau.median()) == pytest.approx(10.0, rel=0.05)
