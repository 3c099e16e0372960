"""Confirmation: which chips are chosen, and what agreement means."""

import dataclasses

import pytest

from mtc_hw.errors import DataError
from mtc_hw.montecarlo.confirm import agreement, below, chosen
from mtc_hw.montecarlo.row import ChipRow


def chip(sample, outcome="ok", **more):
    return ChipRow(sample, "tt", 1.8, 27.0, outcome, **more)


@pytest.mark.parametrize(
    ("tier", "lower"), [("ode", "cells"), ("cells", "transistor"), ("behavioural", "transistor")]
)
def test_the_tier_below_is_nearer_to_silicon(tier, lower):
    assert below(tier) == lower


def test_nothing_is_below_transistors():
    with pytest.raises(DataError, match=r"^no tier is below transistor; confirm a run of: ode, cells, behavioural$"):
        below("transistor")


def test_the_worst_are_chosen_and_the_rest_spread_to_the_best():
    order = list(range(100, 0, -1))
    picked = chosen(order, 6)
    assert {100, 99, 98} < picked
    assert 1 in picked
    assert len(picked) == 6
    assert chosen(order, 1) == {100}
    assert chosen([5, 3], 10) == {5, 3}


def test_agreement_is_of_chips_that_ran_on_both():
    fast = [chip(k, regime="tonic", isi_mean=50.0 + k) for k in range(4)]
    slow = [chip(k, regime="tonic", isi_mean=55.0 + 1.1 * k) for k in range(3)] + [chip(3, "timeout")]
    slow[2] = dataclasses.replace(slow[2], regime="silent")
    found = agreement("cells", fast, "transistor", slow)
    assert (found.chips, found.failed) == (3, 1)
    assert found.classes == pytest.approx(2 / 3)
    assert found.isi_correlation == pytest.approx(1.0)
    assert found.isi_difference == pytest.approx(1.0 - 1.0 / 1.1)
    assert found.r2_difference is None
    assert "3 chips on the transistor tier" in found.summary()


def test_bursting_chips_are_compared_within_their_bursts():
    fast = [chip(k, regime="bursting", isi_mean=200.0, intra_interval=60.0 + k) for k in range(3)]
    slow = [chip(k, regime="bursting", isi_mean=300.0 - k, intra_interval=66.0 - k) for k in range(3)]
    assert agreement("cells", fast, "transistor", slow).isi_correlation == pytest.approx(-1.0)


def test_networks_are_compared_by_their_r2():
    fast, slow = ([chip(0, r2=a), chip(1, r2=b)] for a, b in ((0.95, 0.90), (0.94, 0.80)))
    found = agreement("ode", fast, "cells", slow)
    assert (found.r2_difference, found.r2_worst) == (pytest.approx(-0.055), pytest.approx(-0.1))
    assert (found.classes, found.isi_correlation) == (None, None)


def test_rows_of_other_conditions_are_not_mixed_up():
    fast = [chip(0, regime="tonic"), dataclasses.replace(chip(0, regime="silent"), temperature=85.0)]
    slow = [dataclasses.replace(chip(0, regime="silent"), temperature=85.0)]
    assert agreement("cells", fast, "transistor", slow).classes == 1.0


def test_chips_that_are_alike_have_no_correlation():
    rows = [chip(k, regime="tonic", isi_mean=50.0) for k in range(3)]
    assert agreement("cells", rows, "transistor", rows).isi_correlation is None
