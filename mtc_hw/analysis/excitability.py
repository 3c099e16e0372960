"""Steady-state I-V curves, one a timescale: a neuron is excitable where its current falls as the voltage rises."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtc_hw.spec import ELEMENT_FILTER, FILTERS, SIGNS, Array, Neurons

RANGE = (-4.0, 4.0)  # unit voltages; spikes swing from about -3 to 3
POINTS = 401


def iv_curves(neurons: Neurons, voltage: ArrayLike) -> Array:
    """Current that the membrane draws once every filter as fast as x, or faster, has settled at V: (3, V, N).

        I_x(V) = g L(V - V_rest) - sum_{j: filter of j not slower than x} sign_j alpha_j tanh(V + o_j - delta_j)

    x is fast, slow, ultraslow; L, sign and o as in `Neurons`. Positive current leaves the membrane, so a curve that
    meets the input current while rising is an equilibrium that is stable at that timescale. The filters count in the
    order of `FILTERS`, whatever the time constants: an absent element's one may be anything. An instantaneous fast
    filter has no offset. Ribar and Sepulchre, IEEE TCAS-I 66(8), 2019.
    """
    v = np.asarray(voltage, dtype=np.float64)[:, None]  # (V, 1)
    lost = v - neurons.rest
    current = neurons.leak * (lost if neurons.leak_curve is None else neurons.leak_curve(lost))
    offset = np.where(neurons.tau > 0.0, neurons.offset, 0.0)
    curves = []
    for x in range(len(FILTERS)):
        for j in (j for j, own in enumerate(ELEMENT_FILTER) if own == x):
            current = current - SIGNS[j] * neurons.alpha[j] * np.tanh(v + offset[x] - neurons.delta[j])
        curves.append(current)
    return np.stack(curves)


def falling(neurons: Neurons) -> NDArray[np.bool_]:
    """Whether each I-V curve falls anywhere in `RANGE`, that is, is N-shaped: (3, N).

    Spiking wants the fast curve alone to fall, bursting the fast and the slow one, and rest beside spiking is
    bistable where the ultraslow one falls as well. Ribar and Sepulchre 2019.
    """
    curves = iv_curves(neurons, np.linspace(*RANGE, POINTS))
    return np.asarray((np.diff(curves, axis=1) < 0.0).any(axis=1))


def bursters(neurons: Neurons) -> NDArray[np.bool_]:
    """Which neurons have the slow negative element, without which none bursts: (N,)."""
    return np.asarray(neurons.alpha[2] > 0.0)
