"""Pictures of co-design: every chip's error after each step, and how the chips in the loop learned."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from mtc_hw.codesign.verify import Scores
from mtc_hw.plots import FAINT, INK, STYLE, WIDE, nines
from mtc_hw.spec import Array

PLAIN, OWN = "#ee6677", "#4477aa"  # P. Tol's bright scheme, safe for the colour-blind
WORST = -0.5  # R2 that the axis shows; worse chips stand at its edge
TICKS = (-0.5, 0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
JITTER = 0.11
MARGIN = 0.15  # nines below the worst chip
BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
READOUTS = (("raw", "trained readout", PLAIN, -0.18), ("refitted", "readout refitted on the chip", OWN, 0.18))

History = Sequence[tuple[int, float, float]]


@rc_context(STYLE)
def codesign_figure(scores: Mapping[str, Scores], histories: Mapping[str, History], width: float = WIDE) -> Figure:
    """The same chips after each step, from left to right; below it the loss of each training."""
    learned = {name: history for name, history in histories.items() if history}
    figure = Figure(figsize=(width, 3.4 + 1.9 * bool(learned)), layout="constrained", facecolor="white")
    heights = [2.0, 1.0] if learned else [1.0]
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _chips_panel(panels[0], scores)
    if learned:
        _history_panel(panels[1], learned)
    return figure


def _chips_panel(axes: Axes, scores: Mapping[str, Scores]) -> None:
    names = list(scores)
    jitter = np.random.default_rng(0)
    for readout, label, colour, side in READOUTS:
        for place, name in enumerate(names):
            nine = _shown(getattr(scores[name], readout))
            if not nine.size:
                continue
            across = place + side + jitter.uniform(-JITTER, JITTER, nine.size)
            axes.plot(across, nine, ".", color=colour, markersize=3.5, alpha=0.55, label=None if place else label)
            middle = float(np.median(nine))
            axes.plot([place + side - 0.15, place + side + 0.15], [middle, middle], color=INK, linewidth=1.6)
            axes.annotate(
                f"{1.0 - 10.0**-middle:.4f}",
                (place + side, middle),
                (0, 5),
                textcoords="offset points",
                ha="center",
                bbox=BEHIND,
                zorder=4,
            )
    seen = [_shown(getattr(each, readout)) for each in scores.values() for readout, *_ in READOUTS]
    lowest = min((float(each.min()) for each in seen if each.size), default=0.0)
    axes.set_yticks(nines(TICKS), [f"{each:g}" for each in TICKS])
    axes.set_ylim(lowest - MARGIN, float(nines(TICKS[-1])))
    axes.grid(axis="y", color=FAINT)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylabel("R² of a chip")
    axes.set_title("every chip, and the median", pad=18.0)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)


def _shown(values: Array) -> Array:
    return nines(np.maximum(values[np.isfinite(values)], WORST))


def _history_panel(axes: Axes, histories: Mapping[str, History]) -> None:
    colours = (OWN, PLAIN, "#228833", "#aa3377")
    start = 0
    for (name, history), colour in zip(histories.items(), colours, strict=False):
        done, loss, _ = np.array(history, dtype=float).T
        axes.plot(start + done, loss, color=colour, marker=".", markersize=3.0, label=name)
        start += int(done[-1])
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("iterations")
    axes.set_ylabel("loss")
    axes.grid(axis="y", color=FAINT)
    axes.legend(loc="upper right", ncols=4)


def _plain(value: float, _: int | None) -> str:
    return f"{value:g}"
