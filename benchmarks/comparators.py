"""How else such a layer is run: in eager or compiled torch, by snnTorch, by norse. All but eager may be missing."""

import shutil
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from contest import Contestant
from problem import Problem, driven
from torch import Tensor

from mtc_hw.model.program import Program, State, Unrolled

CHUNK = 10
"""Steps that torch.compile sees at once; longer ones compile for minutes."""


def fused(problem: Problem) -> Contestant:
    return _layer(problem, problem.fused)


def eager(problem: Problem) -> Contestant:
    return _layer(problem, problem.unrolled)


def compiled(problem: Problem) -> Contestant | None:
    """torch.compile of the eager step; None without a C++ compiler."""
    if shutil.which("g++") is None:
        return None
    return _layer(problem, partial(_in_chunks, problem, torch.compile(_chunk, dynamic=False)))


def snntorch(problem: Problem) -> Contestant | None:
    """`Leaky`: one state, one step a sample."""
    if find_spec("snntorch") is None:
        return None
    from snntorch import Leaky

    cell = Leaky(beta=torch.full((problem.size.neurons,), 0.9), learn_beta=True)
    return _cell(problem, partial(_leaky, problem, cell), cell.beta)


def norse(problem: Problem) -> Contestant | None:
    """`LIFBoxCell`: one state, one step a sample."""
    if find_spec("norse") is None:
        return None
    from norse.torch import LIFBoxCell, LIFBoxParameters

    speed = torch.full((problem.size.neurons,), 100.0, requires_grad=True)
    return _cell(problem, partial(_box, problem, LIFBoxCell(LIFBoxParameters(tau_mem_inv=speed))), speed)


def _layer(problem: Problem, run: Callable[[], Unrolled]) -> Contestant:
    return Contestant(run, lambda: problem.gradients(run()), problem.size.work)


def _cell(problem: Problem, run: Callable[[], Tensor], parameter: Tensor) -> Contestant:
    leaves = [parameter, problem.leaves["weight"], problem.leaves["bias"]]
    work = problem.size.work // problem.size.substeps
    return Contestant(run, lambda: torch.autograd.grad(run().sum(), leaves), work)


def _currents(problem: Problem) -> list[Tensor]:
    weight, bias = problem.leaves["weight"], problem.leaves["bias"]
    return [weight * each.unsqueeze(-1) + bias for each in problem.inputs[:, 1:].unbind(1)]


def _leaky(problem: Problem, cell: Any) -> Tensor:
    membrane, shown = cell.init_leaky(), []
    for current in _currents(problem):
        _, membrane = cell(current, membrane)
        shown.append(membrane)
    return torch.stack(shown, 1)


def _box(problem: Problem, cell: Any) -> Tensor:
    state, shown = None, []
    for current in _currents(problem):
        _, state = cell(current, state)
        shown.append(state.v)
    return torch.stack(shown, 1)


def _chunk(
    program: Program, state: State, drive: tuple[Tensor, ...], c: dict[str, Any]
) -> tuple[State, Tensor, tuple[Tensor, Tensor]]:
    outputs, activity, excess = [], torch.zeros(()), torch.zeros(())
    for each in drive:
        state, output, sums = program.step(state, c["weight"] * each + c["bias"], c)
        outputs.append(output)
        activity, excess = activity + sums.activity.sum(0), excess + sums.excess.sum(0)
    return state, torch.stack(outputs, 1), (activity, excess)


def _in_chunks(problem: Problem, chunk: Any) -> Unrolled:
    c, drive = problem.coefficients(), driven(problem).unbind(0)
    shape = problem.size.batch, problem.size.neurons
    state: State = tuple(torch.full(shape, start) for start in problem.program.initial)
    outputs, sums = [], torch.zeros((2, problem.size.neurons))
    for start in range(0, len(drive), CHUNK):
        state, output, more = chunk(problem.program, state, drive[start : start + CHUNK], c)
        outputs.append(output)
        sums = sums + torch.stack(more)
    return Unrolled(torch.cat(outputs, 1), sums)
