"""The picture of a comparison: voltages, rasters, dissimilarity and intervals on one clock, the figures beside."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtc_hw.analysis.recording import Recording
from mtc_hw.compare_run import Compared
from mtc_hw.plots import FAINT, INK, STAGES, STYLE, TIME
from mtc_hw.spec import Array

WIDTH = 10.0  # inches
COLOURS = (STAGES["software"], STAGES["transistor"])
COLUMNS = 2000  # of a voltage's envelope; more cannot be told apart
BURSTING = 4.0  # longest over shortest interval from which the axis is logarithmic
LINE = 0.26  # inches, of the table
FIRST = 0.74  # where the first one's figures end, as a part of the table's width
LONGEST_NAME = 44  # letters of a file's name in the legend


@rc_context(STYLE)
def comparison_figure(found: Compared, width: float = WIDTH) -> Figure:
    """Both recordings over the time that both cover, on the first one's clock."""
    recordings = (found.first, found.second)
    voltages = _voltage_groups(recordings)
    heights = [1.5] * len(voltages) + [0.8, 0.9, 1.5]
    figure = Figure(figsize=(width, 1.15 * sum(heights) + 0.9), layout="constrained", facecolor="white")
    plots, table = figure.subfigures(1, 2, width_ratios=[2.2, 1.0], squeeze=False)[0]
    panels = list(plots.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    for axes, group in zip(panels, voltages, strict=False):
        _voltage_panel(axes, found, group)
    raster, profile, intervals = panels[-3:]
    _raster_panel(raster, found)
    _profile_panel(profile, found)
    _interval_panel(intervals, found)
    intervals.set_xlabel(TIME)
    intervals.set_xlim(*found.window)
    plots.align_ylabels(panels)
    handles = [axes_line for axes_line in intervals.get_lines()[:2]]
    orders = ("first", "second")
    labels = [f"{order}: {short_name(each.name)}" for order, each in zip(orders, recordings, strict=True)]
    plots.legend(handles, labels, loc="outside upper left", ncols=1)
    _table(table.subplots(), found, figure.get_figheight())
    return figure


def short_name(name: str) -> str:
    """A path's end, where it is long."""
    return name if len(name) <= LONGEST_NAME else "..." + name[-LONGEST_NAME + 3 :]


def _voltage_groups(recordings: Sequence[Recording]) -> list[list[int]]:
    """Which recordings share a panel of voltages: those in one unit."""
    units: dict[str, list[int]] = {}
    for index, each in enumerate(recordings):
        if each.voltage is not None:
            units.setdefault(each.voltage_unit, []).append(index)
    return list(units.values())


def _voltage_panel(axes: Axes, found: Compared, group: Sequence[int]) -> None:
    recordings = (found.first, found.second)
    for index in group:
        each = recordings[index]
        assert each.time is not None and each.voltage is not None
        axes.plot(*envelope(each.time, each.voltage, *found.window), color=COLOURS[index], linewidth=0.9, alpha=0.85)
    unit = recordings[group[0]].voltage_unit
    said = {"unit": "unit voltages", "": "file's unit"}.get(unit, unit)
    axes.set_ylabel(f"voltage\n({said})")
    axes.grid(axis="y")


def envelope(time: Array, voltage: Array, low: float, high: float) -> tuple[Array, Array]:
    """The samples within a window, or the least and the greatest one of each column where they are many."""
    inside = np.flatnonzero((time >= low) & (time <= high))
    time, voltage = time[inside], voltage[inside]
    if time.size <= 4 * COLUMNS:
        return time, voltage
    starts = np.unique(np.searchsorted(time, np.linspace(low, high, COLUMNS, endpoint=False)))
    starts = starts[starts < time.size]
    both = np.stack([np.minimum.reduceat(voltage, starts), np.maximum.reduceat(voltage, starts)], axis=1)
    return np.repeat(time[starts], 2), both.ravel()


def _raster_panel(axes: Axes, found: Compared) -> None:
    for row, (train, ink) in enumerate(zip(found.spikes(), COLOURS, strict=True)):
        axes.vlines(train, 0.58 - row, 1.42 - row, color=ink, linewidth=min(1.4, max(0.3, 150.0 / (train.size + 1))))
    axes.set_yticks([1, 0], ["first", "second"])
    axes.set_ylim(-0.6, 1.6)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("spikes")


def _profile_panel(axes: Axes, found: Compared) -> None:
    profile = found.profile()
    time = np.repeat(profile.edges, 2)[1:-1]
    value = np.stack([profile.left, profile.right], axis=1).ravel()
    axes.fill_between(time, value, color="#878d96", linewidth=0, alpha=0.55)
    mean = profile.mean()
    axes.axhline(mean, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.annotate("mean", (1.0, mean), (3, 0), ("axes fraction", "data"), "offset points", va="center", fontsize=8.0)
    axes.set_ylim(0.0, max(0.1, 1.05 * float(value.max())))
    axes.set_ylabel("dissimilarity\n(SPIKE)")


def _interval_panel(axes: Axes, found: Compared) -> None:
    shown = []
    for train, ink, marker, size in zip(found.spikes(), COLOURS, "os", (5.5, 3.2), strict=True):
        hollow = "none" if marker == "o" else ink
        axes.plot(train[1:], np.diff(train), marker, color=ink, markerfacecolor=hollow, markersize=size, alpha=0.9)
        shown.append(np.diff(train))
    every = np.concatenate(shown)
    if every.size and every.max() > BURSTING * every.min():
        axes.set_yscale("log")
    axes.set_ylabel("interval before\neach spike (tau_m)")
    axes.grid(axis="y")


def table_rows(found: Compared) -> list[tuple[str, str, str]]:
    """Name, value of the first, value of the second; what concerns both has its value in the middle."""
    c = found.comparison
    one, two = c.reference_intervals, c.test_intervals
    first, second = c.reference_bursts, c.test_bursts
    rows = [
        ("spikes", str(c.reference_count), str(c.test_count)),
        ("mean interval, tau_m", _number(one.mean), _number(two.mean)),
        ("its variation (cv)", _number(one.cv), _number(two.cv)),
    ]
    if first.count or second.count:
        rows.append(("bursts", str(first.count), str(second.count)))
        rows.append(("spikes per burst", _number(first.spikes_per_burst), _number(second.spikes_per_burst)))
        rows.append(("interval in bursts", _number(first.intra_interval), _number(second.intra_interval)))
        rows.append(("burst period", _number(first.period), _number(second.period)))
    if c.reference_regime is not None:
        rows.append(("regime", str(c.reference_regime), str(c.test_regime)))
    both = {
        "median spike error, tau_m": c.median_error,
        "SPIKE-distance": c.spike_distance,
        "ISI-distance": c.isi_distance,
        f"van Rossum, tau {c.metrics.van_rossum_tau:g}": c.van_rossum,
        f"Victor-Purpura, {c.metrics.victor_purpura_cost:g} / tau_m": c.victor_purpura,
        f"Gamma, window {c.metrics.coincidence_window:g}": c.coincidence,
        "voltage, rms difference": c.waveform_rmse,
        "second's times x": found.clock.scale,
        "second's times +": found.clock.offset,
        "second's tau_m, s": found.tau_m,
    }
    return rows + [(name, _number(value), "") for name, value in both.items() if value is not None]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:#.4g}".rstrip(".")


def _table(axes: Axes, found: Compared, height: float) -> None:
    """The rows of `table_rows` in a figure of that many inches."""
    axes.set_axis_off()
    step = LINE / height
    for title, ink, place in (("first", COLOURS[0], FIRST), ("second", COLOURS[1], 1.0)):
        axes.text(place, 1.0, title, color=ink, ha="right", va="top", weight="bold")
    for row, (name, first, second) in enumerate(table_rows(found), start=1):
        top = 1.0 - row * step
        axes.plot([0.0, 1.0], [top + 0.22 * step] * 2, color=FAINT, linewidth=0.6)
        axes.text(0.0, top, name, va="top")
        axes.text(FIRST if second else 0.5 * (1.0 + FIRST), top, first, va="top", ha="right")
        axes.text(1.0, top, second, va="top", ha="right")
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.0)
