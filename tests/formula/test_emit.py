"""Machine code computes what the formula says, in either precision."""

import ctypes
from collections.abc import Callable

import numpy as np
import pytest
from formulas import OPERATIONS, POINTS, X, Y, machine, named

from mtc_hw.formula.emit import I64, UNSURE, Emitter, vector_width
from mtc_hw.formula.evaluate import evaluate
from mtc_hw.formula.lower import Lowering
from mtc_hw.formula.node import Node, exp, tanh
from mtc_hw.formula.precision import FLOAT32, FLOAT64, Precision
from mtc_hw.formula.series import phi1
from mtc_hw.model.adjoint import psi

V, U = named(*X), named(*Y)
DRAWS = np.random.default_rng(0).normal(size=(2, 1000))

both = pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda precision: precision.name)


def points(precision: Precision, end: float, count: int = 400001) -> np.ndarray:
    return np.linspace(-end, end, count, dtype=precision.name)


def last_place(precision: Precision) -> float:
    """A unit in the last place of one."""
    return float(np.finfo(precision.name).eps)


@pytest.mark.parametrize(
    ("node", "exact"),
    [
        (V + U, np.add),
        (V - U, np.subtract),
        (V * U, np.multiply),
        (Node("max", (V, U)), np.maximum),
        (Node("min", (V, U)), np.minimum),
        (Node("where", (V, U, V, U)), lambda x, y: np.where(x >= y, x, y)),
        (Node("reciprocal", (V,)), lambda x, y: np.float32(1.0) / x),
    ],
    ids=lambda value: getattr(value, "op", ""),
)
@both
def test_an_instruction_rounds_once(
    node: Node, exact: Callable[[np.ndarray, np.ndarray], np.ndarray], precision: Precision
) -> None:
    draws = DRAWS.astype(precision.name)
    (found,) = machine([node], {X: draws[0], Y: draws[1]}, precision)
    assert found.dtype == precision.name and np.array_equal(found, exact(*draws))


@pytest.mark.parametrize(("precision", "end"), [(FLOAT32, 125.0), (FLOAT64, 1021.0)])
def test_powers_of_two_are_within_two_units_in_the_last_place(precision: Precision, end: float) -> None:
    x = points(precision, end)
    (found,) = machine([Node("exp2", (V,), 1.0)], {X: x}, precision)
    assert np.abs(found / np.exp2(x.astype(float)) - 1).max() < 2.0 * last_place(precision)


@pytest.mark.parametrize(("precision", "end"), [(FLOAT32, 126.0), (FLOAT64, 1022.0)])
def test_whole_powers_of_two_are_exact_to_the_polynomial(precision: Precision, end: float) -> None:
    whole = np.arange(-end, end + 1, dtype=precision.name)
    (found,) = machine([Node("exp2", (V,), 1.0)], {X: whole}, precision)
    assert len(set((found / np.exp2(whole)).tolist())) == 1


@both
def test_tanh_is_within_two_units_in_the_last_place_of_one(precision: Precision) -> None:
    x = points(precision, 40.0)
    (found,) = machine(Lowering({}, precision)([tanh(V)]), {X: x}, precision)
    assert np.abs(found - np.tanh(x.astype(float))).max() < 2.0 * last_place(precision)


@pytest.mark.parametrize(("precision", "units"), [(FLOAT32, 10.0), (FLOAT64, 3.0)])
def test_exponentials_are_within_their_units_in_the_last_place(precision: Precision, units: float) -> None:
    x = points(precision, 20.0)
    (found,) = machine(Lowering({}, precision)([exp(V)]), {X: x}, precision)
    assert np.abs(found / np.exp(x.astype(float)) - 1).max() < units * last_place(precision)


@both
def test_tanh_and_exp_of_zero_are_exact_to_a_unit_in_the_last_place(precision: Precision) -> None:
    found = machine(Lowering({}, precision)([tanh(V), exp(V)]), {X: np.zeros(1)}, precision)
    assert abs(found[0][0]) <= last_place(precision) and abs(found[1][0] - 1.0) <= last_place(precision)


@pytest.mark.parametrize(("precision", "units"), [(FLOAT32, 6.0), (FLOAT64, 3.0)])
def test_tangents_that_share_an_exponential_are_exact_up_to_the_largest_offset(
    precision: Precision, units: float
) -> None:
    offset, far = precision.offset, precision.saturated
    grid = np.meshgrid(np.linspace(-offset, offset, 53), np.linspace(-3 * far, 3 * far, 1921))
    edge, x = (each.ravel().astype(precision.name) for each in grid)
    edge_node = named("coefficient", 0)
    roots = Lowering({}, precision)([tanh(V - edge_node), tanh(U - edge_node)])
    found = machine(roots, {X: x, Y: -x, ("coefficient", 0): edge}, precision)
    exact = np.tanh([x.astype(float) - edge, -x.astype(float) - edge])
    assert np.abs(np.array(found) - exact).max() < units * last_place(precision)


@both
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_so_when_asked_for(precision: Precision, bad: float) -> None:
    values = np.array([0.5, bad, -0.5])
    roots = Lowering({}, precision)([V + tanh(V), V * 2.0 - U])
    found = machine(roots, {X: values, Y: np.ones(3)}, precision, UNSURE)
    assert [np.isfinite(each).tolist() for each in found] == [[True, False, True]] * 2


def test_steps_of_exponentials_are_for_float32_alone() -> None:
    with pytest.raises(AssertionError, match=r"^phi1 is a polynomial for float32 only$"):
        Lowering({}, FLOAT64)([Node("phi1", (V,))])


def test_exponential_steps_are_within_3e_7() -> None:
    z = np.linspace(-2, 2, 40000, dtype=np.float32)  # an even number: zero is left out
    exact = np.expm1(z.astype(float)) / z
    found = machine(Lowering({})([phi1(V), psi(V)]), {X: z})
    assert np.abs(found[0] / exact - 1).max() < 3e-7
    assert np.abs(found[1] - (1 / -np.expm1(-z.astype(float)) - 1 / z.astype(float))).max() < 3e-7


@pytest.mark.parametrize("name", OPERATIONS)
def test_machine_code_has_the_value_of_the_formula(name: str) -> None:
    roots, inputs = Lowering({})([OPERATIONS[name](V, U)]), {X: POINTS[0], Y: POINTS[1]}
    exact = evaluate(roots, inputs)[0]
    assert np.abs(machine(roots, inputs)[0] - exact).max() < 1e-6 * np.abs(exact).max()


def test_formulas_share_their_instructions() -> None:
    e = Emitter(4)
    values = {X: e.number(0.5), Y: e.number(2.0)}
    first, second = e.compute([V + U, V + U], values, {})
    assert first is not second  # two nodes
    shared = V + U
    first, second = e.compute([shared, shared * 2.0 - shared], values, {})[0], e.compute([shared], values, {})[0]
    known = e.compute([shared], {}, {shared: first})[0]
    assert known is first and second is not first


def test_a_loop_runs_for_every_step_below_its_end() -> None:
    for end, expected in ((0, 0), (1, 1), (8, 2), (9, 3)):
        e = Emitter(1)
        place = e.address(1)
        with e.loop(I64(0), e.entry(0), 4):
            e.store(e.build.fadd(e.load(place), e.number(1.0)), place)
        total = np.zeros(1, np.float32)
        code, table = e.finish(), (ctypes.c_int64 * 2)(end, total.ctypes.data)
        code.call(0, 0, ctypes.addressof(table), None)
        assert total[0] == expected


def test_an_unknown_operation_is_our_own_fault() -> None:
    e = Emitter(4)
    with pytest.raises(AssertionError, match=r"^no instruction for tanh$"):
        e.compute([tanh(V)], {X: e.number(0.0)}, {})


def test_a_vector_fills_whole_registers() -> None:
    assert vector_width() == vector_width(FLOAT32) == 2 * vector_width(FLOAT64)
    assert vector_width() in (4, 8, 16)
