"""Synapse and four-pole low-pass of `mtc_hw.readout` as a differentiable float32 loop, and the activity it sees."""

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtc_hw.model.kernel import BLOCK, compiled, in_threads
from mtc_hw.readout import POLES
from mtc_hw.spec import Synapse

Array = NDArray[np.float32]
ZERO, ONE = np.float32(0.0), np.float32(1.0)


class Observation(NamedTuple):
    """What the readout and the penalties see of a batch of voltages."""

    features: Tensor  # (B, samples, N)
    activity: Tensor  # scalar: mean s
    excess: Tensor  # scalar: mean squared voltage beyond the limit, unit voltages squared


@compiled
def _observe(
    rows: tuple[int, int],
    lanes: int,
    voltage: Array,  # (B, steps + 1, N)
    threshold: np.float32,
    gain: np.float32,
    limit: np.float32,
    decay: np.float32,
    substeps: int,
    features: Array,  # (B, samples, N), filled
    sums: Array,  # (B, 2, N), filled: sum of s and of the squared excess
) -> None:
    share = (ONE - decay) / np.float32(2.0)
    for row in range(rows[0], rows[1]):
        y = np.zeros((POLES + 1, BLOCK), np.float32)
        total = np.zeros((2, BLOCK), np.float32)
        features[row, 0] = ZERO
        for n in range(lanes):
            y[0, n] = min(max((voltage[row, 0, n] - threshold) * gain, ZERO), ONE)
        for t in range(1, voltage.shape[1]):
            v = voltage[row, t]
            for n in range(lanes):
                s = min(max((v[n] - threshold) * gain, ZERO), ONE)
                beyond = max(abs(v[n]) - limit, ZERO)
                total[0, n] += s
                total[1, n] += beyond * beyond
                a = decay * y[1, n] + share * (y[0, n] + s)
                b = decay * y[2, n] + share * (y[1, n] + a)
                c = decay * y[3, n] + share * (y[2, n] + b)
                y[4, n] = decay * y[4, n] + share * (y[3, n] + c)
                y[0, n], y[1, n], y[2, n], y[3, n] = s, a, b, c
            if t % substeps == 0:
                features[row, t // substeps] = y[4, :lanes]
        sums[row] = total[:, :lanes]


@compiled
def _adjoint(
    rows: tuple[int, int],
    lanes: int,
    voltage: Array,  # (B, steps + 1, N)
    threshold: np.float32,
    gain: np.float32,
    limit: np.float32,
    decay: np.float32,
    substeps: int,
    outer: Array,  # (B, samples, N), loss gradient of the features
    weights: Array,  # (2,), loss gradients of the two sums
    inward: Array,  # (B, steps + 1, N), filled: gradient of the voltage
) -> None:
    share = (ONE - decay) / np.float32(2.0)
    v, g = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for row in range(rows[0], rows[1]):
        # The low-pass read backwards in time is its own adjoint.
        y = np.zeros((POLES + 1, BLOCK), np.float32)
        for t in range(voltage.shape[1] - 1, 0, -1):
            y[POLES] = ZERO
            if t % substeps == 0:
                y[POLES, :lanes] = outer[row, t // substeps]
            # Copied in and out, because LLVM cannot prove these rows apart from the local ones.
            v[:lanes] = voltage[row, t]
            for n in range(lanes):
                d = decay * y[3, n] + y[POLES, n]
                c = decay * y[2, n] + share * (y[3, n] + d)
                b = decay * y[1, n] + share * (y[2, n] + c)
                a = decay * y[0, n] + share * (y[1, n] + b)
                to_s = share * (y[0, n] + a) + weights[0]
                s = (v[n] - threshold) * gain
                beyond = max(v[n] - limit, ZERO) + min(v[n] + limit, ZERO)
                through = to_s * gain if (s >= ZERO) & (s <= ONE) else ZERO
                g[n] = through + np.float32(2.0) * weights[1] * beyond
                y[0, n], y[1, n], y[2, n], y[3, n] = a, b, c, d
            inward[row, t] = g[:lanes]
        for n in range(lanes):
            s = (voltage[row, 0, n] - threshold) * gain
            inward[row, 0, n] = share * y[0, n] * gain if (s >= ZERO) & (s <= ONE) else ZERO


class _Observe(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, voltage: Tensor, synapse: Synapse, tau: float, step: float, substeps: int, limit: float
    ) -> tuple[Tensor, Tensor]:
        rows, steps, lanes = voltage.shape
        features = torch.empty((rows, (steps - 1) // substeps + 1, lanes), dtype=torch.float32)
        sums = torch.empty((rows, 2, lanes), dtype=torch.float32)
        gain = 1 / (synapse.saturation - synapse.threshold)
        numbers = (np.float32(c) for c in (synapse.threshold, gain, limit, np.exp(-step / tau)))
        constants = (*numbers, substeps)
        in_threads(
            _observe, rows, lanes, voltage.detach().contiguous().numpy(), *constants, features.numpy(), sums.numpy()
        )
        ctx.save_for_backward(voltage)
        ctx.constants = constants
        return features, sums.sum((0, 2)) / (rows * (steps - 1) * lanes)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (voltage,) = ctx.saved_tensors
        rows, steps, lanes = voltage.shape
        inward = torch.empty_like(voltage, memory_format=torch.contiguous_format)
        weights = (outer[1] / (rows * (steps - 1) * lanes)).numpy()
        arrays = (outer[0].contiguous().numpy(), weights, inward.numpy())
        in_threads(_adjoint, rows, lanes, voltage.detach().contiguous().numpy(), *ctx.constants, *arrays)
        return inward, None, None, None, None, None


def observe(
    voltage: Tensor, synapse: Synapse, tau: float, step: float, substeps: int, limit: float = 3.2
) -> Observation:
    """Features at every sample, activity and excess of voltages (B, steps + 1, N) every `step` tau_m."""
    blocks = [
        _Observe.apply(part, synapse, tau, step, substeps, limit)  # type: ignore[no-untyped-call]
        for part in torch.split(voltage, BLOCK, -1)
    ]
    if len(blocks) == 1:
        features, means = cast(tuple[Tensor, Tensor], blocks[0])
    else:
        shares = [part.shape[-1] / voltage.shape[-1] for part, _ in blocks]
        features = torch.cat([part for part, _ in blocks], -1)
        means = torch.stack([share * mean for share, (_, mean) in zip(shares, blocks, strict=True)]).sum(0)
    return Observation(features, means[0], means[1])
