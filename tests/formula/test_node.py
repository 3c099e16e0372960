"""Arithmetic on nodes writes a formula down."""

import math

from formulas import named

from mtc_hw.formula.node import clamp, exp, node, tanh, topological, where


def test_neutral_elements_leave_no_trace() -> None:
    x = named("state")
    for same in (x + 0.0, 0.0 + x, x - 0.0, x * 1.0, 1.0 * x, x + node(0.0), node(0.0) + x, node(1.0) * x, x / 1.0):
        assert same is x
    for zero in (x * 0.0, 0.0 * x, x * node(0.0), node(0.0) * x):
        assert (zero.op, zero.value) == ("const", 0.0)


def test_a_negated_number_is_a_number() -> None:
    assert ((-node(2.0)).op, (-node(2.0)).value) == ("const", -2.0)
    assert (0.0 - node(2.0)).value == -2.0


def test_a_node_is_equal_only_to_itself() -> None:
    x = named("state")
    assert named("state") != x and x + 1.0 != x + 1.0 and len({x, named("state"), x}) == 2


def test_functions_record_their_names_and_arguments() -> None:
    x = named("state")
    for made in (tanh(x), exp(x)):
        assert made.args == (x,)
    assert (tanh(x).op, exp(x).op) == ("tanh", "exp")
    low, high = clamp(x, 0.0), clamp(x, 0.0, 1.0)
    assert (low.op, high.op, high.args[0].op) == ("max", "min", "max")
    assert clamp(x, 0.0, math.inf).op == "max"
    assert [arg.op for arg in where(x, 0.5, x, 1.0).args] == ["input", "const", "input", "const"]


def test_arguments_come_before_their_users_and_once() -> None:
    x = named("state")
    square = x * x
    order = topological([square + tanh(square), square])
    assert len(order) == len(set(order)) == 4
    assert all(order.index(arg) < order.index(n) for n in order for arg in n.args)


def test_known_nodes_need_nothing() -> None:
    x = named("state")
    square = x * x
    assert topological([square + 1.0], {square})[0] is square and x not in topological([square + 1.0], {square})
    assert topological([square], {square}) == [square]
