import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw.characterise.ranges import span

AXIS = np.linspace(-3.0, 5.0, 801)


@given(st.floats(0.3, 2.0), st.floats(0.01, 0.2))
def test_the_span_of_a_parabola_is_where_it_has_fallen_by_the_share(width, share):
    values = 2.0 - 2.0 * (AXIS / width) ** 2
    edge = width * np.sqrt(share)
    assert span(AXIS, values, share, 0.0) == pytest.approx([-edge, edge], rel=0.02)


def test_what_never_leaves_reaches_to_the_ends():
    assert span(AXIS, np.ones_like(AXIS), 0.05, 1.0) == pytest.approx([-3.0, 5.0])


def test_a_second_stretch_further_off_does_not_count():
    values = np.where(np.abs(AXIS) < 1.0, 1.0, np.where(np.abs(AXIS) > 2.0, 1.0, 3.0))
    low, high = span(AXIS, values, 0.05, 0.0)
    assert (low, high) == pytest.approx((-1.0, 1.0), abs=0.02)
