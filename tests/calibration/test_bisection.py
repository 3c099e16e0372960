"""Bisection: what it finds on monotone responses, and that it refuses others instead of finding something."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from searched import Box, check, goal, space

from mtc_hw.calibration.bisection import bisect
from mtc_hw.calibration.search import Space
from mtc_hw.errors import SpecError

TOP = 31
CODES = np.arange(-TOP, TOP + 1)

seeds = st.integers(0, 2**32 - 1)


def table(values):
    """The black box that answers with values (63, N) by code; absent knobs are NaN."""

    def exact(codes):
        at = np.where(np.isfinite(codes), codes, 0.0).astype(int) + TOP
        return np.where(np.isfinite(codes), np.take_along_axis(values, at, axis=0), np.nan)

    return exact


def found_by(values, wanted, budget=24, where=None, **noise):
    values = np.asarray(values, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    box = Box(table(values), **noise)
    where = space(1, values.shape[1], TOP) if where is None else where
    found = bisect(box, where, wanted, budget)
    check(found, box, where, wanted, budget)
    return found


def monotone(rng, count, least=0.01):
    """Responses (63, N) that rise or fall by very unlike steps."""
    steps = least + rng.gamma(0.3, 1.0, (len(CODES), count))
    return np.cumsum(steps, axis=0) * rng.choice([-1.0, 1.0], count)


@given(seed=seeds)
def test_on_monotone_responses_every_reachable_target_is_found_in_few_measurements(seed):
    rng = np.random.default_rng(seed)
    values = monotone(rng, 8)
    target = values[rng.integers(0, len(CODES), 8), np.arange(8)]
    found = found_by(values, goal(target, 0.004))
    assert found.success.all(), found.reason
    assert found.measurements.max() <= 3 + 6


@given(seed=seeds)
def test_codes_that_the_converter_swaps_do_not_hide_the_target(seed):
    rng = np.random.default_rng(seed)
    straight = monotone(rng, 8)
    shifted = np.clip(np.arange(len(CODES))[:, None] + rng.integers(-1, 2, straight.shape), 0, len(CODES) - 1)
    values = np.take_along_axis(straight, shifted, axis=0)
    target = values[rng.integers(0, len(CODES), 8), np.arange(8)]
    found = found_by(values, goal(target, 0.004))
    assert found.success.all(), found.reason


@given(seed=seeds, noise=st.floats(0.001, 0.3), relative=st.sampled_from([0.0, 0.01]))
def test_noise_never_makes_a_monotone_response_look_like_another(seed, noise, relative):
    rng = np.random.default_rng(seed)
    values = monotone(rng, 8, least=0.1)
    target = values[rng.integers(0, len(CODES), 8), np.arange(8)]
    # Stated is the noise as a part of what was measured, made was the same part of the truth.
    wanted = goal(target, 0.5, 1.001 * noise, 1.02 * relative)
    found = found_by(values, wanted, noise=noise, relative=relative, seed=seed)
    assert not [reason for reason in found.reason if "not monotone" in reason]


@pytest.mark.parametrize("relative", [0.0, 0.01])
def test_a_percent_of_noise_is_no_hindrance(relative):
    values = np.repeat((3.0 + CODES / 20.0)[:, None], 50, axis=1)
    target = np.linspace(1.6, 4.4, 50)
    found = found_by(values, goal(target, 0.05, 0.0, 0.0102), relative=relative)
    assert found.success.all(), found.reason


@given(seed=seeds, budget=st.integers(1, 24), share=st.floats(0.0, 0.3))
def test_whatever_the_response_a_success_was_measured(seed, budget, share):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(CODES), 12)) + rng.normal(size=12) * CODES[:, None] / 5.0
    values[rng.random(values.shape) < share] = np.nan
    values[:, 0] = np.nan
    target = rng.normal(size=12)
    target[1] = np.nan
    found = found_by(values, goal(target, 0.1), budget)
    assert not found.success[:2].any()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_hump_is_refused_with_the_points_that_show_it(sign):
    found = found_by(sign * (CODES / 10.0) ** 2, goal([sign * 4.0], 0.001))
    assert not found.success[0]
    value = f"{sign * 9.61:g}"
    shown = f"{value} at code -31, 0 at code 0, {value} at code 31"
    assert found.reason[0].startswith(f"the response is not monotone: {shown}".replace("-0 at", "0 at"))
    assert found.measurements[0] == 3


def test_a_dip_that_only_a_later_point_shows_is_refused_as_well():
    values = CODES.astype(float)
    values[TOP + 15] = -5.0  # what the fourth measurement meets
    found = found_by(values, goal([20.5], 0.1))
    assert found.reason[0].startswith("the response is not monotone: -31 at code -31, 0 at code 0, -5 at code 15")
    assert found.measurements[0] == 4


@pytest.mark.parametrize(("target", "code", "value"), [(7.0, 31, "6.1"), (-1.0, -31, "-0.1")])
def test_a_target_beyond_the_codes_ends_at_the_better_end(target, code, value):
    found = found_by(3.0 + CODES / 10.0, goal([target], 0.01))
    assert found.codes[0, 0] == code and not found.success[0]
    assert found.reason[0].startswith(f"target {target:g} out of reach: {value} at code {code}")


def test_a_target_just_beyond_the_codes_within_noise_is_out_of_reach_too():
    found = found_by(CODES / 10.0, goal([3.15], 0.01, 0.1))
    assert found.reason[0].startswith("target 3.15 out of reach: 3 at code 30, 3.1 at code 31")


def test_a_stuck_code_is_named():
    found = found_by(np.full(len(CODES), 2.0), goal([3.0], 0.1))
    assert found.reason[0].startswith("the code is stuck: 2 at code -31, 2 at code 31")
    assert found.measurements[0] == 3


def test_a_response_below_the_noise_counts_as_stuck():
    found = found_by(2.0 + CODES / 1000.0, goal([3.0], 0.1, 0.05))
    assert found.reason[0].startswith("the code is stuck: 1.969 at code -31, 2.031 at code 31")


def test_steps_coarser_than_the_tolerance_end_at_the_nearest_code():
    found = found_by(CODES.astype(float), goal([7.3], 0.1))
    assert found.codes[0, 0] == 7.0 and not found.success[0]
    assert found.reason[0].startswith("a code is too coarse: 7 at code 7, 8 at code 8; q0 misses 7.3 by -0.3")


def test_one_neuron_that_cannot_be_measured_leaves_the_others_alone():
    values = np.repeat(CODES[:, None].astype(float), 3, axis=1)
    values[:, 1] = np.nan
    found = found_by(values, goal([5.0, 5.0, -9.0], 0.1))
    assert found.success.tolist() == [True, False, True]
    assert found.reason[1] == "could not be measured at code 0"
    assert found.measurements[1] == 1


def test_ends_that_cannot_be_measured_are_moved_inwards():
    values = CODES.astype(float)
    values[CODES > 20] = np.nan
    assert found_by(values, goal([13.0], 0.1)).success[0]
    beyond = found_by(values, goal([25.0], 0.1))
    assert beyond.codes[0, 0] == 17.0  # two codes beyond the end that it had
    assert beyond.reason[0].startswith("target 25 out of reach: 17 at code 17; not measurable at code 31")


def test_one_lost_point_inside_is_gone_around_and_two_end_the_search():
    values = CODES.astype(float)
    values[TOP + 15] = np.nan  # the first middle above zero
    assert found_by(values, goal([17.0], 0.1)).success[0]
    values[TOP + 14 : TOP + 17] = np.nan
    lost = found_by(values, goal([10.0], 0.1))
    assert lost.reason[0].startswith("could not be measured at codes 15 and 14")


def test_a_target_at_a_lost_code_is_not_found():
    values = CODES.astype(float)
    values[TOP + 15] = np.nan
    found = found_by(values, goal([15.0], 0.1))
    assert found.reason[0].startswith("a code is too coarse: 14 at code 14, 16 at code 16")


def test_an_absent_knob_and_one_with_a_single_code_are_told_apart():
    nan = np.nan
    where = Space(("k",), np.array([[nan, 4.0]]), np.array([[nan, 4.0]]), np.array([[nan, 4.0]]))
    values = np.repeat(CODES[:, None].astype(float), 2, axis=1)
    found = found_by(values, goal([1.0, 1.0], 0.1), where=where)
    assert found.reason == ("it has no k", "k cannot move")
    assert np.isnan(found.codes[0, 0]) and found.codes[0, 1] == 4.0


def test_bisection_is_for_one_knob_and_one_quantity():
    with pytest.raises(SpecError, match="bisection turns one knob on one quantity, not 2 on 1"):
        bisect(lambda codes: codes[:1], space(2, 1), goal([[1.0]], 0.1))
