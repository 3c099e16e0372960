"""Measured curves as functions: a transconductor's current over what it senses and over its output's voltage."""

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from mtc_hw.calibration.observables import Table
from mtc_hw.calibration.setting import Setting
from mtc_hw.hardware.design import BRANCHES, LEAK, MappedDesign
from mtc_hw.spec import Array

FOLLOWERS = range(LEAK + 1, len(BRANCHES))
"""Rows whose other input is their own output, so that their curves move with it."""

SPAN = 1.0
"""Unit voltages from a look's one output to the other that its nominal conductance stands for."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Cubic splines over what is sensed, a polynomial through the outputs. Beyond the sweep the current stays.

    A follower's are taken over the difference from its output: what is left for the polynomial is then little.
    """

    voltage: Array  # (P,) unit voltages
    output: Array  # (Q,)
    centre: int  # index of the output at which differences are what is sensed
    here: NDArray[np.bool_]  # (rows, N): what was measured
    pieces: Array  # (rows, Q, 4, N (P - 1)): cubics of each neuron's intervals, highest power first

    @staticmethod
    @lru_cache(maxsize=2)
    def of(table: Table) -> "Surface":
        """The last tables' splines are kept: a look is asked for its error, its single OTAs and all together."""
        here = np.asarray(np.isfinite(table.current).all(axis=(1, 2)))
        current = np.where(here[:, None, None], table.current, 0.0)
        centre = len(table.output) // 2
        if len(table.output) > 1:
            current[FOLLOWERS] = _sheared(table, centre, current[FOLLOWERS])
        spline = CubicSpline(table.voltage, current, axis=1)
        pieces = spline.c.transpose(2, 3, 0, 4, 1).reshape(len(current), len(table.output), 4, -1)
        return Surface(table.voltage, table.output, centre, here, pieces)

    def at(self, row: int, sensed: Array, output: Array | float) -> tuple[Array, Array]:
        """Current and its slope over what is sensed, of (T, N) points; unit currents and unit voltages."""
        x = sensed - output + self.output[self.centre] if row in FOLLOWERS else sensed
        step = self.voltage[1] - self.voltage[0]
        count, intervals = self.here.shape[1], len(self.voltage) - 1
        inside = (x >= self.voltage[0]) & (x <= self.voltage[-1])
        x = np.clip(x, self.voltage[0], self.voltage[-1])
        index = np.minimum(((x - self.voltage[0]) / step).astype(np.intp), intervals - 1)
        t = x - self.voltage[index]
        shares = self._shares(output)
        # One gather for each coefficient: the small tables stay in the processor's cache.
        index += intervals * np.arange(count)
        a, b, c, d = (
            sum(share * self.pieces[row, q, power].take(index) for q, share in enumerate(shares))
            for power in range(4)
        )
        return np.asarray(((a * t + b) * t + c) * t + d), np.where(inside, (3.0 * a * t + 2.0 * b) * t + c, 0.0)

    def _shares(self, output: Array | float) -> list[Array | float]:
        """Lagrange's polynomials at output voltages, one for each of Q."""
        return [
            prod(((output - other) / (own - other) for other in np.delete(self.output, q)), start=1.0)
            for q, own in enumerate(self.output)
        ]


def _sheared(table: Table, centre: int, current: Array) -> Array:
    """Followers' curves (rows, P, Q, N) over the difference from the output plus the central output.

    Where an output's own sweep has no such difference, the central one's curve goes on.
    """
    low, high = table.voltage[0], table.voltage[-1]
    cardinal = CubicSpline(table.voltage, np.eye(len(table.voltage)))
    result = current.copy()
    for q, output in enumerate(table.output):
        moved = output - table.output[centre]
        inside = np.clip(table.voltage, low - min(moved, 0.0), high - max(moved, 0.0))
        there, own = cardinal(inside + moved), cardinal(inside)
        result[:, :, q] += np.einsum("pk,rkn->rpn", there, current[:, :, q]) - current[:, :, q]
        result[:, :, q] += current[:, :, centre] - np.einsum("pk,rkn->rpn", own, current[:, :, centre])
    return result


def completed(
    design: MappedDesign, table: Table, earlier: Table | None = None, then: MappedDesign | None = None
) -> Table:
    """A look at one output voltage with curves at the others that an earlier look had.

    How the current goes with the output is that of the earlier look, whose codes were `then`; without one it is the
    nominal cells'. A look at several outputs comes back as it is.
    """
    if len(table.output) > 1:
        return table
    surface = Surface.of(table)
    if earlier is None or then is None:
        return _by_cells(design, table, surface)
    now, was, before = Setting.of(design), Setting.of(then), Surface.of(earlier)
    scale, shift = now.scale(was), now.shift(design, was)
    first = float(table.output[0])
    result = np.full((*table.current.shape[:2], len(earlier.output), design.count), np.nan)
    grid = np.repeat(table.voltage[:, None], design.count, axis=1)
    for row in range(len(result)):
        for q, output in enumerate(map(float, earlier.output)):
            at = grid - shift[row]
            back = at - output + first if row in FOLLOWERS else at
            change = before.at(row, at, output)[0] - before.at(row, back, first)[0]
            result[row, :, q] = surface.at(row, grid, output)[0] + scale[row] * change
    missing = ~(surface.here & before.here)
    result[np.broadcast_to(missing[:, None, None], result.shape)] = np.nan
    return Table(table.voltage, earlier.output, result)


def _by_cells(design: MappedDesign, table: Table, surface: Surface) -> Table:
    """The nominal cells' output conductance, tilt and, of followers, common mode."""
    first, bias = float(table.output[0]), design.row_bias()
    outputs = np.array([first, first + SPAN])
    grid = np.repeat(table.voltage[:, None], design.count, axis=1)
    result = np.full((*table.current.shape[:2], 2, design.count), np.nan)
    result[:, :, :1] = table.current
    for row, (_, kind) in enumerate(design.rows):
        cell = getattr(design.cells, kind)
        conductance, tilt, common = (cell.at(name, bias[row]) for name in ("conductance", "tilt", "common_mode"))
        moved = surface.at(row, grid, outputs[1])[0]
        rise = common * moved if row in FOLLOWERS else 0.0
        lost = conductance * bias[row] / design.scale.amp + tilt * moved - rise
        result[row, :, 1] = np.where(surface.here[row], moved - lost * SPAN * design.scale.volt, np.nan)
    return Table(table.voltage, outputs, result)
