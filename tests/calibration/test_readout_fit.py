"""A refit near the trained weights: few samples change little, many change what they must."""

import numpy as np
import pytest

from mtc_hw.calibration.readout_fit import fit_readout_near
from mtc_hw.errors import DataError
from mtc_hw.readout import fit_readout, predict
from mtc_hw.spec import Readout

NEURONS = 40


def series(samples: int, seed: int, mixing: np.ndarray) -> np.ndarray:
    """Slow features that move together."""
    rng = np.random.default_rng(seed)
    slow = np.apply_along_axis(
        np.convolve, 0, rng.normal(size=(samples + 20, len(mixing))), np.ones(20) / 20, "valid"
    )
    return slow[:samples] @ mixing + 0.002 * rng.normal(size=(samples, NEURONS))


@pytest.fixture(scope="module")
def lesson():
    """Trained weights, those that a chip needs, and what its features are made of."""
    rng = np.random.default_rng(1)
    trained = Readout(rng.normal(size=(1, NEURONS)), np.array([0.3]), 20.0)
    needed = Readout(trained.weights * rng.normal(1.0, 0.1, (1, NEURONS)), np.array([0.1]), 20.0)
    return trained, needed, rng.normal(size=(30, NEURONS))


def error(readout: Readout, needed: Readout, unseen: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predict(unseen, readout) - predict(unseen, needed)) ** 2)))


def target(x: np.ndarray, needed: Readout, noise: float = 0.02) -> np.ndarray:
    return predict(x, needed) + noise * np.random.default_rng(5).normal(size=(len(x), 1))


def test_what_fits_is_left_alone(lesson):
    trained, _, mixing = lesson
    x = series(300, 2, mixing)
    found = fit_readout_near(trained, x, target(x, trained))
    assert found.weights == pytest.approx(trained.weights, abs=0.05)
    assert found.tau == trained.tau


@pytest.mark.parametrize("samples", [60, 100, 200])
def test_few_samples_do_better_than_the_best_fit_from_nothing(lesson, samples):
    """Where part of the target is beyond any readout, as on a task."""
    trained, needed, mixing = lesson
    ratios, unseen = [], series(2000, 99, mixing)
    for seed in range(3, 8):
        x = series(samples, seed, mixing)
        t = target(x, needed, noise=0.3)
        near = error(fit_readout_near(trained, x, t), needed, unseen)
        plain = [error(fit_readout(x, t, 20.0, ridge), needed, unseen) for ridge in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)]
        ratios.append(near / min(plain))
    assert np.median(ratios) < 0.9


def test_many_samples_find_what_the_chip_needs(lesson):
    trained, needed, mixing = lesson
    x = series(6000, 4, mixing)
    found = fit_readout_near(trained, x, target(x, needed))
    assert error(found, needed, series(2000, 99, mixing)) < 0.01


def test_outputs_are_fitted_together(lesson):
    trained, needed, mixing = lesson
    x = series(400, 6, mixing)
    twice = Readout(np.repeat(trained.weights, 2, axis=0), np.repeat(trained.offset, 2), 20.0)
    answer = target(x, needed)
    found = fit_readout_near(twice, x, np.repeat(answer, 2, axis=1))
    assert found.weights[0] == pytest.approx(found.weights[1])
    assert found.weights[:1] == pytest.approx(fit_readout_near(trained, x, answer).weights)


def test_a_feature_that_never_changes_keeps_its_weight(lesson):
    trained, needed, mixing = lesson
    x = series(400, 7, mixing)
    x[:, 3] = 0.7
    found = fit_readout_near(trained, x, target(x, needed))
    assert found.weights[0, 3] == pytest.approx(trained.weights[0, 3])


def test_a_feature_that_wakes_up_later_ruins_nothing(lesson):
    """A neuron that was nearly silent in the lesson explains noise there and nothing else."""
    trained, needed, mixing = lesson
    x, unseen = series(150, 8, mixing), series(2000, 99, mixing)
    x[:, 3] = np.where(np.arange(150) % 50 == 0, 1e-5, 0.0)
    found = fit_readout_near(trained, x, target(x, needed))
    assert abs(found.weights[0, 3] - trained.weights[0, 3]) < 0.05
    assert error(found, needed, unseen) < 0.5 * np.std(predict(unseen, needed))


def test_features_that_all_stand_still_keep_the_weights(lesson):
    trained = lesson[0]
    found = fit_readout_near(trained, np.full((100, NEURONS), 0.2), np.linspace(0.0, 1.0, 100))
    assert found.weights == pytest.approx(trained.weights)


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (np.zeros((100, NEURONS)), np.zeros(99), "100 samples of features for 99 of the target; give as many, 16"),
        (np.zeros((15, NEURONS)), np.zeros(15), "15 samples of features for 15 of the target; give as many, 16"),
        (np.full((100, NEURONS), np.nan), np.zeros(100), "a feature or target of the refit is not finite; leave out"),
    ],
)
def test_what_cannot_be_fitted_is_refused(lesson, x, y, text):
    with pytest.raises(DataError, match=f"^{text}"):
        fit_readout_near(lesson[0], x, y)
