import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw.errors import SpecError
from mtc_hw.spec import (
    ELEMENT_FILTER,
    ELEMENTS,
    FILTERS,
    SIGNS,
    Curve,
    ModelSpec,
    Neurons,
    Readout,
    Synapse,
    frozen,
)


def plain(**changed) -> Neurons:
    usual = {"alpha": np.ones((4, 2)), "delta": np.zeros((4, 2)), "tau": np.tile([[0.0], [50.0], [2500.0]], 2)}
    return Neurons(**(usual | changed))


def spec(**changed) -> ModelSpec:
    readout = Readout(np.ones((1, 2)), np.zeros(1), 20.0)
    usual = {"neurons": plain(), "weights": np.ones((2, 1)), "bias": np.zeros(2), "readout": readout}
    return ModelSpec(**(usual | changed))


def spoilt(shape: tuple[int, ...], where: tuple[int, ...], value: float, usual: float = 1.0) -> np.ndarray:
    array = np.full(shape, usual)
    array[where] = value
    return array


@given(slope=st.floats(0.1, 2.0), shift=st.floats(0.0, 2.0), x=st.floats(-5.0, 5.0))
def test_a_curve_is_odd_and_has_unit_slope_at_zero(slope, shift, x):
    curve = Curve(slope, shift)
    at = np.array([x, -x, 1e-5, -1e-5])
    up, down, right, left = curve(at)
    assert up == pytest.approx(-down, abs=1e-9 * curve.amplitude)
    assert (right - left) / 2e-5 == pytest.approx(1.0, rel=1e-4)


@given(
    slope=st.floats(0.1, 2.0), shift=st.floats(0.0, 2.0), x=st.lists(st.floats(-30.0, 30.0), min_size=2, max_size=9)
)
def test_a_curve_never_falls_and_stays_below_its_saturation(slope, shift, x):
    curve = Curve(slope, shift)
    values = curve(np.sort(x))
    assert (np.diff(values) >= -1e-12 * curve.amplitude).all()
    assert np.abs(values).max() <= 2.0 * curve.amplitude * (1 + 1e-12)


@given(threshold=st.floats(-2.0, 2.0), span=st.floats(0.01, 3.0), voltage=st.floats(-10.0, 10.0))
def test_a_synapse_is_off_below_its_threshold_and_full_above_its_saturation(threshold, span, voltage):
    synapse = Synapse(threshold, threshold + span)
    value = synapse(np.array([voltage]))[0]
    assert 0.0 <= value <= 1.0
    assert voltage > threshold or value == 0.0
    assert voltage < threshold + span * 1.0001 or value == 1.0
    assert synapse(np.array([threshold + span / 2]))[0] == pytest.approx(0.5)


def test_the_four_elements_alternate_in_sign_and_listen_to_three_filters():
    assert len(ELEMENTS) == len(SIGNS) == len(ELEMENT_FILTER) == 4
    assert [FILTERS[row] for row in ELEMENT_FILTER] == ["fast", "slow", "slow", "ultraslow"]
    assert [sign > 0 for sign in SIGNS] == ["negative" in element for element in ELEMENTS]


def test_what_is_omitted_is_neutral():
    neurons = plain()
    assert neurons.leak.tolist() == [1.0, 1.0]
    assert neurons.rest.tolist() == [0.0, 0.0]
    assert neurons.offset.shape == (3, 2) and not neurons.offset.any()


def test_arrays_are_copied_and_cannot_be_written():
    mine = np.ones((4, 2))
    neurons = plain(alpha=mine)
    mine[0, 0] = 7.0
    assert neurons.alpha[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        neurons.alpha[0, 0] = 2.0


def test_taking_a_neuron_takes_its_column():
    neurons = plain(alpha=np.arange(8.0).reshape(4, 2), leak=np.array([1.0, 2.0]))
    one = neurons.take(1)
    assert one.count == 1
    assert one.alpha[:, 0].tolist() == [1.0, 3.0, 5.0, 7.0]
    assert one.leak.tolist() == [2.0]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (
            {"alpha": spoilt((4, 2), (2, 1), -0.5)},
            r"alpha\.slow_negative of neuron 1 is -0\.5; it must be >= 0 \(the ",
        ),
        ({"tau": spoilt((3, 2), (0, 0), -1.0)}, r"tau\.fast of neuron 0 is -1; it must be >= 0 \(0: instantaneous\)"),
        ({"tau": spoilt((3, 2), (2, 1), 0.0)}, r"tau\.ultraslow of neuron 1 is 0; it must be > 0"),
        ({"leak": np.array([1.0, 0.0])}, r"leak of neuron 1 is 0; it must be > 0"),
        ({"delta": spoilt((4, 2), (3, 0), np.nan)}, r"delta\[3, 0\] is nan; every value must be finite"),
        ({"rest": np.zeros(3)}, r"rest has shape \(3,\), expected \(2,\)"),
        ({"delta": np.zeros((3, 2))}, r"delta has shape \(3, 2\), expected \(4, 2\)"),
        ({"alpha": np.zeros((4, 0))}, r"alpha has shape \(4, 0\), expected \(4, N\) with at least one neuron"),
        ({"alpha": np.zeros(4)}, r"alpha has shape \(4,\), expected \(4, N\) with at least one neuron"),
    ],
)
def test_neurons_without_meaning_are_refused(changed, text):
    with pytest.raises(SpecError, match=f"^{text}"):
        plain(**changed)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: Synapse(1.0, 1.0), r"synapse saturation 1 must lie above its threshold 1"),
        (lambda: Synapse(0.0, float("nan")), r"synapse saturation nan must lie above its threshold 0"),
        (
            lambda: Readout(np.ones(2), np.zeros(1), 1.0),
            r"readout weights have shape \(2,\), expected \(outputs, N\)",
        ),
        (lambda: Readout(np.ones((1, 2)), np.zeros(2), 1.0), r"readout offset has shape \(2,\), expected \(1,\)"),
        (lambda: Readout(np.ones((1, 2)), np.zeros(1), 0.0), r"readout tau is 0\.0; it must be finite and > 0"),
        (lambda: spec(weights=np.ones((3, 1))), r"input weights has shape \(3, 1\), expected \(2, 1\)"),
        (lambda: spec(bias=np.array([0.0, np.inf])), r"bias\[1\] is inf; every value must be finite"),
        (lambda: spec(readout=Readout(np.ones((1, 3)), np.zeros(1), 1.0)), r"readout has 3 columns for 2 neurons"),
    ],
)
def test_networks_that_do_not_fit_together_are_refused(build, text):
    with pytest.raises(SpecError, match=f"^{text}$"):
        build()


def test_frozen_takes_what_numpy_takes():
    array = frozen([[1, 2]], (1, 2), "values")
    assert array.dtype == np.float64 and not array.flags.writeable


def test_equal_models_have_equal_digests():
    assert spec().digest() == spec().digest()


@pytest.mark.parametrize(
    "changed",
    [
        {"bias": np.array([0.0, 1e-12])},
        {"weights": np.ones((2, 2))},
        {"synapse": Synapse(0.1, 1.0)},
        {"step": 0.25},
        {"integrator": "euler"},
        {"readout": None},
        {"neurons": dataclasses.replace(plain(), leak_curve=Curve(0.45, 1.5))},
        {"neurons": dataclasses.replace(plain(), filter_curve=Curve(0.45, 1.5))},
        {"neurons": plain(offset=spoilt((3, 2), (1, 1), 0.1, usual=0.0))},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_any_value_changes_the_digest(changed):
    assert spec(**changed).digest() != spec().digest()
