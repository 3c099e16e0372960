"""Virtual chips: Pelgrom draws for every transistor (Pelgrom, Duinmaijer and Welbers, IEEE JSSC 24(5), 1989)."""

import dataclasses
import hashlib
import math

import numpy as np

from mtc_hw.hardware.cells import DEVICES, Cells
from mtc_hw.hardware.design import MAX_DEVICES, Deviations, MappedDesign
from mtc_hw.hardware.library import library_cell
from mtc_hw.hardware.technology import Technology
from mtc_hw.spec import Array
from mtc_hw.spread import Spread


def perturb(design: MappedDesign, seed: int, sample: int) -> MappedDesign:
    """The virtual chip (seed, sample) of a design.

    Each OTA draws from its own stream, keyed by seed, sample and instance path: adding a neuron, or sharing the work
    among processes, changes no other draw.
    """
    others = np.ones((len(design.rows) - len(design.present), design.count), bool)
    here = np.vstack([design.present, others])
    threshold, width = (np.zeros((len(here), MAX_DEVICES, design.count)) for _ in range(2))
    for row, (name, kind) in enumerate(design.rows):
        sigma_threshold, sigma_width = device_sigmas(design.technology, kind, design.cells.width, design.cells.length)
        devices = len(DEVICES[kind])
        for neuron in np.flatnonzero(here[row]):
            normal = _stream(seed, sample, f"n{neuron}.{name}").standard_normal((2, devices))
            threshold[row, :devices, neuron] = normal[0] * sigma_threshold
            width[row, :devices, neuron] = normal[1] * sigma_width
    threshold.setflags(write=False)
    width.setflags(write=False)
    return dataclasses.replace(design, deviations=Deviations(seed, sample, threshold, width))


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


def _stream(seed: int, sample: int, path: str) -> np.random.Generator:
    key = hashlib.sha256(f"{seed}/{sample}/{path}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "big")))
