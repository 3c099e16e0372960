"""Figure of a study over corners: regime by colour, figures as text, the operating window outlined."""

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mtc_hw.corners import CornersStudy, Row
from mtc_hw.excitability_plots import REGIMES, boundaries
from mtc_hw.plots import FAINT, INK, ONE_COLUMN, STYLE, WIDE

FAILED = "#ffffff"
CELL = 0.42  # inches high
DARK, LIGHT = "#15181c", "#ffffff"  # text in a cell; not `INK`, which an HTML page turns light in the dark


@rc_context(STYLE)
def corners_figure(study: CornersStudy, width: float = WIDE) -> Figure:
    """A panel for each supply: corners down, temperatures across; narrow figures stack the panels."""
    supplies, stacked = study.supplies, width < ONE_COLUMN
    rows, columns = (len(supplies), 1) if stacked else (1, len(supplies))
    height = rows * (CELL * len(study.corners) + 0.35) + 1.25
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, supply in zip(panels, supplies, strict=True):
        _panel(axes, study, supply)
    panels[len(panels) - 1 if stacked else len(panels) // 2].set_xlabel("temperature (degrees Celsius)")
    panels[0].set_ylabel("corner")
    used = {row.regime for row in study.rows}
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colour, edgecolor=FAINT, label=name.replace("_", " "))
        for name, colour in REGIMES.items()
        if name in used
    ]
    if None in used:
        handles.append(Patch(facecolor=FAILED, edgecolor=FAINT, hatch="////", label="run failed"))
    handles.append(Line2D([], [], color=INK, linewidth=1.8, label=f"border of where it is {study.wanted}"))
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=2 if stacked else 5,
        title=title(study, "\n" if stacked else " "),
        alignment="left",
    )
    return figure


def title(study: CornersStudy, separator: str) -> str:
    """What the lines in the cells are; of a cell that does not burst the mean interval stands alone."""
    burst = ("interval within bursts (tau_m),", "spikes per burst, power (nW)")
    single = ("mean interval (tau_m), power (nW)",)
    bias = {"ptat": "PTAT bias", "fixed": "fixed bias"}[study.tracking]
    lines = (f"{study.neuron}, {bias}. In each cell:", *(burst if study.wanted == "bursting" else single))
    return separator.join(lines)


def _panel(axes: Axes, study: CornersStudy, supply: float) -> None:
    corners, temperatures = study.corners, study.temperatures
    rows = [row for row in study.rows if row.supply == supply]
    names = [*REGIMES, None]
    index = np.array([names.index(row.regime) for row in rows]).reshape(len(corners), -1)
    colours = ListedColormap([*REGIMES.values(), FAILED])
    x, y = (np.linspace(-0.5, count - 0.5, count + 1) for count in (len(temperatures), len(corners)))
    norm = BoundaryNorm(np.arange(len(names) + 1) - 0.5, len(names))
    axes.pcolormesh(x, y, index, cmap=colours, norm=norm, edgecolor="white", linewidth=0.8)
    holds = np.array([str(row.holds) for row in rows]).reshape(index.shape)
    for line in boundaries(holds, x, y):
        axes.plot(*line, color=INK, linewidth=1.8)
    for position, row in enumerate(rows):
        place = position % len(temperatures), position // len(temperatures)
        axes.text(*place, cell_text(row), ha="center", va="center", fontsize=6.5, linespacing=1.05, color=_ink(row))
    axes.set_xticks(range(len(temperatures)), [f"{each:g}" for each in temperatures])
    axes.set_yticks(range(len(corners)), list(corners))
    axes.tick_params(length=0)
    axes.set_ylim(len(corners) - 0.5, -0.5)
    axes.set_title(f"{supply:g} V")
    for spine in axes.spines.values():
        spine.set_visible(True)


def cell_text(row: Row) -> str:
    """Interval, of a burster spikes per burst, and power in nW, a line each."""
    if row.regime is None or row.power is None:
        return row.outcome
    interval = row.interval if row.intra_interval is None else row.intra_interval
    lines = [] if interval is None else [f"{interval:.3g}"]
    if row.spikes_per_burst is not None:
        lines.append(f"{row.spikes_per_burst:.1f}")
    return "\n".join([*lines, f"{row.power * 1e9:.3g}"])


def _ink(row: Row) -> str:
    """White on dark colours (relative luminance as in WCAG 2, roughly)."""
    colour = FAILED if row.regime is None else REGIMES[row.regime]
    luminance = float(np.dot([0.2126, 0.7152, 0.0722], np.square(to_rgb(colour))))
    return LIGHT if luminance < 0.3 else DARK
