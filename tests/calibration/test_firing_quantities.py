import re

import numpy as np
import pytest

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.calibration.firing_quantities import FIRING_QUANTITIES, firing_quantities
from mtc_hw.calibration.observables import Firing
from mtc_hw.errors import DataError
from mtc_hw.neuron_file import Stimulus, load_neuron
from mtc_hw.simulate.ode import integrate

HELD = Firing(Stimulus(((0.0, 1.0),)), 1000.0)
EVERY = tuple(FIRING_QUANTITIES)


def quantities(train, run=HELD):
    values = firing_quantities(EVERY, (np.asarray(train, dtype=np.float64),), run)[:, 0]
    return dict(zip(EVERY, values.tolist(), strict=True))


def defined(found):
    return {name: value for name, value in found.items() if np.isfinite(value)}


def bursts(count, size, inside, period, first=10.0):
    return np.concatenate([first + k * period + inside * np.arange(size) for k in range(count)])


def test_a_regular_train():
    found = quantities(np.arange(20.0, 1000.0, 50.0))
    assert defined(found) == pytest.approx({"spikes": 20, "rate": 0.02, "isi": 50.0, "isi_cv": 0.0, "latency": 20.0})


def test_bursts():
    found = quantities(bursts(5, 4, 6.0, 200.0))
    assert {name: found[name] for name in ("period", "spikes_per_burst", "intraburst_isi", "duty", "rate")} == (
        pytest.approx(
            {"period": 200.0, "spikes_per_burst": 4.0, "intraburst_isi": 6.0, "duty": 18.0 / 200.0, "rate": 0.02}
        )
    )


def test_a_silent_neuron_has_a_rate_of_zero_and_nothing_else():
    assert defined(quantities([])) == {"spikes": 0.0, "rate": 0.0}


def test_one_spike_has_a_latency_and_no_rate_in_the_long_run():
    assert defined(quantities([30.0])) == {"spikes": 1.0, "rate": 0.0, "latency": 30.0}


def test_firing_that_ceases_has_no_rate():
    assert quantities([10.0, 20.0, 30.0])["rate"] == 0.0


def test_latency_counts_from_the_last_step():
    run = Firing(Stimulus(((0.0, 0.0), (400.0, 1.0))), 1000.0)
    assert quantities([100.0, 420.0, 480.0], run)["latency"] == 20.0
    assert np.isnan(quantities([100.0, 200.0], run)["latency"])


@pytest.mark.parametrize(
    "train", [[np.nan], [5.0, 3.0], [5.0, 2000.0], [-20.0, 4.0], [np.inf], [[1.0, 2.0]]],
    ids=["failed", "unsorted", "too late", "too early", "infinite", "two dimensions"],
)  # fmt: skip
def test_what_is_no_train_of_the_run_is_nan_and_raises_nothing(train):
    assert not defined(quantities(train))


def test_a_spike_that_noise_puts_just_outside_the_run_does_not_count():
    train = np.arange(20.0, 1000.0, 50.0)
    assert quantities([-0.5, *train, 1002.0]) == pytest.approx(quantities(train), nan_ok=True)


def test_neurons_are_columns_and_names_rows_in_their_order():
    found = firing_quantities(("isi", "spikes"), (np.array([1.0, 3.0]), np.array([np.nan]), np.array([2.0])), HELD)
    assert np.array_equal(found, [[2.0, np.nan, np.nan], [2.0, np.nan, 1.0]], equal_nan=True)
    assert firing_quantities((), (np.empty(0),), HELD).shape == (0, 1)
    assert firing_quantities(("isi",), (), HELD).shape == (1, 0)


def test_the_bursting_preset_is_described():
    file = load_neuron("bursting")
    run = Firing(file.stimulus, 8000.0, file.initial)
    trace = integrate(file.neurons, file.stimulus, run.duration, file.initial)
    found = quantities(spike_times(trace.time, trace.voltage[:, 0]), run)
    assert found["spikes_per_burst"] == pytest.approx(9.0, abs=1.0)
    assert found["intraburst_isi"] * found["spikes_per_burst"] < found["duty"] * found["period"] * 1.5
    assert found["rate"] == pytest.approx(found["spikes_per_burst"] / found["period"], rel=0.1)


def test_unknown_names_are_told_with_what_there_is():
    text = (
        "'isi_vc' is no quantity of firing, did you mean 'isi_cv'; 'zzz' is no quantity of firing; there are: spikes,"
    )
    with pytest.raises(DataError, match=re.escape(text)):
        firing_quantities(("isi_vc", "rate", "zzz"), (), HELD)
