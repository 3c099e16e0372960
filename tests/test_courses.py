"""Courses of neurons and networks as they are used: long enough, settled, with the inputs of the moment."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.course import POINTS
from mtc_hw.courses import LONGEST, SAMPLES, SETTLE, SHORTEST, network_course, neuron_course, task_course
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.neuron_file import load_neuron


@pytest.mark.parametrize("name", ["tonic", "bursting", "silent"])
def test_a_neuron_s_course_goes_where_the_neuron_goes(name):
    course = neuron_course(load_neuron(name))
    assert course.voltage.shape == (POINTS, 1) and course.inputs.shape == (POINTS, 0, 1)
    assert (course.voltage.max() > 1.0) == (name != "silent")
    assert np.isfinite(course.filtered).all()


def test_a_course_lasts_as_long_as_the_slowest_filter_that_is_used(monkeypatch):
    asked = []

    def recorded(neurons, stimulus, duration, *rest, **options):
        asked.append(duration)
        return integrate(neurons, stimulus, min(duration, 50.0), *rest, **options)

    from mtc_hw import courses

    integrate = courses.integrate
    monkeypatch.setattr(courses, "integrate", recorded)
    file = load_neuron("tonic")
    used = file.neurons.tau.copy()
    for tau in (1.0, 500.0, 1e5):
        used[1] = tau
        neuron_course(dataclasses.replace(file, neurons=dataclasses.replace(file.neurons, tau=used)))
    assert asked == [SHORTEST, 3000.0, LONGEST]


def test_a_network_s_course_is_states_of_its_run_with_the_inputs_of_that_moment(small_network):
    split = mackey_glass_split(2000, 1000)
    inputs = split.test.inputs[:600, None]
    trace, course = run_spec(small_network, inputs).trace, network_course(small_network, inputs)
    count = small_network.neurons.count
    assert course.voltage.shape == (POINTS, count) and course.inputs.shape == (POINTS, 1, count)
    expected = np.interp(trace.time, np.arange(600.0) * trace.time[-1] / 599.0, inputs[:, 0])
    settled = trace.time >= SETTLE
    for lane in range(count):
        states = np.stack([trace.voltage[settled, lane], expected[settled]], axis=1)
        seen = np.stack([course.voltage[:, lane], course.inputs[:, 0, lane]], axis=1)
        distance = np.abs(seen[:, None] - states[None]).max(axis=2).min(axis=1)
        assert distance.max() < 1e-9


def test_a_task_s_course_is_over_the_end_of_its_training_part(small_network):
    split = mackey_glass_split(2000, 1000)
    course = task_course(small_network, split)
    last = split.train.inputs[-SAMPLES:]
    assert len(last) == SAMPLES
    same = network_course(small_network, last[:, None])
    assert np.array_equal(course.voltage, same.voltage) and np.array_equal(course.inputs, same.inputs)
    assert last[round(SETTLE) :].min() <= course.inputs.min() and course.inputs.max() <= last.max()
