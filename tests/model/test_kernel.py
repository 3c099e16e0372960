"""The fused kernel equals the float64 reference, forward and backward."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numba import njit

from mtc_hw.model.kernel import BLOCK, integrate, supported
from mtc_hw.model.lanes import FLAGS, law_bend, law_parts, law_slope, law_value, tanh
from mtc_hw.model.mtc import TENSORS, Parameters, parameters, simulate
from mtc_hw.spec import Curve, Neurons

Population = Callable[..., Neurons]
TRAINED = ("alpha", "delta", "tau")


@njit(fastmath=FLAGS, error_model="numpy")
def _tanh_of(x, out):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        out[i] = tanh(x[i])


@njit(fastmath=FLAGS, error_model="numpy")
def _law_of(x, law, out):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        p, q, d = law_parts(x[i], law)
        inverse = np.float32(1.0) / d
        out[0, i] = law_value(p, q, inverse, law)
        out[1, i] = law_slope(p, q, inverse, law)
        out[2, i] = law_bend(p, q, inverse, law)


def test_rational_tanh_is_within_3e_7() -> None:
    x = np.linspace(-20, 20, 400001, dtype=np.float32)
    out = np.empty_like(x)
    _tanh_of(x, out)
    assert np.abs(out - np.tanh(x.astype(float))).max() < 3e-7


def test_compiled_curve_and_derivatives_equal_the_spec() -> None:
    law, x = Curve(0.45, 1.502), np.linspace(-8, 8, 1001, dtype=np.float32)
    out = np.empty((3, x.size), np.float32)
    _law_of(x, (np.float32(law.slope), np.float32(np.tanh(law.slope * law.shift) ** 2)), out)
    k, d, y = law.slope, law.shift, x.astype(float)
    left, right = np.tanh(k * (y - d)), np.tanh(k * (y + d))
    slope = law.amplitude * k * (2 - left**2 - right**2)
    bend = -2 * law.amplitude * k * k * (left * (1 - left**2) + right * (1 - right**2))
    assert np.abs(out - np.stack([law(y), slope, bend])).max() < 3e-6


def chips(neurons: Neurons, rows: int) -> Parameters:
    """As many rows of slightly different parameters."""
    p = parameters(neurons)
    draw = torch.Generator().manual_seed(3)
    factor = 1 + 0.02 * torch.randn((rows, neurons.count), generator=draw, dtype=torch.float64)
    return replace(p, **{name: getattr(p, name) * factor for name in TENSORS})


def cast(p: Parameters, dtype: torch.dtype) -> Parameters:
    """A copy whose trained tensors collect gradients."""
    tensors = {name: getattr(p, name).to(dtype).clone().requires_grad_(name in TRAINED) for name in TENSORS}
    return replace(p, **tensors)


def gradients(p: Parameters, current: torch.Tensor, weights: torch.Tensor, kernel: bool) -> list[torch.Tensor]:
    """Voltages (B, steps, N), then the gradients of their weighted sum for current, alpha, delta, tau."""
    current = current.clone().requires_grad_()
    if kernel:
        voltage = integrate(current, p, 0.5, 2)
    else:
        voltage = simulate(current.transpose(0, 1), p, 0.5, 2).voltage.transpose(0, 1)
    leaves = (current, *(getattr(p, name) for name in TRAINED))
    return [voltage.detach(), *torch.autograd.grad((voltage * weights).sum(), leaves)]


def assert_equal_to_reference(p: Parameters, samples: int, tolerance: float, drive: float) -> None:
    draw = torch.Generator().manual_seed(4)
    count = p.alpha.shape[-1]
    current = drive * torch.randn((3, samples, count), generator=draw, dtype=torch.float64)
    weights = torch.randn((3, 2 * samples - 1, count), generator=draw, dtype=torch.float64)
    exact = gradients(cast(p, torch.float64), current, weights, kernel=False)
    fused = gradients(cast(p, torch.float32), current.float(), weights.float(), kernel=True)
    for one, other in zip(fused, exact, strict=True):
        assert float((one - other).abs().max()) < tolerance * float(other.abs().max())


@pytest.mark.parametrize("rows", [1, 3])
def test_short_spiking_runs_equal_the_reference(population: Population, curve: Curve | None, rows: int) -> None:
    p = parameters(population(5, curve)) if rows == 1 else chips(population(5, curve), rows)
    assert_equal_to_reference(p, samples=13, tolerance=5e-5, drive=1.5)


def test_long_contractive_runs_equal_the_reference(population: Population, curve: Curve | None) -> None:
    p = parameters(population(5, curve))
    assert_equal_to_reference(replace(p, alpha=0.2 * p.alpha), samples=400, tolerance=5e-5, drive=0.5)


def test_neurons_beyond_a_block_equal_the_reference(population: Population) -> None:
    assert_equal_to_reference(parameters(population(BLOCK + 3)), samples=6, tolerance=5e-5, drive=1.0)


def test_the_number_of_threads_changes_nothing(population: Population) -> None:
    p = cast(chips(population(5), 3), torch.float32)
    current, weights = torch.randn(3, 9, 5), torch.randn(3, 17, 5)
    before = torch.get_num_threads()
    try:
        runs = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            runs.append(gradients(p, current, weights, kernel=True))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


def test_the_kernel_declines_a_fast_filter_and_a_coarse_step(population: Population) -> None:
    assert supported(parameters(population(2)), 0.5)
    assert not supported(parameters(population(2, fast=1.0)), 0.5)
    assert not supported(parameters(population(2)), 2.0)
