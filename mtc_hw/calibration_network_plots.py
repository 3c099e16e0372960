"""Figures of calibrated networks: what some chips' neurons do, and what the chips answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtc_hw.montecarlo_plots import GOOD, PLAIN
from mtc_hw.plots import INK, ONE_COLUMN, STYLE, TIME, WIDE, spike_marks
from mtc_hw.spec import Array

SHOWN = 160.0  # tau_m of the series; more would blacken the panels


@dataclass(frozen=True, eq=False)
class Spikes:
    """Of a whole layer."""

    times: Array  # (spikes,), tau_m, neuron after neuron
    counts: Array  # (N,) how many of them are each neuron's


@dataclass(frozen=True, eq=False)
class NetworkChip:
    """One chip before calibration, and after it with the last readout that it got; None where a run failed."""

    name: str  # which one of all it is
    before: Spikes | None
    after: Spikes | None
    answer_before: Array | None  # (samples,), standardised
    answer_after: Array | None
    r2_before: float | None
    r2_after: float | None


@dataclass(frozen=True, eq=False)
class Networks:
    """Some of a study's chips on the test series."""

    chips: Sequence[NetworkChip]
    nominal: Spikes | None  # of the chip without mismatch
    target: Array  # (samples,), standardised
    spacing: float  # tau_m between samples
    start: int  # sample from which answers count

    @property
    def window(self) -> tuple[float, float]:
        """The stretch that is shown, tau_m."""
        start, end = self.start * self.spacing, (self.target.size - 1) * self.spacing
        return start, min(end, start + SHOWN)


@rc_context(STYLE)
def network_rasters_figure(networks: Networks, width: float = WIDE) -> Figure:
    """Spikes of every neuron: the chip without mismatch, then each chip before and after; a row is a neuron."""
    narrow = width < ONE_COLUMN
    chips = networks.chips[:1] if narrow else networks.chips
    shape = (3, 1) if narrow else (len(chips), 3)
    figure = Figure(figsize=(width, 2.1 * shape[0] + 0.5), layout="constrained")
    grid = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True)
    for row, chip in enumerate(chips):
        panels = list(grid[:, 0] if narrow else grid[row])
        states = (("without mismatch", networks.nominal, INK), ("before", chip.before, PLAIN),
                  ("calibrated", chip.after, GOOD))  # fmt: skip
        for axes, (state, spikes, colour) in zip(panels, states, strict=True):
            _raster(axes, spikes, colour)
            own = state if spikes is networks.nominal else f"{chip.name}, {state}"
            axes.set_title(own)
        panels[0].set_ylabel("neuron")
    for axes in grid[-1]:
        axes.set_xlabel(TIME if narrow or axes is grid[-1, 1] else "")
    grid[0, 0].set_xlim(*networks.window)
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(4))
    return figure


def _raster(axes: Axes, spikes: Spikes | None, colour: str) -> None:
    if spikes is None:
        axes.text(0.5, 0.5, "run failed", ha="center", transform=axes.transAxes)
        return
    ends = np.cumsum(spikes.counts.astype(np.int64))[:-1]
    trains = np.split(spikes.times, ends)
    axes.plot(*spike_marks(trains, -0.9, 0.9), color=colour, linewidth=0.9)
    axes.set_ylim(-1.0, len(trains))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


@rc_context(STYLE)
def answers_figure(networks: Networks, width: float = WIDE) -> Figure:
    """What some chips answer, before and after, against the target."""
    chips = networks.chips
    figure = Figure(figsize=(width, 1.6 * len(chips) + 0.8), layout="constrained")
    column = figure.subplots(len(chips), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    low, high = networks.window
    time = np.arange(networks.target.size) * networks.spacing
    shown = (time >= low) & (time <= high)
    for axes, chip in zip(column, chips, strict=True):
        axes.plot(time[shown], networks.target[shown], color=INK, linewidth=2.6, alpha=0.35, label="target")
        for answer, colour, style, label in (
            (chip.answer_before, PLAIN, (0, (3, 1.5)), "before"),
            (chip.answer_after, GOOD, "-", "calibrated"),
        ):
            if answer is not None:
                axes.plot(time[shown], answer[shown], color=colour, linestyle=style, label=label)
        scores = [("before", chip.r2_before), ("calibrated", chip.r2_after)]
        told = ", ".join(f"{name} {value:.3f}" for name, value in scores if value is not None)
        axes.set_title(f"{chip.name}: R² {told}" if told else chip.name)
        axes.margins(x=0.0)
    column[-1].set_xlabel(TIME)
    figure.supylabel("standardised series", fontsize=9.0)
    labelled = [axes.get_legend_handles_labels() for axes in column]
    known = {label: handle for handles, labels in labelled for handle, label in zip(handles, labels, strict=True)}
    figure.legend(list(known.values()), list(known), loc="outside upper left", ncols=3)
    return figure
