import numpy as np
import pytest

from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.converters import (
    ConverterSizes,
    converter_area,
    device_count,
    splitter_stages,
    string_inl_sigma,
)


@pytest.mark.parametrize(
    ("octaves", "stages"), [(0, ()), (1, (1,)), (4, (4,)), (5, (3, 2)), (9, (3, 3, 3)), (12, (4,) * 3)]
)
def test_a_splitter_shares_its_octaves_among_as_few_stages_as_hold_them(octaves, stages):
    assert splitter_stages(octaves) == stages


@pytest.mark.parametrize("octaves", [-1, 13, 40])
def test_octaves_beyond_the_headroom_are_refused(octaves):
    text = rf"^a current splitter has 0 to 12 octaves, not {octaves}; lower MappingOptions.filter_octaves$"
    with pytest.raises(UnmappableError, match=text):
        splitter_stages(octaves)


def test_a_bit_more_doubles_the_legs():
    for bits in range(2, 12):
        assert device_count("bias", bits + 1).units - device_count("bias", bits).units == 2**bits


def test_a_stage_costs_its_units_their_cascode_and_its_switches():
    without, one, three = (device_count("bias", 8, octaves) for octaves in (0, 4, 12))
    assert (without.units, without.switches) == (255 + 16 + 16, 24 + 1)
    assert (one.units, one.switches) == (255 + 16 + 32, 24 + 8 + 1)
    assert (three.units, three.switches) == (255 + 16 + 96, 24 + 24 + 3)


def test_a_reference_tree_ends_at_every_tap():
    """A binary tree with 2^N leaves has 2^(N + 1) - 2 edges."""
    count = device_count("reference", 8)
    assert (count.units, count.switches, count.resistors) == (0, 2 + 4 + 8 + 16 + 32 + 64 + 128 + 256, 256)


def test_area_goes_with_the_unit_and_the_string_with_its_squares():
    assert converter_area("sign", 8, 0, 1e-6, 16e-6) == pytest.approx(2 * 16e-12)
    bias = converter_area("bias", 8, 12, 1e-6, 16e-6)
    assert bias == pytest.approx((367 + 51) * 16e-12)
    assert converter_area("bias", 8, 12, 2e-6, 16e-6) == pytest.approx(2.0 * bias)
    string, doubled = (
        converter_area("reference", 8, 0, 1e-6, 1e-6, ConverterSizes(string_resistance=ohm)) for ohm in (1e6, 2e6)
    )
    assert doubled - string == pytest.approx(1e6 / 1e3 * 1e-12)


def test_sizes_that_are_no_sizes_are_refused_together():
    text = r"^ConverterSizes.width is 0.0; it must be finite and > 0; ConverterSizes.gate is nan; it must be finite"
    with pytest.raises(UnmappableError, match=text):
        ConverterSizes(width=0.0, gate=float("nan"))


def string_inl(resistors: np.ndarray) -> np.ndarray:
    """Each tap's distance from the line through the ends, LSB, (strings, taps)."""
    count = resistors.shape[1]
    taps = np.cumsum(resistors, axis=1) / resistors.sum(axis=1, keepdims=True) * count
    return taps - np.arange(1, count + 1)


def test_equal_resistors_make_a_straight_string():
    assert np.abs(string_inl(np.ones((1, 256)))).max() < 1e-10


@pytest.mark.parametrize("bits", [6, 8])
def test_the_strings_inl_is_that_of_a_brownian_bridge(bits):
    """The formula against 4000 drawn strings, whose standard deviation has an error of 1.1 %: four of those."""
    mismatch = 0.01
    drawn = 1.0 + mismatch * np.random.default_rng(3).standard_normal((4000, 2**bits))
    spread = string_inl(drawn).std(axis=0)
    assert spread[2 ** (bits - 1) - 1] == pytest.approx(string_inl_sigma(bits, mismatch), rel=0.045)
    assert spread[2 ** (bits - 2) - 1] == pytest.approx(string_inl_sigma(bits, mismatch) * 0.75**0.5, rel=0.045)
