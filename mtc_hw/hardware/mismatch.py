"""Virtual chips: Pelgrom draws for every transistor (Pelgrom, Duinmaijer and Welbers, IEEE JSSC 24(5), 1989)."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from mtc_hw.hardware.cells import DEVICES, Cells
from mtc_hw.hardware.design import LEAK, MAX_DEVICES, Deviations, MappedDesign
from mtc_hw.hardware.library import library_cell
from mtc_hw.hardware.sampling import normals
from mtc_hw.hardware.technology import Technology
from mtc_hw.hardware.trim import TRIM_BITS
from mtc_hw.spec import Array
from mtc_hw.spread import Spread


class Instance(NamedTuple):
    """One transconductor of a chip."""

    path: str
    kind: str  # of its cell
    row: int  # of `MappedDesign.rows`
    neuron: int


def instances(design: MappedDesign) -> list[Instance]:
    """Every transconductor that there is, row by row."""
    others = np.ones((len(design.rows) - len(design.present), design.count), bool)
    here = np.vstack([design.present, others])
    return [
        Instance(f"n{neuron}.{name}", kind, row, neuron)
        for row, (name, kind) in enumerate(design.rows)
        for neuron in map(int, np.flatnonzero(here[row]))
    ]


def device_counts(here: Sequence[Instance]) -> dict[str, int]:
    """How many numbers instances take, by path: each device's threshold, then each one's width."""
    return {each.path: 2 * len(DEVICES[each.kind]) for each in here}


def pelgrom(design: MappedDesign, here: Sequence[Instance], normal: Mapping[str, Array]) -> tuple[Array, Array]:
    """Thresholds, V, and relative widths, (rows, 10, N), from standard normal numbers by `device_counts`."""
    threshold, width = (np.zeros((len(design.rows), MAX_DEVICES, design.count)) for _ in range(2))
    sigmas = {
        kind: device_sigmas(design.technology, kind, design.cells.width, design.cells.length)
        for kind in {each.kind for each in here}
    }
    for row, group in groupby(here, key=lambda each: each.row):
        members = list(group)
        sigma_threshold, sigma_width = sigmas[members[0].kind]
        devices, neurons = len(sigma_threshold), [each.neuron for each in members]
        drawn = np.array([normal[each.path] for each in members]).T
        threshold[row, :devices, neurons] = (drawn[:devices] * sigma_threshold[:, None]).T
        width[row, :devices, neurons] = (drawn[devices:] * sigma_width[:, None]).T
    return threshold, width


def perturb(design: MappedDesign, seed: int, sample: int) -> MappedDesign:
    """The virtual chip (seed, sample) of a design, with mismatch alone: what `variation.Variation()` draws.

    Each OTA draws from its own stream, keyed by seed, sample and instance path: adding a neuron, or sharing the work
    among processes, changes no other draw.
    """
    here = instances(design)
    normal = normals(device_counts(here), seed, sample)
    current, level = trim_errors(design, seed, sample)
    drawn = Deviations(seed, sample, *pelgrom(design, here, normal), current_trim=current, level_trim=level)
    return dataclasses.replace(design, deviations=drawn)


def trim_errors(design: MappedDesign, seed: int, sample: int) -> tuple[Array, Array]:
    """Relative errors of the trim converters' bits: of currents (TRIM_BITS, rows, N), of levels (TRIM_BITS, 6, N).

    A bit of weight 2^k is as many unit devices, mirrors of the unit transistor's size, so that its error is a unit's
    over the root of 2^k. Each neuron draws from a stream of its own, keyed by seed, sample and its path.
    """
    rows, levels = len(design.rows), LEAK + 2
    current, level = np.zeros((TRIM_BITS, rows, design.count)), np.zeros((TRIM_BITS, levels, design.count))
    dacs = (design.trim.current, design.trim.reference, design.trim.offset)
    bits = max((dac.bits - 1 for dac in dacs if dac.bits is not None), default=0)
    if not bits:
        return current, level
    drawn = normals({f"n{i}.trims": bits * (rows + levels) for i in range(design.count)}, seed, sample)
    sigma = unit_error(design.technology, design.cells) / np.sqrt(2.0 ** np.arange(bits))
    errors = np.array(list(drawn.values())).reshape(design.count, bits, rows + levels).transpose(1, 2, 0)
    errors = errors * sigma[:, None, None]
    current[:bits], level[:bits] = errors[:, :rows], errors[:, rows:]
    return current, level


def unit_error(technology: Technology, cells: Cells) -> float:
    """Standard deviation of one unit device's current in a trim converter, relative, in weak inversion."""
    threshold, width = device_sigmas(technology, "ota", cells.width, cells.length)
    tail = DEVICES["ota"].index("mt")
    return float(np.hypot(cells.ota.gain_per_threshold[tail] * threshold[tail], width[tail]))


def device_sigmas(technology: Technology, kind: str, width: float, length: float) -> tuple[Array, Array]:
    """Standard deviations of one transistor's threshold, V, and relative gain, per device of a cell.

    Pelgrom's A / sqrt(W L) is that of the difference in a pair; one device has 1 / sqrt(2) of it.
    """
    threshold, gain = [], []
    for each in library_cell(kind).devices:
        device = technology.pmos if each.polarity == "p" else technology.nmos
        area = width * length * each.width * each.length
        threshold.append(device.threshold_mismatch / math.sqrt(2.0 * area))
        gain.append(device.gain_mismatch / math.sqrt(2.0 * area))
    return np.array(threshold), np.array(gain)


TYPICAL_CURRENT = 3.6
"""Root of the sum of a neuron's squared conductances, which weighs the constant currents of its mirrors."""


def spread_of(technology: Technology, cells: Cells) -> Spread:
    """How far the neurons made of these cells scatter, from the technology's Pelgrom figures, to first order."""
    plain, wide = (
        {quantity: _sigma(technology, cells, kind, quantity) for quantity in ("gain", "offset", "constant")}
        for kind in ("ota", "wide_ota")
    )
    return Spread(
        alpha=plain["gain"],
        tau=wide["gain"],
        leak=wide["gain"],
        delta=plain["offset"] / cells.unit,
        rest=wide["offset"] / cells.unit,
        offset=wide["offset"] / cells.unit,
        current=TYPICAL_CURRENT * plain["constant"],
    )


def _sigma(technology: Technology, cells: Cells, kind: str, quantity: str) -> float:
    """Standard deviation of ln(gain), offset, V, or constant, over the devices' independent draws."""
    cell = cells.ota if kind == "ota" else cells.wide_ota
    threshold, width = device_sigmas(technology, kind, cells.width, cells.length)
    parts = np.append(
        getattr(cell, f"{quantity}_per_threshold") * threshold, getattr(cell, f"{quantity}_per_width") * width
    )
    return float(np.sqrt((parts**2).sum()))
