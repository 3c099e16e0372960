"""Recorded formulas, evaluated or run as machine code; the operations that they are made of."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mtc_hw.formula.emit import FLAGS, I64, Emitter, vector_width
from mtc_hw.formula.evaluate import evaluate
from mtc_hw.formula.lower import Lowering
from mtc_hw.formula.node import Node
from mtc_hw.formula.precision import FLOAT32, Precision
from mtc_hw.model.algebra import clamp, detach, exp, kept, rise, spike, tanh, where

Name = tuple[str, int]
Array = NDArray[np.float64]

X, Y = ("state", 0), ("state", 1)

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda x, y: x + y,
    "sum with a number": lambda x, y: (x + 1.5) * (0.25 + y),
    "difference": lambda x, y: x - y,
    "difference from a number": lambda x, y: (x - 1.5) * (0.25 - y),
    "product": lambda x, y: x * y,
    "product with a number": lambda x, y: 3.0 * x + y * -0.5,
    "negation": lambda x, y: -(x * y),
    "quotient": lambda x, y: x / (y * y + 1.0),
    "quotient by a number": lambda x, y: x / 4.0 - y,
    "quotient of a number": lambda x, y: 2.0 / (x * x + y * y + 1.0),
    "exp": lambda x, y: exp(x) * y,
    "tanh": lambda x, y: tanh(x) * y,
    "tanh of a difference": lambda x, y: tanh(x - y),
    "rise": lambda x, y: rise(x, y),
    "clamp from below": lambda x, y: clamp(x, -0.5) * y,
    "clamp from both sides": lambda x, y: clamp(x, -0.5, 1.0) * y,
    "where": lambda x, y: where(x, 0.25, x * y, y),
    "arctangent spike": lambda x, y: spike(x - 0.25, "arctangent") * y,
    "slayer spike": lambda x, y: spike(x - 0.25, "slayer") * y,
    "boxcar spike": lambda x, y: spike(x - 0.25, "boxcar") * y,
    "detach": lambda x, y: detach(x) * y,
    "kept": lambda x, y: kept(x * y) * x,
    "shared": lambda x, y: tanh(x) * tanh(x) + tanh(y) * x,
}
"""Of two values each; bounds and levels lie on POINTS, so that ties are seen too."""

POINTS = np.stack([each.ravel() for each in np.meshgrid(np.arange(-2, 2.25, 0.25), np.arange(-2, 2.25, 0.5))])
"""x and y, both within the bounds of the kernel's `rise`."""


def named(kind: str, index: int = 0) -> Node:
    """An input of a formula."""
    return Node("input", value=(kind, index))


def recorded(operation: Callable[[Any, Any], Any], points: Array = POINTS) -> Array:
    """An operation on two inputs, recorded, lowered, evaluated."""
    formula = operation(named(*X), named(*Y))
    return evaluate(Lowering({})([formula]), {X: points[0], Y: points[1]})[0]


def tensors(points: Array = POINTS) -> tuple[torch.Tensor, torch.Tensor]:
    """The points, float64, that collect gradients."""
    x, y = (torch.tensor(each, requires_grad=True) for each in points)
    return x, y


def machine(
    roots: Sequence[Node],
    inputs: Mapping[Name, ArrayLike],
    precision: Precision = FLOAT32,
    flags: tuple[str, ...] = FLAGS,
) -> list[NDArray[Any]]:
    """Lowered nodes' values, by the processor's instructions."""
    arrays = [np.asarray(each, dtype=precision.name) for each in inputs.values()]
    width = vector_width(precision)
    lanes = -(-len(arrays[0]) // width) * width
    spaces = [np.zeros(lanes, precision.name) for _ in range(len(arrays) + len(roots))]
    for space, array in zip(spaces, arrays, strict=False):
        space[: len(array)], space[len(array) :] = array, array[-1]
    e = Emitter(width, precision, flags)
    places = [e.address(index) for index in range(1, 1 + len(spaces))]
    with e.loop(I64(0), e.entry(0), e.lanes) as lane:
        values = {name: e.load(e.offset(place, lane)) for name, place in zip(inputs, places, strict=False)}
        results = e.compute(list(roots), values, {})
        for result, place in zip(results, places[len(arrays) :], strict=True):
            e.store(result, e.offset(place, lane))
    code = e.finish()
    table = (ctypes.c_int64 * (1 + len(spaces)))(lanes, *(space.ctypes.data for space in spaces))
    code.call(0, 1, ctypes.addressof(table), None)
    return [space[: len(arrays[0])] for space in spaces[len(arrays) :]]
