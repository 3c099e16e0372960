"""Instruments as they are: with noise, and with only so many measurements to spend."""

import math
from collections import deque

import numpy as np

from mtc_hw.calibration.observables import Answer, Instrument, Observables, Request, Table
from mtc_hw.calibration.parts import blank, joined, pieces, split, without
from mtc_hw.errors import SpecError
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.spec import Array

NOTES = 1000  # kept; the latest


class Noisy:
    """Adds Gaussian noise: to each DC curve, readout answer, feature and prediction `relative` times its largest
    absolute value, to each spike time `relative` times the train's mean interval.

    Every measurement draws anew; the draws follow from the seed and from how many measurements came before. Raises
    SpecError for a negative `relative` or seed.
    """

    def __init__(self, instrument: Instrument, relative: float, seed: int) -> None:
        if not (math.isfinite(relative) and relative >= 0.0):
            raise SpecError(f"noise of {relative}; give a number >= 0, relative to full scale")
        if seed < 0:
            raise SpecError(f"seed of the noise is {seed}; give an integer >= 0")
        self._instrument, self._relative, self._seed = instrument, relative, seed
        self._measured = 0

    @property
    def identity(self) -> str:
        return f"{self._instrument.identity}; noise {self._relative:g}, seed {self._seed}"

    def measure(self, codes: MappedDesign, request: Request) -> Observables:
        random = np.random.default_rng([self._seed, self._measured])
        self._measured += 1
        seen = self._instrument.measure(codes, request)
        return joined([self._disturbed(each, random) for each in pieces(seen)])

    def _disturbed(self, piece: Observables, random: np.random.Generator) -> Observables:
        if piece.curves is not None:
            curves = piece.curves
            return Observables(curves=Table(curves.voltage, curves.output, self._noise(curves.current, 1, random)))
        if piece.readout is not None:
            return Observables(readout=self._noise(piece.readout, 1, random))
        if piece.driven is not None:
            features, prediction = (
                self._noise(values, 0, random) for values in (piece.driven.features, piece.driven.prediction)
            )
            return Observables(driven=Answer(features, prediction))
        return Observables(spikes=tuple(tuple(self._jitter(own, random) for own in each) for each in piece.spikes))

    def _noise(self, values: Array, along: int, random: np.random.Generator) -> Array:
        """`along` is the axis of a curve."""
        scale = np.abs(np.where(np.isfinite(values), values, 0.0)).max(axis=along, keepdims=True, initial=0.0)
        return np.asarray(values + self._relative * scale * random.standard_normal(values.shape))

    def _jitter(self, times: Array, random: np.random.Generator) -> Array:
        if times.size == 0:
            return times
        mean = (times[-1] - times[0]) / (times.size - 1) if times.size > 1 else abs(times[0])
        return np.sort(times + self._relative * mean * random.standard_normal(times.size))


class Budgeted:
    """Lets each neuron be measured so often and no more, counted as in `Request.cost`.

    What would exceed it is NaN for that neuron, is not counted, and is a line of `notes`. `chips` is how many the
    instrument measures side by side. Raises SpecError for a negative budget.
    """

    def __init__(self, instrument: Instrument, measurements: float, chips: int = 1) -> None:
        if not measurements >= 0.0:
            raise SpecError(f"budget of {measurements} measurements; give a number >= 0")
        self._instrument, self._budget, self._chips = instrument, measurements, chips
        self._spent: Array | None = None
        self._notes: deque[str] = deque(maxlen=NOTES)

    @property
    def identity(self) -> str:
        return f"{self._instrument.identity}; at most {self._budget:g} measurements a neuron"

    @property
    def spent(self) -> Array:
        """Measurements of each neuron so far, (N,); empty before the first."""
        return np.zeros(0) if self._spent is None else self._spent.copy()

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    def measure(self, codes: MappedDesign, request: Request) -> Observables:
        cost = request.cost(codes)
        spent = np.zeros(codes.count) if self._spent is None else self._spent
        refused = spent + cost > self._budget
        self._spent = np.asarray(spent + np.where(refused, 0.0, cost))
        if not refused.any():
            return self._instrument.measure(codes, request)
        self._notes += [
            f"neuron {n}: {cost[n]:g} measurements refused, {spent[n]:g} of {self._budget:g} are spent"
            for n in map(int, np.flatnonzero(refused))
        ]
        if not refused.all():
            return without(self._instrument.measure(codes, request), refused)
        # The readout's sweep costs no neuron anything.
        left = Request(readout=request.readout)
        free = pieces(self._instrument.measure(codes, left)) if request.readout else ()
        return joined([*(blank(codes, each, self._chips) for each in split(request) if not each.readout), *free])
