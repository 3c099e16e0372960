"""The report's figures: functions of findings that return matplotlib figures, without pyplot's global state.

Each takes its width in inches and lays itself out for it: `WIDE` for a desktop or paper, `NARROW` for a phone.
"""

import re
from collections.abc import Sequence
from io import StringIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mtc_hw.analysis.excitability import POINTS, RANGE, bursters, iv_curves
from mtc_hw.exemplars import Exemplar, busiest, exemplars, spike_trains, zoom
from mtc_hw.findings import Findings, Stage
from mtc_hw.spec import Array

WIDE = 8.6  # inches
NARROW = 3.9  # inches
ONE_COLUMN = 5.5  # inches; narrower figures stack their panels

INK = "#1b1f24"
FAINT = "#d5d9de"
STAGES = {  # P. Tol's bright scheme, safe for the colour-blind
    "software": "#4477aa",
    "refined": "#878d96",
    "quantised": "#55b7dd",
    "behavioural": "#aa3377",
    "transistor": "#ee6677",
    "untrimmed": "#bbbbbb",
    "mismatch": "#ccaa33",
    "calibrated": "#228833",
}
"""Colour of each stage, the same in every figure."""

STYLE: Any = {  # matplotlib 3.11 types its keys as literals, older versions as str
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.4,
    "lines.linewidth": 1.1,
    "savefig.facecolor": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": INK,
    "ytick.labelsize": 8.5,
}

TIME = "time (membrane time constants)"
VOLTAGE = "voltage (unit voltages)"
SHOWN_SAMPLES = 2500  # of a prediction; more would blacken the axes and swell the file
LARGEST_NINES = 6.0  # an R2 of one would lie at infinity


def colour(stage: str) -> str:
    """A stage's colour; ink for a stage without one."""
    return STAGES.get(stage, INK)


def nines(r2: ArrayLike) -> Array:
    """-log10(1 - R2): 0 for a constant mean, 1 for 0.9, 2 for 0.99. Losses at every size can be told apart."""
    lost = np.maximum(1.0 - np.asarray(r2, dtype=np.float64), 10.0**-LARGEST_NINES)
    return np.asarray(-np.log10(lost))


@rc_context(STYLE)
def error_budget(stages: Sequence[Stage], threshold: float, width: float = WIDE) -> Figure:
    """A row a stage: a dot a value, a bar at their median, the median in figures at the right."""
    figure = Figure(figsize=(width, 0.85 + 0.34 * max(1, len(stages))), layout="constrained")
    axes = figure.subplots()
    for row, stage in enumerate(stages):
        values = _finite(stage.r2)
        place = nines(values)
        axes.plot([place.min(), place.max()] if place.size else [], [row, row] if place.size else [],
                  color=colour(stage.name), linewidth=2.0, alpha=0.4)  # fmt: skip
        axes.plot(place, np.full(place.size, row), "o", color=colour(stage.name), markersize=6.5, alpha=0.85)
        if values.size > 1:
            axes.plot(nines(np.median(values)), row, "|", color=INK, markersize=15, markeredgewidth=1.8)
        text = f"{np.median(values):.3f}" if values.size else "none"
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(range(len(stages)), [stage.name for stage in stages])
    axes.set_ylim(max(1, len(stages)) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y")
    axes.set_ylabel("stage")
    r2_axis(axes, [value for stage in stages for value in stage.r2], threshold, width)
    return figure


@rc_context(STYLE)
def prediction(findings: Findings, width: float = WIDE) -> Figure:
    """Target and prediction over the test stretch, the error below; the burn-in is shaded."""
    figure = Figure(figsize=(width, 4.3), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1.5, 1.0])
    time, target = findings.time[:SHOWN_SAMPLES], findings.target[:SHOWN_SAMPLES]
    upper.plot(time, target, color=INK, linewidth=1.0, label="target")
    lower.axhline(0.0, color=INK, linewidth=0.7)
    for name in shown_predictions(findings):
        answer = findings.predictions[name][:SHOWN_SAMPLES]
        upper.plot(time, answer, color=colour(name), label=name)
        lower.plot(time, answer - target, color=colour(name))
    if findings.burn_in > 0 and time.size:
        end = float(time[min(findings.burn_in, time.size - 1)])
        for axes, label in ((upper, "burn-in, not scored"), (lower, None)):
            axes.axvspan(float(time[0]), end, color=FAINT, linewidth=0, zorder=0, label=label)
    upper.set_ylabel("standardised series")
    lower.set_ylabel("error")
    lower.set_xlabel(TIME)
    lower.margins(x=0.0)
    _legend(figure, upper, width)
    return figure


def shown_predictions(findings: Findings) -> list[str]:
    """At most three stages with a prediction: the first, the transistor level and the last."""
    order = [stage.name for stage in findings.stages if stage.name in findings.predictions]
    order += [name for name in findings.predictions if name not in order]
    wanted = {*order[:1], *order[-1:], "transistor"}
    return [name for name in order if name in wanted]


@rc_context(STYLE)
def iv(findings: Findings, width: float = WIDE) -> Figure:
    """I-V curves at the three timescales of one spiking and one bursting neuron, where there are both."""
    shown = busiest(findings)
    narrow = width < ONE_COLUMN
    shape = (3, len(shown)) if narrow else (len(shown), 3)
    figure = Figure(figsize=(width, (1.7 if narrow else 2.1) * shape[0] + 0.6), layout="constrained")
    grid = figure.subplots(*shape, sharex=True, sharey="col" if narrow else "row", squeeze=False)
    for place, each in enumerate(shown):
        panels = grid[:, place] if narrow else grid[place]
        _iv_panels(list(panels), findings, each, narrow)
    figure.supxlabel(VOLTAGE, fontsize=9.0)
    figure.supylabel("current (unit currents)", fontsize=9.0)
    _legend(figure, grid[0, 0], width)
    return figure


def _iv_panels(panels: Sequence[Axes], findings: Findings, each: Exemplar, narrow: bool) -> None:
    voltage = np.linspace(*RANGE, POINTS)
    curves = iv_curves(findings.spec.neurons.take(each.index), voltage)[:, :, 0]
    mean = float(findings.spec.bias[each.index])
    spread = float(np.linalg.norm(findings.spec.weights[each.index]))
    middle = np.abs(voltage) <= 3.5
    for axes, curve, name in zip(panels, curves, ("fast", "slow", "ultra-slow"), strict=True):
        axes.axhspan(mean - spread, mean + spread, color=FAINT, linewidth=0, label="input, mean ± 1 sd")
        axes.axhline(mean, color="#878d96", linewidth=0.8)
        axes.plot(voltage, curve, color=INK, label="current")
        falls = np.append(np.diff(curve) < 0.0, False)
        falls |= np.roll(falls, 1)
        axes.plot(voltage, np.where(falls, curve, np.nan), color="#cc3311", linewidth=2.4, label="falls with voltage")
        axes.set_xlim(-3.5, 3.5)
        low, high = min(curve[middle].min(), mean - spread), max(curve[middle].max(), mean + spread)
        axes.update_datalim([(0.0, low), (0.0, high)])
        who = f"neuron {each.index}, {each.kind}"
        axes.set_title(f"{who}\n{name}" if narrow else f"{who}: {name}")


@rc_context(STYLE)
def traces(findings: Findings, width: float = WIDE) -> Figure:
    """Voltage of the exemplars in `zoom`: the circuit as a thin line on the software's broad one."""
    shown = exemplars(findings)
    figure = Figure(figsize=(width, 1.35 * len(shown) + 0.8), layout="constrained")
    column = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    start, end = zoom(findings)
    inside = (findings.trace_time >= start) & (findings.trace_time <= end)
    time = findings.trace_time[inside]
    for axes, each in zip(column, shown, strict=True):
        software, circuit = (v[inside, each.index] for v in (findings.software_voltage, findings.circuit_voltage))
        axes.plot(time, software, color=colour("software"), linewidth=3.0, alpha=0.5, label="software")
        axes.plot(time, circuit, color=colour("transistor"), linewidth=1.1, label="circuit")
        axes.set_title(f"neuron {each.index}: {each.reason}")
        axes.margins(x=0.0)
    column[-1].set_xlabel(TIME)
    figure.supylabel(VOLTAGE, fontsize=9.0)
    _legend(figure, column[0], width)
    return figure


@rc_context(STYLE)
def raster(findings: Findings, width: float = WIDE) -> Figure:
    """Spikes of all neurons, the software's above the circuit's in each row; the whole stretch, and `zoom`."""
    narrow = width < ONE_COLUMN
    count = findings.software_voltage.shape[1]
    height = float(np.clip(0.075 * count, 1.5, 5.0))
    figure = Figure(figsize=(width, 2 * height + 1.4 if narrow else height + 1.0), layout="constrained")
    whole, part = figure.subplots(2, 1) if narrow else figure.subplots(1, 2, sharey=True, width_ratios=[1.5, 1.0])
    software, circuit = (
        spike_trains(findings.trace_time, v) for v in (findings.software_voltage, findings.circuit_voltage)
    )
    bursting = bursters(findings.spec.neurons)
    order = np.lexsort((np.array([train.size for train in software]), bursting))
    start, end = zoom(findings)
    for axes in (whole, part):
        axes.plot(*spike_marks([software[i] for i in order], 0.06, 0.46), color=colour("software"), label="software")
        axes.plot(
            *spike_marks([circuit[i] for i in order], -0.46, -0.06), color=colour("transistor"), label="circuit"
        )
        axes.set_ylim(-0.8, count - 0.2)
        axes.set_yticks([])
        if 0 < bursting.sum() < count:
            axes.axhline(count - int(bursting.sum()) - 0.5, color=INK, linewidth=0.7)
        axes.set_xlabel(TIME if narrow or axes is whole else "time")
        axes.set_ylabel("neuron, by kind and rate")
    part.set_ylabel("neuron, by kind and rate" if narrow else "")
    whole.set_xlim(float(findings.trace_time[0]), float(findings.trace_time[-1]))
    whole.axvspan(start, end, color=FAINT, linewidth=0, zorder=0)
    whole.set_title("whole stretch; the shaded part is enlarged")
    part.set_xlim(start, end)
    part.set_title("enlarged")
    _legend(figure, whole, width)
    return figure


@rc_context(STYLE)
def monte_carlo(findings: Findings, width: float = WIDE) -> Figure:
    """R2 of the software twin's chips as a histogram; above it each transistor-level chip, raw and calibrated."""
    figure = Figure(figsize=(width, 3.7), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 2.4])
    rows = {"mismatch": findings.chips_raw, "calibrated": findings.chips_calibrated}
    if findings.chips_raw.shape == findings.chips_calibrated.shape:
        for raw, calibrated in zip(findings.chips_raw, findings.chips_calibrated, strict=True):
            upper.plot(nines([raw, calibrated]), [1, 0], color=FAINT, linewidth=1.0, zorder=1)
    for row, (name, values) in enumerate(rows.items()):
        place = nines(_finite(values))
        upper.plot(place, np.full(place.size, 1 - row), "o", color=colour(name), markersize=6.5, alpha=0.85)
    upper.set_yticks([1, 0], ["raw", "calibrated"])
    upper.set_ylim(-0.7, 1.7)
    upper.tick_params(axis="y", length=0)
    upper.tick_params(axis="x", length=0, labelbottom=False)
    upper.spines["bottom"].set_visible(False)
    upper.set_title("transistor-level chips")
    upper.set_ylabel("state")
    groups = {"as drawn": findings.software_chips, "readout refitted": findings.software_refitted}
    places = {name: nines(_finite(values)) for name, values in groups.items()}
    everything = np.concatenate(list(places.values()))
    if everything.size:
        bins = int(np.clip(2.0 * np.sqrt(findings.software_chips.size), 5, 40))
        edges = np.linspace(everything.min(), everything.max() + 1e-6, bins + 1)
        for (name, place), shade in zip(places.items(), ("mismatch", "calibrated"), strict=True):
            lower.hist(place, bins=list(edges), color=colour(shade), alpha=0.7, label=name)
        lower.legend(loc="upper left")
    lower.set_title(f"{findings.software_chips.size} chips by the software twin, codes not trimmed")
    lower.set_ylabel("chips")
    upper.axvline(float(nines(findings.threshold)), color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
    shown = [*groups.values(), findings.chips_raw, findings.chips_calibrated]
    r2_axis(lower, list(np.concatenate(shown)), findings.threshold, width)
    return figure


def r2_axis(axes: Axes, values: Sequence[float], threshold: float, width: float) -> None:
    """Turns x, which counts `nines`, into an axis of R2, and marks the threshold."""
    place = np.append(nines(_finite(values)), nines(threshold))
    low, high = float(place.min()), float(place.max())
    margin = 0.08 * max(high - low, 0.5)
    axes.set_xlim(low - margin, high + margin)
    lost = _round_losses(-high - margin, margin - low, most=4 if width < ONE_COLUMN else 9)
    axes.set_xticks(-np.log10(lost), [f"{1.0 - value:.7g}".replace("-", "\u2212") for value in lost])
    axes.grid(axis="x")
    axes.axvline(float(nines(threshold)), color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
    axes.set_xlabel(f"R² on the test part (dashed: a good chip, {threshold:g})")


def _round_losses(low: float, high: float, most: int) -> Array:
    """Round values of 1 - R2 from 10^low to 10^high, no more than `most` where decades allow it."""
    for steps, stride in (((1, 2, 5), 1), ((1,), 1), ((1,), 2), ((1,), 4)):
        powers = range(-8, 17, stride)
        values = np.array([step * 10.0**power for power in powers for step in steps])
        values = values[(np.log10(values) >= low) & (np.log10(values) <= high)]
        if values.size <= most:
            break
    return values


def _legend(figure: Figure, axes: Axes, width: float) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2 if width < ONE_COLUMN else 5)


def _finite(values: ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    return np.asarray(array[np.isfinite(array)])


def spike_marks(trains: Sequence[Array], low: float, high: float) -> tuple[Array, Array]:
    """x and y of one path with a short vertical line a spike: far smaller in SVG than a marker each."""
    times = np.concatenate([np.empty(0), *trains])
    rows = np.repeat(np.arange(len(trains), dtype=np.float64), [train.size for train in trains])
    gap = np.full(times.size, np.nan)
    return np.stack([times, times, gap], 1).ravel(), np.stack([rows + low, rows + high, gap], 1).ravel()


def inline_svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element for an HTML page: no declarations, no links, the same bytes every time.

    Ink and faint lines take the page's colours, so that dark mode works. `name` keeps the ids of several figures
    on one page apart.
    """
    text = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<style type="text/css">.*?</style>|<metadata>.*?</metadata>', "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"| (?:width|height)="[\d.]+pt"', "", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    # Coordinates to a hundredth of a point; figures in the text stay whole.
    svg = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag.group()), svg)
    return svg.replace(INK, "currentColor").replace(FAINT, "var(--faint)")
