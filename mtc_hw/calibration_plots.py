"""Figures of a calibration study: every chip with the nominal chip's codes, and with its own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from mtc_hw.analysis.yields import Yield
from mtc_hw.calibration.chip_row import State
from mtc_hw.montecarlo_plots import BAD, GOOD, LIMIT, PLAIN, bin_edges, rate_texts, value_range, words
from mtc_hw.plots import INK, ONE_COLUMN, STYLE, TIME, WIDE, nines, r2_axis, spike_marks
from mtc_hw.spec import Array

STATES: dict[State, str] = {
    "before": "before",
    "before_refit": "before, readout refitted",
    "after": "calibrated",
    "after_refit": "calibrated, readout refitted",
}
"""What a reader calls a chip's states."""
HATCH = "////"  # of what is not good, so that colour is not all that tells it
MOST_ROWS = 32  # chips of a raster
MOST_BARS = 63  # of a histogram of codes
POINTS = 400  # of a row of R2; of more chips every so many
KINDS = {
    "bias": "code of the bias trims",
    "reference": "code of the reference trims",
    "input": "code of the input trims",
    "offset": "code of the offset trims",
    "readout": "code of the readout weights",
    "pole": "code of the low-pass biases",
}
"""What a reader calls the kinds of converters."""
QUANTITIES = {
    "isi_mean": "ISI mean (tau_m)",
    "isi_cv": "ISI CV",
    "intra_interval": "ISI within bursts (tau_m)",
    "burst_period": "burst period (tau_m)",
    "spikes_per_burst": "spikes per burst",
}


@dataclass(frozen=True, eq=False)
class Trains:
    """One neuron's spikes, tau_m; None where the chip's run failed."""

    sample: int
    before: Array | None
    after: Array | None
    good_before: bool
    good_after: bool


@dataclass(frozen=True, eq=False)
class Spread:
    """A quantity's values with and without calibration, NaN where a chip has none; (chips,) each."""

    quantity: str
    before: Array
    after: Array
    good_before: NDArray[np.bool_]
    good_after: NDArray[np.bool_]
    nominal: float | None = None  # of the chip without mismatch


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes of one kind of converter that all chips ended with. Infinite limits: an ideal converter."""

    kind: str
    values: Array
    low: float  # the first and the last code that there is
    high: float
    trim: bool = True  # False: its largest value has the last code, which bounds nothing

    @property
    def bounded(self) -> NDArray[np.bool_]:
        """Which are at a bound."""
        return self.trim & ((self.values <= self.low) | (self.values >= self.high))


@rc_context(STYLE)
def raster_figure(trains: Sequence[Trains], duration: float, width: float = WIDE) -> Figure:
    """Spikes of some chips, a row each, before at the left and after at the right."""
    shown = chosen_rows(trains)
    narrow = width < ONE_COLUMN
    height = float(np.clip(0.13 * len(shown), 1.2, 4.4))
    figure = Figure(figsize=(width, 2.0 * height + 1.6 if narrow else height + 1.1), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True) if narrow else figure.subplots(1, 2, sharey=True)
    states: tuple[State, State] = ("before", "after")
    for axes, state in zip(panels, states, strict=True):
        for row, each in enumerate(shown):
            spikes = getattr(each, state)
            good = bool(getattr(each, f"good_{state}"))
            if spikes is None:
                axes.text(0.01 * duration, row, "run failed", color=BAD, va="center", fontsize=7.0)
                continue
            axes.plot(*spike_marks([spikes], row - 0.4, row + 0.4), color=GOOD if good else BAD, linewidth=0.9)
            if not good:
                axes.plot(-0.02 * duration, row, "x", color=BAD, markersize=3.5)
        axes.set_ylim(len(shown) - 0.3, -0.7)
        axes.set_xlim(-0.04 * duration, duration)
        axes.set_title(STATES[state])
        axes.set_xlabel("" if narrow and state == "before" else TIME)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_yticks(*_row_ticks(shown))
        axes.tick_params(axis="y", length=0)
    for axes in panels if narrow else panels[:1]:
        axes.set_ylabel("chip")
    figure.legend(handles=_good_and_bad(line=True), loc="outside upper left", ncols=2)
    return figure


def chosen_rows(trains: Sequence[Trains]) -> list[Trains]:
    """All chips where they are few; else those that are not good afterwards, up to a half, and the first others."""
    if len(trains) <= MOST_ROWS:
        return list(trains)
    lost = [each for each in trains if not each.good_after][: MOST_ROWS // 2]
    others = [each for each in trains if each.good_after][: MOST_ROWS - len(lost)]
    return lost + others


def _row_ticks(shown: Sequence[Trains]) -> tuple[list[int], list[str]]:
    every = -(-len(shown) // 16)
    rows = list(range(0, len(shown), every))
    return rows, [str(shown[row].sample) for row in rows]


def _good_and_bad(line: bool = False) -> list[Line2D | Patch]:
    if line:
        return [
            Line2D([], [], color=GOOD, marker="|", linestyle="none", label="good chips"),
            Line2D([], [], color=BAD, marker="x", linestyle="none", label="not good"),
        ]
    return [Patch(facecolor=GOOD, label="good chips"), Patch(facecolor=BAD, hatch=HATCH, label="not good")]


@rc_context(STYLE)
def spread_figure(spreads: Sequence[Spread], width: float = WIDE) -> Figure:
    """Histograms of each quantity on the same bins, before above after; dashed: the chip without mismatch."""
    narrow = width < ONE_COLUMN
    shape = (2 * len(spreads), 1) if narrow else (2, len(spreads))
    figure = Figure(figsize=(width, 1.55 * shape[0] + 0.7), layout="constrained")
    grid = figure.subplots(*shape, squeeze=False)
    for column, each in enumerate(spreads):
        pair = grid[2 * column : 2 * column + 2, 0] if narrow else grid[:, column]
        _spread_pair(pair[0], pair[1], each)
        for axes in pair if narrow or column == 0 else ():
            axes.set_ylabel("chips")
    figure.legend(handles=_good_and_bad(), loc="outside upper left", ncols=2)
    return figure


def _spread_pair(upper: Axes, lower: Axes, each: Spread) -> None:
    upper.sharex(lower)
    upper.sharey(lower)
    upper.tick_params(labelbottom=False)
    present = [values[np.isfinite(values)] for values in (each.before, each.after)]
    lower.set_xlabel(QUANTITIES.get(each.quantity, words(each.quantity)))
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    lower.xaxis.set_major_locator(MaxNLocator(5))
    if not any(values.size for values in present):
        lower.text(0.5, 0.5, "no chip has a value", ha="center", transform=lower.transAxes)
        return
    views = [value_range(values, None) for values in present if values.size]
    low, high = min(view[0] for view in views), max(view[1] for view in views)
    both = np.concatenate(present)
    edges = bin_edges(both[(both >= low) & (both <= high)], None, low, high)
    top = 0.0
    shown: tuple[tuple[Axes, State], ...] = ((upper, "before"), (lower, "after"))
    for axes, state in shown:
        values, good = getattr(each, state), getattr(each, f"good_{state}")
        inside = (values >= edges[0]) & (values <= edges[-1])  # False for NaN
        groups = values[inside & good], values[inside & ~good]
        top = max(top, _stacked(axes, groups, edges, GOOD))
        if each.nominal is not None and low <= each.nominal <= high:
            axes.axvline(each.nominal, color=INK, linewidth=1.0, linestyle=LIMIT)
        beyond = int(np.isfinite(values).sum() - inside.sum())
        said = f"; {beyond} beyond the axis" if beyond else ""
        axes.set_title(f"{STATES[state]}: {spread_text(values[good])}{said}")
    lower.set_ylim(0.0, top)


def _stacked(axes: Axes, groups: tuple[Array, Array], edges: Array, colour: str) -> float:
    """Two groups as one histogram, the second on the first and hatched; how high the axis must go for it."""
    first, second = (np.histogram(group, edges)[0] for group in groups)
    axes.stairs(first, edges, fill=True, color=colour)
    axes.stairs(
        first + second, edges, baseline=first, fill=True, facecolor=BAD, edgecolor=INK, hatch=HATCH, linewidth=0
    )
    return 1.05 * max(1.0, float((first + second).max()))


def percent(share: float) -> str:
    """To two digits, large ones in full: 1.7 %, 520 %."""
    return f"{100.0 * share:.2g} %" if share < 0.995 else f"{100.0 * share:.0f} %"


def spread_text(values: Array) -> str:
    """Mean and standard deviation in figures: 52.1, sd 1.7 (3.3 %)."""
    values = values[np.isfinite(values)]
    if values.size < 2:
        return "none" if not values.size else f"{values[0]:.4g}"
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    share = f" ({percent(sd / abs(mean))})" if mean else ""
    return f"{mean:.4g}, sd {sd:.3g}{share}"


@rc_context(STYLE)
def yield_figure(yields: Mapping[State, Yield], width: float = WIDE) -> Figure:
    """A row a state: the share of good chips with its interval, in figures at the right."""
    figure = Figure(figsize=(width, 0.36 * len(yields) + 0.8), layout="constrained")
    axes = figure.subplots()
    for row, (state, rate) in enumerate(yields.items()):
        colour = _state_colour(state)
        axes.plot([rate.low, rate.high], [row, row], color=colour, linewidth=3.0, alpha=0.45, solid_capstyle="butt")
        axes.plot(rate.value, row, "o", color=colour, markersize=6.5)
        counted = "" if width < ONE_COLUMN else f"{rate.good} of {rate.total}: "
        text = counted + rate_texts(rate)[0]
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(range(len(yields)), _state_names(yields, width))
    axes.set_ylim(len(yields) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("good chips (bar: 95 % interval)")
    axes.grid(axis="x")
    return figure


def _state_names(states: Iterable[State], width: float) -> list[str]:
    return [STATES[state].replace(", ", ",\n" if width < ONE_COLUMN else ", ") for state in states]


def _state_colour(state: State) -> str:
    return GOOD if state.startswith("after") else PLAIN


@rc_context(STYLE)
def r2_figure(scores: Mapping[State, Array], threshold: float, width: float = WIDE) -> Figure:
    """A row a state: a dot a chip, a bar from the 5th to the 95th percentile, the median as a tick and in figures."""
    figure = Figure(figsize=(width, 0.9 + 0.52 * len(scores)), layout="constrained")
    axes = figure.subplots()
    everything = [value for values in scores.values() for value in values]
    for row, (state, values) in enumerate(scores.items()):
        present = np.sort(values[np.isfinite(values)])
        text = "none"
        if present.size:
            shown = present[:: -(-present.size // POINTS)]
            jitter = row + 0.22 * np.sin(2.4 * np.arange(shown.size))  # the golden angle leaves no pattern
            colour = _state_colour(state)
            axes.plot(nines(shown), jitter, "o", color=colour, markersize=3.2, alpha=0.55, markeredgewidth=0)
            low, middle, high = (float(nines(each)) for each in np.quantile(present, [0.05, 0.5, 0.95]))
            axes.plot([low, high], [row, row], color=INK, linewidth=1.4)
            axes.plot(middle, row, "|", color=INK, markersize=15, markeredgewidth=1.8)
            text = f"{np.median(present):.4f}"
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(range(len(scores)), _state_names(scores, width))
    axes.set_ylim(len(scores) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    r2_axis(axes, everything, threshold, width)
    if width < ONE_COLUMN:
        axes.set_xlabel(f"R² (dashed: a good chip, {threshold:g})")
    return figure


@rc_context(STYLE)
def codes_figure(codes: Sequence[Codes], width: float = WIDE) -> Figure:
    """A histogram of the codes of each kind of converter; dashed: its bounds; red and hatched: codes at a bound."""
    columns = 1 if width < ONE_COLUMN else min(3, max(1, len(codes)))
    rows = max(1, -(-len(codes) // columns))
    figure = Figure(figsize=(width, 1.75 * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, each in zip(panels, codes, strict=False):
        _codes_panel(axes, each)
    for axes in panels[len(codes) :]:
        axes.set_axis_off()
    for axes in panels[::columns]:
        axes.set_ylabel("converters")
    return figure


def _codes_panel(axes: Axes, codes: Codes) -> None:
    finite = bool(np.isfinite([codes.low, codes.high]).all())
    low, high = (codes.low, codes.high) if finite else (float(codes.values.min()), float(codes.values.max()))
    step = max(1.0, np.ceil((high - low + 1.0) / MOST_BARS))
    edges = np.arange(low - 0.5, high + 0.5 + step, step)
    groups = codes.values[~codes.bounded], codes.values[codes.bounded]
    axes.set_ylim(0.0, _stacked(axes, groups, edges, PLAIN))
    for bound in (codes.low, codes.high) if finite else ():
        axes.axvline(bound, color=INK, linewidth=1.0, linestyle=LIMIT)
    margin = 0.05 * (high - low + 1.0)
    axes.set_xlim(low - margin, high + margin)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel(KINDS[codes.kind])
    counted = f"{int(codes.bounded.sum())} of {codes.values.size} at a bound"
    axes.set_title(counted if codes.trim else f"{codes.values.size} weights")
