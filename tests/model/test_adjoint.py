"""The adjoint of a formula equals autograd's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from formulas import OPERATIONS, POINTS, Array, X, Y, named, tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from mtc_hw.formula.evaluate import evaluate
from mtc_hw.formula.lower import Lowering
from mtc_hw.formula.node import Node, node, topological
from mtc_hw.formula.series import phi1
from mtc_hw.model.adjoint import psi, pull_back
from mtc_hw.model.algebra import clamp, exp, kept, tanh, where

Operation = Callable[[Any, Any], Any]
Z = np.linspace(-3.0, 3.0, 4001)


def pulled(operation: Operation, points: Array = POINTS) -> list[Array]:
    """Gradients of an operation's sum for its two arguments, by the formula."""
    x, y = named(*X), named(*Y)
    gradient = pull_back({operation(x, y): node(1.0)})
    roots = Lowering({})([gradient.get(each, node(0.0)) for each in (x, y)])
    return evaluate(roots, {X: points[0], Y: points[1]})


def backward(operation: Operation, points: Array = POINTS) -> list[Array]:
    """The same by autograd."""
    leaves = tensors(points)
    result = operation(*leaves).sum()
    return [each.numpy() for each in torch.autograd.grad(result, leaves, materialize_grads=True)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_adjoint_of_an_operation_is_that_of_autograd(name: str) -> None:
    for one, other in zip(pulled(OPERATIONS[name]), backward(OPERATIONS[name]), strict=True):
        assert np.abs(one - other).max() < 1e-6


# Bounded, and small where `exp` is applied, so that towers of them stay near one.
STEPS: tuple[Operation, ...] = (
    lambda a, b: a + 0.5 * b,
    lambda a, b: 0.3 - a * b,
    lambda a, b: a / (1.0 + b * b),
    lambda a, b: tanh(a) - b,
    lambda a, b: tanh(a - 0.7 * b),
    lambda a, b: exp(-a * a) * b,
    lambda a, b: clamp(a, -0.313, 0.717) + b,
    lambda a, b: where(a, 0.171, b, tanh(b)),
    lambda a, b: kept(a * 0.9) * b,
)
TREES = st.lists(
    st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=6
)


@settings(max_examples=40)
@given(TREES)
def test_the_chain_rule_holds_for_whatever_is_composed(tree: list[tuple[int, int, int]]) -> None:
    def composed(x: Any, y: Any) -> Any:
        made = [x, y]
        for step, left, right in tree:
            made.append(tanh(STEPS[step](made[-1 - left % len(made)], made[right % len(made)])))
        return made[-1]

    points = np.random.default_rng(0).uniform(-1.5, 1.5, (2, 20))
    for one, other in zip(pulled(composed, points), backward(composed, points), strict=True):
        assert np.allclose(one, other, rtol=1e-9, atol=1e-12)


def test_several_seeds_add_up_even_where_one_needs_the_other() -> None:
    x, first, second = named("state"), named("adjoint", 0), named("adjoint", 1)
    square = x * x
    gradient = pull_back({square: first, square * x: second})
    values = {("state", 0): 3.0, ("adjoint", 0): 5.0, ("adjoint", 1): 7.0}
    assert evaluate(Lowering({})([gradient[x]]), values)[0] == 5 * 2 * 3 + 7 * 3 * 9


def test_an_unused_input_has_no_gradient() -> None:
    x, y = named(*X), named(*Y)
    assert y not in pull_back({x * x: node(1.0)})


def test_a_long_chain_is_no_deep_recursion() -> None:
    x = end = named("state")
    for _ in range(5000):
        end = end * 0.5 + 1.0
    gradient = pull_back({end: node(2.0**500)})
    assert len(topological(Lowering({})([gradient[x]]))) > 1


def test_phi1_and_its_logarithmic_slope_are_within_their_stated_errors() -> None:
    z, exact = Z[Z != 0], np.expm1(Z[Z != 0]) / Z[Z != 0]
    values = evaluate(Lowering({})([phi1(named(*X)), psi(named(*X))]), {X: z})
    assert np.abs(values[0] / exact - 1).max() < 1e-7
    assert np.abs(values[1] - (1 / -np.expm1(-z) - 1 / z)).max() < 1e-7


def test_an_operation_without_a_derivative_is_our_own_fault() -> None:
    with pytest.raises(AssertionError, match=r"^no derivative for floor$"):
        pull_back({Node("floor", (named("state"),)): node(1.0)})
