"""A virtual chip in closed form, quick enough for tests of what stands between a calibration and its instrument."""

import dataclasses

import numpy as np

from mtc_hw.calibration.observables import (
    PREDICTIONS,
    Answer,
    Curves,
    Driven,
    Firing,
    Observables,
    Request,
    Table,
)
from mtc_hw.calibration.parts import packed, pieces
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.neuron_file import Initial, Stimulus

EVERYTHING = Request(
    Curves(sweep=(-2.0, 2.0), step=0.5, outputs=(-1.0, 0.0)),
    (
        Firing(Stimulus(((0.0, 0.7), (50.0, -0.1))), 200.0),
        Firing(Stimulus(((0.0, 1 / 3),)), 100.0, Initial(fast=-1.0)),
    ),
    True,
    Driven(np.random.default_rng(0).normal(size=(7, 2))),
)
"""All that can be asked of a network with two inputs."""


def turned(design, by: float = 1.0):
    """The design with some code of every kind moved."""
    return dataclasses.replace(
        design,
        bias_code=np.where(design.present, design.bias_code - by, 0.0),
        reference_code=design.reference_code + by,
        input_code=design.input_code - by,
        offset_code=design.offset_code + by,
        bias_trim=np.where(design.present, 3.0 * by, 0.0),
        reference_trim=np.where(design.present[:5], -2.0 * by, 0.0),
        input_trim=np.full_like(design.input_trim, by),
        offset_trim=np.full_like(design.offset_trim, -by),
        readout_code=design.readout_code - by,
        readout_offset=design.readout_offset + 0.1 * by,
        pole_code=design.pole_code - by,
        readout_dac=dataclasses.replace(design.readout_dac, lsb=design.readout_dac.lsb * (1.0 + 0.1 * by)),
    )


def bits(seen):
    """Every number of what was measured, as bytes: NaN equals NaN, and 0.0 not -0.0."""
    return [(name, array.shape, array.tobytes()) for each in pieces(seen) for name, array in packed(each).items()]


def failed(seen):
    """Names of the parts in which nothing was measured."""
    arrays = [(name, array) for each in pieces(seen) for name, array in packed(each).items()]
    measured = {
        name for name, array in arrays if np.isfinite(array[len(array) // 2 :] if name == "firing" else array).any()
    }
    return {name for name, _ in arrays} - measured


class TanhChip:
    """Transconductors are bias times tanh, with offsets of their own; a neuron's interval goes with its leak's bias.

    Everything that can be set is in some answer. Neurons that are `dead` cannot be measured.
    """

    def __init__(self, design: MappedDesign, seed: int = 1, dead: tuple[int, ...] = ()) -> None:
        self._offset = np.random.default_rng(seed).normal(0.0, 0.2, (len(design.rows), design.count))
        self._dead = np.isin(np.arange(design.count), dead)
        self._seed = seed
        self.asked: list[tuple[str, Request]] = []

    @property
    def identity(self) -> str:
        return f"tanh chip {self._seed}"

    def measure(self, codes: MappedDesign, request: Request) -> Observables:
        self.asked.append((codes.digest, request))
        bias = codes.row_bias() / codes.scale.amp
        return Observables(
            self._curves(codes, request, bias) if request.curves else None,
            tuple(self._spikes(codes, each, bias) for each in request.firing),
            self._readout(codes) if request.readout else None,
            self._answer(codes, request.driven.inputs, bias) if request.driven else None,
        )

    def _curves(self, codes, request, bias):
        v, out = request.curves.voltage, np.array(request.curves.outputs)
        middle = self._offset.copy()
        middle[:5] += (codes.references() - 0.9) / codes.scale.volt
        current = np.tanh(v[:, None, None] - middle[:, None, None, :]) * (1.0 - 0.01 * out[None, None, :, None])
        current = np.where((bias > 0.0)[:, None, None, :] & ~self._dead, bias[:, None, None, :] * current, np.nan)
        return Table(v, out, current)

    def _spikes(self, codes, firing, bias):
        interval = 20.0 / bias[4] + np.abs(self._offset[4]) + codes.offset_current()
        every = interval + 0.1 * firing.stimulus.current(0.0)
        trains = (np.arange(1, int(firing.duration / each) + 1) * each for each in every)
        return tuple(np.array([np.nan]) if dead else own for own, dead in zip(trains, self._dead, strict=True))

    def _readout(self, codes):
        gain = codes.pole_current[0] * codes.readout_dac.lsb / codes.readout_unit
        return np.tile(gain * PREDICTIONS, (len(codes.readout_offset), 1))

    def _answer(self, codes, inputs, bias):
        heard = codes.input_current() / codes.scale.amp
        features = np.tanh(inputs @ heard.T) * bias[4]
        features[:, self._dead] = np.nan
        weights = codes.readout_dac.decode(codes.readout_code) / codes.readout_unit
        return Answer(features, np.nan_to_num(features) @ weights.T + codes.readout_offset)
