"""The descent goes down, repeats itself, stops when told and goes on where it was."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from mtc_hw.errors import DataError
from mtc_hw.model import descent as module
from mtc_hw.model.build import initial_network
from mtc_hw.model.descent import (
    REPORTED,
    Descent,
    clip_by_neuron,
    descend,
    draw_chips,
    noted_interrupt,
    rate,
    wake,
)
from mtc_hw.model.loss import Batch, fit
from mtc_hw.model.network import Layer, Network
from mtc_hw.model.options import TrainOptions
from mtc_hw.spread import Spread

SMALL = TrainOptions(
    hidden=4, curves="linear", chips="nominal", batch=2, window=40, burn_in=10, every=3, iterations=25, warm_up=4
)


@dataclass(frozen=True)
class Delayed:
    """Slow noise, to be answered with what it was eight samples ago, and with its negative as a second output."""

    outputs: int = 1
    inputs: int = 1
    sample: float = 1.0

    def batch(self, o: TrainOptions, generator: torch.Generator) -> Batch:
        kept = range(o.burn_in, o.window + 1, o.every)
        x = torch.randn((o.batch, o.window // 8 + 2), generator=generator).repeat_interleave(8, 1)[:, : o.window + 1]
        y = x.roll(8, 1)[:, list(kept)]
        return Batch(x, torch.stack([y, -y], 2)[..., : self.outputs], kept)


def started(options: TrainOptions = SMALL) -> Descent:
    generator = torch.Generator().manual_seed(options.seed)
    return Descent(initial_network(options, 1.0, 1, generator), options, generator)


def gone(descent: Descent, save: Path | None = None, source: Any = None) -> Descent:
    descend(descent, source or Delayed(), time.monotonic(), False, None, save)
    return descent


def values(network: Network) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.tensors().items()}


def assert_same(one: Descent, other: Descent) -> None:
    (tensors, header), (others, other_header) = one.state(), other.state()
    assert header == other_header and tensors.keys() == others.keys()
    assert all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())


def raising(error: BaseException, after: int) -> Callable[..., float]:
    """`rate`, which breaks after so many calls."""
    calls = iter(range(after))

    def breaks(*args: Any) -> float:
        if next(calls, None) is None:
            raise error
        return rate(*args)

    return breaks


def loss(network: Network, source: Delayed) -> float:
    """On a batch that no descent has seen."""
    large = replace(SMALL, batch=16, window=100)
    batch = source.batch(large, torch.Generator().manual_seed(99))
    with torch.no_grad():
        return float(fit(network.observe(batch.inputs, batch.kept), batch.targets, large).loss)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_descent_goes_down(outputs: int) -> None:
    source, descent = Delayed(outputs), started(replace(SMALL, batch=8, iterations=60, learning_rate=0.05))
    before = loss(descent.network, source)
    gone(descent, source=source)
    assert descent.done == 60 and [n for n, _, _ in descent.history] == [10, 20, 30, 40, 50, 60]
    assert loss(descent.network, source) < 0.9 * before


def test_the_same_options_give_the_same_tensors() -> None:
    assert_same(gone(started()), gone(started()))


def test_after_a_descent_nothing_collects_gradients() -> None:
    assert not any(tensor.requires_grad for tensor in gone(started()).network.tensors().values())


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    o = TrainOptions(iterations=1000)
    assert 0 < rate(0, 1000, o) < rate(50, 1000, o) < rate(99, 1000, o)
    assert rate(99, 1000, o) == pytest.approx(o.learning_rate, rel=0.03)
    assert rate(500, 1000, replace(o, warm_up=0)) == pytest.approx(o.learning_rate / 2)
    assert rate(1000, 1000, o) == pytest.approx(0, abs=1e-12)


def test_a_short_descent_warms_up_in_a_quarter_of_it() -> None:
    o = TrainOptions(warm_up=100)
    assert rate(4, 20, o) == pytest.approx(o.learning_rate * 0.5 * (1 + math.cos(math.pi * 4 / 20)))


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_descents_have_a_rate(total: int) -> None:
    assert 0 < rate(0, total, TrainOptions()) <= TrainOptions().learning_rate


@pytest.mark.parametrize("frozen", [("weights",), ("delta", "log_tau"), ("layer0.bias", "log_alpha")])
def test_frozen_tensors_stay_bit_for_bit(frozen: tuple[str, ...]) -> None:
    descent = started(replace(SMALL, frozen=frozen))
    before = values(descent.network)
    after = values(gone(descent).network)
    still = {name for name, tensor in after.items() if torch.equal(tensor, before[name])}
    assert still == {name for name in before if name in frozen or name.removeprefix("layer0.") in frozen}


def test_a_frozen_tensor_stays_even_beyond_reach() -> None:
    descent = started(replace(SMALL, frozen=("delta",)))
    delta = descent.network.tensors()["layer0.delta"].fill_(4.5)
    descent.iterate(Delayed(), 25, None)
    assert (delta == 4.5).all()


def test_nothing_left_to_train_is_refused() -> None:
    frozen = ("log_alpha", "delta", "log_tau", "weights", "bias")
    message = r"^frozen is log_alpha, delta, log_tau, weights, bias; nothing is left to train$"
    with pytest.raises(DataError, match=message):
        started(replace(SMALL, frozen=frozen))


def muted(descent: Descent, neuron: int = 1) -> Descent:
    """The same with one neuron that never crosses its threshold."""
    layer = descent.network.layers[0]
    with torch.no_grad():
        layer.weights[neuron], layer.bias[neuron] = -0.01, -2.0
    return descent


def test_rescue_lengthens_the_weights_of_silent_neurons_only() -> None:
    options = replace(SMALL, learning_rate=1e-3, rescue=0.0)
    plain, rescued = muted(started(options)), muted(started(replace(options, rescue=5.0)))
    for descent in (plain, rescued):
        descent.iterate(Delayed(), 25, None)
    before, after = values(plain.network), values(rescued.network)
    moved = after.pop("layer0.weights") - before.pop("layer0.weights")
    assert float(moved[1]) == pytest.approx(-5.0 * rate(0, 25, options), rel=1e-4)
    assert (moved[[0, 2, 3]] == 0).all() and all(torch.equal(each, before[name]) for name, each in after.items())


def test_waking_keeps_the_direction_of_several_weights() -> None:
    weights = torch.tensor([[3.0, -4.0]] * 4, requires_grad=True)
    layer = Layer(started().network.layers[0].neurons, weights, torch.zeros(4))
    features = torch.zeros((2, 5, 4))
    features[1, 3, [0, 2]] = 0.1
    wake(layer, features, 0.5)
    assert torch.allclose(layer.weights, torch.tensor([[3.0, -4.0], [3.3, -4.4]] * 2))


def test_rescue_does_not_move_frozen_weights() -> None:
    descent = muted(started(replace(SMALL, rescue=5.0, frozen=("weights",))))
    before = descent.network.layers[0].weights.clone()
    descent.iterate(Delayed(), 25, None)
    assert torch.equal(descent.network.layers[0].weights, before)


def test_parameters_stay_within_reach() -> None:
    descent = gone(started(replace(SMALL, learning_rate=3.0, iterations=10)))
    assert float(descent.network.tensors()["layer0.delta"].abs().max()) <= 3.5


def test_a_gradient_is_clipped_neuron_by_neuron() -> None:
    layer = started().network.layers[0]
    for tensor in layer.tensors().values():
        tensor.grad = torch.zeros_like(tensor)
    assert layer.bias.grad is not None and layer.weights.grad is not None
    layer.bias.grad[:] = torch.tensor([3.0, 0.03, math.nan, math.inf])
    layer.weights.grad[:, 0] = torch.tensor([4.0, 0.04, 1.0, 1.0])
    clip_by_neuron(layer, 1.0)
    assert layer.bias.grad.tolist() == pytest.approx([0.6, 0.03, 0.0, 0.0])
    assert layer.weights.grad[:, 0].tolist() == pytest.approx([0.8, 0.04, 0.0, 0.0])
    assert all((tensor.grad is not None) and torch.isfinite(tensor.grad).all() for tensor in layer.tensors().values())


def test_chips_are_as_the_options_say() -> None:
    draw = torch.Generator()
    o = replace(SMALL, chips="per_sample", spread=Spread(0.04), settled=0.25)
    assert draw_chips(replace(o, chips="nominal"), 2, draw, False) is None
    assert draw_chips(replace(o, spread=Spread()), 2, draw, False) is None
    assert draw_chips(replace(o, settled=0.0), 2, draw, True) is None
    many, few = draw_chips(o, 6, draw, False), draw_chips(replace(o, chips="per_chip", groups=2), 6, draw, True)
    assert many is not None and (many.count, many.each, many.spread) == (6, 1, Spread(0.04))
    assert few is not None and (few.count, few.each, few.spread) == (2, 3, Spread(0.01))


def test_patience_stops_a_standstill() -> None:
    still = replace(SMALL, iterations=1000, learning_rate=1e-30, patience=15, batch=1)
    assert REPORTED < gone(started(still)).done < 1000


def test_patience_of_none_never_stops() -> None:
    assert gone(started(replace(SMALL, learning_rate=1e-30))).done == 25


def test_a_cap_in_seconds_lowers_the_iterations() -> None:
    assert REPORTED <= gone(started(replace(SMALL, iterations=10**6, seconds=0.1))).done < 10**4


def test_interruption_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    losses: Iterator[float] = iter([3.0] * REPORTED + [1.0] * REPORTED + [9.0] * 5)
    seen: list[dict[str, torch.Tensor]] = []
    iterate = Descent.iterate

    def scripted(self: Descent, *args: Any) -> Any:
        found = iterate(self, *args)
        seen.append(values(self.network))
        return found

    fitted = module.fit
    monkeypatch.setattr(module, "fit", lambda *args: _with_loss(fitted(*args), next(losses)))
    monkeypatch.setattr(module, "rate", raising(KeyboardInterrupt(), 2 * REPORTED + 5))
    monkeypatch.setattr(Descent, "iterate", scripted)
    done = gone(started(replace(SMALL, iterations=1000)))
    assert done.interrupted and done.done == 2 * REPORTED + 5 and done.best_at == 2 * REPORTED
    best = seen[2 * REPORTED - 1]
    assert all(torch.equal(tensor, best[name]) for name, tensor in values(done.network).items())


def _with_loss(found: Any, loss: float) -> Any:
    """A fit whose loss has another value and the same gradient."""
    return found._replace(loss=found.loss + (loss - found.loss).detach())


def test_interruption_at_once_keeps_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "rate", raising(KeyboardInterrupt(), 0))
    descent = started()
    before = values(descent.network)
    assert gone(descent).interrupted and descent.done == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in values(descent.network).items())


def resumed(file: Path, options: TrainOptions = SMALL) -> Descent:
    """A fresh descent that has taken up a state."""
    descent = started(options)
    descent.restore(file)
    return descent


@pytest.mark.parametrize("after", [0, 3, 10, 11, 19, 20, 24])
def test_an_interrupted_descent_goes_on_to_the_same_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, after: int
) -> None:
    whole = gone(started())
    with monkeypatch.context() as patched:
        patched.setattr(module, "rate", raising(KeyboardInterrupt(), after))
        assert gone(started(), tmp_path / "state").interrupted
    again = resumed(tmp_path / "state")
    assert again.done == after // REPORTED * REPORTED
    assert_same(gone(again), whole)


@pytest.mark.parametrize(
    "options",
    [
        replace(SMALL, chips="per_sample", spread=Spread.uniform(0.02)),
        replace(SMALL, chips="alternating", groups=2, rescue=1.0),
        replace(SMALL, frozen=("delta",), patience=13, learning_rate=1e-30),
        replace(SMALL, neuron="lif"),
    ],
    ids=["chips", "chip", "patience", "lif"],
)
def test_every_kind_of_descent_goes_on_to_the_same_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: TrainOptions
) -> None:
    whole = gone(started(options))
    with monkeypatch.context() as patched:
        patched.setattr(module, "rate", raising(KeyboardInterrupt(), 14))
        gone(started(options), tmp_path / "state")
    assert_same(gone(resumed(tmp_path / "state", options)), whole)


def test_a_descent_that_was_killed_goes_on_from_its_last_state(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = gone(started())
    with monkeypatch.context() as patched:
        patched.setattr(module, "SAVED", -1.0)
        patched.setattr(module, "rate", raising(SystemExit(), 17))
        with pytest.raises(SystemExit):
            gone(started(), tmp_path / "state")
    again = resumed(tmp_path / "state")
    assert again.done == 10
    assert_same(gone(again), whole)


def test_a_descent_killed_before_its_first_state_left_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "rate", raising(SystemExit(), 17))
    with pytest.raises(SystemExit):
        gone(started(), tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_descent_that_ended_has_nothing_left_to_do(tmp_path: Path) -> None:
    whole = gone(started(), tmp_path / "state")
    assert_same(gone(resumed(tmp_path / "state")), whole)


def test_a_state_is_a_copy() -> None:
    descent = started()
    tensors, header = descent.state()
    before = tensors["network.layer0.bias"].clone()
    descent.iterate(Delayed(), 25, None)
    assert torch.equal(tensors["network.layer0.bias"], before) and header["done"] == 0


def test_ctrl_c_ends_a_descent_with_the_iteration_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count(1)

    def interrupted(*args: Any) -> float:
        if next(calls) == REPORTED + 4:
            signal.raise_signal(signal.SIGINT)
        return rate(*args)

    monkeypatch.setattr(module, "rate", interrupted)
    done = gone(started(replace(SMALL, iterations=40)))
    assert done.interrupted and done.done == REPORTED + 4


def test_a_first_interrupt_is_noted_and_a_second_one_raised() -> None:
    with noted_interrupt() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_interrupts_stay_with_a_handler_that_is_there_already() -> None:
    heard: list[str] = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append("mine"))
    try:
        with noted_interrupt() as asked:
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == ["mine"] and not asked.is_set()


def test_a_thread_trains_without_a_handler() -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: noted_interrupt().__enter__()).result()
    assert not asked.is_set() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
