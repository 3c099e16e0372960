"""Digital-to-analogue converters for bias currents and reference voltages."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtc_hw.spec import Array

Codes = NDArray[np.float64]
"""Integers held in float64, so that an ideal converter (bits = None) can hold a real-valued code."""


@dataclass(frozen=True)
class Dac:
    """Uniform converter: value = base + code * lsb, code in 0 .. 2^bits - 1 (signed: -2^(bits-1)+1 .. 2^(bits-1)-1).

    With `octaves` > 0 a current splitter divides by up to 2^octaves before use (a coarse-fine bias generator,
    Delbruck et al., ISCAS 2010): value = fine * lsb / 2^octave, and code = fine + octave * 2^bits.
    `bits = None` is the ideal converter: the code is a real number and nothing is clipped.
    """

    bits: int | None
    lsb: float  # A or V
    base: float = 0.0  # A or V
    signed: bool = False
    octaves: int = 0

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest fine code."""
        if self.bits is None:
            return -np.inf, np.inf
        top = 2.0 ** (self.bits - 1) - 1 if self.signed else 2.0**self.bits - 1
        return (-top if self.signed else 0.0), top

    @property
    def reach(self) -> tuple[float, float]:
        """Smallest and largest value, A or V."""
        low, high = self.limits
        smallest = self.lsb / 2.0**self.octaves if self.octaves else self.base + low * self.lsb
        return smallest, self.base + high * self.lsb

    def encode(self, values: Array) -> Codes:
        """Nearest codes, not clipped: `outside` tells which do not exist (the splitter's are infinite there)."""
        steps = (np.asarray(values, dtype=np.float64) - self.base) / self.lsb
        if self.bits is None:
            return np.asarray(steps)
        if not self.octaves:
            return np.rint(steps)
        top = self.limits[1]
        octave = np.clip(np.floor(np.log2(top / np.maximum(steps, 1e-300))), 0, self.octaves)
        fine = np.rint(steps * 2.0**octave)
        # A fine code past the top would read as the next octave's, and a current of zero has no time constant.
        return np.where(fine > top, np.inf, np.where(fine < 1, -np.inf, fine + octave * 2.0**self.bits))

    def fine(self, codes: Codes) -> Codes:
        """The code at the binary-weighted part."""
        if self.bits is None or not self.octaves:
            return codes
        with np.errstate(invalid="ignore"):  # a code that does not exist is infinite, its remainder not a number
            return np.mod(codes, 2.0**self.bits)

    def step(self, codes: Codes) -> Array:
        """What one fine code is worth, A or V."""
        if self.bits is None or not self.octaves:
            return np.full(np.shape(codes), self.lsb)
        return np.asarray(self.lsb / 2.0 ** np.floor(codes / 2.0**self.bits))

    def decode(self, codes: Codes) -> Array:
        return np.asarray(self.base + self.fine(codes) * self.step(codes))

    def outside(self, codes: Codes) -> NDArray[np.bool_]:
        """Codes the converter does not have."""
        low, high = self.limits
        if self.bits is None or not self.octaves:
            return np.asarray((codes < low) | (codes > high))
        return np.asarray(~np.isfinite(codes) | (self.fine(codes) < 1))

    def nearest(self, wanted: Array) -> Codes:
        """Codes nearest to the wanted values, clipped to those that exist."""
        return self.encode(wanted if self.bits is None else np.clip(wanted, *self.reach))
