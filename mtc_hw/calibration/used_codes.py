"""Which codes a calibrated chip's converters ended with, by kind."""

import numpy as np

from mtc_hw.hardware.design import LEAK, MappedDesign
from mtc_hw.spec import Array

TRIMS = ("bias", "reference", "input", "offset")
"""Kinds of trim converters. The readout's weights have a full scale of their own, so none of them is at a bound."""


def used_codes(design: MappedDesign) -> dict[str, Array]:
    """Codes of the converters that are there, by kind; kinds without any are left out."""
    on = design.present & (design.bias_code != 0.0)
    found = {
        "bias": design.bias_trim[on],
        "reference": design.reference_trim[on[: LEAK + 1]],
        "input": design.input_trim[design.input_code != 0.0],
        "offset": design.offset_trim,
        "readout": design.readout_code.ravel(),
    }
    return {kind: np.asarray(codes, dtype=np.float64) for kind, codes in found.items() if codes.size}


def code_limits(design: MappedDesign) -> dict[str, tuple[float, float]]:
    """The first and the last code of each kind; infinite of ideal converters."""
    trim = design.trim
    return {
        "bias": trim.current.limits,
        "reference": trim.reference.limits,
        "input": trim.current.limits,
        "offset": trim.offset.limits,
        "readout": design.readout_dac.limits,
    }
