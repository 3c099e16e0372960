"""Each figure stands alone: its axes are labelled, and it is drawn from bad findings too."""

import numpy as np
import pytest
from synthetic_findings import failed, findings

from mtc_hw.plots import NARROW, WIDE, error_budget, inline_svg, iv, monte_carlo, nines, prediction, raster, traces

FIGURES = {
    "budget": lambda found, width: error_budget(found.stages, found.threshold, width),
    "prediction": prediction,
    "iv": iv,
    "traces": traces,
    "raster": raster,
    "chips": monte_carlo,
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("made", [lambda: findings(count=4, samples=300), failed])
def test_a_figure_is_drawn_with_labelled_axes(name, width, made):
    figure = FIGURES[name](made(), width)
    labels = [axes.get_xlabel() for axes in figure.axes] + [figure.get_supxlabel() or ""]
    assert any(labels)
    svg = inline_svg(figure, name)
    assert svg.startswith("<svg")
    assert svg.rstrip().endswith("</svg>")


def test_a_figure_has_the_same_bytes_each_time():
    found = findings(count=2, samples=200)
    first, again = (inline_svg(prediction(found, WIDE), "p") for _ in range(2))
    assert first == again


def test_nines_grow_with_r2_and_count_decades_of_loss():
    assert nines([0.0, 0.9, 0.99]) == pytest.approx([0.0, 1.0, 2.0])
    assert np.isfinite(nines(1.0))


def test_figures_in_an_svg_keep_their_digits():
    found = findings(count=2, samples=200)
    svg = inline_svg(error_budget(found.stages, found.threshold, WIDE), "b")
    for stage in found.stages:
        assert f">{np.median(stage.r2):.3f}".replace("-", "\u2212") in svg
