"""What noise of the curves may hide from a check."""

import numpy as np

from mtc_hw.calibration.observables import Table
from mtc_hw.course import Course
from mtc_hw.hardware.design import BRANCHES, LEAK, MappedDesign, row_gain
from mtc_hw.spec import ELEMENT_FILTER, Array

NORMAL = 0.6745
"""Median of a standard normal number's magnitude."""


def noise_of(table: Table) -> Array:
    """Standard deviation of a look's noise, (rows, Q, N), unit currents; 0 where nothing was measured.

    From third differences along the sweep, whose median no bend of a smooth curve moves.
    """
    rough = np.abs(np.diff(table.current, n=3, axis=1)) / np.sqrt(20.0)
    return np.asarray(np.nan_to_num(np.median(rough, axis=1) / NORMAL))


def doubt(design: MappedDesign, table: Table, course: Course, earlier: Table | None) -> Array:
    """By how much a check may misjudge the current along a course, rms unit currents, (N,).

    The check's own noise adds to what it finds, but may by chance hide an error, most of all where a course is hardly
    more than one state. A follower's offset, which moves what is heard through it, comes from all points of a course.
    Of a check at one output voltage it is an `earlier` look that says how the current goes with the output; its noise
    is the same in the trims and in the check.
    """
    feeding = np.ones(len(design.rows), bool)
    feeding[LEAK + 1 : len(BRANCHES)] = False
    feeding[len(design.rows) - len(design.readout_offset) :] = False
    own = noise_of(table).mean(axis=1)
    points = 1.0 + np.ptp(course.voltage, axis=0) / (table.voltage[1] - table.voltage[0])
    squares = (own[feeding] ** 2).sum(axis=0) + (_by_filters(design, own) ** 2).sum(axis=0) / points
    if earlier is not None and len(table.output) == 1 and len(earlier.output) > 1:
        ends = noise_of(earlier)[feeding][:, [0, -1]]
        lever = np.mean((course.voltage - table.output[0]) ** 2, axis=0)
        squares = squares + (ends**2).sum(axis=(0, 1)) * lever / (earlier.output[-1] - earlier.output[0]) ** 2
    return np.asarray(np.sqrt(squares))


def _by_filters(design: MappedDesign, noise: Array) -> Array:
    """What a follower's noise does by way of its offset to the elements that listen to it, I_u, (3, N)."""
    gain = row_gain(design)[: len(BRANCHES)] * design.bias() / design.scale.amp
    filters = gain[LEAK + 1 :]
    shift = np.where(filters > 0.0, noise[LEAK + 1 : len(BRANCHES)] / np.where(filters > 0.0, filters, 1.0), 0.0)
    listening = np.zeros_like(shift)
    np.add.at(listening, list(ELEMENT_FILTER), gain[:LEAK])
    return np.asarray(listening * shift)
