import re

import numpy as np
import pytest
from searched import Box, check, goal, space

from mtc_hw.calibration.search import Goal, Space, search
from mtc_hw.errors import DataError, SpecError


def walk(codes):
    """Asks for one code after the other."""
    for code in codes:
        yield np.array([float(code)])
    return "the walk is over"


def walked(exact, wanted, budget=10, codes=(0, 1, 2, 3), remarks=()):
    box, where = Box(exact), space(1, wanted.target.shape[1])
    paths = [walk(codes) for _ in range(where.count)]
    found = search(box, where, wanted, paths, budget, [list(remarks) for _ in paths])
    check(found, box, where, wanted, budget)
    return found


def test_a_neuron_is_done_where_its_goal_is_met_and_stays_there_while_others_go_on():
    found = walked(lambda codes: codes, goal([[1.0, 3.0]], 0.1))
    assert found.success.all()
    assert found.codes.tolist() == [[1.0, 3.0]]
    assert found.measurements.tolist() == [2, 4]
    assert [codes[0].tolist() for codes, _ in found.history] == [[0, 0], [1, 1], [1, 2], [1, 3]]


def test_a_path_that_ends_leaves_the_best_of_what_was_measured_and_says_what_misses():
    found = walked(lambda codes: np.abs(codes - 2.2) + 5.0, goal([[5.0]], 0.1), remarks=["k9 is idle"])
    assert found.codes.tolist() == [[2.0]]
    assert found.reason == ("the walk is over; q0 misses 5 by +0.2, tolerance 0.1; k9 is idle",)


def test_the_budget_ends_every_search():
    found = walked(lambda codes: codes, goal([[9.0]], 0.1), budget=2)
    assert found.reason == ("2 measurements used up; q0 misses 9 by -8, tolerance 0.1",)


def test_what_could_not_be_measured_is_no_success_and_keeps_the_codes_to_start_from():
    found = walked(lambda codes: codes * np.nan, goal([[0.0]], 0.1))
    assert found.reason == ("the walk is over",)
    assert found.codes.tolist() == [[0.0]] and np.isnan(found.residual).all()


def test_an_infinite_answer_counts_as_none():
    found = walked(lambda codes: codes + np.inf, goal([[0.0]], 0.1))
    assert not found.success.any() and np.isnan(found.history[0][1]).all()


def test_a_quantity_that_is_free_need_not_be_measured_and_a_neuron_without_any_is_not_asked():
    target = np.array([[1.0, np.nan], [np.nan, np.nan]])
    found = walked(lambda codes: np.vstack([codes, codes * np.nan]), goal(target, 0.1))
    assert found.success.tolist() == [True, False]
    assert found.reason == ("", "nothing is wanted of it")
    assert found.measurements.tolist() == [2, 0]


def test_no_neurons_need_no_measurements():
    found = walked(lambda codes: codes, goal(np.empty((1, 0)), np.empty((1, 0))))
    assert found.history == () and found.success.shape == (0,)


def test_an_answer_of_another_shape_is_refused():
    with pytest.raises(
        DataError, match=re.escape("answered with shape (2,); asked was 1 quantities of 2 neurons, (1, 2)")
    ):
        walked(lambda codes: codes[0], goal([[1.0, 3.0]], 0.1))


def test_goal_and_space_must_be_of_as_many_neurons():
    with pytest.raises(SpecError, match="the goal has 1 neurons, the space 2"):
        search(lambda codes: codes, space(1, 2), goal([[1.0]], 0.1), [], 5, [])


def test_the_budget_must_allow_a_measurement():
    with pytest.raises(SpecError, match="the budget is 0 measurements; it must be at least 1"):
        search(lambda codes: codes, space(1, 1), goal([[1.0]], 0.1), [walk([0])], 0, [[]])


@pytest.mark.parametrize(
    ("low", "high", "start"),
    [(-1.0, 1.0, 2.0), (0.5, 3.0, 1.0), (np.nan, 1.0, 0.0), (-1.0, np.inf, 0.0), (2.0, 1.0, 1.0)],
)
def test_a_space_holds_whole_codes_in_order(low, high, start):
    with pytest.raises(SpecError, match=r"k of neuron 0 starts at .* all three must be whole"):
        Space(("k",), np.array([[low]]), np.array([[high]]), np.array([[start]]))


def test_a_space_s_arrays_have_a_row_for_each_knob():
    with pytest.raises(SpecError, match=re.escape("a space of 2 knobs has low of shape (1, 1)")):
        Space(("a", "b"), np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"tolerance": 0.0}, "tolerance is 0; it must be finite and > 0"),
        ({"tolerance": np.array([1.0, np.nan])}, "tolerance is nan"),
        ({"tolerance": np.ones(3)}, r"tolerance has shape \(3,\), which does not fit \(1, 2\)"),
        ({"noise": np.array([0.0, np.nan])}, "noise is nan"),
        ({"noise": -1.0}, "noise is -1; it must be >= 0 and < inf"),
        ({"relative_noise": 1.0}, "relative_noise is 1; it must be >= 0 and < 1"),
        ({"names": ("a", "b")}, r"a goal of 2 quantities has a target of shape \(1, 2\)"),
    ],
)
def test_a_goal_is_checked(wrong, text):
    good = {"names": ("a",), "target": np.zeros((1, 2)), "tolerance": np.asarray(0.1)}
    with pytest.raises(SpecError, match=text):
        Goal(**(good | wrong))
