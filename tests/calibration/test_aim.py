"""The model's rates along a course are those by which it is integrated."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.calibration.aim import rates
from mtc_hw.course import Course
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.neuron_file import Initial
from mtc_hw.simulate.ode import SampledCurrent, integrate

STEP = 1e-3


@pytest.mark.parametrize("faithful", [False, True])
def test_rates_are_the_first_step_of_an_integration(mapped, network, faithful):
    target = dataclasses.replace(network, input_curve=network.neurons.leak_curve)
    if faithful:
        target = as_cells(mapped(target))
        still = dataclasses.replace(target.neurons.cells, lag=np.zeros((3, 4)))
        target = dataclasses.replace(target, neurons=dataclasses.replace(target.neurons, cells=still))
    rng = np.random.default_rng(2)
    voltage, inputs = rng.uniform(-3.0, 2.0, (5, 4)), rng.normal(size=(5, 2, 4))
    filtered = rng.uniform(-2.0, 1.0, (3, 5, 4))
    filtered[0] = np.where(target.neurons.tau[0] > 0.0, filtered[0], voltage)
    membrane, filters = rates(target, Course(voltage, filtered, inputs))
    for point in range(5):
        felt = target.input_curve(inputs[point])
        current = target.bias + np.einsum("in,ni->n", felt, target.weights)
        starts = [
            Initial(voltage=voltage[point, i], fast=filtered[0, point, i], slow=s, ultraslow=u)
            for i, (s, u) in enumerate(filtered[1:, point].T)
        ]
        held = SampledCurrent(np.repeat(current[None], 2, axis=0), STEP)
        run = integrate(target.neurons, held, STEP, starts, spacing=STEP, rtol=1e-12, atol=1e-12)
        assert membrane[point] == pytest.approx((run.voltage[-1] - voltage[point]) / STEP, abs=0.02)
        heard = (target.neurons.alpha[1:3] > 0.0).any(axis=0)
        slow = (run.slow[-1] - filtered[1, point]) / STEP
        assert filters[1, point][heard] == pytest.approx(slow[heard], abs=1e-3)


def test_a_filter_that_nothing_listens_to_stands_still(network):
    course = Course(np.ones((1, 4)), np.zeros((3, 1, 4)), np.zeros((1, 2, 4)))
    _, filters = rates(network, course)
    assert filters[2, 0, 0] == 0.0 and filters[1, 0, 0] > 0.0
