import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.scale import Scale

SIZES = st.floats(1e-15, 1e3)


@given(volt=SIZES, amp=SIZES, farad=SIZES)
def test_the_capacitor_that_sets_the_time_unit_comes_back(volt, amp, farad):
    assert Scale.from_capacitor(volt, amp, farad).farad == pytest.approx(farad, rel=1e-12)


@given(volt=SIZES, amp=SIZES, farad=SIZES)
def test_twice_the_capacitor_takes_twice_the_time(volt, amp, farad):
    once, twice = (Scale.from_capacitor(volt, amp, c).second for c in (farad, 2.0 * farad))
    assert twice == pytest.approx(2.0 * once, rel=1e-12)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_every_unit_must_be_positive(wrong):
    with pytest.raises(
        UnmappableError,
        match=rf"^Scale\.volt is {wrong}; .* > 0; Scale\.second is {wrong}; it must be finite and > 0$",
    ):
        Scale(wrong, 1e-9, wrong)
