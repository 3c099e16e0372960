"""Arithmetic of one neuron in one split step and its adjoint, inlined into the loops of `model.kernel`. float32 only.

Tanh is a rational function, so that LLVM vectorises it; quotients that are ready together share one division. Numba's
cache on disk watches the callers' files only: after an edit here, remove the `.nbi` files beside this one.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float32]
Scalar = np.float32
Law = tuple[np.float32, np.float32] | None
"""k and tanh(k d)^2 of a `spec.Curve`; None, known at compile time, for the identity."""

F = TypeVar("F", bound=Callable[..., object])

# Without reassoc: it would let the sums, and so the results, differ from one CPU to the next.
FLAGS = {"contract", "nnan", "ninf", "nsz", "arcp"}

# tanh(x) = x P(x^2) / Q(x^2) on [-7.9, 7.9], Q(0) = 1: least squares of x P - tanh(x) Q on 600 Chebyshev nodes, each
# round weighted by 1 / Q of the round before and by Lawson's (|error| / max + 0.02)^0.3, 40 rounds: 5e-9 in float64.
P0, P1, P2, P3, P4 = (
    np.float32(c) for c in (9.999999736e-01, 1.344449079e-01, 3.571742299e-03, 2.190417885e-05, 1.526075034e-08)
)
Q1, Q2, Q3, Q4 = (np.float32(c) for c in (4.677781299e-01, 2.616458917e-02, 3.411818706e-04, 8.530981750e-07))
EDGE = np.float32(7.9)
ZERO, HALF, ONE, TWO, THREE, FOUR = (np.float32(c) for c in (0.0, 0.5, 1.0, 2.0, 3.0, 4.0))
# 1 / (n + 1)! of phi1, and Bernoulli numbers over factorials for phi1' / phi1
H1, H2, H3, H4, H5, H6, H7, H8, H9 = (np.float32(1.0 / np.prod(np.arange(1.0, n + 1.0))) for n in range(2, 11))
B1, B3, B5, B7, B9 = (np.float32(c) for c in (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160))

# Rows of the packed parameters: alpha and delta of the four elements, then these.
HALF_SLOW, HALF_ULTRASLOW = 8, 9  # h / (2 tau)
SHARE_SLOW, SHARE_ULTRASLOW = (
    10,
    11,
)  # of the way that a filter goes in a step: 1 - exp(-h / tau), or h / tau if curved
OFFSET_SLOW, OFFSET_ULTRASLOW, LEAK, REST = 12, 13, 14, 15
RATE_SLOW, RATE_ULTRASLOW = 16, 17  # derivative of the share with respect to 1 / tau
PACKED = 18


def inline(function: F) -> F:
    """The function, compiled into its callers."""
    return cast(F, njit(forceinline=True, fastmath=FLAGS, error_model="numpy")(function))


@inline
def ratio(x: Scalar) -> tuple[Scalar, Scalar]:
    """Numerator and denominator of tanh(x)."""
    x = min(max(x, -EDGE), EDGE)
    y = x * x
    return x * (P0 + y * (P1 + y * (P2 + y * (P3 + y * P4)))), ONE + y * (Q1 + y * (Q2 + y * (Q3 + y * Q4)))


@inline
def tanh(x: Scalar) -> Scalar:
    p, q = ratio(x)
    return p / q


@inline
def phi1(z: Scalar) -> Scalar:
    """(e^z - 1) / z."""
    low = ONE + z * (H1 + z * (H2 + z * (H3 + z * (H4 + z * H5))))
    cube = z * z * z
    return low + cube * cube * (H6 + z * (H7 + z * (H8 + z * H9)))


@inline
def psi(z: Scalar) -> Scalar:
    """phi1'(z) / phi1(z)."""
    y = z * z
    return HALF + z * (B1 + y * (B3 + y * (B5 + y * (B7 + y * B9))))


@inline
def law_parts(x: Scalar, law: Law) -> tuple[Scalar, Scalar, Scalar]:
    """p, q and the denominator q^2 - b p^2 of G = tanh(k x) / (k (1 - b tanh(k x)^2)), tanh(k x) = p / q.

    The sum of two shifted tanh of `spec.Curve` in one quotient, by their addition theorem.
    """
    if law is None:
        return x, ONE, ONE
    p, q = ratio(law[0] * x)
    return p, q, q * q - law[1] * p * p


@inline
def law_value(p: Scalar, q: Scalar, inverse: Scalar, law: Law) -> Scalar:
    """G, from the parts and the reciprocal of their denominator."""
    if law is None:
        return p
    return p * q * inverse / law[0]


@inline
def law_slope(p: Scalar, q: Scalar, inverse: Scalar, law: Law) -> Scalar:
    """G'."""
    if law is None:
        return ONE
    pp, qq = p * p, q * q
    return (qq - pp) * (qq + law[1] * pp) * inverse * inverse


@inline
def law_bend(p: Scalar, q: Scalar, inverse: Scalar, law: Law) -> Scalar:
    """G''."""
    if law is None:
        return ZERO
    k, b = law
    pp, qq = p * p * inverse, q * q * inverse
    return TWO * k * p * q * inverse * (qq - pp) * (THREE - b - FOUR * (ONE - b) * qq)


@inline
def start(v: Scalar, s: Scalar, u: Scalar, par: Array, n: int, leak: Law, follower: Law) -> tuple[Scalar, ...]:
    """At the step's start: gate of the fast element; loss, its slope and bend; the filters' drives and slopes."""
    a, b = ratio(v - par[4, n])
    lp, lq, ld = law_parts(v - par[REST, n], leak)
    sp, sq, sd = law_parts(v - s + par[OFFSET_SLOW, n], follower)
    up, uq, ud = law_parts(v - u + par[OFFSET_ULTRASLOW, n], follower)
    first, second = b * ld, sd * ud
    inverse = ONE / (first * second)
    outer, inner = inverse * second, inverse * first
    li, si, ui = outer * b, inner * ud, inner * sd
    return (
        a * ld * outer,
        law_value(lp, lq, li, leak),
        law_slope(lp, lq, li, leak),
        law_bend(lp, lq, li, leak),
        law_value(sp, sq, si, follower),
        law_slope(sp, sq, si, follower),
        law_value(up, uq, ui, follower),
        law_slope(up, uq, ui, follower),
    )


@inline
def elements(slow: Scalar, ultraslow: Scalar, par: Array, n: int) -> tuple[Scalar, Scalar, Scalar]:
    """tanh of the three elements behind a filter."""
    a, b = ratio(slow - par[5, n])
    c, d = ratio(slow - par[6, n])
    e, f = ratio(ultraslow - par[7, n])
    inverse = ONE / (b * d * f)
    return a * d * f * inverse, c * b * f * inverse, e * b * d * inverse


@inline
def followers(x: Scalar, y: Scalar, law: Law) -> tuple[Scalar, Scalar, Scalar, Scalar]:
    """Value and slope of the filters' law at x and at y."""
    a, b, c = law_parts(x, law)
    d, e, f = law_parts(y, law)
    inverse = ONE / (c * f)
    i, j = inverse * f, inverse * c
    return law_value(a, b, i, law), law_slope(a, b, i, law), law_value(d, e, j, law), law_slope(d, e, j, law)


@inline
def advance(
    v: Scalar, s: Scalar, u: Scalar, current: Scalar, par: Array, n: int, step: Scalar, leak: Law, follower: Law
) -> tuple[Scalar, Scalar, Scalar]:
    """Membrane, slow and ultraslow filter after one split step: `model.mtc.split_step`."""
    gate, loss, conductance, _, fs, _, fu, _ = start(v, s, u, par, n, leak, follower)
    slow, ultraslow = s + par[HALF_SLOW, n] * fs, u + par[HALF_ULTRASLOW, n] * fu
    plus, minus, last = elements(slow, ultraslow, par, n)
    flow = current - par[LEAK, n] * loss + par[0, n] * gate - par[1, n] * plus + par[2, n] * minus - par[3, n] * last
    z = step * (par[0, n] * (ONE - gate * gate) - par[LEAK, n] * conductance)
    after = v + step * phi1(z) * flow
    mean = HALF * (v + after)
    if follower is None:
        slow, ultraslow = s, u
    ys, _, yu, _ = followers(mean - slow + par[OFFSET_SLOW, n], mean - ultraslow + par[OFFSET_ULTRASLOW, n], follower)
    return after, s + par[SHARE_SLOW, n] * ys, u + par[SHARE_ULTRASLOW, n] * yu


@inline
def adjoin(
    state: Array, back: Array, sums: Array, par: Array, n: int, step: Scalar, leak: Law, follower: Law
) -> Scalar:
    """Pull the adjoint `back` (membrane, slow, ultraslow) through one step; return the current's gradient.

    Rows of `state`: these three before the step, the membrane after it, and the loss gradient of that. Adds to the
    sums for alpha, delta and 1 / tau.
    """
    v, s, u, after, outer = state[0, n], state[1, n], state[2, n], state[3, n], state[4, n]
    gate, _, conductance, bend, fs, fs1, fu, fu1 = start(v, s, u, par, n, leak, follower)
    slow, ultraslow = s + par[HALF_SLOW, n] * fs, u + par[HALF_ULTRASLOW, n] * fu
    plus, minus, last = elements(slow, ultraslow, par, n)
    mean = HALF * (v + after)
    from_s, from_u = (s, u) if follower is None else (slow, ultraslow)
    ys, ys1, yu, yu1 = followers(
        mean - from_s + par[OFFSET_SLOW, n], mean - from_u + par[OFFSET_ULTRASLOW, n], follower
    )
    bs, bu = back[1, n], back[2, n]
    es, eu = bs * par[SHARE_SLOW, n] * ys1, bu * par[SHARE_ULTRASLOW, n] * yu1
    half = HALF * (es + eu)
    a = back[0, n] + outer + half
    keep = ONE - gate * gate
    z = step * (par[0, n] * keep - par[LEAK, n] * conductance)
    # h phi1 f is the step that the forward made, so phi1' needs neither the flow nor the current.
    flow, zeta = a * step * phi1(z), step * a * (after - v) * psi(z)
    through = par[0, n] * keep * (flow - TWO * zeta * gate)
    e1 = flow * par[1, n] * (ONE - plus * plus)
    e2 = flow * par[2, n] * (ONE - minus * minus)
    e3 = flow * par[3, n] * (ONE - last * last)
    to_slow, to_ultraslow = e2 - e1, -e3
    if follower is None:
        bs, bu = bs - es, bu - eu
    else:
        to_slow, to_ultraslow = to_slow - es, to_ultraslow - eu
    xs, xu = to_slow * par[HALF_SLOW, n] * fs1, to_ultraslow * par[HALF_ULTRASLOW, n] * fu1
    sums[8, n] += par[RATE_SLOW, n] * back[1, n] * ys + HALF * step * to_slow * fs
    sums[9, n] += par[RATE_ULTRASLOW, n] * back[2, n] * yu + HALF * step * to_ultraslow * fu
    back[0, n] = a + half + through - par[LEAK, n] * (flow * conductance + zeta * bend) + xs + xu
    back[1, n] = bs + to_slow - xs
    back[2, n] = bu + to_ultraslow - xu
    sums[0, n] += flow * gate + zeta * keep
    sums[1, n] -= flow * plus
    sums[2, n] += flow * minus
    sums[3, n] -= flow * last
    sums[4, n] -= through
    sums[5, n] += e1
    sums[6, n] -= e2
    sums[7, n] += e3
    return np.float32(flow)
