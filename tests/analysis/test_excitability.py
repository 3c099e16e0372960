"""I-V curves: closed forms, the sum of elements, and the shapes that Ribar and Sepulchre ask for."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.analysis.excitability import bursters, falling, iv_curves
from mtc_hw.neuron_file import load_neuron

V = np.linspace(-3.0, 3.0, 25)


def test_without_elements_the_current_is_the_leak_s():
    neurons = load_neuron("tonic").neurons
    bare = dataclasses.replace(neurons, alpha=np.zeros((4, 1)), rest=np.array([0.5]), leak=np.array([2.0]))
    assert iv_curves(bare, V)[:, :, 0] == pytest.approx(np.tile(2.0 * (V - 0.5), (3, 1)))


def test_each_timescale_adds_its_elements():
    neurons = load_neuron("bursting").neurons
    fast, slow, ultraslow = iv_curves(neurons, V)[:, :, 0]
    a, d = neurons.alpha[:, 0], neurons.delta[:, 0]
    assert fast == pytest.approx(V - a[0] * np.tanh(V - d[0]))
    assert slow - fast == pytest.approx(a[1] * np.tanh(V - d[1]) - a[2] * np.tanh(V - d[2]))
    assert ultraslow - slow == pytest.approx(a[3] * np.tanh(V - d[3]))


@pytest.mark.parametrize(("name", "shape"), [("tonic", [True, False, False]), ("bursting", [True, True, False])])
def test_a_preset_has_the_shape_of_its_behaviour(name, shape):
    assert falling(load_neuron(name).neurons)[:, 0].tolist() == shape


def test_a_burster_is_known_by_its_slow_negative_element():
    assert [bool(bursters(load_neuron(name).neurons)[0]) for name in ("tonic", "bursting")] == [False, True]
