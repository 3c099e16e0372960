"""Courses of neurons under their own stimulus and of networks on their task, for calibration."""

import numpy as np

from mtc_hw.course import Course, course_of
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import Split
from mtc_hw.neuron_file import NeuronFile
from mtc_hw.simulate.ode import integrate
from mtc_hw.spec import Array, ModelSpec

SETTLE = 250.0  # tau_m that only bring a network into step
SAMPLES = 1000  # of the training part
SHORTEST, LONGEST = 600.0, 2e4  # tau_m of a neuron's course
SLOWEST = 6.0  # times the longest time constant: two bursts of a burster


def neuron_course(neuron: NeuronFile) -> Course:
    """A free neuron's course, from its start, long enough for its slowest filter."""
    used = neuron.neurons.tau[:, 0][[0, 1, 1, 2]][neuron.neurons.alpha[:, 0] > 0]
    duration = float(np.clip(SLOWEST * used.max(initial=0.0), SHORTEST, LONGEST))
    trace = integrate(neuron.neurons, neuron.stimulus, duration, neuron.initial, rtol=1e-7, atol=1e-7, spacing=0.25)
    grid = np.arange(0.0, duration, 0.25)
    voltage = np.interp(grid, trace.time, trace.voltage[:, 0])[:, None]
    return course_of(neuron.neurons, voltage, 0.25, np.empty((len(grid), 0)))


def network_course(spec: ModelSpec, inputs: Array) -> Course:
    """A network's course over standardised inputs (T, inputs), one row a sample."""
    trace = run_spec(spec, inputs).trace
    step = float(trace.time[1])
    sample = np.arange(len(inputs)) * trace.time[-1] / (len(inputs) - 1)
    driven = np.stack([np.interp(trace.time, sample, column) for column in inputs.T], axis=1)
    return course_of(spec.neurons, trace.voltage, step, driven, SETTLE)


def task_course(spec: ModelSpec, split: Split) -> Course:
    """A network's course over the end of its training part."""
    return network_course(spec, split.train.inputs[-SAMPLES:, None])
