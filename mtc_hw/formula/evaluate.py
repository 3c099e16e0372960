"""A formula's values in numpy's float64, operation by operation: for what is evaluated once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtc_hw.formula.node import Node, topological

OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "reciprocal": np.reciprocal,
    "tanh": np.tanh,
    "exp": np.exp,
    "max": np.maximum,
    "min": np.minimum,
    "where": lambda above, level, this, other: np.where(above >= level, this, other),
}


def evaluate(roots: Sequence[Node], inputs: Mapping[Any, ArrayLike]) -> list[NDArray[np.float64]]:
    """Values of the roots, recorded or lowered, with `inputs` by name; of the shape that the inputs share."""
    values: dict[Node, Any] = {}
    for n in topological(roots):
        if n.op == "const":
            values[n] = np.float64(n.value)
        elif n.op == "input":
            values[n] = np.asarray(inputs[n.value], dtype=np.float64)
        elif n.op == "exp2":
            values[n] = np.exp2(n.value * values[n.args[0]])
        else:
            values[n] = OPERATIONS[n.op](*(values[arg] for arg in n.args))
    shape = np.broadcast_shapes(*(np.shape(each) for each in inputs.values()))
    return [np.broadcast_to(values[root], shape) for root in roots]
