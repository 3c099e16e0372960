"""A network over a user's series: any step, dated right, the same in software, in codes and in the netlist."""

import dataclasses
import re

import numpy as np
import pytest

from mtc_hw.errors import DataError
from mtc_hw.hardware.mapping import MappingOptions
from mtc_hw.hardware.unit import SQUARE
from mtc_hw.model.tasks import mackey_glass
from mtc_hw.prediction import WARM_UP, predict_series, read_series, write_prediction

STEP = 0.2
SERIES = mackey_glass(2000, STEP, seed=3)
TIME = 50.0 + STEP * np.arange(len(SERIES))


@pytest.fixture
def predict(small_network, technology, runner):
    def at(level, time=TIME, value=SERIES, step=small_network.step):
        spec = dataclasses.replace(small_network, step=step)
        return predict_series(spec, time, value, level, technology, MappingOptions(), SQUARE, runner)

    return at


def test_a_prediction_is_dated_a_horizon_after_its_input(predict, small_network):
    found = predict("software")
    horizon, sample = small_network.task.horizon, small_network.task.sample
    assert found.time[0] == pytest.approx(TIME[0] + WARM_UP + horizon)
    assert np.diff(found.time) == pytest.approx(sample)
    assert found.time[-1] <= TIME[-1] + horizon + 1e-9
    assert found.time.shape == found.value.shape


def test_the_series_s_own_step_does_not_matter(predict):
    fine, coarse = predict("software"), predict("software", TIME[::5], SERIES[::5])
    assert coarse.time == pytest.approx(fine.time)
    assert coarse.value == pytest.approx(fine.value, abs=1e-9)


def test_values_come_back_in_the_series_s_own_units(predict, small_network):
    found = predict("software")
    assert abs(found.value.mean() - SERIES.mean()) < 3.0 * SERIES.std()


@pytest.mark.slow
def test_the_behavioural_netlist_predicts_what_the_codes_mean(predict):
    # The netlist has no time step, so the equations are taken with a fine one: the network's own makes 2 per cent.
    codes, netlist = predict("quantised", step=1.0 / 16), predict("behavioural")
    assert np.sqrt(np.mean((netlist.value - codes.value) ** 2)) < 0.02 * SERIES.std()


def test_a_series_shorter_than_the_warm_up_is_refused(predict):
    with pytest.raises(DataError, match=r"^the series spans 199\.8 time units; more than 250 are needed"):
        predict("software", TIME[:1000], SERIES[:1000])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "has columns ['a', 'b']; it needs time and value"),
        ("time,value\n0,1\n1,x\n", "line 3: '1', 'x' are no two numbers"),
        ("time,value\n0\n", "line 2: '0', None are no two numbers"),
        ("", "has columns None"),
    ],
)
def test_a_file_that_is_no_series_is_refused(tmp_path, text, said):
    file = tmp_path / "series.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=re.escape(said)):
        read_series(file)


def test_what_is_written_reads_back(predict, tmp_path):
    found = predict("software")
    write_prediction(found, tmp_path / "new" / "p.csv")
    time, value = read_series(tmp_path / "new" / "p.csv")
    np.testing.assert_array_equal(time, found.time)
    np.testing.assert_array_equal(value, found.value)
