"""Machine code computes what the formula says, in float32."""

import ctypes
from collections.abc import Callable

import numpy as np
import pytest
from formulas import OPERATIONS, POINTS, X, Y, evaluated, machine, named

from mtc_hw.formula.emit import I64, Emitter, vector_width
from mtc_hw.formula.lower import Lowering
from mtc_hw.formula.node import Node
from mtc_hw.formula.series import phi1
from mtc_hw.model.adjoint import psi
from mtc_hw.model.algebra import exp, tanh

V, U = named(*X), named(*Y)
DRAWS = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)


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
def test_an_instruction_rounds_once(node: Node, exact: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    (found,) = machine([node], {X: DRAWS[0], Y: DRAWS[1]})
    assert np.array_equal(found, exact(*DRAWS))


def test_powers_of_two_are_within_two_units_in_the_last_place() -> None:
    x = np.linspace(-125, 125, 400001, dtype=np.float32)
    (found,) = machine([Node("exp2", (V,), 1.0)], {X: x})
    assert np.abs(found / np.exp2(x.astype(float)) - 1).max() < 2.0**-22


def test_whole_powers_of_two_are_exact_to_the_polynomial() -> None:
    whole = np.arange(-126, 127, dtype=np.float32)
    (found,) = machine([Node("exp2", (V,), 1.0)], {X: whole})
    assert len(set((found / np.exp2(whole)).tolist())) == 1


def test_tanh_is_within_3e_7() -> None:
    x = np.linspace(-20, 20, 400001, dtype=np.float32)
    (found,) = machine(Lowering({})([tanh(V)]), {X: x})
    assert np.abs(found - np.tanh(x.astype(float))).max() < 3e-7


def test_tanh_and_exp_of_zero_are_exact_to_a_unit_in_the_last_place() -> None:
    found = machine(Lowering({})([tanh(V), exp(V)]), {X: np.zeros(1)})
    assert abs(found[0][0]) <= 2.0**-23 and abs(found[1][0] - 1.0) <= 2.0**-23


def test_exponential_steps_are_within_3e_7() -> None:
    z = np.linspace(-2, 2, 40000, dtype=np.float32)  # an even number: zero is left out
    exact = np.expm1(z.astype(float)) / z
    found = machine(Lowering({})([phi1(V), psi(V)]), {X: z})
    assert np.abs(found[0] / exact - 1).max() < 3e-7
    assert np.abs(found[1] - (1 / -np.expm1(-z.astype(float)) - 1 / z.astype(float))).max() < 3e-7


@pytest.mark.parametrize("name", OPERATIONS)
def test_machine_code_has_the_value_of_the_formula(name: str) -> None:
    roots, inputs = Lowering({})([OPERATIONS[name](V, U)]), {X: POINTS[0], Y: POINTS[1]}
    exact = evaluated(roots, inputs)[0]
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
    with pytest.raises(AssertionError, match=r"^no instruction for tanh$"):
        e = Emitter(4)
        e.compute([tanh(V)], {X: e.number(0.0)}, {})


def test_a_vector_fills_whole_registers() -> None:
    assert vector_width() in (4, 8, 16)
