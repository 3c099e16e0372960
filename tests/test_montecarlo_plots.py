"""Figures of a Monte Carlo run: each is drawn from good tables and from bad ones, and shows what it counts."""

import numpy as np
import pytest
from synthetic_chips import chips, table

from mtc_hw.analysis.datasheet import datasheet
from mtc_hw.analysis.verdicts import verdicts
from mtc_hw.montecarlo_plots import (
    conditions_figure,
    quantities_figure,
    rate_texts,
    regimes_figure,
    running_figure,
    words,
)
from mtc_hw.plots import NARROW, WIDE, inline_svg

SHEET = datasheet(
    "d",
    {
        "regime": {"wanted": "tonic"},
        "isi_mean": {"min": 42.0, "typ": 52.0, "max": 62.0, "unit": "tau_m"},
        "power": {"max": 4.6e-8},
        "spikes": {"min": 17},
    },
)
PLACES = (("tt", 1.8, 27.0), ("ff", 1.8, 85.0), ("ss", 1.62, -40.0))
MADE = {
    "many": lambda: chips(150, failing=0.05)[0],
    "conditions": lambda: chips(12, conditions=PLACES, failing=0.1)[0],
    "one": lambda: chips(1)[0],
    "all failed": lambda: table({"outcome": "timeout"}, {"outcome": "crashed", "reason": "<b> $x_2$"}),
    "nulls": lambda: table({"regime": "silent", "spikes": 0}, {"regime": "block"}),
    "all alike": lambda: table(*[{"regime": "tonic", "isi_mean": 50.0, "power": 4e-8}] * 4),
    "one far off": lambda: table(*({"isi_mean": value} for value in (50.0, 51.0, 49.0, 50.5, 49.5, 5e4))),
}
FIGURES = {
    "quantities": lambda made, width: quantities_figure(made, SHEET, width),
    "no datasheet": lambda made, width: quantities_figure(made, None, width),
    "regimes": regimes_figure,
    "running": lambda made, width: running_figure(verdicts(made, SHEET), width),
    "conditions": lambda made, width: conditions_figure(verdicts(made, SHEET), width),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("made", MADE)
def test_a_figure_is_drawn_from_good_and_bad_tables(name, made):
    svg = inline_svg(FIGURES[name](MADE[made](), NARROW if made == "many" else WIDE), name)
    assert svg.startswith("<svg")
    assert "<b>" not in svg


def test_every_run_with_a_value_stands_in_its_histogram_inside_or_outside():
    made = MADE["many"]()
    panels = quantities_figure(made, SHEET).axes
    kept, lost = (sum(bar.get_height() for bar in bars) for bars in panels[0].containers)
    values = np.array(made["isi_mean"].drop_null())
    inside = int(((values >= 42.0) & (values <= 62.0)).sum())
    assert (kept, lost) == (inside, values.size - inside)
    assert panels[0].get_title(loc="left") == f"{inside} of {values.size} within limits"
    assert panels[0].get_xlabel() == "ISI mean (tau_m)"
    assert [axes.get_xlabel() for axes in panels[1:3]] == ["power", "spikes"]


def test_no_bar_lies_on_both_sides_of_a_limit():
    axes = quantities_figure(MADE["many"](), SHEET).axes[0]
    edges = [bar.get_x() for bar in axes.containers[0]]
    for limit in (42.0, 62.0):
        assert np.min(np.abs(np.array(edges) - limit)) < 1e-9


def test_values_at_a_limit_stand_within_it():
    limits = datasheet("d", {"isi_mean": {"min": 40.0, "max": 60.0}})
    made = table(*({"isi_mean": value} for value in (40.0, 40.0, 45.5, 55.0, 60.0, 60.0, 70.0)))
    bars = quantities_figure(made, limits).axes[0].containers[0]
    counts = {round(bar.get_x(), 6): bar.get_height() for bar in bars}
    assert counts[40.0] == 2
    assert sum(height for left, height in counts.items() if 40.0 <= left < 60.0) == 6


def test_a_value_far_off_is_counted_and_does_not_squeeze_the_others():
    axes = quantities_figure(MADE["one far off"]()).axes[0]
    assert axes.get_title(loc="left") == "6 runs, 1 beyond the axis"
    assert axes.get_xlim()[1] < 60.0


def test_bars_count_regimes_and_each_class_of_failure():
    made = table({"regime": "tonic"}, {"regime": "tonic"}, {"regime": "phasic_burst"}, {"outcome": "timeout"}, {})
    axes = regimes_figure(made).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    counts = [text.get_text() for text in axes.texts]
    assert dict(zip(labels, counts, strict=True)) == {
        "phasic burst": "1, 20.0 %",
        "tonic": "2, 40.0 %",
        "ok": "1, 20.0 %",
        "failed: timeout": "1, 20.0 %",
    }


def test_several_conditions_have_a_stacked_bar_each():
    made = MADE["conditions"]()
    axes = regimes_figure(made).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "tt, 1.8 V, 27 C",
        "ff, 1.8 V, 85 C",
        "ss, 1.62 V, -40 C",
    ]
    assert sum(bar.get_width() for bars in axes.containers for bar in bars) == made.num_rows


def test_the_running_yield_ends_at_the_yield():
    found = verdicts(MADE["many"](), SHEET)
    line = running_figure(found).axes[0].lines[0]
    assert line.get_xdata()[-1] == 150
    assert line.get_ydata()[-1] == found.overall.value


def test_names_and_rates_read_as_text():
    assert (words("isi_mean"), words("r2"), words("phasic_burst")) == ("ISI mean", "R²", "phasic burst")
    found = verdicts(table({"spikes": 20}, {"spikes": 20}), datasheet("d", {"spikes": {"min": 17}}))
    assert rate_texts(found.overall) == ("100.0 %", "15.8 to 100.0 %")
