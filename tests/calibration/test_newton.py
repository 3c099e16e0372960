"""Gauss-Newton: coupled responses, bounds, noise, dead knobs and what cannot be measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from searched import Box, check, goal, space

from mtc_hw.calibration.newton import gauss_newton
from mtc_hw.calibration.search import Space

TOP = 31
seeds = st.integers(0, 2**32 - 1)


class Coupled:
    """Quantities 3 + A c + bent (B c)^2 of codes c from -31 to 31, A well conditioned; absent knobs do nothing."""

    def __init__(self, seed, knobs, quantities, neurons, bent=0.0):
        rng = np.random.default_rng(seed)
        matrix = rng.normal(size=(neurons, max(knobs, quantities), min(knobs, quantities)))
        left, singular, right = np.linalg.svd(matrix, full_matrices=False)
        even = (left * rng.uniform(0.5, 1.0, singular.shape)[:, None]) @ right
        self.slopes = even if knobs <= quantities else even.transpose(0, 2, 1)
        self.bends = rng.normal(size=(neurons, quantities, knobs))
        self.bent = bent
        self.truth = np.rint(rng.uniform(-0.6 * TOP, 0.6 * TOP, (knobs, neurons)))

    def __call__(self, codes):
        shares = np.where(np.isfinite(codes), codes, 0.0).T[:, :, None] / TOP
        return (3.0 + self.slopes @ shares + self.bent * (self.bends @ shares) ** 2)[:, :, 0].T


def found_by(exact, where, wanted, budget=40, **noise):
    box = Box(exact, **noise)
    found = gauss_newton(box, where, wanted, budget)
    check(found, box, where, wanted, budget)
    return found


@pytest.mark.parametrize(("knobs", "quantities"), [(1, 1), (2, 2), (3, 2), (5, 3), (2, 4)])
@given(seed=seeds)
def test_linear_couplings_take_one_measurement_a_knob_and_a_few_steps(knobs, quantities, seed):
    exact = Coupled(seed, knobs, quantities, 6)
    found = found_by(exact, space(knobs, 6), goal(exact(exact.truth), 0.03))
    assert found.success.all(), found.reason
    assert found.measurements.max() <= knobs + 3


@pytest.mark.parametrize(("knobs", "quantities"), [(2, 2), (4, 3)])
@given(seed=seeds)
def test_mildly_bent_couplings_are_found_within_forty_measurements(knobs, quantities, seed):
    exact = Coupled(seed, knobs, quantities, 6, bent=0.02)
    found = found_by(exact, space(knobs, 6), goal(exact(exact.truth), 0.04))
    assert found.success.all(), found.reason


def test_a_percent_of_noise_is_met_or_said():
    exact = Coupled(1, 3, 2, 200, bent=0.05)
    found = found_by(exact, space(3, 200), goal(exact(exact.truth), 0.05, 0.0, 0.0102), relative=0.01)
    assert found.success.mean() >= 0.97
    assert found.measurements.mean() <= 12
    assert all("misses" in reason for reason in found.reason if reason)


@given(seed=seeds, noise=st.floats(0.0, 0.5), share=st.floats(0.0, 0.3), budget=st.integers(1, 20))
def test_whatever_comes_a_success_was_measured(seed, noise, share, budget):
    """Answers of which some are missing, for targets that need not be in reach."""
    exact = Coupled(seed, 3, 2, 8, bent=0.5)
    rng = np.random.default_rng(seed)
    salt = rng.normal(size=3)

    def holed(codes):
        answer = exact(codes)
        lost = np.mod(np.abs(salt @ codes) * 7.3, 1.0) < share  # always the same codes
        return np.where(lost, np.nan, answer)

    target = exact(exact.truth) + rng.normal(0.0, 0.3, (2, 8))
    target[1, 0] = np.nan
    target[:, 1] = np.nan
    found = found_by(holed, space(3, 8), goal(target, 0.05, 1.001 * noise), budget, noise=noise, seed=seed)
    assert not found.success[1]


@given(seed=seeds, dead=st.integers(0, 2), relative=st.sampled_from([0.0, 0.01]))
def test_a_dead_knob_is_left_alone_and_the_others_do_its_work(seed, dead, relative):
    exact = Coupled(seed, 3, 2, 6)
    exact.slopes[:, :, dead] = 0.0
    # Two live knobs for two quantities need not be well conditioned any more.
    live = np.delete(exact.slopes, dead, axis=2)
    exact.slopes[:, :, [k for k in range(3) if k != dead]] = (
        live
        + 0.8
        * np.sign(np.linalg.det(live))[:, None, None]
        * np.eye(2)
        * (np.abs(np.linalg.det(live)) < 0.2)[:, None, None]
    )
    tolerance = 0.03 if relative == 0.0 else 0.08
    found = found_by(exact, space(3, 6), goal(exact(exact.truth), tolerance, 0.0, 1.02 * relative), relative=relative)
    for n in range(6):
        if found.reason[n]:
            assert f"k{dead} has no effect beyond noise" in found.reason[n] or found.measurements[n] == 40
        assert relative > 0.0 or found.codes[dead, n] == 0.0 or not found.success[n]


def test_a_dead_knob_is_named_where_the_goal_is_not_met():
    found = found_by(
        lambda codes: np.vstack([codes[0] / 10.0, codes[1] / 10.0]), space(3, 1), goal([[1.0], [9.0]], 0.1)
    )
    assert found.reason == ("no step gets nearer; q1 misses 9 by -5.9, tolerance 0.1; k2 has no effect beyond noise",)
    assert found.codes[:2, 0].tolist() == [10.0, 31.0] and found.codes[2, 0] == 0.0


def test_where_every_knob_is_dead_the_search_ends():
    found = found_by(lambda codes: np.ones((1, codes.shape[1])), space(2, 1), goal([[2.0]], 0.1))
    assert found.reason[0].startswith(
        "no knob has an effect beyond noise; q0 misses 2 by -1, tolerance 0.1; k0 has no"
    )
    assert found.measurements[0] == 5


def test_a_knob_whose_effect_is_hidden_by_noise_at_first_is_moved_further():
    found = found_by(lambda codes: codes / 31.0, space(1, 1), goal([[0.9]], 0.08, 0.1))
    assert found.success[0]
    assert {0.0, 31.0} <= {float(codes[0, 0]) for codes, _ in found.history}


def test_a_target_beyond_the_codes_ends_at_their_limit():
    found = found_by(lambda codes: codes[:1] + 0.1 * codes[1:], space(2, 1), goal([[100.0]], 0.1))
    assert found.codes[:, 0].tolist() == [31.0, 31.0]
    assert found.reason[0].startswith("no step gets nearer; q0 misses 100 by -65.9")


def test_a_neuron_that_cannot_be_measured_is_told_with_the_quantity_and_the_others_go_on():
    def half(codes):
        answer = np.vstack([codes[0], codes[1]])
        answer[1, 1] = np.nan
        return answer

    found = found_by(half, space(2, 3), goal(np.full((2, 3), 7.0), 0.1))
    assert found.success.tolist() == [True, False, True]
    assert found.reason[1] == "q1 could not be measured at the codes to start from"
    assert found.measurements[1] == 1


def test_a_knob_that_cannot_be_measured_one_way_is_moved_the_other():
    def cliff(codes):
        return np.where(codes[:1] > 3.0, np.nan, codes[:1] / 2.0 + codes[1:])

    found = found_by(cliff, space(2, 1), goal([[-40.0]], 0.3))
    assert found.success[0]


def test_a_step_that_overshoots_is_halved():
    found = found_by(lambda codes: np.arctan(codes / 2.0), space(1, 1, start=20.0), goal([[0.0]], 0.1))
    assert found.success[0] and found.codes[0, 0] == 0.0


def test_absent_knobs_stay_absent():
    nan = np.nan
    where = Space(
        ("a", "b"),
        np.array([[-31.0, nan, nan], [-31.0, -31.0, nan]]),
        np.array([[31.0, nan, nan], [31.0, 31.0, nan]]),
        np.array([[0.0, nan, nan], [0.0, 0.0, nan]]),
    )
    found = found_by(lambda codes: np.nansum(codes, axis=0)[None], where, goal([[50.0, 20.0, 5.0]], 0.1))
    assert found.success.tolist() == [True, True, False]
    assert found.reason[2].startswith("no knob can move")
    assert np.isnan(found.codes[0, 1]) and found.codes[1, 1] == 20.0


def test_the_same_codes_are_never_measured_twice():
    exact = Coupled(3, 3, 3, 1, bent=0.3)
    found = found_by(exact, space(3, 1), goal(exact(exact.truth) + 0.5, 0.001))
    asked = [codes.tobytes() for codes, _ in found.history]
    assert len(set(asked)) == len(asked)
