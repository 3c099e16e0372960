"""f-I curves: rates against LSODA, the onset, hysteresis."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.analysis.equilibria import onset
from mtc_hw.analysis.fi_curve import fi_curve, telling_span
from mtc_hw.analysis.spikes import spike_times
from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import Stimulus, load_neuron
from mtc_hw.simulate.ode import integrate

SPIKING = load_neuron("tonic").neurons
BISTABLE = dataclasses.replace(
    SPIKING,
    alpha=np.array([[2.0], [2.0], [1.5], [0.0]]),
    delta=np.array([[0.0], [0.0], [-0.9], [0.0]]),
    tau=np.array([[0.0], [20.0], [1.0]]),
)
CURRENTS = np.linspace(-1.2, 1.2, 25)


@pytest.fixture(scope="module")
def spiking():
    return fi_curve(SPIKING, CURRENTS)


@pytest.fixture(scope="module")
def bistable():
    return fi_curve(BISTABLE, np.linspace(-1.2, -0.5, 22))


def test_a_spiking_neuron_fires_between_its_onset_and_its_block_and_nowhere_else(spiking):
    found = onset(SPIKING)
    assert found is not None
    firing = spiking.rate(spiking.from_rest) > 0.0
    assert firing.tolist() == (np.abs(CURRENTS) < -found.current).tolist()
    assert spiking.from_rest[0].regime == "silent"
    assert spiking.from_rest[-1].regime == "block"


def test_a_type_ii_neuron_s_rate_sets_in_above_zero_and_rises(spiking):
    rate = spiking.rate(spiking.from_rest)
    rising = rate[(rate > 0.0) & (CURRENTS <= 0.0)]
    assert (np.diff(rising) > 0.0).all()
    assert rising[0] > 0.5 * rising[-1]


def test_equations_odd_in_v_give_a_curve_even_in_the_current(spiking):
    rate = spiking.rate(spiking.from_rest)
    assert rate == pytest.approx(rate[::-1], rel=2e-3)


@pytest.mark.parametrize("current", [-0.6, 0.0])
def test_a_rate_is_that_of_the_accurate_reference(spiking, current):
    spikes = spike_trains_of(current)
    at = int(np.argmin(np.abs(CURRENTS - current)))
    assert spiking.from_rest[at].rate == pytest.approx(1.0 / np.diff(spikes)[5:].mean(), rel=1e-3)


def spike_trains_of(current):
    trace = integrate(SPIKING, Stimulus(((0.0, current),)), 1000.0, spacing=0.25)
    return spike_times(trace.time, trace.voltage[:, 0])


def test_a_bistable_neuron_rests_or_fires_below_its_onset(bistable):
    found = onset(BISTABLE)
    assert found is not None
    assert bistable.bistable.any()
    assert bistable.firing_from is not None and bistable.firing_down_to is not None
    assert bistable.firing_down_to < found.current < bistable.firing_from
    both = bistable.current[bistable.bistable]
    assert both.max() < found.current


def test_firing_from_a_spike_is_never_lost_where_rest_fires(bistable, spiking):
    for curve in (bistable, spiking):
        rest, firing = (curve.rate(each) > 0.0 for each in (curve.from_rest, curve.from_firing))
        assert (firing | ~rest).all()


def test_a_neuron_without_a_falling_curve_never_fires():
    calm = dataclasses.replace(SPIKING, alpha=np.array([[0.5], [2.0], [0.0], [0.0]]))
    low, high = telling_span(calm)
    curve = fi_curve(calm, np.linspace(low, high, 5))
    assert curve.firing_from is None and curve.firing_down_to is None
    assert not curve.rate(curve.from_firing).any()


@pytest.mark.parametrize(
    ("current", "said"),
    [
        ([0.0], r"currents have shape \(1,\); give 2 or more"),
        ([[0.0, 1.0]], r"currents have shape \(1, 2\)"),
        ([1.0, 0.0], "currents from 1 to 0 must be finite and increase"),
        ([0.0, np.nan], "must be finite and increase"),
    ],
)
def test_currents_that_make_no_curve_are_refused(current, said):
    with pytest.raises(SpecError, match=said):
        fi_curve(SPIKING, current)


def test_a_population_has_no_single_curve(network):
    with pytest.raises(SpecError, match="of one neuron, not of 4; take one"):
        fi_curve(network.neurons, [0.0, 1.0])
