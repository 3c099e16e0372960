"""The states that a model goes through in use, where its circuit's currents are to be the model's."""

from dataclasses import dataclass

import numpy as np

from mtc_hw.spec import FILTERS, INITIAL_VOLTAGE, Array, Neurons

POINTS = 300
"""States of a course: half of them evenly in time, half evenly along the voltage's way, so that spikes count."""

SPACING = 0.5  # tau_m, of the filters' steps at most


@dataclass(frozen=True, eq=False)
class Course:
    """States of N neurons, each its own, with the inputs at those times."""

    voltage: Array  # (POINTS, N)
    filtered: Array  # (3, POINTS, N): U_fast, U_slow, U_ultraslow
    inputs: Array  # (POINTS, inputs, N)


def course_of(neurons: Neurons, voltage: Array, step: float, inputs: Array, settle: float = 0.0) -> Course:
    """A course out of a run: `voltage` (T, N) every `step` tau_m and `inputs` (T, inputs) at the same times.

    The filters' voltages follow from the membrane's. What comes before `settle`, tau_m, does not count.
    """
    filtered = _filtered(neurons, voltage, step)
    first = min(round(settle / step), len(voltage) - 2)
    kept = np.array([_chosen(column[first:]) + first for column in voltage.T]).T  # (POINTS, N)
    lanes = np.arange(voltage.shape[1])
    driven = np.moveaxis(inputs[kept], 1, 2)
    return Course(voltage[kept, lanes], filtered[:, kept, lanes], driven)


def _filtered(neurons: Neurons, voltage: Array, step: float) -> Array:
    """tau dU/dt = F(V - U + o) by explicit midpoint steps, (3, T, N)."""
    substeps = int(np.ceil(step / SPACING))
    tau = np.where(neurons.tau > 0, neurons.tau, 1.0)[:, None]
    instant = (neurons.tau == 0)[:, None]
    curve = neurons.filter_curve or (lambda x: x)
    state = np.full((len(FILTERS), 1, voltage.shape[1]), INITIAL_VOLTAGE)
    result = np.empty((len(FILTERS), *voltage.shape))
    result[:, 0] = state[:, 0]
    h = step / substeps
    offset = neurons.offset[:, None]
    for k in range(1, len(voltage)):
        for part in range(substeps):
            v = voltage[k - 1] + (part + 0.5) / substeps * (voltage[k] - voltage[k - 1])
            half = state + 0.5 * h / tau * curve(v - state + offset)
            state = state + h / tau * curve(v - half + offset)
        result[:, k] = state[:, 0]
    return np.where(instant, voltage, result)


def _chosen(voltage: Array) -> Array:
    """Indices of a course's states in a voltage (T,)."""
    even = np.linspace(0, len(voltage) - 1, POINTS // 2)
    way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(voltage)))])
    along = np.interp(np.linspace(0.0, way[-1], POINTS - POINTS // 2), way, np.arange(len(voltage)))
    return np.sort(np.rint(np.concatenate([even, along])).astype(int))
