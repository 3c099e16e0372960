"""The picture of a sweep: what chips do against what they cost, the front, and the point to build."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from numpy.typing import NDArray

from mtc_hw.codesign.pareto import CONFIDENCE, TELL, Point, Setting
from mtc_hw.codesign.pareto_run import Swept
from mtc_hw.hardware.unit import UnitSize
from mtc_hw.plots import FAINT, INK, ONE_COLUMN, STYLE, WIDE, nines
from mtc_hw.spec import Array

COLOURS = "viridis"  # safe for the colour-blind, and in grey
OTHERS = "#aeb4bb"
WANTED = "#cc3311"
WORST = 0.0  # R2 that the axis shows; points below stand at its edge
TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
NAMES = {
    "r2": "median R² of the chips,\ntrained readout",
    "r2_refitted": "median R² of the chips,\nrefitted readout",
    "yield": "yield, good chips of all",
    "nominal_r2": "median R² of uncalibrated chips,\ntrained readout",
    "nominal_r2_refitted": "median R² of uncalibrated chips,\nrefitted readout",
    "nominal_yield": "yield without calibration",
}
COLUMNS = 4  # panels of a row
SPLIT = ("bits", "trim_bits")
"""Axes of the grid that get a panel each value."""
SHAPES = "os^Dv"
"""Of the unit transistor's sizes; more sizes are not told apart."""
LOG_FROM = 4.0  # largest over smallest value, from which an axis is logarithmic
MICRO = 1e-8  # m2; areas of grids below it are in um2


@dataclass(frozen=True, eq=False)
class _Shown:
    """What can be drawn, (points,)."""

    settings: Sequence[Setting]
    area: Array  # mm2 or um2
    power: Array  # uW
    height: Array  # as on the axis
    low: Array
    high: Array
    best: NDArray[np.bool_]
    chosen: NDArray[np.bool_]
    unit: str

    @property
    def sizes(self) -> list[UnitSize]:
        return list(dict.fromkeys(each.size for each in self.settings))


@rc_context(STYLE)
def pareto_figure(found: Swept, width: float = WIDE) -> Figure | None:
    """Quality against area, in the colour the power; below it a panel each number of bits. None without a point."""
    shown = _shown(found)
    if not shown.settings:
        return None
    split = [name for name in SPLIT if name in found.grid.swept]
    rows = [
        (name, values[first : first + COLUMNS])
        for name in split
        for values in [getattr(found.grid, name)]
        for first in range(0, len(values), COLUMNS)
    ]
    heights = [4.0] + [2.1] * len(rows)
    figure = Figure(figsize=(width, sum(heights)), layout="constrained", facecolor="white")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    above = parts[0].subplots()
    _main(above, found, shown)
    marks = dict(zip(*reversed(above.get_legend_handles_labels()), strict=True))
    order = sorted(marks, key=lambda label: (not label.startswith("build"), label.endswith("µm")))
    parts[0].legend(
        [marks[label] for label in order], order, loc="outside upper left", ncols=4 if width > ONE_COLUMN else 2
    )
    for part, (name, values) in zip(parts[1:], rows, strict=True):
        panels = part.subplots(1, min(COLUMNS, len(getattr(found.grid, name))), sharey=True, squeeze=False)[0]
        for panel, value in zip(panels, values, strict=False):
            _panel(panel, found, shown, name, value)
            panel.set_xlim(above.get_xlim())
            panel.set_ylim(above.get_ylim())
        for panel in panels[len(values) :]:
            panel.set_axis_off()
        part.supxlabel(f"area ({shown.unit})", fontsize=9.0)
    return figure


def _shown(found: Swept) -> _Shown:
    here = [each.mapped and each.figure(found.quality).value is not None for each in found.points]
    points = [each for each, known in zip(found.points, here, strict=True) if known]
    areas = np.array([each.cost("area") for each in points])
    small = areas.size > 0 and float(areas.max()) < MICRO
    chosen = np.array([index == found.choice.index for index in range(len(found.points))])
    return _Shown(
        settings=[each.setting for each in points],
        area=areas * (1e12 if small else 1e6),
        power=np.array([1e6 * each.cost("power") for each in points]),
        height=_place(found.quality, points, "value"),
        low=_place(found.quality, points, "low"),
        high=_place(found.quality, points, "high"),
        best=np.array(found.on_front)[here],
        chosen=chosen[here],
        unit="µm²" if small else "mm²",
    )


def _place(quality: str, points: Sequence[Point], end: str) -> Array:
    """Where a figure, or an end of its interval, stands on the axis; an end that is not known at the figure."""
    figures = [each.figure(quality) for each in points]
    told = [each.value if getattr(each, end) is None else getattr(each, end) for each in figures]
    values = np.array(told, dtype=np.float64)
    return np.maximum(values, 0.0) if quality.endswith("yield") else nines(np.maximum(values, WORST))


def _main(axes: Axes, found: Swept, shown: _Shown) -> None:
    axes.vlines(shown.area, shown.low, shown.high, color=OTHERS, linewidth=1.4, zorder=2,
                label=f"{100 * CONFIDENCE:g} % interval")  # fmt: skip
    _stairs(axes, shown)
    everything = np.full(len(shown.settings), True)
    _points(axes, shown, everything)
    _explained(axes, shown)
    _required(axes, found)
    _axes(axes, found, shown)
    index = found.choice.index
    if index is not None:
        label = "build: " + found.points[index].setting.told(found.grid.swept).replace(" um", " µm")
        _star(axes, shown, everything, label)
    axes.set_xlabel(f"area ({shown.unit})")
    axes.set_ylabel(NAMES[found.quality])
    bar = axes.figure.colorbar(axes.collections[-1], ax=axes, pad=0.02, aspect=28)
    bar.set_label("power (µW)")
    _spaced(bar.ax.yaxis, shown.power)


def _points(axes: Axes, shown: _Shown, which: NDArray[np.bool_]) -> None:
    """Those on the front large and ringed, the others small."""
    kind = LogNorm if _wide(shown.power) else Normalize
    norm = kind(shown.power.min() / 1.02, shown.power.max() * 1.02)
    for index, size in enumerate(shown.sizes):
        marker = SHAPES[index] if len(shown.sizes) <= len(SHAPES) else "o"
        of_size = which & np.array([each.size == size for each in shown.settings])
        for best, extent, edge, width in ((False, 26.0, "none", 0.0), (True, 58.0, INK, 1.2)):
            own = of_size & (shown.best == best)
            axes.scatter(
                shown.area[own], shown.height[own], c=shown.power[own], s=extent, edgecolors=edge, linewidths=width,
                marker=marker, norm=norm, cmap=COLOURS, zorder=3 + best,
            )  # fmt: skip


def _stairs(axes: Axes, shown: _Shown) -> None:
    """What the best chip of an area, or a smaller one, gives."""
    order = np.lexsort((-shown.height, shown.area))
    area, top = shown.area[order], np.maximum.accumulate(shown.height[order])
    axes.step(
        np.append(area, 1.2 * area[-1]), np.append(top, top[-1]), where="post", color=INK, linewidth=1.0, zorder=1,
        label="best at that area or less",
    )  # fmt: skip


def _required(axes: Axes, found: Swept) -> None:
    least = found.requirements[0].least
    place = least if found.quality.endswith("yield") else float(nines(least))
    axes.axhline(place, color=WANTED, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1, label="required")


def _star(axes: Axes, shown: _Shown, which: NDArray[np.bool_], label: str | None = None) -> None:
    """On the point to build, where it is among those."""
    own = which & shown.chosen
    if own.any():
        axes.plot(shown.area[own], shown.height[own], "*", color=WANTED, markersize=10.0, markeredgecolor="white",
                  markeredgewidth=0.8, zorder=6, label=label)  # fmt: skip


def _explained(axes: Axes, shown: _Shown) -> None:
    """Marks that are in the legend alone."""
    if len(shown.sizes) <= len(SHAPES):
        for marker, size in zip(SHAPES, shown.sizes, strict=False):
            axes.plot([], [], marker, color=OTHERS, markeredgecolor="none", markersize=5.5, label=f"{size} µm")
    axes.plot([], [], "o", color="none", markersize=7.0, markeredgecolor=INK, label="on the front, with power")


def _panel(axes: Axes, found: Swept, shown: _Shown, name: str, value: int) -> None:
    """The points of one value in colour, on all others in grey."""
    own = np.array([getattr(each, name) == value for each in shown.settings])
    axes.plot(shown.area[~own], shown.height[~own], ".", color=FAINT, markersize=5.0, zorder=2)
    _points(axes, shown, own)
    _required(axes, found)
    _axes(axes, found, shown)
    _star(axes, shown, own)
    axes.set_title(TELL[name](value))


def _axes(axes: Axes, found: Swept, shown: _Shown) -> None:
    axes.set_xscale("log" if _wide(shown.area) else "linear")
    low, high = (float(each) for each in (shown.area.min(), shown.area.max()))
    beyond = max((high / low) ** 0.08, 1.01)
    axes.set_xlim(low / beyond, high * beyond)
    _spaced(axes.xaxis, shown.area)
    axes.grid(axis="y", color=FAINT)
    if found.quality.endswith("yield"):
        least = min(float(shown.low.min()), found.requirements[0].least)
        axes.set_ylim(max(np.floor(10.0 * least) / 10.0, 0.0) - 0.02, 1.04)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        return
    heights = np.concatenate([shown.low, shown.high, shown.height])
    wanted = float(nines(found.requirements[0].least))
    low, high = min(float(heights.min()), wanted), max(float(heights.max()), wanted)
    margin = 0.06 * max(high - low, 0.3)
    axes.set_ylim(low - margin, high + margin)
    inside = [each for each in TICKS if low - margin <= float(nines(each)) <= high + margin]
    axes.set_yticks(nines(inside), [f"{each:g}" for each in inside])


def _wide(values: Array) -> bool:
    """Whether a logarithmic axis shows more."""
    return float(values.max()) > LOG_FROM * float(values.min())


def _spaced(axis: Axis, values: Array) -> None:
    """A few round numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if _wide(values) else MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(_plain))
    axis.set_minor_formatter(NullFormatter())


def _plain(value: float, _: int | None) -> str:
    return f"{value:g}"
