import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("kind", ["ota", "wide_ota"])
@given(exponent=st.floats(-12.0, -7.6))
def test_the_bias_for_a_current_gives_that_current(cells, kind, exponent):
    cell, current = getattr(cells, kind), np.array([10.0**exponent])
    bias = cell.bias_for(current)
    assert bias * cell.gain_at(bias) == pytest.approx(current, rel=1e-10)


@pytest.mark.parametrize("kind", ["ota", "wide_ota"])
def test_gain_goes_through_the_measured_points(cells, kind):
    cell = getattr(cells, kind)
    assert cell.gain_at(cell.bias) == pytest.approx(cell.gain, rel=1e-12)


def test_outside_the_measured_range_the_nearest_point_holds(cells):
    cell = cells.ota
    assert cell.gain_at(np.array([0.0, 1.0])) == pytest.approx([cell.gain[0], cell.gain[-1]])
