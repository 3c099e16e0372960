"""Formulas as numbers."""

import numpy as np
import pytest

from mtc_hw.formula.evaluate import evaluate
from mtc_hw.formula.node import Node, exp, tanh

X, Y = (Node("input", value=name) for name in "xy")


def test_a_formula_has_the_value_of_its_arithmetic():
    x, y = np.linspace(-2.0, 2.0, 7), np.linspace(0.5, 3.0, 7)
    shared = tanh(X - Y)
    found = evaluate([shared * shared + 2.0 * X, exp(X) / Y, 1.5 - X, -Y], {"x": x, "y": y})
    wanted = [np.tanh(x - y) ** 2 + 2.0 * x, np.exp(x) / y, 1.5 - x, -y]
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, rel=1e-14)


def test_inputs_broadcast():
    assert evaluate([X * Y], {"x": np.ones((3, 1)), "y": np.ones(4)})[0].shape == (3, 4)
