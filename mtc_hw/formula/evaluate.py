"""The numbers of a formula, by numpy."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtc_hw.formula.node import Node, topological

OPERATIONS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "reciprocal": np.reciprocal,
    "tanh": np.tanh,
    "exp": np.exp,
}


def evaluate(roots: Sequence[Node], inputs: Mapping[str, ArrayLike]) -> list[NDArray[np.float64]]:
    """Values of formulas made of `OPERATIONS`, inputs by name; arrays that broadcast."""
    values: dict[Node, NDArray[np.float64]] = {}
    for node in topological(roots):
        if node.op in ("input", "const"):
            value = np.asarray(inputs[node.value] if node.op == "input" else node.value, dtype=np.float64)
        else:
            value = OPERATIONS[node.op](*(values[each] for each in node.args))
        values[node] = value
    return [values[root] for root in roots]
