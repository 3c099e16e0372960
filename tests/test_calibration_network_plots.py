"""Figures of calibrated networks: the stretch that is shown, every spike in it, and what failed."""

import numpy as np
import pytest
from synthetic_calibrations import networks

from mtc_hw.calibration_network_plots import SHOWN, answers_figure, network_rasters_figure
from mtc_hw.plots import NARROW, WIDE, inline_svg


@pytest.mark.parametrize("draw", [answers_figure, network_rasters_figure])
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("failed", [False, True])
def test_a_figure_is_drawn_from_good_and_failed_chips(draw, width, failed):
    assert inline_svg(draw(networks(failed), width), "f").startswith("<svg")


def test_each_chip_stands_beside_the_one_without_mismatch_and_every_spike_is_a_mark():
    shown = networks()
    panels = network_rasters_figure(shown).axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles[:3] == ["without mismatch", "median chip (4), before", "median chip (4), calibrated"]
    assert titles[3:] == ["without mismatch", "worst chip (2), before", "worst chip (2), calibrated"]
    for axes, spikes in zip(panels, [shown.nominal, shown.chips[0].before, shown.chips[0].after], strict=False):
        x, y = axes.lines[0].get_data()
        marks = np.isfinite(x)
        assert marks.sum() == 2 * spikes.times.size
        rows = np.round(y[marks][::2] + 0.9).astype(int)
        np.testing.assert_array_equal(np.bincount(rows, minlength=5), spikes.counts)
        assert axes.get_xlim() == (50.0, 50.0 + SHOWN)


def test_a_failed_run_is_named_in_its_panel():
    panels = network_rasters_figure(networks(failed=True)).axes
    assert [text.get_text() for text in panels[1].texts] == ["run failed"]
    assert panels[1].lines[:] == []


def test_answers_stand_on_the_target_with_their_r2():
    column = answers_figure(networks()).axes
    assert [axes.get_title(loc="left") for axes in column] == [
        f"{name}: R² before 0.640, calibrated 1.000" for name in ("median chip (4)", "worst chip (2)")
    ]
    target, before, after = (line.get_ydata() for line in column[0].lines)
    assert target.size == SHOWN + 1
    np.testing.assert_allclose(before, 0.4 * target)
    np.testing.assert_allclose(after, 0.98 * target)


def test_a_failed_chip_has_no_answer_and_no_figure():
    column = answers_figure(networks(failed=True)).axes
    assert column[0].get_title(loc="left") == "median chip (4): R² calibrated 1.000"
    assert len(column[0].lines) == 2
