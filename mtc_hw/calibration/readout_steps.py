"""The steps of a plan that turn a chip's readout: the low-pass's gain and zero, and new weights."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration.measured import measured
from mtc_hw.calibration.observables import PREDICTIONS, Driven, Instrument, Request
from mtc_hw.calibration.plan import RefitStep
from mtc_hw.calibration.purpose import Lesson
from mtc_hw.calibration.readout_fit import fit_readout_near
from mtc_hw.hardware.cells import Cell
from mtc_hw.hardware.dac import Codes, Dac
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.readout import FULL_SCALES, rounded_readout
from mtc_hw.rounding import Index
from mtc_hw.spec import Array, Readout

GAIN, ZERO = 0.03, 0.03
"""How far the low-pass's gain may be from one and its zero from nothing, in predictions, for a success."""


def trim_readout(codes: MappedDesign, readout: Readout, instrument: Instrument) -> tuple[MappedDesign, str]:
    """The low-pass's gain by its first pole's bias, its zero by the sum's constant current; and why that failed.

    The zero is nearly all offsets of the stages after the first pole, which no gain scales. What was set is measured.
    """
    gain, zero, wrong = _line(codes, instrument)
    if wrong:
        return codes, wrong
    bias = codes.pole_dac.decode(codes.pole_code)
    bias[0] *= float(gain.mean())
    offset = readout.offset - zero
    turned = dataclasses.replace(codes, pole_code=codes.pole_dac.nearest(bias), readout_offset=offset)
    gain, zero, wrong = _line(turned, instrument)
    left = zero + (turned.readout_offset - readout.offset)
    if not wrong and (np.abs(gain - 1.0).max() > GAIN or np.abs(left).max() > ZERO):
        wrong = f"the readout's gain is {gain[0]:.3f} and its zero {left[0]:+.3f} after its trim"
    return turned, wrong


def _line(codes: MappedDesign, instrument: Instrument) -> tuple[Array, Array, str]:
    """Gain and zero of every output's low-pass, (outputs,), and why they could not be measured."""
    seen, wrong = measured(instrument, codes, Request(readout=True))
    answer = seen.readout
    if answer is None or not np.isfinite(answer).all():
        return np.ones(1), np.zeros(1), wrong or "the readout could not be measured"
    gain, zero = np.polyfit(PREDICTIONS, answer.T, 1)
    if (gain <= 0.0).any():
        return gain, zero, f"the readout's gain is {gain.min():.3f}; it must be above 0"
    return gain, zero, ""


class Refit(NamedTuple):
    """A chip's codes with new weights, what they mean, whose neurons' features were lost, and why all failed."""

    codes: MappedDesign
    readout: Readout
    lost: NDArray[np.bool_]  # (N,)
    wrong: str


def refitted(
    codes: MappedDesign, readout: Readout, lesson: Lesson, step: RefitStep, instrument: Instrument, share: Array
) -> Refit:
    """New weights from the chip's own features. `share` (outputs, N) is by how much each synapse's bias is off the
    nominal one for the same weight. A neuron that could not be measured gets no weight, and is marked as lost.
    """
    nothing = np.zeros(codes.count, bool)
    kept = step.samples + step.burn_in
    inputs, targets = lesson.inputs[-kept:], lesson.targets[-step.samples :]
    seen, wrong = measured(instrument, codes, Request(driven=Driven(inputs)))
    if seen.driven is None or wrong:
        return Refit(codes, readout, nothing, wrong)
    features = seen.driven.features[-step.samples :]
    there: NDArray[np.bool_] = np.asarray(np.isfinite(features).all(axis=0))
    if not there.any():
        return Refit(codes, readout, ~there, "no neuron's features could be measured")
    trained = Readout(readout.weights[:, there], readout.offset, readout.tau)
    found = fit_readout_near(trained, features[:, there], targets)
    shares = share[:, there]
    if codes.readout_dac.bits is None:
        synapses = _Synapses.of(codes, found, shares, 1.0)
    else:
        converters = [_Synapses.of(codes, found, shares, full) for full in FULL_SCALES]
        found, best = rounded_readout(found, features[:, there], targets, [each.nearest for each in converters])
        synapses = converters[best]
    weights, code = np.zeros_like(readout.weights), np.zeros_like(codes.readout_code)
    weights[:, there], code[:, there] = found.weights, synapses.encode(found.weights)
    set_to = dataclasses.replace(codes, readout_code=code, readout_dac=synapses.dac)
    return Refit(set_to, Readout(weights, found.offset, found.tau), ~there, "")


@dataclass(frozen=True, eq=False)
class _Synapses:
    """Weights and the codes of the synapses' bias converter."""

    cell: Cell
    unit: float  # A at full output that a weight of one stands for
    share: Array  # (outputs, N) of the nominal bias that each synapse takes for the same output
    dac: Dac

    @staticmethod
    def of(codes: MappedDesign, readout: Readout, share: Array, full_scale: float) -> "_Synapses":
        """Of a converter whose full scale is so much of the largest weight's bias."""
        cell, unit, dac = codes.cells.synapse, codes.readout_unit, codes.readout_dac
        largest = float((share * cell.bias_for(np.abs(readout.weights) * unit)).max())
        levels = 1.0 if dac.bits is None else dac.limits[1]
        return _Synapses(cell, unit, share, dataclasses.replace(dac, lsb=full_scale * largest / levels))

    def encode(self, weights: Array) -> Codes:
        """Nearest codes of weights (outputs, N)."""
        return self.dac.nearest(np.sign(weights) * self.share * self.cell.bias_for(np.abs(weights) * self.unit))

    def nearest(self, index: Index, weights: Array) -> Array:
        """Weights (outputs,) that the converter has, number `index` (outputs,) of each output."""
        sizes = self._sizes[np.arange(len(index)), index]
        closest = np.argmin(np.abs(sizes - np.abs(weights)[:, None]), axis=1)
        return np.asarray(np.sign(weights) * sizes[np.arange(len(index)), closest])

    @cached_property
    def _sizes(self) -> Array:
        """What every magnitude's code is as a weight, (outputs, N, codes)."""
        bias = np.arange(self.dac.limits[1] + 1.0) * self.dac.lsb / self.share[..., None]
        return np.asarray(bias * self.cell.gain_at(np.maximum(bias, self.dac.lsb)) / self.unit)
