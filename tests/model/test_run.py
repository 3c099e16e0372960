"""Running a spec: the laws of a feed-forward layer."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mtc_hw.errors import DataError, SpecError
from mtc_hw.model.run import run_spec, spec_timing
from mtc_hw.spec import AnySynapse, Curve, ModelSpec, Neurons, Readout, RectifiedTanh, Synapse, Task

Population = Callable[..., Neurons]
SERIES = np.sin(np.arange(40) / 5)


def network(neurons: Neurons, synapse: AnySynapse | None = None) -> ModelSpec:
    draw = np.random.default_rng(9)
    n = neurons.count
    weights, bias = draw.normal(size=(n, 1)), draw.normal(-1.0, 0.4, n)
    readout = Readout(draw.normal(size=(1, n)), np.array([0.2]), 3.0)
    return ModelSpec(neurons, weights, bias, synapse=synapse or Synapse(), readout=readout)


def test_the_shapes_of_a_run(population: Population) -> None:
    run = run_spec(network(population(3)), SERIES)
    assert run.trace.voltage.shape == (79, 3) and run.trace.time[-1] == 39.0
    assert run.features.shape == (40, 3) and run.prediction.shape == (40, 1)


@pytest.mark.parametrize(("integrator", "synapse"), [("euler", RectifiedTanh(0.1)), ("split", Synapse())])
def test_kernel_and_reference_agree(
    population: Population, curve: Curve | None, integrator: str, synapse: AnySynapse
) -> None:
    spec = replace(network(population(4, curve), synapse), integrator=integrator)
    fast, exact = run_spec(spec, SERIES), run_spec(spec, SERIES, exact=True)
    assert np.abs(fast.trace.voltage - exact.trace.voltage).max() < 1e-3
    assert np.abs(fast.features - exact.features).max() < 1e-3
    assert exact.trace.slow is not None and exact.trace.slow.shape == exact.trace.voltage.shape


def test_only_the_reference_gives_the_filters(population: Population) -> None:
    run = run_spec(network(population(2)), SERIES)
    assert run.trace.slow is None and run.trace.ultraslow is None


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


def test_a_neuron_alone_does_what_it_does_among_others(population: Population) -> None:
    spec = network(population(4))
    alone = ModelSpec(spec.neurons.take(2), spec.weights[2:3], spec.bias[2:3])
    assert np.array_equal(run_spec(alone, SERIES).trace.voltage[:, 0], run_spec(spec, SERIES).trace.voltage[:, 2])


def test_two_inputs_add_up(population: Population) -> None:
    spec = network(population(3))
    double = replace(spec, weights=np.hstack([0.25 * spec.weights, 0.75 * spec.weights]))
    one, other = run_spec(spec, SERIES), run_spec(double, np.stack([SERIES, SERIES], 1))
    assert np.abs(one.trace.voltage - other.trace.voltage).max() < 1e-4


def test_a_finer_step_gives_nearly_the_same_answer(population: Population, curve: Curve | None) -> None:
    spec = network(population(4, curve))
    runs = [run_spec(spec, SERIES, step).features for step in (0.5, 0.25, 0.0625)]
    assert np.abs(runs[1] - runs[2]).max() < 0.5 * np.abs(runs[0] - runs[2]).max() < 0.05


def test_a_fast_filter_runs_fast_as_well(population: Population, curve: Curve | None) -> None:
    spec = network(population(2, curve, fast=1.0))
    fast, exact = run_spec(spec, SERIES), run_spec(spec, SERIES, exact=True)
    assert fast.trace.slow is None and np.abs(fast.trace.voltage - exact.trace.voltage).max() < 1e-3


def test_what_the_kernel_declines_runs_through_the_reference(population: Population) -> None:
    neurons = population(2)
    far = replace(neurons, delta=neurons.delta + np.array([[0.0], [0.0], [0.0], [9.0]]))
    run = run_spec(network(far), SERIES)
    assert run.trace.slow is not None and np.isfinite(run.prediction).all()


def test_a_spec_without_readout_gives_no_outputs(population: Population) -> None:
    assert run_spec(replace(network(population(2)), readout=None), SERIES).prediction.shape == (40, 0)


def test_a_step_is_rounded_down_to_a_whole_part_of_the_sample(population: Population) -> None:
    task = Task("own", horizon=1.0, sample=3.0, mean=0.0, scale=1.0, time_unit=0.5)
    spec = replace(network(population(2)), task=task)
    assert (spec_timing(spec).sample, spec_timing(spec).substeps) == (1.5, 3)
    assert spec_timing(spec, 0.4).substeps == 4 and spec_timing(spec, 1.5).substeps == 1
    assert spec_timing(spec, 7.0).substeps == 1 and spec_timing(spec, 0.1).substeps == 15
    assert spec_timing(replace(spec, task=None)).sample == 1.0


@pytest.mark.parametrize(
    ("series", "shape"),
    [
        (np.ones((40, 2)), r"\(40, 2\)"),
        ([0.0], r"\(1, 1\)"),
        ([0.0, np.inf, 0.0], r"\(3, 1\)"),
        ([np.nan, 0.0, 0.0], r"\(3, 1\)"),
        ([0.0, 0.0, np.nan], r"\(3, 1\)"),
        (np.ones((3, 1, 1)), r"\(3, 1, 1\)"),
    ],
)
def test_wrong_series_are_refused(population: Population, series: object, shape: str) -> None:
    with pytest.raises(
        DataError, match=rf"^the series has shape {shape}; it needs 2 or more finite rows of 1 inputs$"
    ):
        run_spec(network(population(2)), series)  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [-1.0, 0.0, float("nan")])
def test_wrong_steps_are_refused(population: Population, step: float) -> None:
    with pytest.raises(SpecError, match=rf"^integration step is {step:g} tau_m; it must be > 0$"):
        run_spec(network(population(2)), SERIES, step)
