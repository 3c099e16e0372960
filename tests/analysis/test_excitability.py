"""I-V curves: closed forms, the sum of elements, and the shapes that Ribar and Sepulchre ask for."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtc_hw.analysis.excitability import (
    SHALLOW,
    bursters,
    centres,
    classify_excitability,
    falling,
    iv_curves,
    iv_slopes,
    windows,
)
from mtc_hw.neuron_file import load_neuron, preset_names
from mtc_hw.spec import Curve, Neurons

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


def neuron(*pairs, **others) -> Neurons:
    """One neuron of (alpha, delta) pairs, absent where none is given."""
    alpha, delta = (
        np.array(column)[:, None] for column in zip(*pairs, *[(0.0, 0.0)] * (4 - len(pairs)), strict=True)
    )
    return Neurons(alpha, delta, np.array([[0.0], [50.0], [2500.0]]), **others)


def kind(*pairs, **others) -> str:
    return classify_excitability(neuron(*pairs, **others))[0].kind


FAST, RESTORED, ABSENT = (2.0, 0.0), (2.0, 0.0), (0.0, 0.0)
RIBARS = {
    "spiking": [FAST, RESTORED],
    "bistable": [FAST, RESTORED, (1.5, -0.9)],
    "bursting": [FAST, RESTORED, (1.5, -0.9), (1.5, -0.9)],
}


@pytest.mark.parametrize("wanted", RIBARS)
def test_ribar_s_sets_are_of_their_kinds(wanted):
    assert kind(*RIBARS[wanted]) == wanted


@pytest.mark.parametrize(
    ("pairs", "wanted"),
    [
        ([(0.9, 0.0)], "passive"),
        ([ABSENT, (5.0, 0.0)], "passive"),
        ([FAST], "latch"),
        ([FAST, ABSENT, ABSENT, (2.0, 0.0)], "spiking"),
        ([ABSENT, ABSENT, (2.0, -1.0)], "slow"),
        ([ABSENT, ABSENT, (2.0, -1.0), (2.0, -1.0)], "slow"),
        ([FAST, RESTORED, (1.5, 0.9)], "latch"),
        ([FAST, (0.5, 0.0), (1.5, -0.9)], "latch"),
    ],
)
def test_the_other_kinds(pairs, wanted):
    assert kind(*pairs) == wanted


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_s_kind_can_do_what_its_simulation_shows(name):
    wanted = "bursting" if name in ("bursting", "rebound") else "spiking"
    assert classify_excitability(load_neuron(name).neurons)[0].kind == wanted


def test_the_knees_of_one_element_have_a_closed_form():
    found = windows(neuron((2.0, 0.3)))[0][0]
    half = np.arccosh(np.sqrt(2.0))
    assert [(each.low, each.high) for each in found] == [pytest.approx((0.3 - half, 0.3 + half), abs=1e-4)]
    assert found[0].depth == pytest.approx(2.0 * (2.0 * np.tanh(half) - half), abs=1e-6)


def test_a_fold_too_shallow_for_a_circuit_does_not_count():
    assert kind((1.005, 0.0), RESTORED) == "passive"
    assert kind((1.05, 0.0), RESTORED) == "spiking"
    assert kind(FAST, RESTORED, (1.005, -0.9)) == "spiking"


def test_the_reasons_name_each_curve_and_where_it_falls():
    reasons = classify_excitability(neuron(*RIBARS["bistable"]))[0].reasons
    assert reasons[0] == "the fast curve falls from -0.88 to 0.88, by 1.1 I_u"
    assert reasons[1].startswith("the slow curve falls from -1.56 to -0.24")
    assert reasons[3] == "the slow knees, up to -0.24, are below the fast window's middle, 0.00"
    assert classify_excitability(neuron(ABSENT))[0].reasons[0] == "the fast curve rises everywhere"


pairs_of = st.lists(st.tuples(st.floats(0.0, 4.0), st.floats(-3.0, 3.0)), min_size=4, max_size=4)
CURVES = st.sampled_from([None, Curve(slope=0.6, shift=0.8)])


@settings(max_examples=40)
@given(pairs=pairs_of, curve=CURVES, rest=st.floats(-1.0, 1.0))
def test_windows_are_where_a_finely_drawn_curve_falls(pairs, curve, rest):
    one = neuron(*pairs, leak_curve=curve, rest=np.array([rest]))
    fine = np.linspace(-9.0, 9.0, 20_001)
    for x, found in enumerate(windows(one)[0]):
        drawn = iv_curves(one, fine)[x, :, 0]
        lost = -np.minimum(np.diff(drawn), 0.0)
        at = fine[:-1]
        for each in found:
            inside = (at > each.low) & (at < each.high)
            assert lost[inside].sum() == pytest.approx(each.depth, rel=1e-2)
            lost[inside] = 0.0
        assert lost.sum() < 3 * SHALLOW


@settings(max_examples=25)
@given(pairs=pairs_of, curve=CURVES)
def test_the_slopes_are_the_curves_derivatives(pairs, curve):
    one = neuron(*pairs, leak_curve=curve)
    step = 1e-5
    difference = (iv_curves(one, V + step) - iv_curves(one, V - step)) / (2.0 * step)
    assert iv_slopes(one, V) == pytest.approx(difference, abs=1e-7)


@settings(max_examples=25)
@given(pairs=pairs_of, shift=st.floats(-1.0, 1.0))
def test_moving_every_delta_moves_the_knees_and_leaves_the_kind(pairs, shift):
    still = classify_excitability(neuron(*pairs))[0]
    moved = classify_excitability(neuron(*[(a, d + shift) for a, d in pairs]))[0]
    depths = [each.depth for own in still.windows for each in own]
    if any(abs(depth - SHALLOW) < 1e-4 for depth in depths):
        return  # on the border of what counts
    assert moved.kind == still.kind
    lows = [[each.low for own in found.windows for each in own] for found in (still, moved)]
    assert lows[1] == pytest.approx([low + shift for low in lows[0]], abs=1e-3)


def test_a_filter_s_offset_moves_its_elements_unless_it_is_instantaneous():
    offset = np.array([[0.4], [0.3], [-0.2]])
    one = neuron(FAST, RESTORED, (1.5, -0.9), (1.5, -0.9), offset=offset)
    assert centres(one)[:, 0].tolist() == pytest.approx([0.0, -0.3, -1.2, -0.7])
    filtered = dataclasses.replace(one, tau=np.array([[1.0], [50.0], [2500.0]]))
    assert centres(filtered)[0, 0] == pytest.approx(-0.4)
