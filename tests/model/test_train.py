"""Training improves, repeats itself, stops when told; checkpoints keep every bit."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mtc_hw.checkpoint import load_spec, load_training, save_spec
from mtc_hw.errors import DataError, SpecError, UnmappableError
from mtc_hw.model import train as training
from mtc_hw.model.export import from_spec, to_spec
from mtc_hw.model.lif import spike
from mtc_hw.model.network import run_spec
from mtc_hw.model.tasks import Split, mackey_glass_split
from mtc_hw.model.train import Trained, TrainOptions, project, rate, train
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


def test_training_improves_the_loss(trained: Trained) -> None:
    losses = [loss for _, loss, _ in trained.report.history]
    assert losses[-1] < losses[0]
    assert trained.report.iterations == 30 and not trained.report.interrupted


def test_the_same_options_give_the_same_network(trained: Trained, split: Split) -> None:
    again = train(split, SMALL, progress=False)
    assert trained.spec is not None and again.spec is not None
    assert again.spec.digest() == trained.spec.digest()


def test_training_is_silent_without_a_terminal(split: Split, capfd: pytest.CaptureFixture[str]) -> None:
    train(split, replace(SMALL, iterations=2))
    assert capfd.readouterr() == ("", "")


def test_half_of_the_neurons_lack_the_bursting_elements(spec: ModelSpec) -> None:
    assert (spec.neurons.alpha[2:, :4] == 0).all() and (spec.neurons.alpha[:, 4:] > 0).all()
    assert (spec.neurons.alpha[:2] > 0).all()


def test_interruption_keeps_what_was_learned(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks() -> Iterator[float]:
        yield from [0.02] * 12
        raise KeyboardInterrupt

    rates = breaks()
    monkeypatch.setattr(training, "rate", lambda *_: next(rates))
    outcome = train(split, SMALL, progress=False)
    assert outcome.report.interrupted and outcome.report.iterations == 12 and outcome.spec is not None


def test_interruption_falls_back_on_the_lowest_mean_loss() -> None:
    tensor = torch.zeros(2)
    best = training.Best([tensor])
    for step, loss in enumerate([3.0] * training.REPORTED + [1.0] * training.REPORTED + [9.0] * 5):
        tensor.fill_(step)
        best.see(loss)
    best.restore()
    assert (tensor == 2 * training.REPORTED - 1).all()


def test_a_cap_in_seconds_lowers_the_iterations(split: Split) -> None:
    outcome = train(split, replace(SMALL, iterations=10**6, seconds=0.1), progress=False)
    assert training.REPORTED <= outcome.report.iterations < 10**4


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    o = TrainOptions(iterations=1000)
    assert rate(0, 1000, o) < rate(50, 1000, o) < rate(99, 1000, o)
    assert rate(1000, 1000, o) == pytest.approx(0, abs=1e-12)


def test_projected_gradient_is_that_of_the_best_readout() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn((40, 3), generator=draw).requires_grad_()
    y = torch.randn(40, generator=draw)
    (gradient,) = torch.autograd.grad(project(x, y, 1e-9), x)
    nudge = 1e-2 * gradient.sign()
    with torch.no_grad():
        change = project(x + nudge, y, 1e-9) - project(x - nudge, y, 1e-9)
    assert float(change) == pytest.approx(2 * float((nudge * gradient).sum()), rel=1e-2)


def test_network_and_spec_are_one_round_trip(spec: ModelSpec) -> None:
    again = to_spec(from_spec(spec), spec.readout, spec.task)
    for name, array in spec.arrays().items():
        assert np.allclose(again.arrays()[name], array, rtol=1e-6), name
    assert again.header() == spec.header()


def test_mismatched_neurons_are_not_trainable(spec: ModelSpec) -> None:
    neurons = replace(spec.neurons, leak=1.1 * spec.neurons.leak)
    with pytest.raises(SpecError, match=r"^training needs instantaneous fast elements"):
        from_spec(replace(spec, neurons=neurons))


def test_lif_trains_but_is_refused_for_mapping(split: Split) -> None:
    outcome = train(split, replace(SMALL, neuron="lif", iterations=10), progress=False)
    assert outcome.spec is None and math.isfinite(outcome.report.r2)
    with pytest.raises(UnmappableError, match=r"^a LIF network has no conductance elements to map; train with"):
        to_spec(outcome.network)


def test_surrogate_is_the_arctangent() -> None:
    x = torch.tensor([-1.0, 0.0, 1.0], requires_grad=True)
    spikes = spike(x)
    (gradient,) = torch.autograd.grad(spikes.sum(), x)
    assert spikes.tolist() == [0.0, 1.0, 1.0]
    assert gradient.tolist() == pytest.approx([1 / (1 + math.pi**2), 1.0, 1 / (1 + math.pi**2)])


def test_a_saved_network_answers_bit_for_bit(spec: ModelSpec, split: Split, tmp_path: Path) -> None:
    save_spec(spec, tmp_path / "net", {"seed": 0})
    again = load_spec(tmp_path / "net.json")
    assert again.digest() == spec.digest()
    before, after = (run_spec(one, split.test.inputs).prediction for one in (spec, again))
    assert np.array_equal(before, after)
    assert load_training(tmp_path / "net") == {"seed": 0}


def damage_version(folder: Path) -> None:
    file = folder / "net.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": 99}))


def damage_format(folder: Path) -> None:
    (folder / "net.json").write_text('{"weights": []}')


def damage_header(folder: Path) -> None:
    (folder / "net.json").write_text("{")


def damage_arrays(folder: Path) -> None:
    (folder / "net.safetensors").write_bytes(b"not tensors")


def damage_fields(folder: Path) -> None:
    file = folder / "net.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"header": {}}))


def damage_digest(folder: Path) -> None:
    file = folder / "net.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"digest": "0" * 64}))


def lose_arrays(folder: Path) -> None:
    (folder / "net.safetensors").unlink()


def lose_header(folder: Path) -> None:
    (folder / "net.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_version, "has version 99, this program reads 1"),
        (damage_format, "has format None, expected 'mtc_hw.model'"),
        (damage_header, "cannot be read"),
        (damage_arrays, "cannot be read"),
        (damage_fields, "describes no network"),
        (damage_digest, "does not belong to net.json"),
        (lose_arrays, "does not exist; it must lie beside net.json"),
        (lose_header, "does not exist; train a network first"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_damaged_checkpoint_says_what_is_wrong(spec: ModelSpec, tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    save_spec(spec, tmp_path / "net")
    damage(tmp_path)
    with pytest.raises(DataError, match=message):
        load_spec(tmp_path / "net")
