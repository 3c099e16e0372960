"""Chips with a random code in every trim."""

import dataclasses

import numpy as np

from mtc_hw.hardware.design import LEAK


def trimmed(chip, seed):
    """With codes of its own in every trim."""
    rng = np.random.default_rng(seed)
    names = ("bias_trim", "reference_trim", "input_trim", "offset_trim")
    codes = {name: rng.integers(-31, 32, getattr(chip, name).shape).astype(float) for name in names}
    codes["bias_trim"] = np.where(chip.present, codes["bias_trim"], 0.0)
    codes["reference_trim"] = np.where(chip.present[: LEAK + 1], codes["reference_trim"], 0.0)
    return dataclasses.replace(chip, **codes)
