import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw.hardware.dac import Dac

BITS = st.integers(2, 14)
LSB = st.floats(1e-15, 1e3)
FRACTION = st.floats(0.0, 1.0)


def within(dac: Dac, fraction: float) -> np.ndarray:
    low, high = dac.reach
    return np.array([low + fraction * (high - low)])


@given(bits=BITS, lsb=LSB, steps_of_base=st.floats(-100, 100), signed=st.booleans(), fraction=FRACTION)
def test_a_value_in_reach_comes_back_within_half_a_step(bits, lsb, steps_of_base, signed, fraction):
    dac = Dac(bits, lsb, base=steps_of_base * lsb, signed=signed)
    value = within(dac, fraction)
    codes = dac.encode(value)
    assert not dac.outside(codes).any()
    assert abs(dac.decode(codes) - value) <= 0.5 * lsb * (1.0 + 1e-9)


@given(bits=BITS, signed=st.booleans())
def test_every_code_is_its_own_nearest(bits, signed):
    dac = Dac(bits, 1e-9, signed=signed)
    low, high = dac.limits
    codes = np.unique(np.linspace(low, high, 500).round())
    assert np.array_equal(dac.encode(dac.decode(codes)), codes)


@given(bits=BITS, octaves=st.integers(0, 14), one=FRACTION, other=FRACTION)
def test_a_larger_value_never_gets_a_smaller_result(bits, octaves, one, other):
    dac = Dac(bits, 1e-9, octaves=octaves)
    small, large = (dac.decode(dac.encode(within(dac, f)))[0] for f in sorted((one, other)))
    assert small <= large


@given(bits=BITS, octaves=st.integers(1, 14), exponent=st.floats(0.0, 1.0))
def test_the_splitter_keeps_a_relative_precision_over_its_octaves(bits, octaves, exponent):
    dac = Dac(bits, 1e-9, octaves=octaves)
    top = dac.reach[1]
    value = top * 2.0 ** (-octaves * exponent) * np.ones(1)
    codes = dac.encode(value)
    assert not dac.outside(codes).any()
    assert abs(dac.decode(codes) / value - 1.0) <= 1.0 / (2.0**bits - 1.0) * (1.0 + 1e-9)


@given(bits=BITS, octaves=st.integers(1, 14), fraction=FRACTION)
def test_the_splitter_is_within_half_of_its_own_step_down_to_its_end(bits, octaves, fraction):
    dac = Dac(bits, 1e-9, octaves=octaves)
    smallest, top = dac.reach
    value = np.array([smallest * (top / smallest) ** fraction]).clip(smallest, top)
    codes = dac.encode(value)
    assert not dac.outside(codes).any()
    assert abs(dac.decode(codes) - value) <= 0.5 * dac.step(codes) * (1.0 + 1e-9)


@given(bits=BITS, octaves=st.integers(0, 14), beyond=st.floats(1e-3, 1e6))
def test_nothing_past_the_top_passes_for_a_code(bits, octaves, beyond):
    dac = Dac(bits, 1e-9, octaves=octaves)
    assert dac.outside(dac.encode(np.array([dac.reach[1] + (0.5 + beyond) * dac.lsb]))).all()


@given(bits=BITS, octaves=st.integers(1, 14), value=st.floats(-1e3, 0.0))
def test_a_splitter_has_no_code_for_zero_and_below(bits, octaves, value):
    dac = Dac(bits, 1e-9, octaves=octaves)
    assert dac.outside(dac.encode(np.array([value]))).all()


@given(bits=BITS, signed=st.booleans(), beyond=st.floats(0.501, 1e6))
def test_nothing_below_the_bottom_passes_for_a_code(bits, signed, beyond):
    dac = Dac(bits, 1e-9, base=1.0, signed=signed)
    assert dac.outside(dac.encode(np.array([dac.reach[0] - beyond * dac.lsb]))).all()


@given(value=st.floats(-1e6, 1e6), octaves=st.integers(0, 14))
def test_an_ideal_converter_is_exact_and_without_bounds(value, octaves):
    dac = Dac(None, 1e-9, base=0.25, octaves=octaves)
    codes = dac.encode(np.array([value]))
    assert not dac.outside(codes).any()
    assert abs(dac.decode(codes)[0] - value) <= 1e-15 * (1.0 + abs(value))


@given(bits=BITS, octaves=st.integers(0, 14), value=st.floats(allow_nan=False, allow_infinity=False))
def test_the_nearest_code_always_exists(bits, octaves, value):
    dac = Dac(bits, 1e-9, octaves=octaves)
    assert not dac.outside(dac.nearest(np.array([value]))).any()


def test_a_signed_converter_reaches_as_far_down_as_up():
    assert Dac(8, 1e-9, signed=True).reach == (-127e-9, 127e-9)
