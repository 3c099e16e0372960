import ast
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw.errors import DeckError
from mtc_hw.netlist.expression import Access, formula, written

FUNCTIONS = {"tanh": "tanh", "min": "min", "max": "lowest"}


def plain(access: Access) -> str:
    return f"{access.quantity}<{access.name}{'|' + access.other if access.other else ''}>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{code*lsb}", "code*lsb"),
        ("{gain}*i(Vsense)*tanh((v(inp,inn)-{offset})/{unit})", "gain*i<Vsense>*tanh((v<inp|inn>-offset)/unit)"),
        ("{gain*a}*V( in )", "gain*a*v<in>"),
        ("-{x}-(-{y})", "-x--y"),
        ("max(v(v,ref),0)", "lowest(v<v|ref>,0)"),
        ("a-(b-c)", "a-(b-c)"),
        ("a/(b*c)/d", "a/(b*c)/d"),
    ],
)
def test_an_expression_is_written_in_another_spelling(text, expected):
    assert written(formula(text), plain, FUNCTIONS) == expected


def test_names_functions_and_accesses_are_told_apart():
    found = formula("{gain}*tanh(v(gain,in)/{unit})+i(Vsense)*time")
    assert found.names == {"gain", "unit", "time"}
    assert found.functions == {"tanh"}
    assert found.accesses == (Access("v", "gain", "in"), Access("i", "Vsense"))


@pytest.mark.parametrize(
    "text",
    ["", "1+", "(1", "a b", "a**2", "a^2", "a<b", "a if b else c", "'x'", "a.b", "a[0]", "lambda: 0", "True", "1j"],
)
def test_what_is_no_arithmetic_is_refused(text):
    with pytest.raises(DeckError, match=r"is no expression$|holds what no simulator's expression may$"):
        formula(text)


def test_a_function_without_counterpart_is_named():
    with pytest.raises(DeckError, match=r"^function sin has no counterpart$"):
        written(formula("sin(1)"), plain, FUNCTIONS)


TREES = st.recursive(
    st.floats(0.5, 2.0).map(lambda x: repr(x)) | st.sampled_from(["{a}", "{b}"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})")
        | inner.map(lambda x: f"tanh({x})")
        | inner.map(lambda x: f"(-{x})")
    ),
    max_leaves=12,
)


@given(TREES)
def test_the_value_stays(text):
    """To the last bit: the tree is the same, so is the order of the operations."""
    again = written(formula(text), plain, {"tanh": "tanh"})
    one, other = (value(ast.parse(each, mode="eval").body) for each in (text.translate(ROUND), again))
    assert one == other or (math.isnan(one) and math.isnan(other))


ROUND = str.maketrans("{}", "()")
NAMES = {"a": 1.3, "b": -0.7}
OPERATIONS = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide}


def value(node: ast.expr) -> np.float64:
    """What Python's own tree is worth; a division by zero is infinite."""
    match node:
        case ast.Constant():
            return np.float64(node.value)
        case ast.Name():
            return np.float64(NAMES[node.id])
        case ast.UnaryOp():
            return -value(node.operand)
        case ast.Call():
            return np.tanh(value(node.args[0]))
        case _:
            with np.errstate(all="ignore"):
                return OPERATIONS[type(node.op)](value(node.left), value(node.right))
