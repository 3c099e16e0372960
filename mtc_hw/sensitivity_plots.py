"""Figures of what explains a spread."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mtc_hw.analysis.sensitivity import Sensitivity
from mtc_hw.montecarlo_plots import words
from mtc_hw.plots import INK, ONE_COLUMN, STYLE, WIDE

COLOURS = ("#4477aa", "#ccbb44")  # P. Tol's bright scheme
SHOWN = 12
"""Groups; the others make one line."""
METHODS = {
    "least squares": "squared standardised coefficients, least squares",
    "correlation": "squared correlations",
    "spline": "first-order Sobol indices, splines",
    "Saltelli, first order": "first-order Sobol indices",
    "Saltelli, total": "total Sobol indices",
}


@rc_context(STYLE)
def sensitivity_figure(results: Sequence[Sensitivity], width: float = WIDE, shown: int = SHOWN) -> Figure:
    """Shares of the variance as horizontal bars with their intervals, in the first result's order.

    Of one quantity, by one method or by several, such as first-order and total indices.
    """
    first = results[0]
    names = [share.name for share in first.shares[:shown]]
    figure = Figure(figsize=(width, (0.2 + 0.11 * len(results)) * len(names) + 1.15), layout="constrained")
    axes = figure.subplots()
    height = 0.72 / len(results)
    for index, result in enumerate(results):
        own = {share.name: share for share in result.shares}
        rows = np.arange(len(names)) + (index - (len(results) - 1) / 2.0) * height
        value = np.array([own[name].value for name in names])
        ends = np.array([[own[name].low, own[name].high] for name in names])
        axes.barh(rows, np.clip(value, 0.0, 1.0), height=0.9 * height, color=COLOURS[index % len(COLOURS)],
                  label=METHODS[result.method])  # fmt: skip
        axes.hlines(rows, ends[:, 0], ends[:, 1], color=INK, linewidth=1.2)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(left=0.0)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(axis="x")
    axes.set_xlabel(f"share of the variance ({100.0 * first.confidence:g} % interval)")
    narrow = width < ONE_COLUMN
    title = sensitivity_title(first, shown, narrow)
    figure.legend(loc="outside upper left", title=title, alignment="left", ncols=1 if narrow else 2)
    return figure


def sensitivity_title(result: Sensitivity, shown: int = SHOWN, narrow: bool = False) -> str:
    """Quantity, chips, the linear model's R2, and what the groups that are not shown hold together."""
    what = "rows of the design" if result.method.startswith("Saltelli") else "chips"
    parts = [words(result.quantity), f"{result.chips} {what}, {result.draws} draws"]
    if result.left_out:
        parts[-1] += f", {result.left_out} {what} left out"
    if result.linear is not None:
        ends = f"{result.linear.low:.2f} to {result.linear.high:.2f}"
        parts.append(f"linear model's R² {min(result.linear.value, 1.0):.2f} ({ends})")
    others = result.shares[shown:]
    if others:
        parts.append(f"{len(others)} more with {100.0 * sum(share.value for share in others):.0f} % together")
    return ("\n" if narrow else "; ").join(parts)
