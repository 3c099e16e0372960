"""The surrogate: few measurements, the same choices for the same seed, no warnings, nothing claimed unmeasured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searched import Box, check, goal, space

from mtc_hw.calibration.search import Space
from mtc_hw.calibration.surrogate import explore
from mtc_hw.errors import SpecError

seeds = st.integers(0, 2**32 - 1)


def found_by(exact, where, wanted, budget=20, seed=0, first=None, **noise):
    box = Box(exact, **noise)
    found = explore(box, where, wanted, budget, seed, first)
    check(found, box, where, wanted, budget)
    return found


def bent(codes):
    """Two quantities of two codes from -31 to 31, monotone in none, with one place where both are zero."""
    a, b = (np.where(np.isfinite(each), each, 0.0) / 31.0 for each in codes)
    return np.vstack([np.sin(2.5 * a) + 0.5 * b**2, a * b + b - 0.4 * np.cos(2.0 * a)])


@pytest.mark.parametrize("relative", [0.0, 0.01])
def test_a_bent_coupling_is_found_in_few_measurements(relative):
    truth = np.array([[9.0, -12.0, 17.0, -4.0], [-20.0, 8.0, 3.0, 14.0]])
    target = bent(truth)
    found = found_by(bent, space(2, 4), goal(target, 0.05, 0.0, 1.02 * relative), relative=relative)
    assert found.success.all(), found.reason
    assert found.measurements.mean() <= 15


def test_the_start_comes_first_and_then_a_latin_hypercube():
    found = found_by(bent, space(2, 1), goal([[9.0], [9.0]], 0.01), budget=6, first=4)
    assert found.history[0][0][:, 0].tolist() == [0.0, 0.0]
    # Only two of four: half the budget is kept for what the surrogate chooses.
    cube = np.array([codes[:, 0] for codes, _ in found.history[1:3]])
    assert (np.sort(cube < 0.0, axis=0) == [[False, False], [True, True]]).all()
    assert found.reason[0].startswith("6 measurements used up; q0 misses 9 by")


def test_the_same_seed_makes_the_same_choices_and_another_others():
    runs = [found_by(bent, space(2, 2), goal(np.full((2, 2), 0.7), 1e-6), 8, seed) for seed in (5, 5, 6)]
    asked = [np.array([codes for codes, _ in run.history]) for run in runs]
    assert np.array_equal(asked[0], asked[1])
    assert not np.array_equal(asked[0], asked[2])
    assert not np.array_equal(asked[0][:, :, 0], asked[0][:, :, 1])


@settings(max_examples=6)
@given(seed=seeds, noise=st.floats(0.0, 0.5), share=st.floats(0.0, 0.9))
def test_whatever_comes_a_success_was_measured(seed, noise, share):
    rng = np.random.default_rng(seed)
    salt, target = rng.normal(size=2), rng.normal(0.0, 0.5, (2, 3))
    target[0, 0], target[:, 1] = np.nan, np.nan

    def holed(codes):
        return np.where(np.mod(np.abs(salt @ codes) * 7.3, 1.0) < share, np.nan, bent(codes))

    found = found_by(holed, space(2, 3), goal(target, 0.1, 1.001 * noise), 10, noise=noise)
    assert not found.success[1]


def test_codes_near_failures_are_avoided():
    """Most solutions lie where nothing can be measured."""

    def cliff(codes):
        return np.where(codes[:1] > 5.0, np.nan, codes.sum(axis=0, keepdims=True) / 31.0)

    found = found_by(cliff, space(2, 1), goal([[1.0]], 0.01), 20)
    lost = np.isnan([float(q[0, 0]) for _, q in found.history])
    assert found.success[0]
    assert lost.sum() <= 6


def test_one_neuron_that_never_answers_ends_early_and_the_others_go_on():
    def half(codes):
        answer = codes[:1] / 31.0
        answer[0, 1] = np.nan
        return answer

    found = found_by(half, space(2, 3), goal([[0.5, 0.5, -0.9]], 0.02))
    assert found.success.tolist() == [True, False, True]
    assert found.reason[1] == "could not be measured at any of 10 codes"
    assert found.measurements[1] == 10  # half the budget


def test_a_space_with_fewer_codes_than_that_ends_too():
    found = found_by(lambda codes: codes * np.nan, space(1, 1, top=1), goal([[0.5]], 0.02))
    assert found.reason == ("could not be measured at any of 3 codes",)


def test_a_start_that_cannot_be_measured_is_no_hindrance():
    def island(codes):
        return np.where(np.abs(codes[:1] - 14.0) < 6.0, codes[:1] / 31.0, np.nan)

    assert found_by(island, space(1, 1), goal([[0.5]], 0.03), 30).success[0]


def test_when_every_code_is_measured_the_search_ends():
    where = space(1, 1, top=2)
    found = found_by(lambda codes: codes, where, goal([[7.0]], 0.1))
    assert found.reason[0].startswith("all 5 codes were measured; q0 misses 7 by -5")
    assert found.measurements[0] == 5


def test_a_response_that_does_not_move_is_no_trouble():
    found = found_by(lambda codes: np.ones((1, codes.shape[1])), space(2, 1), goal([[2.0]], 0.1), 8)
    assert found.reason[0].startswith("8 measurements used up; q0 misses 2 by -1")


def test_five_knobs_have_too_many_codes_to_look_at_all():
    truth = np.array([[8.0], [-5.0], [12.0], [-20.0], [3.0]])
    weights = np.array([[1.0, 0.4, -0.5, 0.2, 0.1], [0.1, -0.8, 0.3, 0.5, -0.4]])

    def mixed(codes):
        return np.tanh(weights @ codes / 31.0)

    found = found_by(mixed, space(5, 1), goal(mixed(truth), 0.03), 30)
    assert found.success.all(), found.reason


def test_absent_knobs_stay_absent():
    nan = np.nan
    limits = np.array([[31.0, nan], [31.0, nan]])
    where = Space(("a", "b"), -limits, limits, 0.0 * limits)
    found = found_by(bent, where, goal(np.full((2, 2), 0.3), 0.1), 12)
    assert found.reason[1] == "no knob can move" and np.isnan(found.codes[:, 1]).all()


def test_a_single_measurement_is_no_search():
    with pytest.raises(SpecError, match="the budget is 1 measurements; a surrogate needs at least 2"):
        explore(lambda codes: codes, space(1, 1), goal([[1.0]], 0.1), 1)
