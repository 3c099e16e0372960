"""Figures of a Monte Carlo run: quantities against limits, regimes and failures, yield by chips and conditions."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from mtc_hw.analysis.chip_table import OK, numbers, places, quantities
from mtc_hw.analysis.datasheet import Datasheet, Limits
from mtc_hw.analysis.verdicts import Verdicts
from mtc_hw.analysis.yields import Yield, running_yield
from mtc_hw.excitability_plots import REGIMES
from mtc_hw.plots import INK, ONE_COLUMN, STYLE, WIDE
from mtc_hw.spec import Array

GOOD, BAD, PLAIN = "#228833", "#ee6677", "#4477aa"  # P. Tol's bright scheme, safe for the colour-blind
HATCHES = ("////", "\\\\\\\\", "xxxx", "....", "++++", "----", "oooo", "||||")  # of failures, which have no colour
LIMIT = (0, (4, 2))
TYPICAL = (0, (1, 1.5))
UNITS = {
    "isi_mean": "tau_m",
    "burst_period": "tau_m",
    "intra_interval": "tau_m",
    "power": "W",
}
"""Of a table's columns, where the datasheet does not say."""
ABBREVIATIONS = {"isi": "ISI", "cv": "CV", "r2": "R²"}
PREFIXED = ("W", "A", "V", "s", "F", "m", "J", "Hz")  # units that take a prefix
FAR = 6.0  # interquartile ranges from the median, beyond which a value is counted and not shown
SHOWN_POINTS = 1200  # of a line; more would swell the page


@rc_context(STYLE)
def quantities_figure(table: pa.Table, sheet: Datasheet | None = None, width: float = WIDE) -> Figure:
    """A histogram for each quantity of the datasheet, or of the table without one, that some run has.

    Runs outside the limits are red, limits dashed, typical values dotted.
    """
    wanted = [name for name in (sheet.limits if sheet else ()) if not sheet or sheet.limits[name].wanted is None]
    named = wanted or list(quantities(table))
    shown = [(name, values) for name in named if (values := _present(table, name)).size]
    columns = 1 if width < ONE_COLUMN or len(shown) < 2 else 2
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(width, 1.9 * rows + 0.2 if shown else 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, values) in zip(panels, shown, strict=False):
        _histogram(axes, name, values, sheet.limits.get(name) if sheet else None)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    if not shown:
        panels[0].text(0.5, 0.5, "no run has a value", ha="center", transform=panels[0].transAxes)
    for axes in panels[::columns]:
        axes.set_ylabel("runs")
    return figure


def _present(table: pa.Table, quantity: str) -> Array:
    values = numbers(table, quantity)
    return np.asarray(values[np.isfinite(values)])


def _histogram(axes: Axes, name: str, values: Array, limits: Limits | None) -> None:
    low, high = value_range(values, limits)
    seen = values[(values >= low) & (values <= high)]
    edges = bin_edges(seen, limits, low, high)
    kept = np.ones(seen.size, dtype=np.bool_)
    if limits is not None:
        kept = (seen >= _or(limits.min, -np.inf)) & (seen <= _or(limits.max, np.inf))
    groups = [seen[kept], seen[~kept]]
    axes.hist(groups, bins=list(edges), stacked=True, color=[PLAIN if limits is None else GOOD, BAD])
    for value, style in _marks(limits):
        axes.axvline(value, color=INK, linewidth=1.0, linestyle=style)
    margin = 0.02 * (edges[-1] - edges[0])
    axes.set_xlim(edges[0] - margin, edges[-1] + margin)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    unit = limits.unit if limits is not None and limits.unit else UNITS.get(name, "")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    if unit in PREFIXED:
        axes.xaxis.set_major_formatter(EngFormatter(unit))
    axes.set_xlabel(words(name) + (f" ({unit})" if unit and unit not in PREFIXED else ""))
    axes.set_title(_histogram_title(values, values.size - seen.size, limits))


def _histogram_title(values: Array, beyond: int, limits: Limits | None) -> str:
    told = f"{values.size} runs"
    if limits is not None:
        kept = (values >= _or(limits.min, -np.inf)) & (values <= _or(limits.max, np.inf))
        told = f"{int(kept.sum())} of {values.size} within limits"
    return told + (f", {beyond} beyond the axis" if beyond else "")


def _marks(limits: Limits | None) -> list[tuple[float, object]]:
    if limits is None:
        return []
    marks = [(limits.min, LIMIT), (limits.max, LIMIT), (limits.typ, TYPICAL)]
    return [(value, style) for value, style in marks if value is not None]


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def value_range(values: Array, limits: Limits | None) -> tuple[float, float]:
    """The axis' ends: all values that are not `FAR`, and the limits."""
    first, middle, third = np.quantile(values, [0.25, 0.5, 0.75])
    reach = FAR * (third - first)
    near = values[np.abs(values - middle) <= reach] if reach > 0.0 else values
    ends = [float(near.min()), float(near.max()), *(value for value, _ in _marks(limits))]
    low, high = min(ends), max(ends)
    room = (high - low) or abs(high) or 1.0
    return (low, high) if high - low > 1e-9 * room else (low - 0.05 * room, high + 0.05 * room)


def bin_edges(values: Array, limits: Limits | None, low: float, high: float) -> Array:
    """Bins over the view, as fine as the values' spread allows, an edge at each limit; of whole numbers one each."""
    if bool((values == np.round(values)).all()) and high - low <= 60.0:
        return np.arange(np.floor(low), np.ceil(high) + 2.0) - 0.5
    spread = float(np.ptp(np.quantile(values, [0.25, 0.75])))
    step = 2.0 * spread / values.size ** (1.0 / 3.0)  # Freedman and Diaconis 1981
    step = float(np.clip(step, (high - low) / 60.0, (high - low) / 8.0)) if step > 0.0 else (high - low) / 20.0
    ends = [end for end in (limits.min, limits.max) if end is not None] if limits is not None else []
    if len(ends) == 2 and ends[1] > ends[0]:
        step = (ends[1] - ends[0]) / np.ceil((ends[1] - ends[0]) / step)
    anchor = ends[0] if ends else low
    first, last = np.floor((low - anchor) / step), np.ceil((high - anchor) / step)
    edges = anchor + step * np.arange(first, max(last, first + 1.0) + 1.0)
    if limits is not None and limits.max is not None:
        # Bins hold their left edge: a value at the upper limit, which is good, belongs to the bin before it.
        edges[np.abs(edges - limits.max) < 1e-6 * step] = np.nextafter(limits.max, np.inf)
    return np.asarray(edges)


@rc_context(STYLE)
def regimes_figure(table: pa.Table, width: float = WIDE) -> Figure:
    """How many runs were of each regime or failed; a bar a regime, or a stacked bar a condition if there are more."""
    where = places(table)
    kinds = [_kind(*row) for row in zip(table["outcome"].to_pylist(), _regimes(table), strict=True)]
    order = [kind for kind in (*REGIMES, NO_REGIME) if kind in set(kinds)]
    order += sorted(set(kinds) - set(order))
    rows = max(1, len(where.conditions)) if len(where.conditions) > 1 else len(order)
    figure = Figure(figsize=(width, 0.3 * rows + 0.9), layout="constrained")
    axes = figure.subplots()
    if len(where.conditions) > 1:
        counts = Counter(zip(where.condition.tolist(), kinds, strict=True))
        _stacked(axes, np.array([[counts[row, kind] for kind in order] for row in range(rows)]), order)
        axes.set_yticks(range(rows), [str(condition) for condition in where.conditions])
        figure.legend(loc="outside upper left", ncols=2 if width < ONE_COLUMN else 5)
    else:
        _bars(axes, Counter(kinds), order)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("runs")
    return figure


NO_REGIME = "ok"
"""A run that gave a result without a regime, as a network's."""


def _regimes(table: pa.Table) -> list[str | None]:
    return table["regime"].to_pylist() if "regime" in table.column_names else [None] * table.num_rows


def _kind(outcome: str, regime: str | None) -> str:
    return regime or NO_REGIME if outcome == OK else f"failed: {outcome}"


def _bars(axes: Axes, counts: Counter[str], order: Sequence[str]) -> None:
    total = sum(counts.values())
    longest = max(counts.values())
    for row, kind in enumerate(order):
        axes.barh(row, counts[kind], height=0.66, **_look(kind, order))
        axes.text(
            counts[kind] + 0.01 * longest, row, f"{counts[kind]}, {100.0 * counts[kind] / total:.1f} %", va="center"
        )
    axes.set_yticks(range(len(order)), [words(kind) for kind in order])
    axes.set_xlim(0.0, 1.18 * longest)


def _stacked(axes: Axes, counts: Array, order: Sequence[str]) -> None:
    """counts (conditions, kinds)."""
    left = np.zeros(len(counts))
    for kind, column in zip(order, counts.T, strict=True):
        some = np.flatnonzero(column)  # a bar of none would still draw its edge
        axes.barh(some, column[some], left=left[some], height=0.72, label=words(kind), **_look(kind, order))
        left = left + column
    axes.margins(x=0.0)


def _look(kind: str, order: Sequence[str]) -> dict[str, Any]:
    """Colour of a regime; failures are hatched."""
    if not kind.startswith("failed"):
        return {"facecolor": REGIMES.get(kind, PLAIN), "edgecolor": INK, "linewidth": 0.4}
    failures = [each for each in order if each.startswith("failed")]
    hatch = HATCHES[failures.index(kind) % len(HATCHES)]
    return {"facecolor": "none", "edgecolor": BAD, "hatch": hatch, "linewidth": 0.8}


@rc_context(STYLE)
def running_figure(found: Verdicts, width: float = WIDE) -> Figure:
    """Yield and its interval after each chip, in the order of the samples."""
    value, low, high = running_yield(found.good, found.confidence)
    count = np.arange(1, value.size + 1)
    keep = np.unique(np.round(np.geomspace(1, value.size, SHOWN_POINTS)).astype(int)) - 1
    figure = Figure(figsize=(width, 2.6), layout="constrained")
    axes = figure.subplots()
    label = f"{100.0 * found.confidence:g} % interval (Clopper and Pearson)"
    axes.fill_between(count[keep], low[keep], high[keep], color=PLAIN, alpha=0.25, linewidth=0, label=label)
    axes.plot(count[keep], value[keep], color=PLAIN, linewidth=1.4, label="yield so far",
              marker="o" if value.size == 1 else None)  # fmt: skip
    if value.size > 20:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    _yield_axis(axes)
    axes.set_xlabel("chips")
    figure.legend(loc="outside upper left", ncols=1 if width < ONE_COLUMN else 2)
    return figure


@rc_context(STYLE)
def conditions_figure(found: Verdicts, width: float = WIDE) -> Figure:
    """Yield at each condition with its interval; the line is that of chips that are good at all of them."""
    rates = found.by_condition
    figure = Figure(figsize=(width, 0.26 * len(rates) + 0.9), layout="constrained")
    axes = figure.subplots()
    for row, rate in enumerate(rates.values()):
        axes.plot([rate.low, rate.high], [row, row], color=PLAIN, linewidth=2.0, alpha=0.5)
        axes.plot(rate.value, row, "o", color=PLAIN, markersize=5.0)
    axes.axvline(found.overall.value, color=INK, linewidth=1.0, linestyle=LIMIT)
    axes.set_yticks(range(len(rates)), [str(condition) for condition in rates])
    axes.set_ylim(len(rates) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(f"yield ({100.0 * found.confidence:g} % interval; dashed: good at every condition)")
    return figure


def _yield_axis(axes: Axes) -> None:
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("yield")
    axes.grid()


def words(name: str) -> str:
    """A column's or a regime's name as a reader writes it."""
    return " ".join(ABBREVIATIONS.get(part, part) for part in name.split("_"))


def rate_texts(rate: Yield) -> tuple[str, str]:
    """A yield and its interval in figures: 93.2 %, 90.6 to 95.3 %."""
    return f"{100.0 * rate.value:.1f} %", f"{100.0 * rate.low:.1f} to {100.0 * rate.high:.1f} %"
