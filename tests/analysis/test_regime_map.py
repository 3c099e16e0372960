"""A map's cells are single runs; its axes refuse what is no parameter or no range."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.analysis.regime_map import PARAMETERS, Axis, cells, parse_axis, regime_map
from mtc_hw.analysis.regimes import classify
from mtc_hw.analysis.spikes import spike_times
from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import NeuronFile, Stimulus, load_neuron
from mtc_hw.simulate.ode import integrate

TONIC = load_neuron("tonic")
PHASIC = load_neuron("phasic")


def single(neuron: NeuronFile, duration: float) -> str:
    trace = integrate(neuron.neurons, neuron.stimulus, duration, neuron.initial, spacing=0.25)
    spikes = spike_times(trace.time, trace.voltage[:, 0])
    return classify(spikes, duration, neuron.stimulus, float(trace.voltage[-1, 0]))


def test_each_cell_is_the_run_of_that_neuron_alone():
    x, y = parse_axis("current:-1.5:1.5:4"), parse_axis("alpha.fast_negative:0.5:2.5:3")
    found = regime_map(TONIC, x, y, duration=700.0)
    for row, alpha in enumerate(y.values):
        for column, current in enumerate(x.values):
            array = TONIC.neurons.alpha.copy()
            array[0] = alpha
            neurons = dataclasses.replace(TONIC.neurons, alpha=array)
            one = dataclasses.replace(TONIC, neurons=neurons, stimulus=Stimulus(((0.0, float(current)),)))
            assert found.regime[row, column] == single(one, 700.0), (alpha, current)


def test_without_a_current_axis_the_neuron_keeps_its_stimulus():
    x, y = parse_axis("tau.slow:20:60:3"), parse_axis("delta.slow_positive:-0.1:0.1:3")
    found = regime_map(PHASIC, x, y, duration=600.0)
    assert found.regime[1, 2] == "phasic"
    assert not found.bistable.any()


def test_a_prediction_holds_away_from_its_border():
    found = regime_map(TONIC, parse_axis("current:-1.6:1.6:5"), parse_axis("tau.slow:20:60:2"))
    for regime, predicted in zip(found.regime.ravel(), found.predicted.ravel(), strict=True):
        allowed = {"rest": {"silent", "phasic"}, "fires": {"tonic"}, "block": {"block"}}
        assert regime in allowed[predicted]


def test_rest_beside_firing_is_found_where_the_curves_say_so():
    alpha = np.array([[2.0], [2.0], [1.5], [0.0]])
    delta = np.array([[0.0], [0.0], [-0.9], [0.0]])
    neurons = dataclasses.replace(TONIC.neurons, alpha=alpha, delta=delta)
    neuron = dataclasses.replace(TONIC, neurons=neurons)
    x, y = parse_axis("current:-1.2:-0.6:4"), parse_axis("alpha.slow_negative:1.4:1.5:2")
    found = regime_map(neuron, x, y)
    assert found.predicted[1].tolist() == ["rest", "rest+fires", "rest+fires", "fires"]
    assert found.bistable[1].tolist() == [False, False, True, False]
    assert (found.rate[:, 3] > 0.0).all()


def test_swapping_the_axes_transposes_the_map():
    x, y = parse_axis("current:-1:1:3"), parse_axis("tau.slow:10:30:2")
    one, other = regime_map(TONIC, x, y, 400.0), regime_map(TONIC, y, x, 400.0)
    assert np.array_equal(one.regime, other.regime.T)
    assert np.array_equal(one.predicted, other.predicted.T)


@pytest.mark.parametrize("parameter", [each for each in PARAMETERS if each != "current"])
def test_each_parameter_reaches_its_own_place_and_no_other(parameter):
    lanes, holds = cells(TONIC, {parameter: np.array([7.25, 8.5])})
    changed = [
        (name, row)
        for name in ("alpha", "delta", "tau")
        for row in range(getattr(lanes, name).shape[0])
        if getattr(lanes, name)[row].tolist() == [7.25, 8.5]
    ]
    same = sum(int((getattr(lanes, name) == getattr(TONIC.neurons, name)).all(axis=1).sum()) for name in
               ("alpha", "delta", "tau"))  # fmt: skip
    assert len(changed) == 1
    assert same == 10
    assert changed[0][0] == parameter.split(".")[0]
    assert holds.levels.tolist() == [[-0.5, -0.5]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tau.slw:1:2:3", r"'tau\.slw' is no parameter of a map; did you mean tau\.slow\?"),
        ("zzz:1:2:3", "there are: current, alpha.fast_negative"),
        ("tau.slow:1:2", "is no axis; write parameter:low:high:points"),
        ("tau.slow:1:2:3:4", "is no axis"),
        ("tau.slow:a:2:3", "is no axis"),
        ("tau.slow:1:2:2.5", "is no axis"),
        ("tau.slow:2:1:3", "runs from 2 to 1; give finite ends, the lower one first"),
        ("tau.slow:1:inf:3", "runs from 1 to inf"),
        ("tau.slow:1:nan:3", "runs from 1 to nan"),
        ("tau.slow:1:2:1", "has 1 points; give from 2"),
        ("tau.slow:0:2:3", r"tau\.slow starts at 0; a time constant is > 0"),
        ("alpha.slow_negative:-1:2:3", r"alpha\.slow_negative starts at -1; an alpha is >= 0"),
    ],
)
def test_a_bad_axis_is_refused(text, said):
    with pytest.raises(SpecError, match=said):
        parse_axis(text)


def test_an_instantaneous_fast_filter_may_start_an_axis():
    assert parse_axis("tau.fast:0:2:3").values.tolist() == [0.0, 1.0, 2.0]


def test_a_map_needs_two_parameters_and_a_bearable_size():
    x = parse_axis("current:-1:1:300")
    with pytest.raises(SpecError, match="both axes are current; a map needs two parameters"):
        regime_map(TONIC, x, x)
    with pytest.raises(SpecError, match="300 x 300 cells are too many"):
        regime_map(TONIC, x, Axis("tau.slow", np.linspace(1.0, 2.0, 300)))
    with pytest.raises(SpecError, match="needs two or more finite values that increase"):
        Axis("tau.slow", np.array([2.0, 1.0]))
