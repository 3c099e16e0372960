"""Yield against a datasheet, worst chips, and what was measured: laws on made-up tables."""

import numpy as np
import pytest
from synthetic_chips import chips, table

from mtc_hw.analysis.chip_table import Condition
from mtc_hw.analysis.datasheet import datasheet
from mtc_hw.analysis.verdicts import margins, measured, verdicts, worst
from mtc_hw.analysis.yields import clopper_pearson
from mtc_hw.errors import DataError

SHEET = datasheet("d", {"regime": {"wanted": "tonic"}, "isi_mean": {"min": 40.0, "max": 60.0}})
GOOD = {"regime": "tonic", "isi_mean": 50.0}
COLD = {"temperature": -40.0}


def test_a_chip_is_good_that_keeps_every_limit_and_a_limit_itself_is_kept():
    found = verdicts(
        table(GOOD, GOOD | {"isi_mean": 60.0}, GOOD | {"isi_mean": 60.1}, GOOD | {"regime": "silent"}), SHEET
    )
    assert found.good.tolist() == [True, True, False, False]
    assert found.overall == clopper_pearson(2, 4)
    assert {name: rate.good for name, rate in found.by_quantity.items()} == {"regime": 3, "isi_mean": 3}


def test_a_failed_run_fails_its_chip_and_a_missing_figure_the_limits_on_it():
    found = verdicts(table(GOOD, GOOD | {"outcome": "timeout"}, {"regime": "tonic"}, {"isi_mean": 50.0}), SHEET)
    assert found.good.tolist() == [True, False, False, False]
    assert {name: rate.good for name, rate in found.by_quantity.items()} == {"regime": 2, "isi_mean": 2}
    assert found.finished.tolist() == [[True], [False], [True], [True]]


def test_a_chip_must_be_good_at_every_condition():
    rows = [{"sample": 0} | GOOD, {"sample": 0} | COLD | GOOD, {"sample": 1} | GOOD, {"sample": 1} | COLD]
    found = verdicts(table(*rows), SHEET)
    assert (found.overall.good, found.overall.total) == (1, 2)
    assert {str(place): rate.good for place, rate in found.by_condition.items()} == {
        "tt, 1.8 V, 27 C": 2,
        "tt, 1.8 V, -40 C": 1,
    }


def test_chips_that_are_not_yet_run_everywhere_are_left_out_and_counted():
    rows = [{"sample": 0} | GOOD, {"sample": 0} | COLD | GOOD, {"sample": 1} | GOOD]
    found = verdicts(table(*rows), SHEET)
    assert (found.overall.good, found.overall.total, found.incomplete) == (1, 1, 1)
    with pytest.raises(DataError, match=r"^no chip was run at all 2 conditions; finish at least one, or judge one"):
        verdicts(table(rows[1], rows[2]), SHEET)


@pytest.mark.parametrize("count", [1, 5])
def test_where_all_fail_the_yield_is_zero_with_its_interval(count):
    found = verdicts(table(*[{"outcome": "timeout"}] * count), SHEET, confidence=0.9)
    assert (found.overall.value, found.overall.low) == (0.0, 0.0)
    assert found.overall.high == pytest.approx(1.0 - 0.05 ** (1.0 / count))


def test_the_order_of_rows_changes_no_verdict():
    made, _ = chips(40, conditions=(("tt", 1.8, 27.0), ("ff", 1.8, 85.0)), failing=0.05)
    shuffled = made.take(np.random.default_rng(0).permutation(made.num_rows))
    one, other = verdicts(made, SHEET), verdicts(shuffled, SHEET)
    assert one.good.tolist() == other.good.tolist()
    assert [w.sample for w in worst(made, SHEET, 9)] == [w.sample for w in worst(shuffled, SHEET, 9)]


@pytest.mark.parametrize(
    ("limits", "value", "margin"),
    [
        ({"min": 40.0, "max": 60.0}, 50.0, 1.0),
        ({"min": 40.0, "max": 60.0}, 65.0, -0.5),
        ({"min": 40.0, "typ": 55.0, "max": 60.0}, 42.0, 0.2),
        ({"min": 40.0, "typ": 50.0}, 30.0, -1.0),
        ({"max": 40.0}, 50.0, -0.25),
        ({"max": 0.0}, 2.0, -2.0),
        ({"min": 9.0, "max": 9.0}, 6.0, -1.0 / 3.0),
    ],
)
def test_a_margin_is_the_distance_to_the_nearest_limit(limits, value, margin):
    own = datasheet("d", {"isi_mean": limits}).limits["isi_mean"]
    assert margins(table({"isi_mean": value}), "isi_mean", own) == pytest.approx([margin])


def test_worst_come_failures_then_what_has_no_distance_then_the_smallest_margin():
    made = table(
        GOOD,
        GOOD | {"isi_mean": 75.0},
        GOOD | {"isi_mean": 61.0},
        {"regime": "silent"},
        {"outcome": "timeout", "reason": "killed after 9 s"},
        GOOD | {"isi_mean": 41.0},
    )
    found = worst(made, SHEET, 6)
    assert [chip.sample for chip in found] == [4, 3, 1, 2, 5, 0]
    assert [chip.good for chip in found] == [False] * 4 + [True] * 2
    assert [chip.margin for chip in found[:2]] == [None, None]
    assert [chip.margin for chip in found[2:]] == pytest.approx([-1.5, -0.1, 0.1, 1.0])
    assert [chip.why for chip in found][:3] == [
        "timeout: killed after 9 s",
        "regime is silent, not tonic",
        "isi_mean is 75, limits 40 to 60",
    ]
    assert worst(made, SHEET, 2) == found[:2]


def test_a_chip_stands_once_at_its_worst_condition():
    rows = [{"sample": 3} | GOOD, {"sample": 3} | COLD | GOOD | {"isi_mean": 58.0}, {"sample": 8} | GOOD]
    found = worst(table(*rows, {"sample": 8} | COLD | GOOD), SHEET, 10)
    assert [(chip.sample, chip.condition) for chip in found] == [
        (3, Condition("tt", 1.8, -40.0)),
        (8, Condition("tt", 1.8, 27.0)),
    ]


def test_texts_alone_have_no_margin():
    found = worst(table({"regime": "tonic"}, {}), datasheet("d", {"regime": {"wanted": "tonic"}}), 2)
    assert [(chip.sample, chip.good, chip.margin, chip.why) for chip in found] == [
        (1, False, None, "regime is none, not tonic"),
        (0, True, None, "regime is tonic"),
    ]
    with pytest.raises(DataError, match=r"^0 worst chips are asked for; ask for at least 1$"):
        worst(table({}), SHEET, 0)


def test_what_was_measured_leaves_out_failures_and_nulls_and_counts_them():
    made = table(*({"isi_mean": value} for value in (46.0, 48.0, 50.0, 52.0, 54.0)), {}, {"outcome": "timeout"})
    found = measured(made, "isi_mean", SHEET.limits["isi_mean"])
    assert (found.count, found.missing) == (5, 2)
    assert (found.low, found.mean, found.high, found.quantiles[0.5]) == (46.0, 50.0, 54.0, 50.0)
    assert found.sd == pytest.approx(10.0**0.5)
    assert found.capability == pytest.approx(10.0 / (3.0 * 10.0**0.5))
    assert measured(made, "isi_mean").capability is None


def test_one_chip_has_no_spread_and_none_has_nothing():
    found = measured(table({"isi_mean": 50.0}), "isi_mean", SHEET.limits["isi_mean"])
    assert np.isnan(found.sd) and found.capability is None
    assert measured(table({}), "isi_mean") is None
