"""Trims as values: codes and back, what they do to curves, and those that end at their bounds."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.calibration.setting import Setting
from mtc_hw.hardware.design import LEAK


@pytest.fixture(scope="module")
def turned(mapped, network):
    """A design with trims all over."""
    design, rng = mapped(network, bits=8), np.random.default_rng(1)
    codes = {
        name: rng.integers(-31, 31, getattr(design, name).shape, endpoint=True).astype(float)
        for name in ("bias_trim", "reference_trim", "input_trim", "offset_trim")
    }
    codes["bias_trim"] = np.where(design.present, codes["bias_trim"], 0.0)
    return dataclasses.replace(design, **codes)


def test_values_and_codes_go_both_ways(turned):
    assert Setting.of(turned).on(turned).digest == turned.digest


def test_values_between_codes_go_to_the_nearest(turned):
    own = Setting.of(turned)
    off = dataclasses.replace(own, reference=own.reference + 0.4 * turned.trim.reference.lsb)
    assert np.array_equal(off.on(turned).reference_trim, turned.reference_trim)


def test_scale_and_shift_are_what_the_design_s_own_currents_and_references_do(mapped, network, turned):
    plain = mapped(network, bits=8)
    now, was = Setting.of(turned), Setting.of(plain)
    there = plain.row_bias() > 0.0
    assert (now.scale(was) * plain.row_bias())[there] == pytest.approx(turned.row_bias()[there])
    shift = now.shift(turned, was)
    assert shift[: LEAK + 1] == pytest.approx((turned.references() - plain.references()) / plain.scale.volt)
    assert not shift[LEAK + 1 :].any()
