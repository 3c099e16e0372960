"""How good and how sparse a network's answer is: numpy only, for software and circuit alike."""

import numpy as np
from numpy.typing import ArrayLike

from mtc_hw.errors import DataError


def r2(prediction: ArrayLike, target: ArrayLike) -> float:
    """Coefficient of determination 1 - sum (y - t)^2 / sum (t - mean t)^2, over all samples.

    Raises DataError when the shapes differ or the target is constant.
    """
    y, t = np.asarray(prediction, float), np.asarray(target, float)
    if y.shape != t.shape:
        raise DataError(f"prediction has shape {y.shape} and target {t.shape}; they must be equal")
    spread = float(((t - t.mean()) ** 2).sum())
    if spread == 0.0:
        raise DataError("R2 is undefined for a constant target; give a series that varies")
    return 1.0 - float(((y - t) ** 2).sum()) / spread


def s_comp(synapse: ArrayLike) -> float:
    """Computational sparsity: 1 - the fraction of neuron-samples with s > 0; s is (T, N)."""
    return 1.0 - float((np.asarray(synapse) > 0).mean())


def s_comm(synapse: ArrayLike) -> float:
    """Communication sparsity: 1 - events / (N T), an event being a rising edge of s from zero; time first."""
    active = np.asarray(synapse) > 0
    return 1.0 - float((active[1:] & ~active[:-1]).sum()) / active.size


def silent(synapse: ArrayLike) -> int:
    """How many neurons never reach s > 0; `synapse` is (T, N)."""
    return int((~(np.asarray(synapse) > 0).any(axis=0)).sum())
