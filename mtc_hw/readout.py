"""The one readout: synapse, four-pole low-pass and linear map, for software traces and circuit waveforms alike."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtc_hw.errors import DataError, SpecError
from mtc_hw.rounding import Index, round_in_turn
from mtc_hw.spec import AnySynapse, Readout

Array = NDArray[np.float64]

Nearest = Callable[[Index, Array], Array]
"""What a converter has next to weights: their numbers, one for each output, and their values to the values it has."""

FULL_SCALES = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4)
"""Shares of a readout's largest weight that are tried as full scale of its converter."""

POLES = 4
"""Equal one-pole stages in the low-pass."""


def lowpass(signal: ArrayLike, step: float, tau: float) -> Array:
    """Four cascaded poles tau dy/dt = x - y, all zero at first, of a (T, N) signal every `step` (both in tau_m).

    Every pole is exact for an input that, within a step, is constant at the mean of the step's ends.
    """
    if not (step > 0 and tau > 0):
        raise SpecError(f"low-pass step is {step:g} and tau {tau:g} tau_m; both must be > 0")
    from scipy.signal import lfilter  # half a second, for each worker process

    decay = float(np.exp(-step / tau))
    gain = (1.0 - decay) / 2.0
    y = np.asarray(signal, dtype=np.float64)
    for _ in range(POLES):
        # The filter's memory cancels the first sample's own share, so that y[0] = 0.
        y, _ = lfilter([gain, gain], [1.0, -decay], y, axis=0, zi=-gain * y[:1])
    return np.asarray(y)


def features(voltage: ArrayLike, step: float, synapse: AnySynapse, tau: float) -> Array:
    """Low-passed synapse output at every sample of a (T, N) voltage sampled every `step` tau_m: (T, N)."""
    v = np.asarray(voltage, dtype=np.float64)
    if v.ndim != 2:
        raise DataError(f"voltage has shape {v.shape}, expected (T, N)")
    return lowpass(synapse(v), step, tau)


def fit_readout(features: ArrayLike, target: ArrayLike, tau: float, ridge: float = 1e-6) -> Readout:
    """Least-squares readout of (T, N) features onto a (T,) or (T, outputs) target.

    `ridge` is the penalty on squared weights, per sample; `tau` the low-pass's, that the readout records.
    """
    x, t = np.asarray(features, dtype=np.float64), np.asarray(target, dtype=np.float64)
    t = t[:, None] if t.ndim == 1 else t
    if len(x) != len(t):
        raise DataError(f"{len(x)} samples of features for {len(t)} of the target; they must be as many")
    from sklearn.linear_model import Ridge  # half a second, for each worker process

    model = Ridge(alpha=ridge * len(x)).fit(x, t)
    return Readout(np.reshape(model.coef_, (t.shape[1], x.shape[1])), np.reshape(model.intercept_, (-1,)), tau)


def rounded_readout(
    readout: Readout, features: ArrayLike, target: ArrayLike, grids: Sequence[Nearest], ridge: float = 1e-6
) -> tuple[Readout, int]:
    """The readout with weights that a converter has, and which of the `grids` it is on: the one that loses least.

    Grids differ in their full scale: few large weights would else take the resolution of all. One weight after the
    other is rounded, the largest first, and the rest take over what it lost.
    """
    x, t = np.asarray(features, dtype=np.float64), np.asarray(target, dtype=np.float64)
    t = t[:, None] if t.ndim == 1 else t
    centred = x - x.mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred + ridge * len(x) * np.eye(x.shape[1]))
    order = np.argsort(-np.abs(readout.weights), axis=1)
    each = np.repeat(inverse[None], len(order), axis=0)
    tried = [round_in_turn(readout.weights, each, nearest, order) for nearest in grids]
    lost = [float(np.square(centred @ weights.T - (t - t.mean(axis=0))).sum()) for weights in tried]
    best = int(np.argmin(lost))
    return Readout(tried[best], t.mean(axis=0) - tried[best] @ x.mean(axis=0), readout.tau), best


def even_grids(readout: Readout, bits: int) -> list[Nearest]:
    """Those of a signed converter of so many bits whose full scale is the largest weight, or a share of it."""
    top = 2.0 ** (bits - 1) - 1
    # One converter serves all outputs, so all share its step.
    largest = float(np.abs(readout.weights).max())
    return [_on_grid(share * largest / top, top) for share in FULL_SCALES]


def _on_grid(lsb: float, top: float) -> Nearest:
    return lambda _, weight: np.asarray(lsb * np.clip(np.rint(weight / lsb), -top, top))


def predict(features: ArrayLike, readout: Readout) -> Array:
    """weights @ features + offset at every sample: (T, outputs)."""
    return np.asarray(np.asarray(features) @ readout.weights.T + readout.offset)
