"""Lowering keeps a formula's value and makes nothing twice."""

import numpy as np
import pytest
from formulas import OPERATIONS, POINTS, X, Y, machine, named

from mtc_hw.formula.evaluate import evaluate
from mtc_hw.formula.lower import Lowering
from mtc_hw.formula.node import Node, topological
from mtc_hw.model.algebra import exp, kept, tanh, where

MACHINE = {"const", "input", "add", "sub", "mul", "reciprocal", "max", "min", "where", "exp2"}
V, U = named(*X), named(*Y)
DELTA = ("coefficient", 0)


def lowered(*roots: Node) -> list[Node]:
    return topological(Lowering({})(list(roots)))


def count(op: str, *roots: Node) -> int:
    return sum(n.op == op for n in lowered(*roots))


@pytest.mark.parametrize("name", OPERATIONS)
def test_only_operations_of_a_processor_are_left(name: str) -> None:
    assert {n.op for n in lowered(OPERATIONS[name](V, U))} <= MACHINE


def test_equal_operations_are_made_once() -> None:
    first, second = Lowering({})([(V + U) * 2.0, (named(*X) + named(*Y)) * 2.0])
    assert first is second
    assert count("mul", (V * U) + (V * U)) == 1


def test_different_operations_stay_different() -> None:
    first, second, third = Lowering({})([V - U, U - V, V - 2.0])
    assert len({first, second, third}) == 3


def test_tangents_of_one_voltage_against_several_offsets_share_its_exponential() -> None:
    offsets = [named("coefficient", index) for index in range(3)]
    several = [tanh(V - each) for each in offsets]
    lowering = Lowering({})
    powers = [n for n in topological(lowering(several)) if n.op == "exp2"]
    assert sum(not lowering.is_fixed(n) for n in powers) == 1
    assert sum(lowering.is_fixed(n) for n in powers) == 3
    assert (
        count("exp2", tanh(V - 1.5), tanh(V + -1.5), tanh(V), exp(V)) == 4
    )  # of V, of 1.5 and, to another base, of V


def test_a_difference_of_two_voltages_shares_nothing() -> None:
    assert count("exp2", tanh(V - U)) == 1


def test_two_quotients_share_one_division() -> None:
    assert count("reciprocal", tanh(V), tanh(U)) == 1
    assert count("reciprocal", tanh(V), tanh(U), tanh(V + U)) == 2
    assert count("reciprocal", tanh(V)) == 1


def test_quotients_that_wait_for_each_other_are_not_paired() -> None:
    assert count("reciprocal", tanh(tanh(V))) == 2
    values = np.linspace(-3, 3, 13)
    nested = Lowering({})([tanh(tanh(V)), tanh(U)])
    found = evaluate(nested, {X: values, Y: -values})
    assert np.allclose(found, [np.tanh(np.tanh(values)), np.tanh(-values)], atol=1e-12)


def test_a_quotient_of_anything_is_not_paired() -> None:
    assert count("reciprocal", 1.0 / V, 1.0 / U) == 2  # a product of two of them may be 0 or too large


def test_what_coefficients_alone_fix_is_fixed() -> None:
    lowering = Lowering({})
    c = named(*DELTA)
    fixed, moving = lowering([exp(c) * 2.0 + 1.0, c * V])
    assert lowering.is_fixed(fixed) and not lowering.is_fixed(moving)


def test_a_replaced_node_takes_the_other_ones_place() -> None:
    square, known = kept(V * V), named("kept")
    (root,) = Lowering({square: known})([square + U])
    assert {n.value for n in topological([root]) if n.op == "input"} == {("kept", 0), Y}


def test_tanh_is_exact_into_saturation_up_to_the_largest_offset() -> None:
    delta, voltage = (each.ravel() for each in np.meshgrid(np.linspace(-6.5, 6.5, 27), np.linspace(-60, 60, 961)))
    roots = Lowering({})([tanh(V - named(*DELTA)), tanh(U - named(*DELTA))])
    inputs = {X: voltage, Y: -voltage, DELTA: delta}
    exact = np.tanh([voltage - delta, -voltage - delta])
    assert np.abs(np.array(evaluate(roots, inputs)) - exact).max() < 6e-8
    assert np.abs(np.array(machine(roots, inputs)) - exact).max() < 5e-7  # shared exponential and division


def test_an_exponential_is_held_to_what_float32_holds() -> None:
    far = np.array([-1000.0, -80.0, 0.0, 80.0, 1000.0])
    assert np.allclose(evaluate(Lowering({})([exp(V)]), {X: far})[0], np.exp(np.clip(far, -87, 87)), rtol=1e-12)


def test_a_level_counts_as_above() -> None:
    (root,) = Lowering({})([where(V, 0.5, 1.0, 0.0)])
    assert evaluate([root], {X: np.array([0.4999, 0.5, 0.5001])})[0].tolist() == [0.0, 1.0, 1.0]


def test_an_output_that_is_an_input_stays_one() -> None:
    assert [n.value for n in Lowering({})([V, U])] == [X, Y]
    assert np.array_equal(evaluate(Lowering({})([V]), {X: POINTS[0]})[0], POINTS[0])
