"""Training improves, repeats itself, stops when told and measures what it made."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtc_hw.errors import DataError
from mtc_hw.metrics import r2
from mtc_hw.model import descent
from mtc_hw.model.export import from_spec
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import Split, mackey_glass_split
from mtc_hw.model.train import Trained, emitted, train
from mtc_hw.spec import ModelSpec

SMALL = TrainOptions(hidden=8, iterations=30, batch=8, window=300, burn_in=150, candidates=4)


@pytest.fixture(scope="module")
def split() -> Split:
    return mackey_glass_split(1500, 800)


@pytest.fixture(scope="module")
def trained(split: Split) -> Trained:
    return train(split, SMALL, progress=False)


@pytest.fixture(scope="module")
def spec(trained: Trained) -> ModelSpec:
    assert trained.spec is not None
    return trained.spec


def breaking(error: BaseException, after: int) -> Callable[..., float]:
    """`rate`, which breaks after so many calls."""
    calls, rate = iter(range(after)), descent.rate

    def breaks(*args: Any) -> float:
        if next(calls, None) is None:
            raise error
        return rate(*args)

    return breaks


def test_training_improves_the_loss(trained: Trained) -> None:
    losses = [loss for _, loss, _ in trained.report.history]
    assert losses[-1] < losses[0]
    assert trained.report.iterations == 30 and not trained.report.interrupted


def test_the_same_options_give_the_same_network(spec: ModelSpec, split: Split) -> None:
    again = train(split, SMALL, progress=False).spec
    assert again is not None and again.digest() == spec.digest()


def test_another_seed_gives_another_network(spec: ModelSpec, split: Split) -> None:
    other = train(split, replace(SMALL, iterations=2, seed=1), progress=False).spec
    assert other is not None and other.digest() != spec.digest()


def test_training_is_silent_without_a_terminal(split: Split, capfd: pytest.CaptureFixture[str]) -> None:
    train(split, replace(SMALL, iterations=2))
    assert capfd.readouterr() == ("", "")


def test_half_of_the_neurons_lack_the_bursting_elements(spec: ModelSpec) -> None:
    assert (spec.neurons.alpha[2:, :4] == 0).all() and (spec.neurons.alpha[:, 4:] > 0).all()
    assert (spec.neurons.alpha[:2] > 0).all()


def test_the_report_measures_the_spec(trained: Trained, spec: ModelSpec, split: Split) -> None:
    kept = slice(SMALL.burn_in, None)
    scores = [
        r2(run_spec(spec, split.test.inputs, step).prediction[kept, 0], split.test.targets[kept])
        for step in (spec.step, spec.step / 4)
    ]
    assert [trained.report.r2, trained.report.r2_refined] == pytest.approx(scores, abs=1e-4)
    assert trained.report.options == SMALL and set(trained.report.versions) >= {"torch", "llvmlite", "mtc_hw"}
    assert 0 <= trained.report.s_comp <= trained.report.s_comm <= 1


def test_emitted_is_the_synapse_of_every_step(trained: Trained, spec: ModelSpec, split: Split) -> None:
    (s,) = emitted(trained.network, split.test.inputs)
    voltage = run_spec(spec, split.test.inputs).trace.voltage
    # An edge a hundredth of a tau_m early or late is a few hundredths of the synapse's range.
    assert s.shape == voltage.shape and np.abs(s - spec.synapse(voltage)).mean() < 1e-4


def test_training_goes_on_from_a_given_network(spec: ModelSpec, split: Split) -> None:
    still = replace(SMALL, iterations=1, learning_rate=1e-30)
    outcome = train(split, still, progress=False, start=from_spec(spec))
    assert outcome.spec is not None
    for name in ("alpha", "delta", "tau", "weights", "bias"):
        assert np.allclose(outcome.spec.arrays()[name], spec.arrays()[name], rtol=1e-5), name


def test_interruption_keeps_what_was_learned(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descent, "rate", breaking(KeyboardInterrupt(), 12))
    outcome = train(split, SMALL, progress=False)
    assert outcome.report.interrupted and outcome.report.iterations == 12
    assert outcome.spec is not None and math.isfinite(outcome.report.r2)


def test_a_resumed_training_ends_bit_for_bit_the_same(
    trained: Trained, spec: ModelSpec, split: Split, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for after in (12, 11):  # interrupted twice
        with monkeypatch.context() as patched:
            patched.setattr(descent, "rate", breaking(KeyboardInterrupt(), after))
            train(split, SMALL, progress=False, save=tmp_path / "state", resume=True)
    again = train(split, SMALL, progress=False, save=tmp_path / "state", resume=True)
    assert again.spec is not None and again.spec.digest() == spec.digest()
    assert again.report.history == trained.report.history and again.report.iterations == 30


def test_a_finished_training_is_resumed_to_the_same_network(spec: ModelSpec, split: Split, tmp_path: Path) -> None:
    train(split, SMALL, progress=False, save=tmp_path / "state")
    again = train(split, SMALL, progress=False, save=tmp_path / "state", resume=True)
    assert again.spec is not None and again.spec.digest() == spec.digest()


def test_a_training_is_not_resumed_with_other_options(split: Split, tmp_path: Path) -> None:
    file, short = tmp_path / "state", replace(SMALL, iterations=2)
    train(split, short, progress=False, save=file)
    message = rf"^training state {file} has other options; resume with those, or train into another folder$"
    with pytest.raises(DataError, match=message):
        train(split, replace(short, seed=5), progress=False, save=file, resume=True)


def test_a_damaged_state_is_not_resumed(split: Split, tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_bytes(b"nothing")
    with pytest.raises(DataError, match=rf"^training state {file} cannot be read .*; train from the start$"):
        train(split, replace(SMALL, iterations=2), progress=False, save=file, resume=True)


def test_without_a_state_a_resumed_training_starts(split: Split, tmp_path: Path) -> None:
    short = replace(SMALL, iterations=2)
    assert train(split, short, progress=False, save=tmp_path / "state", resume=True).report.iterations == 2
    assert (tmp_path / "state").exists()


@pytest.mark.parametrize("neuron", ["lif", "adlif"])
def test_baselines_train_without_a_spec(split: Split, neuron: Any) -> None:
    outcome = train(split, replace(SMALL, neuron=neuron, iterations=5, candidates=1), progress=False)
    assert outcome.spec is None and math.isfinite(outcome.report.r2)
    assert outcome.report.r2_refined == outcome.report.r2


def test_several_layers_train_without_a_spec(split: Split) -> None:
    options = replace(SMALL, layers=2, iterations=3, candidates=1, curves="linear", chips="nominal")
    outcome = train(split, options, progress=False)
    assert outcome.spec is None and math.isfinite(outcome.report.r2)
    assert [s.shape[1] for s in emitted(outcome.network, split.test.inputs)] == [8, 8]


def rounded(spec: ModelSpec) -> ModelSpec:
    """Converters with steps of 1/8 in weights and biases."""
    weights, bias = (np.round(8 * array) / 8 for array in (spec.weights, spec.bias))
    return replace(spec, weights=weights, bias=bias)


def test_a_quantised_training_goes_through_its_codes(split: Split) -> None:
    seen: list[ModelSpec] = []

    def quantiser(spec: ModelSpec) -> ModelSpec:
        seen.append(spec)
        return rounded(spec)

    options = replace(SMALL, bits=6, iterations=3, candidates=1)
    outcome = train(split, options, progress=False, quantiser=quantiser)
    assert len(seen) >= 3 and all(each.task == split.task for each in seen)
    assert outcome.spec is not None and math.isfinite(outcome.report.r2)


@pytest.mark.parametrize(
    ("bits", "rule", "message"),
    [
        (5, None, r"^bits is 5, but no quantiser is given$"),
        (None, rounded, r"^bits is None, but a quantiser is given$"),
    ],
)
def test_bits_and_quantiser_belong_together(split: Split, bits: int | None, rule: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        train(split, replace(SMALL, bits=bits), progress=False, quantiser=rule)


def test_a_series_too_short_for_its_windows_is_refused(split: Split) -> None:
    with pytest.raises(DataError, match=r"^1500 training samples are too few for windows of 1500; give more$"):
        train(split, replace(SMALL, window=1500), progress=False)


def test_training_leaves_the_global_generator_alone(split: Split) -> None:
    before = torch.random.get_rng_state()
    train(split, replace(SMALL, iterations=2), progress=False)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("neuron", ["mtc", "lif", "adlif", "silif", "c-silif"])
def test_every_neuron_trains_with_recurrent_weights(neuron: str) -> None:
    split = mackey_glass_split(250, 120)
    options = replace(SMALL, neuron=neuron, recurrent=True, iterations=2, window=60, burn_in=30, candidates=1)
    before = train(split, replace(options, frozen=("recurrent",)), progress=False).network.layers[0].recurrent
    found = train(split, options, progress=False)
    after = found.network.layers[0].recurrent
    assert before is not None and after is not None and not torch.equal(before, after)
    assert math.isfinite(found.report.r2) and found.spec is None


@pytest.mark.parametrize("layers", [2, 3])
def test_deeper_networks_learn_the_series_too(split: Split, layers: int) -> None:
    found = train(split, replace(SMALL, layers=layers, iterations=40, chips="nominal"), progress=False)
    losses = [loss for _, loss, _ in found.report.history]
    assert losses[-1] < losses[0] and found.spec is None
