"""Figures of excitability: I-V curves with their knees, the f-I curve, and the regime map."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mtc_hw.analysis.equilibria import current_ranges, onset
from mtc_hw.analysis.excitability import Excitability, classify_excitability, iv_curves
from mtc_hw.analysis.fi_curve import FiCurve
from mtc_hw.analysis.regime_map import Axis, RegimeMap
from mtc_hw.plots import FAINT, INK, STYLE, VOLTAGE, WIDE
from mtc_hw.spec import FILTERS, Array, Neurons

RED = "#cc3311"
HATCH = "#3d434a"
LABEL = {"boxstyle": "round,pad=0.25", "facecolor": "white", "alpha": 0.85, "linewidth": 0}
CURRENT = "input current (unit currents)"
REGIMES = {  # P. Tol's bright scheme, safe for the colour-blind
    "silent": "#eceef0",
    "phasic": "#ccbb44",
    "phasic_burst": "#ee6677",
    "rebound": "#aa3377",
    "tonic": "#4477aa",
    "adapting": "#66ccee",
    "bursting": "#228833",
    "block": "#878d96",
}
"""Colour of each regime, in the order of the legend."""
MARKERS = {"tonic": "o", "adapting": "s", "bursting": "D"}
UNITS = {"alpha": "unit currents", "delta": "unit voltages", "tau": "membrane time constants"}
NARROWEST_LABEL = 1.5  # cells from a region's label to its edge
AROUND = 1.2  # unit voltages shown beyond the outermost knees


@rc_context(STYLE)
def iv_figure(neuron: Neurons, currents: Sequence[float], width: float = WIDE) -> Figure:
    """The three I-V curves of one neuron; where they fall, red; the stimulus' currents as horizontal lines."""
    figure = Figure(figsize=(width, 3.0), layout="constrained", facecolor="white")
    found = classify_excitability(neuron)[0]
    knees = [edge for own in found.windows for each in own for edge in (each.low, each.high)] or [-1.0, 1.0]
    voltage = np.linspace(min(knees) - AROUND, max(knees) + AROUND, 801)
    curves = iv_curves(neuron, voltage)[:, :, 0]
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for row, axes in enumerate(panels):
        _iv_panel(axes, voltage, curves[row], found, row)
        for level in sorted(set(currents)):
            axes.axhline(level, color="#4477aa", linewidth=0.9, linestyle=(0, (4, 2)))
    panels[0].set_ylabel("current (unit currents)")
    panels[1].set_xlabel(VOLTAGE)
    handles = [
        Line2D([], [], color=INK, label="steady-state current"),
        Line2D([], [], color=RED, linewidth=2.4, marker="o", markersize=4.0, label="falls, between knees"),
        Line2D([], [], color="#4477aa", linewidth=0.9, linestyle=(0, (4, 2)), label="input current"),
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=3, title=f"{found.kind}, by these curves", alignment="left"
    )
    return figure


def _iv_panel(axes: Axes, voltage: Array, curve: Array, found: Excitability, row: int) -> None:
    axes.plot(voltage, curve, color=INK)
    for window in found.windows[row]:
        inside = np.append((voltage >= window.low) & (voltage <= window.high), False)[:-1]
        axes.plot(voltage[inside], curve[inside], color=RED, linewidth=2.4)
        axes.plot([window.low, window.high], [window.peak, window.trough], "o", color=RED, markersize=4.0)
    axes.grid()
    axes.set_title(f"{FILTERS[row]}: {'N-shaped' if found.windows[row] else 'monotone'}")


@rc_context(STYLE)
def fi_figure(neuron: Neurons, curve: FiCurve, width: float = WIDE) -> Figure:
    """Firing rate against current from rest and from firing; shaded what the I-V curves predict."""
    figure = Figure(figsize=(width, 3.6), layout="constrained", facecolor="white")
    axes = figure.subplots()
    _predicted_bands(axes, neuron, curve)
    branches = {
        "from firing": (curve.from_firing, RED, (0, (4, 2)), 7.0),
        "from rest": (curve.from_rest, INK, "-", 4.0),
    }
    for label, (firings, ink, dashes, size) in branches.items():
        rate = curve.rate(firings)
        axes.plot(curve.current, rate, color=ink, linestyle=dashes, label=label)
        for regime, marker in MARKERS.items():
            of = np.array([each.regime == regime for each in firings])
            hollow = "white" if label == "from firing" else ink
            axes.plot(curve.current[of], rate[of], marker, color=ink, markerfacecolor=hollow, markersize=size)
    used = {each.regime for each in (*curve.from_rest, *curve.from_firing)}
    handles, _ = axes.get_legend_handles_labels()
    handles += [Line2D([], [], color=INK, linestyle="", marker=mark, markersize=4.5, label=regime)
                for regime, mark in MARKERS.items() if regime in used]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper left", ncols=5)
    axes.set_xlim(float(curve.current[0]), float(curve.current[-1]))
    axes.set_ylim(bottom=0.0)
    axes.grid(axis="y")
    axes.set_xlabel(CURRENT)
    axes.set_ylabel("rate (spikes per membrane time constant)")
    return figure


def _predicted_bands(axes: Axes, neuron: Neurons, curve: FiCurve) -> None:
    shades = {"fires": "#dce6f0", "bursts": "#dcefdc", "oscillates": "#f0ecd2"}
    said = set()
    for each in current_ranges(neuron):
        label = None if each.state in said else f"I-V curves: {each.state}"
        axes.axvspan(each.low, each.high, color=shades[each.state], linewidth=0, zorder=0, label=label)
        said.add(each.state)
    lost = onset(neuron)
    if lost is not None and curve.current[0] < lost.current < curve.current[-1]:
        axes.axvline(lost.current, color=INK, linewidth=0.9, linestyle=":", label="rest ends")


@rc_context(STYLE)
def map_figure(found: RegimeMap, width: float = WIDE) -> Figure:
    """The regimes as coloured cells, bistable ones hatched; lines and words are what the I-V curves predict."""
    figure = Figure(figsize=(width, 0.62 * width), layout="constrained", facecolor="white")
    axes = figure.subplots()
    x, y = edges(found.x.values), edges(found.y.values)
    names = list(REGIMES)
    index = np.vectorize(names.index)(found.regime)
    norm = BoundaryNorm(np.arange(len(names) + 1) - 0.5, len(names))
    axes.pcolormesh(x, y, index, cmap=ListedColormap(list(REGIMES.values())), norm=norm)
    axes.add_collection(_hatched(found.bistable, x, y))
    for line in boundaries(found.predicted, x, y):
        axes.plot(*line, color=INK, linewidth=1.6)
    for column, row, text in region_labels(found.predicted):
        place = found.x.values[column], found.y.values[row]
        axes.text(*place, text, ha="center", va="center", bbox=LABEL)
    handles: list[Patch | Line2D] = [
        Patch(facecolor=REGIMES[name], edgecolor=FAINT, label=name.replace("_", " "))
        for name in names
        if name in found.regime
    ]
    if found.bistable.any():
        handles.append(Patch(facecolor="none", edgecolor=HATCH, hatch="////", label="bistable: rests or fires"))
    handles.append(Line2D([], [], color=INK, linewidth=1.6, label="border by I-V curves"))
    figure.legend(handles=handles, loc="outside upper left", ncols=5)
    axes.set_title(f"{found.name}: colours by simulation, lines and words by the I-V curves")
    axes.set_xlabel(axis_label(found.x))
    axes.set_ylabel(axis_label(found.y))
    for spine in axes.spines.values():
        spine.set_visible(True)
    return figure


def _hatched(cells: NDArray[np.bool_], x: Array, y: Array) -> PolyCollection:
    corners = [
        [(x[c], y[r]), (x[c + 1], y[r]), (x[c + 1], y[r + 1]), (x[c], y[r + 1])]
        for r, c in np.argwhere(cells).tolist()
    ]
    return PolyCollection(corners, facecolor="none", edgecolor=HATCH, hatch="////", linewidth=0.0)


def axis_label(axis: Axis) -> str:
    """A parameter in words, with its unit."""
    if axis.parameter == "current":
        return CURRENT
    array, row = axis.parameter.split(".")
    return f"{array} of {row.replace('_', ' ')} ({UNITS[array]})"


def edges(values: Array) -> Array:
    """Borders (P + 1,) of cells around increasing values (P,): halfway, and as far beyond the ends."""
    middles = 0.5 * (values[1:] + values[:-1])
    return np.concatenate([[2 * values[0] - middles[0]], middles, [2 * values[-1] - middles[-1]]])


def boundaries(labels: NDArray[np.str_], x: Array, y: Array) -> list[tuple[Array, Array]]:
    """Segments between cells (Y, X) with different labels, as one path of vertical and one of horizontal ones."""
    row, column = np.nonzero(labels[:, 1:] != labels[:, :-1])
    upright = _path(x[column + 1], x[column + 1]), _path(y[row], y[row + 1])
    row, column = np.nonzero(labels[1:] != labels[:-1])
    level = _path(x[column], x[column + 1]), _path(y[row + 1], y[row + 1])
    return [upright, level]


def _path(start: Array, end: Array) -> Array:
    """One coordinate of separate segments, with gaps between them."""
    return np.stack([start, end, np.full(start.size, np.nan)], 1).ravel()


def region_labels(labels: NDArray[np.str_]) -> list[tuple[int, int, str]]:
    """(column, row, label) of the cell farthest from any other label, for each label with room for a word."""
    found = []
    for label in np.unique(labels):
        inside = np.pad(labels == label, 1)
        depth = np.asarray(distance_transform_edt(inside))[1:-1, 1:-1]
        deepest = np.argwhere(depth >= depth.max() - 1e-9)
        row, column = deepest[len(deepest) // 2].tolist()
        if depth[row, column] >= NARROWEST_LABEL:
            found.append((column, row, str(label).replace("+", " or ")))
    return found
