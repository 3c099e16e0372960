"""A PDK's own draws of single transistors, for chips to take theirs from."""

from dataclasses import dataclass

import numpy as np

from mtc_hw.hardware.cells import DEVICES
from mtc_hw.hardware.library import library_cell
from mtc_hw.hardware.process import KINDS
from mtc_hw.spec import Array

WIDTHS = (1.0, 2.0)
"""Unit widths of the cells' transistors."""


@dataclass(frozen=True, eq=False)
class Bank:
    """Mismatch of many single transistors of one size, by kind (`KINDS`), unit widths (`WIDTHS`) and draw."""

    technology: str  # digest
    width: float  # m, of the unit transistor
    length: float  # m
    threshold: Array  # (2, 2, M) V, of a transistor's own sign as SPICE's `delvto`
    gain: Array  # (2, 2, M) relative

    def of(self, kind: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """Thresholds and relative widths of the devices of a cell, each from a random draw."""
        where = [
            (KINDS.index(f"{each.polarity}mos"), WIDTHS.index(each.width)) for each in library_cell(kind).devices
        ]
        polarity, width = np.array(where).T
        draw = rng.integers(self.threshold.shape[-1], size=len(DEVICES[kind]))
        return self.threshold[polarity, width, draw], self.gain[polarity, width, draw]
