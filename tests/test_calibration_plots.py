"""Figures of a calibration study: each is drawn from good chips and from bad ones, and shows what it counts."""

import numpy as np
import pytest
from synthetic_calibrations import codes, tonic_chips, train

from mtc_hw.analysis.yields import clopper_pearson
from mtc_hw.calibration_plots import (
    MOST_ROWS,
    Codes,
    Spread,
    Trains,
    chosen_rows,
    codes_figure,
    r2_figure,
    raster_figure,
    spread_figure,
    spread_text,
    yield_figure,
)
from mtc_hw.plots import NARROW, WIDE, inline_svg


def trains(count):
    _, spikes = tonic_chips(count)
    return [
        Trains(k, own["before"], own.get("after"), own["before"].size > 0, k not in (3, 5))
        for k, own in spikes.items()
    ]


def spread(before, after, nominal=None):
    values = np.array(before, dtype=float), np.array(after, dtype=float)
    return Spread("isi_mean", *values, *(np.isfinite(each) for each in values), nominal)


NAN = float("nan")
FIGURES = {
    "rasters": lambda width: raster_figure(trains(40), 2000.0, width),
    "one raster": lambda width: raster_figure(
        [Trains(0, train(50.0, False), train(50.0, True), True, False)], 100.0, width
    ),
    "spread": lambda width: spread_figure([spread([50, 60, NAN], [52, 52.5, 53], 52.0)] * 3, width),
    "no values": lambda width: spread_figure([spread([NAN], [NAN])], width),
    "one value": lambda width: spread_figure([spread([NAN], [52.0])], width),
    "yield": lambda width: yield_figure({"before": clopper_pearson(0, 3), "after": clopper_pearson(3, 3)}, width),
    "r2": lambda width: r2_figure({"before": np.array([0.5, -3.0, NAN]), "after": np.array([NAN])}, 0.9, width),
    "codes": lambda width: codes_figure(codes(), width),
    "ideal codes": lambda width: codes_figure([Codes("bias", np.array([0.1, -3.7]), -np.inf, np.inf)], width),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_figure_is_drawn_from_good_and_bad_chips(name, width):
    assert inline_svg(FIGURES[name](width), name.replace(" ", "-")).startswith("<svg")


def test_a_raster_has_every_chip_where_they_are_few_and_lost_ones_first_where_they_are_many():
    few, many = trains(20), trains(100)
    assert chosen_rows(few) == few
    shown = chosen_rows(many)
    assert len(shown) == MOST_ROWS
    assert {each.sample for each in shown[:2]} == {3, 5}
    assert [each.sample for each in shown[2:]] == [k for k in range(100) if k not in (3, 5)][: MOST_ROWS - 2]


def test_a_raster_marks_each_spike_once_and_says_which_run_failed():
    shown = trains(8)
    left, right = raster_figure(shown, 2000.0).axes
    spikes = sum(int(np.isfinite(line.get_xdata()).sum()) // 2 for line in left.lines if line.get_marker() == "None")
    assert spikes == sum(each.before.size for each in shown)
    assert [text.get_text() for text in right.texts] == ["run failed"]
    assert sum(line.get_marker() == "x" for line in right.lines) == 1  # chip 3


def test_before_and_after_have_the_same_bins_and_every_chip_is_in_one():
    upper, lower = spread_figure([spread([50, 60, NAN], [52, 52.5, 53], 52.0)]).axes
    drawn = [[patch.get_data() for patch in axes.patches] for axes in (upper, lower)]
    np.testing.assert_array_equal(drawn[0][0].edges, drawn[1][0].edges)
    assert [tops[-1].values.sum() for tops in drawn] == [2, 3]
    assert upper.get_title(loc="left") == "before: 55, sd 7.07 (13 %)"
    assert lower.get_xlabel() == "ISI mean (tau_m)"


def test_a_value_far_off_is_counted_and_does_not_squeeze_the_others():
    upper, _ = spread_figure([spread([50, 51, 49, 50.5, 49.5, 5e4], [52, 52.5, 53])]).axes
    assert upper.get_title(loc="left").endswith("; 1 beyond the axis")
    assert upper.get_xlim()[1] < 60.0


def test_a_spread_in_figures():
    assert spread_text(np.array([1600.0, 1700.0])) == "1650, sd 70.7 (4.3 %)"
    assert spread_text(np.array([1.0, 30.0])) == "15.5, sd 20.5 (132 %)"
    assert spread_text(np.array([7.0, NAN])) == "7"
    assert spread_text(np.array([NAN])) == "none"


def test_codes_at_a_bound_are_counted_and_marked():
    own = Codes("bias", np.array([-31.0, 0.0, 0.0, 30.0, 31.0, 31.0]), -31, 31)
    axes = codes_figure([own]).axes[0]
    inside, bounded = (patch.get_data() for patch in axes.patches)
    assert (inside.values.sum(), (bounded.values - bounded.baseline).sum(), own.bounded.sum()) == (3, 3, 3)
    assert axes.get_title(loc="left") == "3 of 6 at a bound"
    assert axes.get_xlabel() == "code of the bias trims"


def test_a_converter_of_many_codes_has_few_bars():
    axes = codes_figure([Codes("readout", np.arange(-127.0, 128.0), -127, 127)]).axes[0]
    drawn = axes.patches[-1].get_data()
    assert len(drawn.values) <= 63
    assert drawn.values.sum() == 255


def test_the_figures_beside_r2_are_medians_of_the_chips_that_have_one():
    axes = r2_figure({"before": np.array([0.5, 0.7, NAN]), "after": np.array([NAN])}, 0.9).axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.6000", "none"]


def test_a_yield_is_told_beside_its_bar():
    axes = yield_figure({"before": clopper_pearson(1, 4), "after": clopper_pearson(4, 4)}).axes[0]
    assert [text.get_text() for text in axes.texts] == ["1 of 4: 25.0 %", "4 of 4: 100.0 %"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["before", "calibrated"]
