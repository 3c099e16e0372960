"""The Mackey-Glass series solves its equation; splits share no time; resampling interpolates."""

import numpy as np
import pytest

from mtc_hw.errors import DataError
from mtc_hw.model.tasks import MACKEY_GLASS, MackeyGlass, mackey_glass, mackey_glass_split, resample, split_series


def test_halving_the_step_shows_fourth_order() -> None:
    coarse, middle, fine = (mackey_glass(200, 1.0, step=step, transient=0.0) for step in (0.2, 0.1, 0.05))
    assert np.abs(coarse - middle).max() < 1e-6
    assert np.abs(coarse - middle).max() > 8 * np.abs(middle - fine).max()


def test_without_feedback_the_series_decays_exponentially() -> None:
    x = mackey_glass(20, 1.0, equation=MackeyGlass(beta=0.0), transient=0.0)
    assert np.allclose(x, x[0] * np.exp(-0.1 * np.arange(20)), rtol=1e-7)


def test_the_attractor_has_the_published_range() -> None:
    x = mackey_glass(3000)
    assert 0.2 < x.min() < 0.5 and 1.2 < x.max() < 1.4
    assert x.mean() == pytest.approx(0.93, abs=0.02)


def test_the_seed_alone_decides() -> None:
    assert np.array_equal(mackey_glass(50, seed=1), mackey_glass(50, seed=1))
    assert not np.allclose(mackey_glass(50, seed=1), mackey_glass(50, seed=2))


def test_a_coarser_sample_picks_from_the_finer_series() -> None:
    assert np.allclose(mackey_glass(50, 2.0), mackey_glass(99, 1.0)[::2], atol=0)


@pytest.mark.parametrize(("step", "sample", "what"), [(0.3, 0.9, "delay 17"), (0.2, 0.5, "sample 0.5")])
def test_steps_that_do_not_fit_are_refused(step: float, sample: float, what: str) -> None:
    with pytest.raises(DataError, match=f"^{what} is no multiple of {step} time units; choose one that is$"):
        mackey_glass(10, sample, step=step)


def test_default_horizon_is_675_steps_of_a_fifth() -> None:
    assert MACKEY_GLASS.horizon == pytest.approx(675 * 0.2)


def test_training_and_test_share_no_time() -> None:
    split = split_series(np.arange(2000.0), MACKEY_GLASS, 1000, 500)
    raw = [part * split.task.scale + split.task.mean for part in (split.train.targets, split.test.inputs)]
    assert raw[0].max() < raw[1].min()


def test_targets_lie_a_horizon_ahead() -> None:
    split = mackey_glass_split(600, 300)
    for part in (split.train, split.test):
        assert np.array_equal(part.targets[:-135], part.inputs[135:])
    assert split.train.inputs.mean() == pytest.approx(0, abs=1e-12)
    assert split.train.inputs.std() == pytest.approx(1)


def test_short_and_constant_series_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(100,\); 50 \+ 20 samples and twice the horizon need 340"):
        split_series(np.arange(100.0), MACKEY_GLASS, 50, 20)
    with pytest.raises(DataError, match="constant at 2; there is nothing to predict"):
        split_series(np.full(1000, 2.0), MACKEY_GLASS, 50, 20)


def test_resampling_keeps_straight_lines() -> None:
    time = np.array([1.0, 1.5, 3.0, 7.0])
    assert np.allclose(resample(time, 2 * time, 0.5), 2 * np.arange(1.0, 7.01, 0.5))


@pytest.mark.parametrize(
    ("time", "value", "message"),
    [
        ([0.0, 1.0], [1.0], "give two equally long columns"),
        ([0.0, np.nan, 2.0], [1.0, 1.0, 1.0], "row 1 is "),
        ([0.0, 2.0, 2.0], [1.0, 1.0, 1.0], "time 2 in row 2 does not come after 2"),
    ],
)
def test_broken_series_are_refused(time: list[float], value: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        resample(time, value, 1.0)
