"""The steps of a plan that turn a chip's readout: the low-pass's gain and zero, and new weights."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration.measured import measured
from mtc_hw.calibration.observables import PREDICTIONS, Answer, Driven, Instrument, Request
from mtc_hw.calibration.plan import LOOKS, ReadoutStep, RefitStep
from mtc_hw.calibration.purpose import Lesson, Purpose
from mtc_hw.calibration.readout_fit import fit_readout_near
from mtc_hw.hardware.cells import Cell
from mtc_hw.hardware.dac import Codes, Dac
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.readout import FULL_SCALES, rounded_readout
from mtc_hw.rounding import Index
from mtc_hw.spec import Array, Readout

GAIN, ZERO = 0.03, 0.03
"""How far the low-pass's gain may be from one and its zero from nothing, in predictions, for a success."""

SETTLE = 100
"""Samples before a look that bring the network into step, at most: its gain and zero hardly depend on them."""


class ReadoutFound(NamedTuple):
    """A chip's codes with what became of its readout."""

    codes: MappedDesign
    trained: MappedDesign  # with the trained weights
    lost: NDArray[np.bool_]  # (N,) of which the refit has no features
    wrong: str  # why the readout could not be calibrated
    runs: int  # of the whole network


def calibrate_readout(
    codes: MappedDesign,
    purpose: Purpose,
    steps: Sequence[ReadoutStep | RefitStep],
    instrument: Instrument,
    share: Array,
) -> ReadoutFound:
    """Goes through a plan's steps of the readout. `share`: see `refitted`."""
    readout, lesson = purpose.spec.readout, purpose.lesson
    assert readout is not None, "asked for only where there is one"
    trained, lost, wrong, runs = codes, np.zeros(codes.count, bool), "", 0
    for step in steps:
        if isinstance(step, ReadoutStep):
            codes, wrong = trim_readout(codes, readout, instrument)
            trained = codes
        elif isinstance(step, RefitStep) and lesson is not None and not wrong:
            answer, wrong = _driven(codes, lesson.inputs[-step.samples - step.burn_in :], step.samples, instrument)
            runs += 1
            if answer is None:
                continue
            trained = _as_seen(codes, readout, answer)
            targets = lesson.targets[-step.samples :]
            codes, readout, lost, wrong = refitted(trained, readout, answer.features, targets, share)
            if not wrong:
                codes, wrong = trim_readout(codes, readout, instrument)
            if not wrong and step.look:
                codes, wrong, looks = _looked_at(codes, readout, lesson, step, instrument)
                runs += looks
    return ReadoutFound(codes, trained, lost, wrong, runs)


def trim_readout(codes: MappedDesign, readout: Readout, instrument: Instrument) -> tuple[MappedDesign, str]:
    """The low-pass's gain by its first pole's bias, its zero by the sum's constant current; and why that failed.

    What was set is measured.
    """
    gain, zero, wrong = _line(codes, instrument)
    if wrong:
        return codes, wrong
    turned = _turned(codes, gain, readout.offset - zero)
    gain, zero, wrong = _line(turned, instrument)
    left = zero + (turned.readout_offset - readout.offset)
    return turned, wrong or _off(gain, left)


def _turned(codes: MappedDesign, gain: Array, offset: Array) -> MappedDesign:
    """The zero is nearly all offsets of the stages after the first pole, which no gain scales."""
    bias = codes.pole_dac.decode(codes.pole_code)
    bias[0] *= float(gain.mean())
    return dataclasses.replace(codes, pole_code=codes.pole_dac.nearest(bias), readout_offset=offset)


def _off(gain: Array, zero: Array) -> str:
    """Why a readout of this gain and zero, (outputs,), is not on target; "" where it is."""
    if np.abs(gain - 1.0).max() <= GAIN and np.abs(zero).max() <= ZERO:
        return ""
    return f"the readout's gain is {gain[0]:.3f} and its zero {zero[0]:+.3f} after its trim"


def _line(codes: MappedDesign, instrument: Instrument) -> tuple[Array, Array, str]:
    """Gain and zero of every output's low-pass, (outputs,), and why they could not be measured."""
    seen, wrong = measured(instrument, codes, Request(readout=True))
    answer = seen.readout
    if answer is None or not np.isfinite(answer).all():
        return np.ones(1), np.zeros(1), wrong or "the readout could not be measured"
    gain, zero = np.polyfit(PREDICTIONS, answer.T, 1)
    return gain, zero, _lacking(gain)


def _lacking(gain: Array) -> str:
    return f"the readout's gain is {gain.min():.3f}; it must be above 0" if (gain <= 0.0).any() else ""


def _driven(codes: MappedDesign, inputs: Array, last: int, instrument: Instrument) -> tuple[Answer | None, str]:
    """What the whole chip does in the last so many samples of a series, and why that could not be measured."""
    seen, wrong = measured(instrument, codes, Request(driven=Driven(inputs)))
    if seen.driven is None or wrong:
        return None, wrong
    return Answer(seen.driven.features[-last:], seen.driven.prediction[-last:]), ""


def _line_of(readout: Readout, answer: Answer) -> tuple[Array, Array] | None:
    """Gain and zero, (outputs,), of the answer against what the readout makes of the features that there are.

    They tell what a sweep at rest does not: the weights that the synapses have in motion. None where the answer is
    not the whole chip's, or does not move.
    """
    if not np.isfinite(answer.prediction).all():
        return None
    wanted = np.nan_to_num(answer.features) @ readout.weights.T + readout.offset
    if (np.ptp(wanted, axis=0) == 0.0).any():
        return None
    fits = [np.polyfit(*each, 1) for each in zip(wanted.T, answer.prediction.T, strict=True)]
    gain, zero = np.transpose(fits)
    return gain, zero


def _as_seen(codes: MappedDesign, readout: Readout, answer: Answer) -> MappedDesign:
    """The low-pass turned by what a run shows of it; as it was where that tells nothing."""
    line = _line_of(readout, answer)
    if line is None or (line[0] <= 0.0).any():
        return codes
    return _turned_in_use(codes, *line)


def _looked_at(
    codes: MappedDesign, readout: Readout, lesson: Lesson, step: RefitStep, instrument: Instrument
) -> tuple[MappedDesign, str, int]:
    """Gain and zero in use, turned where they are off; why they stay off, and how many runs that took.

    Where neurons are lost nobody can tell, and the sweep at rest must do.
    """
    inputs = lesson.inputs[-step.look - min(step.burn_in, SETTLE) :]
    for look in range(1, LOOKS + 1):
        answer, wrong = _driven(codes, inputs, step.look, instrument)
        line = None if answer is None else _line_of(readout, answer)
        if line is None:
            return codes, wrong, look
        gain, zero = line
        wrong = _lacking(gain) or _off(gain, zero)
        if not wrong or _lacking(gain) or look == LOOKS:
            break
        codes = _turned_in_use(codes, gain, zero)
    return codes, wrong, look


def _turned_in_use(codes: MappedDesign, gain: Array, zero: Array) -> MappedDesign:
    """The low-passes have one gain, so what an output's differs from the mean is left to its weights."""
    turned = _turned(codes, gain, codes.readout_offset - zero)
    full = codes.readout_dac.decode(codes.readout_code) * (gain.mean() / gain)[:, None]
    return dataclasses.replace(turned, readout_code=codes.readout_dac.nearest(full))


class Refit(NamedTuple):
    """A chip's codes with new weights, what they mean, whose neurons' features were lost, and why all failed."""

    codes: MappedDesign
    readout: Readout
    lost: NDArray[np.bool_]  # (N,)
    wrong: str


def refitted(codes: MappedDesign, readout: Readout, features: Array, targets: Array, share: Array) -> Refit:
    """New weights from the chip's own features, (samples, N).

    `share` (outputs, N) is by how much each synapse's bias is off the nominal one for the same weight. A neuron that
    could not be measured gets no weight, and is marked as lost.
    """
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
