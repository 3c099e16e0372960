"""Figures of shares."""

import pytest
from scipy.stats import norm
from synthetic_chips import EFFECTS, PATHS, chips

from mtc_hw.analysis.sensitivity import regression
from mtc_hw.analysis.sobol import sobol_of
from mtc_hw.plots import NARROW, WIDE, inline_svg
from mtc_hw.sensitivity_plots import sensitivity_figure, sensitivity_title


@pytest.fixture(scope="module")
def fit():
    return regression(*chips(300, failing=0.05), "isi_mean")


def test_bars_are_the_shares_the_largest_above(fit):
    result = fit.shares("device")
    axes = sensitivity_figure([result], shown=5).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [share.name for share in result.shares[:5]]
    assert [bar.get_width() for bar in axes.containers[0]] == pytest.approx([s.value for s in result.shares[:5]])
    assert axes.yaxis_inverted()


def test_the_title_tells_chips_r2_and_what_is_not_shown(fit):
    result = fit.shares("device")
    title = sensitivity_title(result, shown=5)
    rest = 100.0 * sum(share.value for share in result.shares[5:])
    assert title.startswith(
        f"ISI mean; {result.chips} chips, 32 draws, {result.left_out} chips left out; linear model's"
    )
    assert "R² 1.00 (1.00 to 1.00)" in title
    assert title.endswith(f"11 more with {rest:.0f} % together")
    assert sensitivity_title(result, 5, narrow=True).count("\n") == 3


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_first_order_and_total_stand_side_by_side(width):
    dimensions = {path: norm() for path in PATHS}
    found = sobol_of(lambda x: x @ EFFECTS, dimensions, 64, seed=0, level="element", quantity="isi_mean")
    figure = sensitivity_figure([found.first, found.total], width)
    assert len(figure.axes[0].containers) == 2
    assert sensitivity_title(found.first) == "ISI mean; 64 rows of the design, 32 draws"
    assert inline_svg(figure, "s").startswith("<svg")
