"""Trim converters: small signed ones on top of those that hold the model, for what a single chip needs."""

from dataclasses import dataclass

import numpy as np

from mtc_hw.hardware.dac import Codes, Dac
from mtc_hw.spec import Array

TRIM_BITS = 11
"""Binary-weighted bits of the finest trim converter, its sign left out."""


@dataclass(frozen=True)
class TrimDacs:
    """One kind for each quantity that a trim moves."""

    current: Dac  # relative: share of the current that the main converter gives
    reference: Dac  # V
    offset: Dac  # A, into the membrane


def trim_value(dac: Dac, codes: Codes, errors: Array | None = None) -> Array:
    """What trim codes (...) add. `errors` (TRIM_BITS, ...) is by how much each bit is off, relative, on a chip."""
    nominal = dac.decode(codes)
    if errors is None or dac.bits is None:
        return nominal
    magnitude = np.abs(codes).astype(np.int64)
    wrong = np.zeros(np.shape(codes))
    for bit in range(dac.bits - 1):
        wrong += (magnitude >> bit & 1) * 2.0**bit * errors[bit]
    return np.asarray(nominal + np.sign(codes) * wrong * dac.lsb)
