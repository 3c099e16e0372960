"""The split step of `model.mtc` as a fused float32 loop with a hand-written adjoint, for instantaneous fast elements.

Rows (batch items) are the outer loop and the unit of threading; time is the middle loop, the neurons of a block the
inner one, which LLVM vectorises. Gradients reach alpha, delta, tau and the current.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from mtc_hw.model.lanes import FLAGS, PACKED, ZERO, Law, adjoin, advance
from mtc_hw.model.mtc import TENSORS, Parameters
from mtc_hw.spec import INITIAL_VOLTAGE, Curve

Array = NDArray[np.float32]
F = TypeVar("F", bound=Callable[..., object])

LARGEST_STEP = 2.0
"""Bound of h alpha_fast and h leak up to which the kernel's series of phi1 holds to 1e-5; at 1 it holds to 1e-7."""

BLOCK = 64
"""Neurons in a block. A constant row length of the work array is what lets LLVM see that its rows do not overlap."""

START = np.float32(INITIAL_VOLTAGE)


def compiled(function: F) -> F:
    """The function as machine code, kept on disk between sessions and free of the interpreter's lock."""
    return cast(F, njit(nogil=True, cache=True, fastmath=FLAGS, error_model="numpy")(function))


@compiled
def _forward(
    rows: tuple[int, int],
    lanes: int,
    current: Array,  # (B, samples, N)
    packed: Array,  # (1 or B, PACKED, N)
    laws: tuple[Law, Law],
    step: np.float32,
    substeps: int,
    states: Array,  # (3, B, steps + 1, N), filled
) -> None:
    # The running state is local, because LLVM gives up on outputs that are read again one step later.
    work = np.empty((PACKED + 3, BLOCK), np.float32)
    for row in range(rows[0], rows[1]):
        work[:PACKED, :lanes] = packed[min(row, packed.shape[0] - 1)]
        work[PACKED:] = START
        states[:, row, 0] = START
        for t in range(states.shape[2] - 1):
            left, right = current[row, t // substeps], current[row, t // substeps + 1]
            share = np.float32((t % substeps + 0.5) / substeps)
            voltage, slow, ultraslow = states[0, row, t + 1], states[1, row, t + 1], states[2, row, t + 1]
            for n in range(lanes):
                drive = left[n] + share * (right[n] - left[n])
                v, s, u = advance(
                    work[PACKED, n], work[PACKED + 1, n], work[PACKED + 2, n], drive, work, n, step, *laws
                )
                work[PACKED, n], work[PACKED + 1, n], work[PACKED + 2, n] = v, s, u
                voltage[n], slow[n], ultraslow[n] = v, s, u


@compiled
def _backward(
    rows: tuple[int, int],
    lanes: int,
    states: Array,  # (3, B, steps + 1, N)
    outer: Array,  # (B, steps + 1, N), loss gradient of every voltage
    packed: Array,  # (1 or B, PACKED, N)
    laws: tuple[Law, Law],
    step: np.float32,
    substeps: int,
    inward: Array,  # (B, samples, N), filled: gradient of the current
    total: Array,  # (B, 10, N), filled: gradients of alpha, delta and 1 / tau
) -> None:
    work, local = np.empty((PACKED + 15, BLOCK), np.float32), np.empty((5, BLOCK), np.float32)
    back, sums = work[PACKED : PACKED + 3], work[PACKED + 3 : PACKED + 13]
    early, late = work[PACKED + 13], work[PACKED + 14]
    for row in range(rows[0], rows[1]):
        work[:PACKED, :lanes] = packed[min(row, packed.shape[0] - 1)]
        work[PACKED:] = ZERO
        for t in range(states.shape[2] - 2, -1, -1):
            share = np.float32((t % substeps + 0.5) / substeps)
            # Copied, because LLVM cannot prove these rows apart from the work array and takes its scalar loop.
            local[0, :lanes], local[1, :lanes], local[2, :lanes] = (
                states[0, row, t],
                states[1, row, t],
                states[2, row, t],
            )
            local[3, :lanes], local[4, :lanes] = states[0, row, t + 1], outer[row, t + 1]
            for n in range(lanes):
                flow = adjoin(local, back, sums, work, n, step, *laws)
                early[n] += (np.float32(1.0) - share) * flow
                late[n] += share * flow
            if t % substeps == 0:
                inward[row, t // substeps + 1] = late[:lanes]
                late[:] = early
                early[:] = ZERO
        inward[row, 0] = late[:lanes]
        total[row] = sums[:, :lanes]


def in_threads(function: Callable[..., None], rows: int, lanes: int, *arguments: object) -> None:
    """Call function((first, last), lanes, *arguments) for a share of the rows on each of torch's threads."""
    threads = torch.get_num_threads()
    share = max(1, -(-rows // threads))
    # Adjoints and the features of silent neurons decay into denormals, which are slow.
    with ThreadPoolExecutor(threads, initializer=torch.set_flush_denormal, initargs=(True,)) as pool:
        jobs = [
            pool.submit(function, (first, min(first + share, rows)), lanes, *arguments)
            for first in range(0, rows, share)
        ]
        for job in jobs:
            job.result()


def _law(curve: Curve | None) -> Law:
    """The two numbers that the compiled code knows of a curve."""
    if curve is None:
        return None
    return np.float32(curve.slope), np.float32(np.tanh(curve.slope * curve.shift) ** 2)


def _pack(p: Parameters, alpha: Tensor, delta: Tensor, tau: Tensor, step: float) -> Array:
    """All parameters and what the step derives from them, (rows, PACKED, N)."""
    rate = 1 / tau[1:]
    share = step * rate if p.filter_curve is not None else -torch.expm1(-step * rate)
    slope = torch.full_like(rate, step) if p.filter_curve is not None else step * torch.exp(-step * rate)
    parts = [alpha, delta, step / 2 * rate, share, p.offset[1:], p.leak.unsqueeze(0), p.rest.unsqueeze(0), slope]
    rows = max(part.shape[1] for part in parts)
    packed = torch.cat([part.expand(-1, rows, -1) for part in parts]).transpose(0, 1)
    return np.ascontiguousarray(packed.detach().numpy(), dtype=np.float32)


class _Integrate(torch.autograd.Function):
    """Voltages (B, steps + 1, N) from the current (B, samples, N)."""

    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        alpha: Tensor,
        delta: Tensor,
        tau: Tensor,
        p: Parameters,
        step: float,
        substeps: int,
    ) -> Tensor:
        rows, samples, lanes = current.shape
        packed = _pack(p, alpha, delta, tau, step)
        laws = (_law(p.leak_curve), _law(p.filter_curve))
        states = torch.empty((3, rows, (samples - 1) * substeps + 1, lanes), dtype=torch.float32)
        drive = current.detach().contiguous().numpy()
        in_threads(_forward, rows, lanes, drive, packed, laws, np.float32(step), substeps, states.numpy())
        ctx.save_for_backward(states, tau)
        ctx.constants = (packed, laws, step, substeps, (alpha.shape[1], delta.shape[1], tau.shape[1]))
        return states[0]

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        states, tau = ctx.saved_tensors
        packed, laws, step, substeps, shared = ctx.constants
        _, rows, steps, lanes = states.shape
        inward = torch.empty((rows, (steps - 1) // substeps + 1, lanes), dtype=torch.float32)
        total = torch.empty((rows, 10, lanes), dtype=torch.float32)
        gradient = outer[0].contiguous().numpy()
        arrays = (states.numpy(), gradient, packed, laws, np.float32(step), substeps, inward.numpy(), total.numpy())
        in_threads(_backward, rows, lanes, *arrays)
        parts = total.transpose(0, 1)
        alpha, delta, rate = (
            part if own > 1 else part.sum(1, keepdim=True)
            for part, own in zip((parts[:4], parts[4:8], parts[8:]), shared, strict=True)
        )
        slow = -rate / (tau[1:] * tau[1:])
        return inward, alpha, delta, torch.cat([torch.zeros_like(slow[:1]), slow]), None, None, None


def supported(p: Parameters, step: float) -> bool:
    """Whether the kernel covers these neurons: an instantaneous fast element and a step within its series."""
    bound = LARGEST_STEP / step
    return bool((p.tau[0] == 0).all() and (p.alpha[0] <= bound).all() and (p.leak <= bound).all())


def integrate(
    current: Float[Tensor, "B samples N"], p: Parameters, step: float, substeps: int
) -> Float[Tensor, "B steps N"]:
    """Voltages after every split step, first the initial one, as `model.mtc.simulate` gives them, batch items first.

    Only alpha, delta, tau and the current receive gradients; leak, rest and offset are constants here.
    """
    blocks = []
    for low in range(0, current.shape[-1], BLOCK):
        part = replace(p, **{name: getattr(p, name)[..., low : low + BLOCK] for name in TENSORS})
        drive = current[..., low : low + BLOCK]
        blocks.append(_Integrate.apply(drive, part.alpha, part.delta, part.tau, part, step, substeps))  # type: ignore[no-untyped-call]
    return blocks[0] if len(blocks) == 1 else torch.cat(blocks, -1)
