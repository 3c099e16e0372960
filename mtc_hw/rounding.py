"""Least squares over converter codes: one value after the other is rounded, and the rest take over what it lost."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def round_in_turn(
    values: Array, inverse: Array, nearest: Callable[[int, float], float], order: Sequence[int] | NDArray[np.int_]
) -> Array:
    """The values that converters have, near the least-squares solution `values` (K,) and best together.

    `inverse` (K, K) is the inverse of the normal matrix, `nearest(i, value)` what value i's converter has next to it.
    Hassibi and Stork's optimal brain surgeon (NIPS 1992), applied to rounding.
    """
    v, inverse = values.copy(), inverse.copy()
    for i in order:
        code = nearest(int(i), float(v[i]))
        column = inverse[:, i] / inverse[i, i]
        v -= (v[i] - code) * column
        v[i] = code
        # What is left of the covariance once this value is fixed; its own row and column become zero.
        inverse -= np.outer(column, inverse[i])
        inverse[i, i] = 1.0
    return v
