import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import kstest

from mtc_hw.errors import SpecError
from mtc_hw.hardware.sampling import MOST_NUMBERS, _points, normals, stream

PARTS = {"process": 5, "n0.leak": 20, "n1.leak": 20}


def points(sampling: str, samples: int, seed: int = 3) -> np.ndarray:
    return np.array(
        [np.concatenate(list(normals(PARTS, seed, k, sampling, samples).values())) for k in range(samples)]
    )


def test_plain_numbers_are_those_of_the_paths_own_streams():
    drawn = normals(PARTS, 3, 7)
    assert [len(each) for each in drawn.values()] == [5, 20, 20]
    for path, count in PARTS.items():
        assert np.array_equal(drawn[path], stream(3, 7, path).standard_normal(count))


def test_a_latin_hypercube_has_one_sample_in_each_slice_of_every_dimension():
    drawn = points("lhs", 64)
    slices = np.sort(np.floor(64 * ndtr(drawn)).astype(int), axis=0)
    assert np.array_equal(slices, np.tile(np.arange(64)[:, None], (1, drawn.shape[1])))


@pytest.mark.parametrize("sampling", ["lhs", "sobol"])
def test_each_dimension_is_normal_and_another_seed_is_another_set(sampling):
    drawn = points(sampling, 256)
    assert min(kstest(column, "norm").pvalue for column in drawn.T) > 0.5  # a set is more even than chance
    assert np.isfinite(drawn).all()
    assert not np.any(drawn == points(sampling, 256, seed=4))


@pytest.mark.parametrize("sampling", ["lhs", "sobol"])
def test_a_sample_is_the_same_alone(sampling):
    alone = normals(PARTS, 3, 17, sampling, 64)
    _points.cache_clear()
    points(sampling, 32)
    again = normals(PARTS, 3, 17, sampling, 64)
    assert all(np.array_equal(alone[path], again[path]) for path in PARTS)


@pytest.mark.parametrize("sampling", ["lhs", "sobol"])
def test_sets_estimate_a_mean_better_than_plain_draws(sampling):
    """The mean of a smooth function of 45 numbers, over 64 samples, with 40 seeds."""

    def estimates(kind: str) -> np.ndarray:
        weight = np.linspace(1.0, 0.1, 45)
        return np.array([np.mean(np.exp(0.2 * points(kind, 64, seed) @ weight)) for seed in range(40)])

    # The F ratio of 39 and 39 degrees of freedom exceeds 2.3 by chance once in 200.
    assert np.var(estimates("plain")) > 2.3 * np.var(estimates(sampling))


def test_what_no_set_can_hold_is_refused():
    with pytest.raises(SpecError, match=r"^sample is 64; the lhs set has samples 0 to 63$"):
        normals(PARTS, 0, 64, "lhs", 64)
    with pytest.raises(
        SpecError,
        match=rf"^2097152 samples of 45 dimensions are more than {MOST_NUMBERS} numbers; use plain sampling, or vary",
    ):
        normals(PARTS, 0, 0, "lhs", 2**21)
    with pytest.raises(
        SpecError, match=r"^Sobol' points have at most 21201 dimensions, the design has 30000; use pl"
    ):
        normals({"n0.leak": 30000}, 0, 0, "sobol", 2)


def test_a_set_without_dimensions_gives_nothing():
    assert normals({}, 0, 1, "sobol", 4) == {}
