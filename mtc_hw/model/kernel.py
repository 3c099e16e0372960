"""A program as fused machine code with its adjoint, for torch: float32, all of torch's threads."""

import ctypes
import math
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from mtc_hw.formula.emit import Code, vector_width
from mtc_hw.model.algebra import Value
from mtc_hw.model.loops import Entry, Kernel, compiled
from mtc_hw.model.program import Program, Unrolled, shares
from mtc_hw.model.record import Recipe

PAGE = 4096  # bytes


THREADS: ContextVar[int | None] = ContextVar("threads", default=None)
"""Threads of the kernel; None: as many as torch has."""


@contextmanager
def kernel_threads() -> Iterator[None]:
    """Leave torch's threads to the kernel alone: small tensors, which they would wait for each other at, get one."""
    threads = torch.get_num_threads()
    token = THREADS.set(threads)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        THREADS.reset(token)


@lru_cache(maxsize=8)
def _pool(threads: int) -> ThreadPoolExecutor:
    # Adjoints and the features of silent neurons decay into denormals, which are slow.
    return ThreadPoolExecutor(threads, initializer=torch.set_flush_denormal, initargs=(True,))


class Buffers:
    """Memory for large tensors that others have left: fresh memory costs a page fault each 4 KiB."""

    def __init__(self) -> None:
        self._spare: deque[Tensor] = deque(maxlen=8)

    def lend(self, size: int) -> Tensor:
        """An uninitialised tensor that starts at a page. Its memory comes back when nobody holds it any more.

        Elsewhere than at a page a load may seem, by the last 12 bits of its address, to wait for a store before it.
        """
        fitting = [index for index, space in enumerate(self._spare) if size <= len(space) - PAGE // 4 <= 2 * size]
        if fitting:
            space = self._spare[fitting[-1]]
            del self._spare[fitting[-1]]
        else:
            space = torch.empty(size + PAGE // 4)
        start = -space.data_ptr() % PAGE // 4
        lease = space.numpy()[start : start + size]
        weakref.finalize(lease, self._spare.append, space).atexit = False
        return torch.from_numpy(lease)


@lru_cache(maxsize=1)
def buffers() -> Buffers:
    """This process's own."""
    return Buffers()


def paged(*shape: int) -> Tensor:
    """An uninitialised tensor that starts at a page."""
    return buffers().lend(math.prod(shape)).view(shape)


def padded_lanes(neurons: int) -> int:
    """Neurons padded to whole vectors."""
    width = vector_width()
    return -(-neurons // width) * width


class Plan(NamedTuple):
    """A call's shape."""

    kernel: Kernel
    places: Tensor  # (steps,) int64
    shares: Tensor  # (substeps,)
    records: int
    neurons: int
    lanes: int  # neurons, padded
    dense: bool

    @property
    def samples(self) -> int:
        return len(self.places) // len(self.shares)

    def padded(self, x: Tensor) -> Tensor:
        """x (..., neurons) with the last neuron repeated up to whole vectors, contiguous."""
        if self.lanes == self.neurons and x.is_contiguous():
            return x
        room = paged(*x.shape[:-1], self.lanes)
        room[..., : self.neurons] = x
        room[..., self.neurons :] = x[..., -1:]
        return room


_LEFT: deque[Any] = deque(maxlen=4)
"""What calls that Ctrl-C ended work with: threads may still write there for a moment, and must find it."""


def _run(code: Code, rows: int, plan: Plan, **tensors: Tensor) -> None:
    """Call the machine code for a share of the rows on each of torch's threads."""
    shared = len(tensors["coefficients"]) == 1
    sizes = {
        Entry.STEPS: len(plan.places),
        Entry.LANES: plan.lanes,
        Entry.RECORDS: plan.records,
        Entry.COEFFICIENT_ROW: 0 if shared else tensors["coefficients"].shape[1] * plan.lanes,
    }
    tensors |= {"places": plan.places, "shares": plan.shares}
    table = sizes | {Entry[name.upper()]: tensor.data_ptr() for name, tensor in tensors.items()}
    numbers = (ctypes.c_int64 * len(Entry))(*(table.get(entry, 0) for entry in Entry))
    threads = min(THREADS.get() or torch.get_num_threads(), rows)
    bounds = [rows * index // threads for index in range(threads + 1)]
    try:
        address = ctypes.addressof(numbers)
        jobs = [_pool(threads).submit(code.call, first, last, address) for first, last in pairwise(bounds)]
        for job in jobs:
            job.result()
    except BaseException:
        _LEFT.append((numbers, tensors))
        raise


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, drive: Tensor, *arrays: Tensor) -> tuple[Tensor, Tensor]:
        rows, kernel = len(drive), plan.kernel
        own = max(len(array) for array in arrays)
        packed = plan.padded(torch.stack([array.expand(own, -1) for array in arrays], 1).detach())
        drive = plan.padded(drive.detach()) if plan.dense else drive.contiguous()
        tape = paged(rows, len(plan.places) // kernel.steps + 1, kernel.slots, plan.lanes)
        outputs = paged(rows, plan.records, plan.lanes)
        sums, nowhere = torch.empty((rows, 2, plan.lanes)), paged(plan.lanes)
        arguments = {"coefficients": packed, "drive": drive, "tape": tape, "outputs": outputs, "sums": sums}
        _run(kernel.forward, rows, plan, **arguments, nowhere=nowhere)
        ctx.plan, ctx.tape, ctx.kept = plan, tape, (packed, drive)
        ctx.shared = [len(array) == 1 for array in arrays]
        ctx.set_materialize_grads(True)
        return outputs[..., : plan.neurons], sums[..., : plan.neurons].sum(0)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        plan, (packed, drive), kernel = cast(Plan, ctx.plan), ctx.kept, ctx.plan.kernel
        rows, arrays = len(drive), packed.shape[1]
        totals = torch.empty((rows, arrays, plan.lanes))
        inward = paged(rows, plan.samples + 1, plan.lanes) if plan.dense else torch.empty(0)
        gradient, weights = plan.padded(outer[0]), plan.padded(outer[1])
        if ctx.tape is None:
            raise RuntimeError("the tape of this forward pass is used up; run it again before another backward pass")
        _run(
            kernel.backward,
            rows,
            plan,
            coefficients=packed,
            drive=drive,
            tape=ctx.tape,
            outputs=gradient,
            nowhere=paged(plan.lanes).zero_(),
            weights=weights,
            sums=totals,
            inward=inward,
        )
        ctx.tape = None
        parts = totals[..., : plan.neurons].unbind(1)
        pairs = zip(parts, ctx.shared, strict=True)
        gradients = [part.sum(0, keepdim=True) if shared else part for part, shared in pairs]
        return None, inward[..., : plan.neurons] if plan.dense else None, *gradients


def supported(program: Program, c: Mapping[str, Value]) -> bool:
    """Whether the kernel's approximations hold for these coefficients."""
    return bool(
        all((_values(c[name]).abs() <= bound).all() for name, bound in program.dynamics.bounds.items() if name in c)
    )


def _values(x: Value) -> Tensor:
    return x.detach() if isinstance(x, Tensor) else torch.tensor(float(x))


def fused(program: Program, drive: Tensor, c: Mapping[str, Value], kept: Sequence[int] | None = None) -> Unrolled:
    """Run a program; `program.unrolled` in float32, fast.

    `drive` holds currents (B, samples, N), or inputs (B, samples) that the coefficients "weight" and "bias" turn into
    currents. Outputs come for the steps in `kept` (increasing, from 1), for all of them when None.
    """
    dense = drive.ndim == 3
    names = tuple(name for name, value in c.items() if isinstance(value, Tensor))
    constants = tuple((name, float(value)) for name, value in c.items() if not isinstance(value, Tensor))
    steps = (drive.shape[1] - 1) * program.substeps
    middle = torch.tensor(shares(program.substeps))
    if not dense:
        drive = torch.lerp(drive[:, :-1, None], drive[:, 1:, None], middle)
    places = torch.arange(steps)
    if kept is not None:
        places = torch.full((steps,), -1)
        places[torch.tensor(list(kept), dtype=torch.int64) - 1] = torch.arange(len(kept))
    neurons = max(c[name].shape[-1] for name in names)
    lanes = padded_lanes(neurons)
    even = lanes % (2 * vector_width()) == 0
    kernel = compiled(Recipe(program, names, constants, dense, even))
    plan = Plan(kernel, places, middle, steps if kept is None else len(kept), neurons, lanes, dense)
    arrays = [c[name].float().expand(-1, neurons) for name in names]
    return Unrolled(*_Fused.apply(plan, drive.float(), *arrays))  # type: ignore[no-untyped-call]
