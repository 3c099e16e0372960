"""Curves as functions of two voltages: what was measured comes back, what was not follows from what is known."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.observables import Curves, Request, Table
from mtc_hw.calibration.setting import Setting
from mtc_hw.calibration.surface import Surface, completed
from mtc_hw.hardware.design import BRANCHES, LEAK
from mtc_hw.hardware.mismatch import perturb

OUTPUTS = (-2.5, 0.0, 2.5)


@pytest.fixture(scope="module")
def chip(mapped, network):
    return perturb(mapped(network, bits=8), 2, 0)


def table(chip, codes=None, outputs=OUTPUTS) -> Table:
    request = Request(curves=Curves(outputs=outputs))
    return CompiledInstrument([chip], "cells").measure(chip if codes is None else codes, request).curves


def surfaces(measured: Table, at: Table):
    """Values of a surface at another table's points, as that table."""
    surface, grid = Surface.of(measured), np.repeat(at.voltage[:, None], at.current.shape[-1], axis=1)
    values = [[surface.at(row, grid, output)[0] for output in at.output] for row in range(len(at.current))]
    return np.where(np.isfinite(at.current), np.array(values).transpose(0, 2, 1, 3), np.nan)


def missed(found: Table, wanted: Table) -> np.ndarray:
    """Largest difference of each row, as a share of its swing; of followers where every output's sweep has it."""
    assert np.array_equal(np.isnan(found.current), np.isnan(wanted.current))
    near = np.abs(wanted.voltage[:, None] - wanted.output) < 2.5
    follows = np.isin(np.arange(len(wanted.current)), range(LEAK + 1, len(BRANCHES)))
    counted = np.where(follows[:, None, None], near, True)[..., None]
    gap = np.nanmax(np.where(counted, np.abs(found.current - wanted.current), 0.0), axis=(1, 2, 3))
    return gap / np.nanmax(np.abs(wanted.current), axis=(1, 2, 3))


def test_what_was_measured_comes_back(chip):
    seen = table(chip)
    found = missed(Table(seen.voltage, seen.output, surfaces(seen, seen)), seen)
    assert found.max() < 1e-4  # the followers' splines through a sweep that is moved
    assert np.delete(found, range(LEAK + 1, len(BRANCHES))).max() < 1e-12


def test_between_the_outputs_a_curve_is_known(chip):
    other = table(chip, outputs=(-1.5, 0.0, 1.5))
    assert missed(Table(other.voltage, other.output, surfaces(table(chip), other)), other).max() < 0.001


def test_slopes_are_those_of_the_values(chip):
    surface, count = Surface.of(table(chip)), chip.count
    x = np.random.default_rng(4).uniform(-4.5, 4.0, (50, count))
    out = np.random.default_rng(5).uniform(-2.0, 2.0, (50, count))
    for row in range(len(chip.rows)):
        ahead, behind = (surface.at(row, x + step, out)[0] for step in (1e-5, -1e-5))
        assert surface.at(row, x, out)[1] == pytest.approx((ahead - behind) / 2e-5, abs=1e-5)


def test_beyond_the_sweep_the_current_stays(chip):
    surface = Surface.of(table(chip))
    ends = surface.at(0, np.array([[-50.0] * 4, [-5.0] * 4, [4.5] * 4, [50.0] * 4]), 0.0)[0]
    assert np.array_equal(ends[0], ends[1]) and np.array_equal(ends[2], ends[3])


def test_a_look_at_several_outputs_is_complete(chip):
    seen = table(chip)
    assert completed(chip, seen) is seen


def test_a_look_at_one_output_takes_the_others_from_an_earlier_one(chip):
    """With other codes: what the trims do to the earlier curves is worked out."""
    then, had = table(chip), Setting.of(chip)
    rng = np.random.default_rng(8)
    moved = dataclasses.replace(
        had,
        bias=had.bias + rng.uniform(-0.2, 0.2, had.bias.shape),
        reference=had.reference + rng.uniform(-0.02, 0.02, had.reference.shape),
    ).on(chip)
    now = completed(moved, table(chip, moved, (-1.0,)), then, chip)
    whole = table(chip, moved)
    assert np.array_equal(now.output, whole.output)
    assert missed(now, whole).max() < 0.001
    assert missed(then, whole).max() > 0.1


def test_without_an_earlier_look_the_nominal_cells_say_what_the_output_does(chip):
    only = completed(chip, table(chip, outputs=(-1.0,)))
    whole = table(chip, outputs=tuple(only.output))
    assert missed(only, whole).max() < 0.005
    same = np.repeat(whole.current[:, :, :1], 2, axis=2)
    assert missed(Table(whole.voltage, whole.output, same), whole).max() > 0.02


def test_what_is_missing_stays_missing(chip):
    then, one = table(chip), table(chip, outputs=(-1.0,))
    current = one.current.copy()
    current[0, 3, 0, 1] = np.nan
    found = completed(chip, dataclasses.replace(one, current=current), then, chip)
    assert np.isnan(found.current[0, :, :, 1]).all()
    assert np.isfinite(found.current[0][..., [0, 2, 3]]).all()
    assert not Surface.of(found).here[0, 1]
