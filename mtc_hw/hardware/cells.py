"""What a technology's OTAs do at a given size, as `mtc_hw.characterise` measures them."""

from dataclasses import dataclass

import numpy as np

from mtc_hw.spec import Array, Curve

OTA_DEVICES = ("mb", "mt", "m1", "m2", "m3", "m4")
WIDE_DEVICES = ("mb", "mt", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8")
DEVICES = {"ota": OTA_DEVICES, "wide_ota": WIDE_DEVICES}
PMOS_DEVICES = ("m3", "m4")
DOUBLE_DEVICES = ("m7", "m8")  # twice the unit width


@dataclass(frozen=True, eq=False)
class Cell:
    """One OTA's transfer I(out) = I_b (gain shape((V(inp) - V(inn) - offset) / unit) + constant), shape'(0) = 1.

    The sensitivities are those of ln(gain), offset and constant to each device's threshold shift and relative width,
    by finite difference: a virtual chip's OTA follows from its devices' draws. A plain OTA's offset is its tanh's
    middle, and what its current mirror adds is the constant; a wide OTA's offset is its zero crossing, without one.
    """

    bias: Array  # (K,) A, increasing
    gain: Array  # (K,) A of output per A of bias and unit voltage, at zero
    offset: Array  # (K,) V
    gain_per_threshold: Array  # (devices,) 1/V
    gain_per_width: Array  # (devices,)
    offset_per_threshold: Array  # (devices,)
    offset_per_width: Array  # (devices,) V
    constant_per_threshold: Array  # (devices,) 1/V
    constant_per_width: Array  # (devices,)

    def gain_at(self, bias: Array) -> Array:
        """Gain at a bias current, linear in log(bias), constant outside the measured range."""
        return np.interp(np.log(np.maximum(bias, 1e-30)), np.log(self.bias), self.gain)

    def bias_for(self, current: Array) -> Array:
        """The bias at which gain times bias is `current`, A. The product rises with the bias; fixed point."""
        bias = np.array(current, dtype=np.float64)
        for _ in range(60):
            bias = current / self.gain_at(bias)
        return bias


@dataclass(frozen=True, eq=False)
class Cells:
    """Both OTAs of a technology at one transistor size."""

    technology: str  # digest of the technology
    width: float  # m
    length: float  # m
    unit: float  # V: the plain OTA's tanh scale, which stands for one model voltage unit
    ota: Cell
    wide_ota: Cell
    leak_curve: Curve  # shape of the wide OTA at the leak's bias
    filter_curve: Curve  # and at the filters' much smaller bias
    input_parasitic: Array  # (2,) F: a plain and a wide OTA's input
    output_parasitic: Array  # (2,) F: a plain and a wide OTA's output
