"""What the arithmetic of a step alone costs this core: no tape, no outputs, all in the first-level cache."""

import ctypes

import torch
from contest import Contestant
from problem import Problem
from torch import Tensor

from mtc_hw.formula.emit import I64, Code, Emitter, vector_width
from mtc_hw.model.kernel import paged
from mtc_hw.model.record import Formula, Recipe, forward_formula

REPEATS = 10_000


def limits(problem: Problem) -> dict[str, Contestant]:
    """One vector at a time, and two interleaved: the better one is the limit.

    A backward pass has as many exponentials and divisions again and more sums and products: at least twice the time.
    """
    return {f"limit {each}": _limit(problem, each * vector_width()) for each in (1, 2)}


def _limit(problem: Problem, width: int) -> Contestant:
    lanes = problem.size.neurons // width * width
    c = problem.coefficients()
    arrays = {name: value.detach()[0, :lanes] for name, value in c.items() if isinstance(value, Tensor)}
    constants = tuple((name, value) for name, value in c.items() if not isinstance(value, Tensor))
    formula = forward_formula(Recipe(problem.program, tuple(arrays), constants, False, False))
    start = [torch.full((lanes,), each) for each in problem.program.initial]
    memory = paged(len(start) + len(arrays) + len(formula.hoisted), lanes)
    memory[: len(start) + len(arrays)] = torch.stack([*start, *arrays.values()])
    loop = _code(formula, len(start), len(arrays), width)

    def forward() -> None:
        table = (ctypes.c_int64 * 2)(memory.data_ptr(), lanes)
        loop.call(0, REPEATS, ctypes.addressof(table))

    def both() -> None:
        forward()
        forward()

    return Contestant(forward, both, REPEATS * lanes)


def _code(formula: Formula, states: int, arrays: int, width: int) -> Code:
    """The new states from the old ones, again and again. Rows of memory: states, coefficients, what they fix."""
    e = Emitter(width)
    memory, lanes = e.address(0), e.entry(1)
    inputs = [("state", index) for index in range(states)] + [("coefficient", index) for index in range(arrays)]
    first = len(inputs)
    with e.loop(I64(0), lanes, width) as lane:
        read = {name: e.load(e.offset(memory, (lanes, row), lane)) for row, name in enumerate(inputs)}
        for row, value in enumerate(e.compute(formula.hoisted, read, {}), first):
            e.store(value, e.offset(memory, (lanes, row), lane))
    with e.loop(e.first, e.last), e.loop(I64(0), lanes, width) as lane:
        read = {name: e.load(e.offset(memory, (lanes, row), lane)) for row, name in enumerate(inputs)}
        known = {n: e.load(e.offset(memory, (lanes, row), lane)) for row, n in enumerate(formula.hoisted, first)}
        for row, value in enumerate(e.compute(formula.roots[:states], read | {("drive", 0): e.number(0.3)}, known)):
            e.store(value, e.offset(memory, (lanes, row), lane))
    return e.finish()
