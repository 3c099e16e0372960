"""Trims as values: what codes stand for, what they do to curves, which of them are at their end."""

import dataclasses

import numpy as np
import pytest
from trimmed import trimmed

from mtc_hw.calibration.result import TRIMS
from mtc_hw.calibration.setting import Setting, at_bounds
from mtc_hw.hardware.design import BRANCHES


@pytest.fixture(scope="module")
def design(mapped, network):
    return trimmed(mapped(network, bits=8), 3)


def test_values_are_what_codes_stand_for(design):
    assert Setting.of(design).on(design).digest == design.digest


def test_values_between_two_codes_go_to_the_nearer(design):
    had = Setting.of(design)
    moved = dataclasses.replace(
        had,
        bias=had.bias + 0.4 * design.trim.current.lsb,
        reference=had.reference - 0.4 * design.trim.reference.lsb,
        offset=had.offset + 0.4 * design.trim.offset.lsb,
    )
    set_to = moved.on(design)
    for name in TRIMS:
        assert np.array_equal(getattr(set_to, name), getattr(design, name)), name
    further = dataclasses.replace(had, offset=had.offset + 0.6 * design.trim.offset.lsb).on(design)
    within = design.offset_trim < 31.0
    assert np.array_equal((further.offset_trim - design.offset_trim)[within], np.ones(within.sum()))


def test_scale_and_shift_are_those_of_the_currents(design):
    plain = dataclasses.replace(design, **{name: 0.0 * getattr(design, name) for name in ("bias_trim", "input_trim")})
    scale = Setting.of(design).scale(design, Setting.of(plain))
    here = plain.row_bias() > 0.0
    assert scale[here] == pytest.approx((design.row_bias()[here] / plain.row_bias()[here]), rel=1e-12)
    level = dataclasses.replace(design, reference_trim=0.0 * design.reference_trim)
    shift = Setting.of(design).shift(design, Setting.of(level))
    moved = design.references() - level.references()
    assert shift[:5] == pytest.approx(moved / design.scale.volt, abs=1e-12) and not shift[5:].any()


def test_a_trim_at_its_end_is_told(design):
    quiet = {name: 0.0 * getattr(design, name) for name in TRIMS}
    plain = dataclasses.replace(design, **quiet)
    assert at_bounds(plain) == ((),) * 4
    top = plain.trim.current.limits[1]
    bias, inputs, offset = plain.bias_trim.copy(), plain.input_trim.copy(), plain.offset_trim.copy()
    bias[BRANCHES.index("leak"), 2], inputs[0, 1], offset[2] = -top, top, plain.trim.offset.limits[1]
    ended = at_bounds(dataclasses.replace(plain, bias_trim=bias, input_trim=inputs, offset_trim=offset))
    assert ended[1:] == ((), ("leak bias at its bound", "constant current at its bound"), ())
    assert len(ended[0]) == 1 and ended[0][0].endswith("at its bound")
