"""Least squares over converter codes: one value after the other is rounded, and the rest take over what it lost."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def round_in_turn(values: Array, inverse: Array, nearest: Callable[[Index, Array], Array], order: Index) -> Array:
    """The values that converters have, near the least-squares solutions `values` (B, K) and best together.

    B problems side by side: `inverse` (B, K, K) are the inverses of the normal matrices, `nearest(i, value)` what the
    converters of values i (B,), one of each problem, have next to them, and `order` (B, K) whose turn it is.
    Hassibi and Stork's optimal brain surgeon (NIPS 1992), applied to rounding.
    """
    v, inverse = values.copy(), inverse.copy()
    problem = np.arange(len(v))
    for i in order.T:
        code = nearest(i, v[problem, i])
        column = inverse[problem, :, i] / inverse[problem, i, i][:, None]
        v -= (v[problem, i] - code)[:, None] * column
        v[problem, i] = code
        # What is left of the covariance once this value is fixed; its own row and column become zero.
        inverse -= column[:, :, None] * inverse[problem, i][:, None, :]
        inverse[problem, i, i] = 1.0
    return v
