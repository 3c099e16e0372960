"""A chip's readout refitted on few samples: the trained weights are where the new ones are expected."""

import numpy as np
from numpy.typing import ArrayLike

from mtc_hw.errors import DataError
from mtc_hw.spec import Array, Readout

STRENGTHS = np.logspace(-5.0, 3.0, 33)
"""Penalties on squared changes of weights that are tried, per sample, of features whose mean variance is one."""

BLOCKS = 8
"""Stretches of the series, each of which is left out once: neighbouring samples are much alike."""


def fit_readout_near(trained: Readout, features: ArrayLike, target: ArrayLike) -> Readout:
    """The readout of (T, N) features onto a (T,) or (T, outputs) target whose weights are nearest to the trained.

    Ridge regression of what the trained weights leave; its strength is the one that predicts left-out stretches of
    these samples best. All features have one unit: each in its own spread, one that hardly moves here could get a
    large weight and ruin what comes later. Raises DataError for too few samples to leave any out, and for those that
    are not finite.
    """
    x, t = np.asarray(features, dtype=np.float64), np.asarray(target, dtype=np.float64)
    t = t[:, None] if t.ndim == 1 else t
    if len(x) != len(t) or len(x) < 2 * BLOCKS:
        raise DataError(
            f"{len(x)} samples of features for {len(t)} of the target; give as many, {2 * BLOCKS} or more"
        )
    if not (np.isfinite(x).all() and np.isfinite(t).all()):
        raise DataError("a feature or target of the refit is not finite; leave out what could not be measured")
    unit = float(np.sqrt(x.var(axis=0).mean())) or 1.0
    z, left = (x - x.mean(axis=0)) / unit, t - x @ trained.weights.T
    change = _ridge(z, left, STRENGTHS[[_strength(z, left)]])[0]
    weights = trained.weights + change.T / unit
    return Readout(weights, t.mean(axis=0) - weights @ x.mean(axis=0), trained.tau)


def _ridge(z: Array, left: Array, strengths: Array) -> Array:
    """Changes of the weights at each strength, (strengths, N, outputs); a constant goes free."""
    centred = z - z.mean(axis=0)
    value, vector = np.linalg.eigh(centred.T @ centred / len(z))
    pull = vector.T @ (centred.T @ (left - left.mean(axis=0)) / len(z))
    return np.asarray(vector @ (pull / (np.maximum(value, 0.0)[:, None] + strengths[:, None, None])))


def _strength(z: Array, left: Array) -> int:
    """Index of the strength whose fits predict the blocks that they have not seen best."""
    lost = np.zeros(len(STRENGTHS))
    for out in np.array_split(np.arange(len(z)), BLOCKS):
        kept = np.ones(len(z), bool)
        kept[out] = False
        change = _ridge(z[kept], left[kept], STRENGTHS)
        offset = left[kept].mean(axis=0) - z[kept].mean(axis=0) @ change  # (strengths, outputs)
        lost += np.square(left[out] - z[out] @ change - offset[:, None]).sum(axis=(1, 2))
    return int(np.argmin(lost))
