"""A formula's values are those of its operations, as recorded and as lowered."""

import numpy as np
import pytest
from formulas import OPERATIONS, POINTS, X, Y, named

from mtc_hw.formula.evaluate import evaluate
from mtc_hw.formula.lower import Lowering
from mtc_hw.formula.node import exp, tanh
from mtc_hw.formula.precision import FLOAT64

RECORDED_ONLY = ("rise", "spike", "detach", "kept")
PLAIN = [name for name in OPERATIONS if not any(each in name for each in RECORDED_ONLY)]


@pytest.mark.parametrize("name", PLAIN)
def test_a_recorded_formula_has_the_values_of_its_lowered_form(name):
    formula, inputs = OPERATIONS[name](named(*X), named(*Y)), {X: POINTS[0], Y: POINTS[1]}
    recorded, lowered = evaluate([formula], inputs), evaluate(Lowering({}, FLOAT64)([formula]), inputs)
    assert recorded[0] == pytest.approx(lowered[0], rel=1e-13, abs=1e-13)


def test_inputs_are_spread_over_one_another():
    x, y = np.linspace(-1.0, 1.0, 5)[:, None], np.arange(3.0)
    sums, same = evaluate([tanh(named(*X)) + exp(named(*Y)), named(*Y)], {X: x, Y: y})
    assert sums == pytest.approx(np.tanh(x) + np.exp(y), rel=1e-15)
    assert np.array_equal(same, np.tile(y, (5, 1)))
