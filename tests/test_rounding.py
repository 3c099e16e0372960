"""Rounding one value after the other: on the grid, optimal given what is fixed, better than rounding alone."""

import numpy as np
import pytest

from mtc_hw.rounding import round_in_turn

LSB = 0.125


def problem(seed: int, values: int = 24):
    """Nearly collinear columns: a least-squares problem whose solution has room in some directions."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(400, 3)) @ rng.normal(size=(3, values))
    columns = common + 0.01 * rng.normal(size=(400, values))
    wanted = columns @ rng.normal(size=values)
    inverse = np.linalg.inv(columns.T @ columns)
    return columns, wanted, inverse, inverse @ columns.T @ wanted


def on_grid(_: np.ndarray, value: np.ndarray) -> np.ndarray:
    return LSB * np.rint(value / LSB)


def rounded(values, inverse, nearest, order) -> np.ndarray:
    """One problem."""
    return round_in_turn(values[None], inverse[None], nearest, np.array([order]))[0]


def test_problems_side_by_side_do_not_see_each_other():
    problems = [problem(seed)[2:] for seed in range(4)]
    values, inverse = np.array([best for _, best in problems]), np.array([inverse for inverse, _ in problems])
    order = np.argsort(-np.abs(values), axis=1)
    together = round_in_turn(values, inverse, on_grid, order)
    alone = [rounded(*each, on_grid, turn) for *each, turn in zip(values, inverse, order, strict=True)]
    assert np.array_equal(together, np.array(alone))


def test_it_loses_less_than_rounding_each_value():
    ratios = []
    for seed in range(30):
        columns, wanted, inverse, best = problem(seed)
        turned = rounded(best, inverse, on_grid, np.argsort(-np.abs(best)))
        assert turned / LSB == pytest.approx(np.rint(turned / LSB), abs=1e-12)
        plain = LSB * np.rint(best / LSB)
        one, other = (np.linalg.norm(columns @ each - wanted) for each in (turned, plain))
        ratios.append(one / other)
    assert np.median(ratios) < 0.5
    assert max(ratios) < 1.0


def test_what_is_left_is_the_least_squares_answer_given_what_is_fixed():
    columns, wanted, inverse, best = problem(7)
    fixed = {2: 0.5, 5: -1.0, 9: 0.25}
    found = rounded(best, inverse, lambda i, value: np.array([fixed.get(int(i[0]), value[0])]), list(fixed))
    free = [i for i in range(len(best)) if i not in fixed]
    rest = wanted - sum(columns[:, i] * value for i, value in fixed.items())
    assert [found[i] for i in fixed] == list(fixed.values())
    assert found[free] == pytest.approx(np.linalg.lstsq(columns[:, free], rest, rcond=None)[0], rel=1e-6)


def test_values_that_do_not_depend_on_each_other_are_just_rounded():
    values = np.random.default_rng(3).normal(size=8)
    found = rounded(values, np.diag(np.arange(1.0, 9.0)), on_grid, range(8))
    assert found == pytest.approx(LSB * np.rint(values / LSB), abs=1e-12)


def test_what_goes_in_stays_as_it_was():
    _, _, inverse, best = problem(1)
    copies = best.copy(), inverse.copy()
    rounded(best, inverse, on_grid, range(len(best)))
    assert np.array_equal(best, copies[0]) and np.array_equal(inverse, copies[1])
