"""Functions as polynomials of recorded operations."""

from collections.abc import Sequence
from itertools import zip_longest

from mtc_hw.formula.node import Node, node

PHI1 = (
    9.999999772e-01,
    4.999997929e-01,
    1.666669869e-01,
    4.166800773e-02,
    8.332680090e-03,
    1.386621979e-03,
    1.987686530e-04,
    2.618983659e-05,
    2.755136045e-06,
)
"""(e^z - 1) / z on [-1.5, 1.5] to 4e-8, relative: Lawson's iteration on 600 Chebyshev nodes."""


def polynomial(coefficients: Sequence[float], z: Node) -> Node:
    """c0 + c1 z + c2 z^2 + ..., by Estrin's scheme: in pairs, whose results are a polynomial of z^2.

    It takes a few operations more than Horner's, but half of its time: they wait for one another less. The largest
    term is added last, for the last digit.
    """
    first, *terms = [node(c) for c in coefficients]
    power = z
    while len(terms) > 1:
        terms = [low + high * power for low, high in zip_longest(terms[::2], terms[1::2], fillvalue=node(0.0))]
        power = power * power
    return terms[0] * z + first


def phi1(z: Node) -> Node:
    """(e^z - 1) / z, to 1e-7 for |z| <= 3: from its value at half of z."""
    half = 0.5 * z
    value = polynomial(PHI1, half)
    return value * (0.5 * half * value + 1.0)
