"""The circuit-faithful neuron in torch and in the kernel: its equations, their order, and exact gradients."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from kernel_calls import BATCH, Case, Problem, assert_equal_to_reference, normal

from mtc_hw.model.mtc import TENSORS, Integrator, coefficients, dynamics, parameters, simulate
from mtc_hw.model.program import Program
from mtc_hw.model.run import run_spec
from mtc_hw.neuron_file import Initial
from mtc_hw.simulate.ode import SampledCurrent, integrate
from mtc_hw.spec import INITIAL_VOLTAGE, CellEffects, Curve, ModelSpec, Neurons, Synapse

Population = Callable[..., Neurons]


def effects(count: int, seed: int = 1, lag: float = 2.0, equal: bool = False) -> CellEffects:
    """Every effect drawn, several times as large as a circuit's."""
    draw = np.random.default_rng(seed)

    def around(rows: int, middle: float, spread: float) -> np.ndarray:
        values = middle + spread * draw.normal(size=(rows, 1 if equal else count))
        return np.broadcast_to(values, (rows, count))

    return CellEffects(
        offset=around(8, 0.0, 0.05),
        sharpness=around(4, 1.0, 0.05),
        output_shift=around(4, 0.0, 0.02),
        slope=around(4, 0.46, 0.02),
        shift=around(4, 1.5, 0.1),
        skew=around(4, 0.0, 0.05),
        constant=around(8, 0.0, 0.05),
        common_mode=around(8, 0.0, 0.02),
        tilt=around(8, 0.0, 0.02),
        reference=around(5, -0.5, 0.5),
        conductance=around(4, 0.03, 0.01),
        lag=np.abs(around(3, lag, 0.3 * lag)) * np.array([[0.0], [0.0], [1.0]]),
        input_tilt=around(1, 0.0, 0.02)[0],
    )


def drawn(population: Population, count: int, fast: float = 0.0, lag: float = 2.0, equal: bool = False) -> Neurons:
    return replace(population(count, fast=fast), cells=effects(count, lag=lag, equal=equal))


@pytest.mark.parametrize("fast", [0.0, 1.0])
@pytest.mark.parametrize(("integrator", "order"), [("euler", 1), ("split", 2)])
def test_integrators_converge_to_lsoda_at_their_order(
    population: Population, fast: float, integrator: Integrator, order: int
) -> None:
    neurons = drawn(population, 1, fast)
    start = Initial(*(INITIAL_VOLTAGE,) * 3)
    truth = integrate(neurons, SampledCurrent(np.full(13, 0.2), 1.0), 12.0, start, rtol=1e-11, atol=1e-12)
    errors = []
    for substeps in (20, 40, 80):
        current = torch.full((13, 1, 1), 0.2, dtype=torch.float64)
        states = simulate(current, parameters(neurons), 1 / substeps, substeps, integrator)
        found = [part[-1, 0, 0].item() for part in states]
        expected = (truth.voltage[-1, 0], truth.slow[-1, 0], truth.ultraslow[-1, 0])  # type: ignore[index]
        errors.append(sum(abs(one - other) for one, other in zip(found, expected, strict=True)))
    observed = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert observed[-1] == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("fast", [0.0, 1.0])
@pytest.mark.parametrize("integrator", ["euler", "split"])
def test_step_gradients_equal_finite_differences(population: Population, fast: float, integrator: Integrator) -> None:
    p = parameters(drawn(population, 2, fast))
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


def problem(case: Case, population: Population, equal: bool = False, lag: float = 2.0) -> Problem:
    p = parameters(drawn(population, case.neurons, case.fast, lag, equal))
    factor = 1 + 0.02 * normal(3, case.rows, case.neurons)
    p = replace(p, alpha=p.alpha * factor, delta=p.delta * factor, tau=p.tau * factor)
    law = dynamics(p, case.integrator, 1 / case.substeps)
    c = coefficients(p, law)
    shape = (BATCH, case.samples) + ((case.neurons,) if case.dense else ())
    if not case.dense:
        c |= {"weight": 1 + 0.5 * normal(5, 1, case.neurons), "bias": 0.5 * normal(6, case.rows, case.neurons) - 0.5}
    return Problem(Program(law, case.substeps, case.synapse, case.output, 0.6, 1.0), 1.5 * normal(4, *shape), c, None)


CASES = [
    Case(neurons=16),
    Case(dense=False, rows=BATCH, output="synapse"),
    Case("split", 1, fast=1.5, neurons=3),
    Case("split", 4, neurons=1, output="state"),
    Case("euler", 2, neurons=33),
    Case("euler", 1, fast=1.5, dense=False),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_kernel_equals_the_reference(population: Population, case: Case) -> None:
    assert_equal_to_reference(problem(case, population))


@pytest.mark.parametrize("lag", [0.0, 2.0])
def test_a_kernel_with_equal_effects_equals_the_reference(population: Population, lag: float) -> None:
    equal = problem(CASES[1], population, equal=True, lag=lag)
    assert len(equal.leaves) < 30 < len(problem(CASES[1], population, lag=lag).leaves)
    assert_equal_to_reference(equal)


def test_no_effects_leave_the_ideal_neuron(population: Population) -> None:
    """Neutral effects, and the curve in every leak and filter: the ideal neuron's own states."""
    curve = Curve(0.45, 1.502)
    ideal = population(5, curve)
    none = {name: 0.0 * getattr(effects(5), name) for name in ("offset", "output_shift", "skew", "constant", "tilt")}
    rest = {name: 0.0 * getattr(effects(5), name) for name in ("common_mode", "conductance", "lag", "input_tilt")}
    ones = np.ones((4, 5))
    shape = {
        "sharpness": ones,
        "slope": curve.slope * ones,
        "shift": curve.shift * ones,
        "reference": np.zeros((5, 5)),
    }
    circuit = replace(ideal, cells=CellEffects(**none, **rest, **shape))
    current = 0.5 * normal(2, 40, 1, 5)
    for integrator in ("euler", "split"):
        one, other = (simulate(current, parameters(n), 0.5, 2, integrator) for n in (ideal, circuit))
        assert torch.allclose(one.voltage, other.voltage, atol=1e-9)
        assert torch.allclose(one.ultraslow, other.ultraslow, atol=1e-9)


def test_a_filter_without_a_lag_is_not_boosted(population: Population) -> None:
    """In a population where others have one."""
    lag = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 3.0]])
    both = replace(population(2), cells=replace(effects(2), lag=lag))
    alone = both.take(0)
    current = 0.5 * normal(2, 60, 1, 2)
    together = simulate(current, parameters(both), 0.5, 2).ultraslow[..., 0]
    assert torch.equal(together, simulate(current[..., :1], parameters(alone), 0.5, 2).ultraslow[..., 0])


def test_a_network_runs_in_the_kernel_as_in_the_reference(population: Population) -> None:
    neurons = drawn(population, 6)
    spec = ModelSpec(neurons, np.linspace(-0.5, 0.5, 6)[:, None], np.full(6, -0.8), Synapse())
    series = np.sin(np.arange(60) / 7.0)
    fast, exact = run_spec(spec, series), run_spec(spec, series, exact=True)
    assert fast.trace.slow is None and exact.trace.slow is not None
    assert fast.trace.voltage == pytest.approx(exact.trace.voltage, abs=2e-3)


def test_what_is_trained_is_a_tensor(population: Population) -> None:
    p = parameters(drawn(population, 1))
    law = dynamics(p, "split", 0.5)
    c = coefficients(p, law)
    tensors = {name for name, value in c.items() if isinstance(value, torch.Tensor)}
    assert {name.partition("_")[0] for name in tensors} == {"alpha", "edge", "whole"}
