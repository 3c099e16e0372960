"""Running a spec: the laws of a feed-forward layer."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mtc_hw.errors import DataError, SpecError
from mtc_hw.model.network import run_spec
from mtc_hw.spec import Curve, ModelSpec, Neurons, Readout

Population = Callable[..., Neurons]
SERIES = np.sin(np.arange(40) / 5)


def network(neurons: Neurons) -> ModelSpec:
    draw = np.random.default_rng(9)
    n = neurons.count
    weights, bias = draw.normal(size=(n, 1)), draw.normal(-1.0, 0.4, n)
    return ModelSpec(neurons, weights, bias, readout=Readout(draw.normal(size=(1, n)), np.array([0.2]), 3.0))


def test_the_shapes_of_a_run(population: Population) -> None:
    run = run_spec(network(population(3)), SERIES)
    assert run.trace.voltage.shape == (79, 3) and run.trace.time[-1] == 39.0
    assert run.features.shape == (40, 3) and run.prediction.shape == (40, 1)


def test_kernel_and_reference_agree(population: Population, curve: Curve | None) -> None:
    spec = network(population(4, curve))
    fast, exact = run_spec(spec, SERIES), run_spec(spec, SERIES, exact=True)
    assert np.abs(fast.trace.voltage - exact.trace.voltage).max() < 1e-3
    assert exact.trace.slow is not None and exact.trace.slow.shape == exact.trace.voltage.shape


def test_a_neuron_without_readout_weight_changes_nothing(population: Population) -> None:
    spec = network(population(4))
    assert spec.readout is not None
    weights = spec.readout.weights.copy()
    weights[0, 2] = 0.0
    muted = replace(spec, readout=replace(spec.readout, weights=weights))
    other = replace(muted, bias=muted.bias + np.array([0, 0, 1.0, 0]))
    assert np.array_equal(run_spec(muted, SERIES).prediction, run_spec(other, SERIES).prediction)


def test_permuting_neurons_permutes_features_and_keeps_the_answer(population: Population) -> None:
    spec, order = network(population(4)), np.array([2, 0, 3, 1])
    assert spec.readout is not None
    arrays = ("alpha", "delta", "tau", "leak", "rest", "offset")
    neurons = replace(spec.neurons, **{name: getattr(spec.neurons, name)[..., order] for name in arrays})
    readout = replace(spec.readout, weights=spec.readout.weights[:, order])
    shuffled = replace(spec, neurons=neurons, weights=spec.weights[order], bias=spec.bias[order], readout=readout)
    plain, mixed = run_spec(spec, SERIES), run_spec(shuffled, SERIES)
    assert np.array_equal(mixed.features, plain.features[:, order])
    assert np.allclose(mixed.prediction, plain.prediction, atol=1e-12)


def test_a_finer_step_gives_nearly_the_same_answer(population: Population, curve: Curve | None) -> None:
    spec = network(population(4, curve))
    runs = [run_spec(spec, SERIES, step).features for step in (0.5, 0.25, 0.0625)]
    assert np.abs(runs[1] - runs[2]).max() < 0.5 * np.abs(runs[0] - runs[2]).max() < 0.05


def test_a_fast_filter_runs_through_the_reference(population: Population) -> None:
    run = run_spec(network(population(2, fast=1.0)), SERIES)
    assert run.trace.slow is not None


def test_wrong_series_and_steps_are_refused(population: Population) -> None:
    spec = network(population(2))
    with pytest.raises(
        DataError, match=r"^the series has shape \(40, 2\); it needs 2 or more finite rows of 1 inputs$"
    ):
        run_spec(spec, np.ones((40, 2)))
    with pytest.raises(DataError, match="finite rows"):
        run_spec(spec, [0.0, np.inf, 0.0])
    with pytest.raises(SpecError, match=r"^integration step is -1 tau_m; it must be > 0$"):
        run_spec(spec, SERIES, -1.0)
