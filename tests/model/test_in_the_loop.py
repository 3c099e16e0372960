"""Hardware in the loop: measured values, modelled gradients."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from mtc_hw.errors import DataError
from mtc_hw.model.export import from_spec, to_spec
from mtc_hw.model.in_the_loop import hardware_in_the_loop, straight_through
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.model.train import train
from mtc_hw.spread import Spread

PLAIN = TrainOptions(
    hidden=4, iterations=20, candidates=1, batch=4, window=60, burn_in=20, warm_up=2, chips="nominal", spread=Spread()
)


@pytest.fixture(scope="module")
def split():
    return mackey_glass_split(2000, 600)


@dataclass
class Twin:
    """Chips that are the model itself, with other offsets delta each; counts its calls."""

    shifts: tuple[float, ...] = (0.0,)
    lost: tuple[int, ...] = ()  # rows that cannot be measured
    stop: int | None = None  # call at which Ctrl-C comes
    calls: list[list[int]] = field(default_factory=list)
    identity: str = "twin"

    @property
    def count(self):
        return len(self.shifts)

    def __call__(self, spec, inputs, chips):
        self.calls.append(list(chips))
        if len(self.calls) == self.stop:
            raise KeyboardInterrupt
        result = np.zeros((*inputs.shape, spec.neurons.count))
        for row, chip in enumerate(chips):
            moved = replace(spec.neurons, delta=spec.neurons.delta + self.shifts[chip])
            network = from_spec(replace(spec, neurons=moved))
            with torch.no_grad():
                seen = network.observe(torch.from_numpy(inputs[row][None]).float(), range(1, inputs.shape[1]))
            result[row, 1:] = seen.features[0].double().numpy()
        result[list(self.lost)] = np.nan
        return result


def test_values_are_measured_and_gradients_modelled():
    modelled = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    mixed = straight_through(modelled, torch.tensor([1.5, float("nan"), 2.0]))
    assert mixed.tolist() == [1.5, 2.0, 2.0]
    (mixed**2).sum().backward()
    assert modelled.grad.tolist() == [3.0, 4.0, 4.0]


def test_a_chip_that_is_the_model_trains_as_the_model(small_network, split):
    looped, told = hardware_in_the_loop(small_network, Twin(), split, PLAIN, progress=False)
    plain = train(split, PLAIN, progress=False, start=from_spec(small_network)).spec
    assert np.array_equal(looped.neurons.delta, plain.neurons.delta)
    assert np.array_equal(looped.weights, plain.weights)
    assert told.before.apart < 1e-6 and told.before.correlation > 0.999999 and told.before.lost == 0.0


def test_training_with_a_chip_lowers_the_loss_that_it_shows(small_network, split):
    chips = Twin(shifts=(0.3,))
    o = replace(PLAIN, iterations=60, batch=8)
    looped, told = hardware_in_the_loop(small_network, chips, split, o, progress=False)
    losses = [loss for _, loss, _ in told.history]
    assert losses[-1] < 0.9 * losses[0]
    assert told.before.apart > 0.05
    assert not np.array_equal(looped.neurons.delta, small_network.neurons.delta)
    assert looped.readout.weights.shape == small_network.readout.weights.shape


def test_windows_with_a_readout_of_their_own_share_a_chip(small_network, split):
    chips = Twin(shifts=(0.0, 0.1, 0.2))
    o = replace(PLAIN, chips="per_chip", groups=2, iterations=2)
    hardware_in_the_loop(small_network, chips, split, o, progress=False)
    in_training = [rows for rows in chips.calls if len(rows) == PLAIN.batch]
    assert all(rows[0] == rows[1] != rows[2] == rows[3] for rows in in_training)
    plain = Twin(shifts=(0.0, 0.1, 0.2))
    hardware_in_the_loop(small_network, plain, split, replace(o, chips="per_sample"), progress=False)
    assert all(len(set(rows)) == 3 for rows in plain.calls if len(rows) == PLAIN.batch)


def test_the_same_seed_gives_the_same_network_also_after_an_interruption(small_network, split, tmp_path):
    shifts, save = (0.1, -0.1), tmp_path / "state.safetensors"
    whole, _ = hardware_in_the_loop(small_network, Twin(shifts), split, PLAIN, progress=False)
    stopped = Twin(shifts, stop=15)
    _, told = hardware_in_the_loop(small_network, stopped, split, PLAIN, progress=False, save=save)
    assert told.interrupted and told.iterations < PLAIN.iterations
    again, done = hardware_in_the_loop(
        small_network, Twin(shifts), split, PLAIN, progress=False, save=save, resume=True
    )
    assert done.iterations == PLAIN.iterations
    assert again.digest() == whole.digest()


def test_other_chips_do_not_go_on_with_these(small_network, split, tmp_path):
    save = tmp_path / "state.safetensors"
    o = replace(PLAIN, iterations=1)
    hardware_in_the_loop(small_network, Twin(), split, o, progress=False, save=save)
    other = Twin(identity="other")
    with pytest.raises(DataError, match=r"learned from another series"):
        hardware_in_the_loop(small_network, other, split, o, progress=False, save=save, resume=True)


def test_what_cannot_be_measured_is_the_model_s(small_network, split):
    _, told = hardware_in_the_loop(
        small_network, Twin(lost=(1,)), split, replace(PLAIN, iterations=1), progress=False
    )
    assert told.before.lost == pytest.approx(0.25)


def test_chips_that_give_nothing_are_told(small_network, split):
    def silent(spec, inputs, chips):
        return np.full((*inputs.shape, spec.neurons.count), np.nan)

    class Dead(Twin):
        __call__ = staticmethod(silent)

    with pytest.raises(DataError, match=r"^the chips gave nothing that a readout can be fitted to"):
        hardware_in_the_loop(small_network, Dead(), split, replace(PLAIN, iterations=1), progress=False)


def test_features_of_a_wrong_shape_are_refused(small_network, split):
    class Short(Twin):
        def __call__(self, spec, inputs, chips):
            return np.zeros((len(inputs), 3, spec.neurons.count))

    with pytest.raises(DataError, match=r"^the chips gave features of shape \(4, 3, 4\), expected \(4, 61, 4\)"):
        hardware_in_the_loop(small_network, Short(), split, PLAIN, progress=False)


def test_the_network_comes_back_as_a_spec_with_its_task(small_network, split):
    looped, _ = hardware_in_the_loop(small_network, Twin(), split, replace(PLAIN, iterations=1), progress=False)
    assert looped.task == split.task
    assert to_spec(from_spec(looped)).readout is None and looped.readout.tau == small_network.readout.tau


def test_windows_that_are_not_measured_are_the_model_s_on_virtual_chips(small_network, split):
    o = replace(PLAIN, iterations=4, chips="per_sample", spread=Spread.uniform(0.05))
    chips = Twin(shifts=(0.1, 0.2))
    mixed, told = hardware_in_the_loop(small_network, chips, split, o, progress=False, share=0.5)
    training = [rows for rows in chips.calls if len(rows) == 2]
    assert len(training) == 4 and all(sorted(rows) == [0, 1] for rows in training)
    still, _ = hardware_in_the_loop(
        small_network, Twin(shifts=(0.1, 0.2)), split, replace(o, spread=Spread()), progress=False, share=0.5
    )
    assert not np.array_equal(mixed.neurons.delta, still.neurons.delta)
    assert told.options.spread == o.spread


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(small_network, split, share):
    with pytest.raises(DataError, match=r"^the measured share of the windows is .*; it must be above 0"):
        hardware_in_the_loop(small_network, Twin(), split, PLAIN, progress=False, share=share)
