"""What a technology's cells do at a given size, as `mtc_hw.characterise` measures them."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mtc_hw.hardware.library import library_cell
from mtc_hw.spec import Array, Curve

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

MEASURED = ("ota", "wide_ota", "synapse")
"""The cells with a transfer of their own: an input transconductor and a low-pass's stages are wide OTAs."""

REFERENCE_BIAS = {"ota": 1.5e-9, "wide_ota": 3e-9, "synapse": 1.5e-9}
"""A: an element's and a leak's bias, at which sensitivities are measured."""

DEVICES = {name: tuple(device.name for device in library_cell(name).devices) for name in MEASURED}


@dataclass(frozen=True, eq=False)
class Cell:
    """One transconductor as a closed form, fitted to DC sweeps at each bias, voltages taken from the analog ground:

        I(out) / I_b = core (1 + common_mode (V(inp) + V(inn)) / 2) - (conductance + tilt core) V(out)
        core         = gain shape((V(inp) - V(inn) - offset - output_shift V(out)) / unit) + constant

    `shape` is Curve(slope, shift): of a plain OTA and of a synapse Curve(1, 0), which is tanh; a synapse's is 0 where
    it is negative. A wide OTA's unit is that of all, and its slope and shift move with the bias; its half at
    +shift is larger by skew and the other smaller, since its bump hangs on one side.

    The sensitivities are those of ln(gain), offset and constant to each device's threshold shift and relative width,
    by finite difference: a virtual chip's OTA follows from its devices' draws. What a wide OTA's current mirror adds
    counts as offset there, of its zero crossing, and not as constant.
    """

    rectified: bool
    bias: Array  # (K,) A, increasing
    gain: Array  # (K,) A of output per A of bias: the tanh's amplitude; per unit voltage, at zero, for a wide OTA
    offset: Array  # (K,) V
    constant: Array  # (K,) A of output per A of bias
    unit: Array  # (K,) V
    slope: Array  # (K,)
    shift: Array  # (K,) unit voltages
    skew: Array  # (K,)
    conductance: Array  # (K,) 1/V: S of output conductance per A of bias at zero output current
    tilt: Array  # (K,) 1/V: further S per A of output current
    common_mode: Array  # (K,) 1/V
    output_shift: Array  # (K,): offset per output voltage, by the pair's own output conductance; a plain OTA's
    residual: Array  # (K,) rms of the fit, A per A of bias
    gain_per_threshold: Array  # (devices,) 1/V
    gain_per_width: Array  # (devices,)
    offset_per_threshold: Array  # (devices,)
    offset_per_width: Array  # (devices,) V
    constant_per_threshold: Array  # (devices,) 1/V
    constant_per_width: Array  # (devices,)

    def at(self, quantity: str, bias: Array) -> Array:
        """A quantity at a bias current, monotone cubic in log(bias), constant outside the measured range.

        Straight lines would miss off-currents, whose share grows as 1 / bias, by 1 % of a bias of some pA.
        """
        inside = np.clip(bias, self.bias[0], self.bias[-1])
        return np.asarray(_course(self, quantity)(np.log(inside)))

    def gain_at(self, bias: Array) -> Array:
        return self.at("gain", bias)

    def bias_for(self, current: Array) -> Array:
        """The bias at which gain times bias is `current`, A. The product rises with the bias; fixed point."""
        bias = np.array(current, dtype=np.float64)
        for _ in range(60):
            bias = current / self.gain_at(bias)
        return bias

    def current(self, bias: float, inp: Array, inn: Array, out: Array) -> Array:
        """Current out of the output, A, at voltages from the analog ground, V."""

        def at(quantity: str) -> float:
            return float(self.at(quantity, np.array(bias)))

        offset = at("offset") + at("output_shift") * out
        shape = skewed(Curve(at("slope"), at("shift")), at("skew"), (inp - inn - offset) / at("unit"))
        core = at("gain") * (np.maximum(shape, 0.0) if self.rectified else shape) + at("constant")
        common = 1.0 + at("common_mode") * (inp + inn) / 2.0
        return np.asarray(bias * (core * common - (at("conductance") + at("tilt") * core) * out))


@lru_cache(maxsize=256)
def _course(cell: Cell, quantity: str) -> "PchipInterpolator":
    """A quantity over log(bias): asked for at every step of a fixed point and for every neuron."""
    # A third of a second, which a process that only writes transistor decks can do without.
    from scipy.interpolate import PchipInterpolator

    return PchipInterpolator(np.log(cell.bias), getattr(cell, quantity))


def skewed(curve: Curve, skew: float, x: Array) -> Array:
    """A [(1 + skew) tanh k(x-d) + (1 - skew) tanh k(x+d)]."""
    k, d = curve.slope, curve.shift
    low, high = np.tanh(k * (x - d)), np.tanh(k * (x + d))
    return np.asarray(curve.amplitude * ((1.0 + skew) * low + (1.0 - skew) * high))


@dataclass(frozen=True, eq=False)
class Cells:
    """The transconductors of a technology at one transistor size."""

    technology: str  # digest of the technology
    width: float  # m
    length: float  # m
    unit: float  # V: the plain OTA's tanh scale at an element's bias, which stands for one model voltage unit
    ota: Cell
    wide_ota: Cell
    synapse: Cell
    leak_curve: Curve  # shape of the wide OTA at the leak's bias
    filter_curve: Curve  # and at the filters' much smaller bias
    input_parasitic: Array  # (3,) F: a plain OTA's, a wide OTA's and a synapse's input
    output_parasitic: Array  # (3,) F: their outputs
    tail_bias: Array  # (K,) A, increasing
    tail_capacitance: Array  # (K,) F, of a wide OTA as a slow follower: what makes the lag of `spec.CellEffects`
