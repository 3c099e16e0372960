"""Over which inputs a transconductor is linear, over which it works at all, and what it draws from the supply."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtc_hw.characterise.bench import Bench, Column, Level
from mtc_hw.spec import Array

LINEAR = 0.05  # share by which the slope may differ from that at zero
USABLE = 0.10  # share by which the transconductance may differ from that at the analog ground
SPAN, FINE = 0.35, 5e-3  # V either side, and V
COARSE = 0.02  # V
STEP = 0.03  # V between the inputs while both move; a synapse is on at three times as much


@dataclass(frozen=True, eq=False)
class Ranges:
    """By transconductor."""

    linear: Array  # (2, n) V: differential input, where the slope is within 5 % of that at zero
    usable: Array  # (2, n) V from vss: both inputs, where the transconductance is within 10 % of that at ground
    supply: Array  # (n,) A, the bias included, inputs and output at the analog ground


def ranges(bench: Bench, cells: Sequence[tuple[str, float]]) -> Ranges:
    """Of (kind, bias) pairs; a synapse has no linear range: NaN."""
    ground = bench.technology.analog_ground
    columns = [Column(kind, bias) for kind, bias in cells]
    swept = bench.sweep(columns, [], ground - SPAN, ground + SPAN, FINE)
    slope = np.gradient(swept.current, swept.axis, axis=0)
    linear = np.stack([span(swept.axis - ground, slope[:, i], LINEAR, 0.0) for i in range(len(cells))], axis=1)
    linear[:, [kind == "synapse" for kind, _ in cells]] = np.nan
    supply = np.array([np.interp(ground, swept.axis, drawn) for drawn in swept.supply.T])
    return Ranges(linear, _usable(bench, cells), supply)


def _usable(bench: Bench, cells: Sequence[tuple[str, float]]) -> Array:
    """Both inputs swept together from rail to rail, once equal and once a little apart."""
    levels = [Level("apart", "in", STEP), Level("wide", "in", 3.0 * STEP)]
    columns = [Column(kind, bias, "wide" if kind == "synapse" else "apart", "in") for kind, bias in cells]
    columns += [Column(kind, bias, "in", "in") for kind, bias in cells]
    top = bench.technology.supply
    swept = bench.sweep(columns, levels, 0.0, top, COARSE)
    change = swept.current[:, : len(cells)] - swept.current[:, len(cells) :]
    ground = bench.technology.analog_ground
    return np.stack([span(swept.axis, each, USABLE, ground) for each in change.T], axis=1)


def span(axis: Array, values: Array, tolerance: float, around: float) -> Array:
    """Ends, (2,), of the stretch of `axis` around a point on which `values` stay within a share of those there."""
    error = np.abs(values / np.interp(around, axis, values) - 1.0) - tolerance
    start = int(np.argmin(np.abs(axis - around)))
    return np.array([_edge(axis[start::-1], error[start::-1]), _edge(axis[start:], error[start:])])


def _edge(axis: Array, error: Array) -> float:
    """Where `error`, negative at first, crosses zero; the end of the axis when it never does."""
    beyond = np.flatnonzero(error > 0.0)
    if not beyond.size:
        return float(axis[-1])
    k = max(int(beyond[0]), 1)
    return float(np.interp(0.0, error[k - 1 : k + 1], axis[k - 1 : k + 1]))
