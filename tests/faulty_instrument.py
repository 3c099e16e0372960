"""An instrument with faults, its own or its chip's: dead elements, stuck codes, lost neurons, no answer in time."""

import dataclasses
from collections.abc import Collection

import numpy as np

from mtc_hw.calibration.observables import PREDICTIONS, Answer, Instrument, Observables, Request, Table
from mtc_hw.hardware.design import BRANCHES, MappedDesign

Place = int | tuple[int, int]
"""Of a code: (row, neuron), as the array of the design has them, or the neuron where it has one a neuron."""


class Faulty:
    """Wraps an instrument that measures `chips` chips.

    `dead`: (row, neuron) of elements that send nothing whatever their codes. `stuck`: (name of the array, place,
    value) of codes that do not move. `lost`: neurons that are NaN in whatever is asked. `hanging`: numbers of calls,
    from 0, that do not answer in time, of which all is NaN.
    """

    def __init__(
        self,
        instrument: Instrument,
        dead: Collection[tuple[int, int]] = (),
        stuck: Collection[tuple[str, Place, float]] = (),
        lost: Collection[int] = (),
        hanging: Collection[int] = (),
        chips: int = 1,
    ) -> None:
        self.instrument, self.lost, self.hanging, self.chips = instrument, sorted(lost), hanging, chips
        self.dead, self.stuck = tuple(dead), tuple(stuck)
        self.calls = 0
        assert all(row < len(BRANCHES) for row, _ in self.dead)

    @property
    def identity(self) -> str:
        return f"faulty {self.instrument.identity}"

    def measure(self, codes: MappedDesign, request: Request) -> Observables:
        self.calls += 1
        try:
            if self.calls - 1 in self.hanging:
                raise TimeoutError("the instrument does not answer")
            return self._spoilt(self.instrument.measure(self._set(codes), request))
        except TimeoutError:
            return unanswered(codes, request, self.chips)

    def _set(self, codes: MappedDesign) -> MappedDesign:
        """What the chip makes of the codes."""
        wrong = [*self.stuck, *((name, place, 0.0) for place in self.dead for name in ("bias_code", "bias_trim"))]
        for name, place, value in wrong:
            array = getattr(codes, name).copy()
            array[place] = value
            codes = dataclasses.replace(codes, **{name: array})
        return codes

    def _spoilt(self, seen: Observables) -> Observables:
        for row, neuron in self.dead if seen.curves else ():
            seen.curves.current[row, :, :, neuron] = 0.0
        if not self.lost:
            return seen
        if seen.curves:
            seen.curves.current[..., self.lost] = np.nan
        if seen.driven:
            seen.driven.features[:, self.lost] = np.nan
            seen.driven.prediction[:] = np.nan
        spikes = tuple(
            tuple(np.array([np.nan]) if n in self.lost else train for n, train in enumerate(trains))
            for trains in seen.spikes
        )
        return dataclasses.replace(seen, spikes=spikes)


def unanswered(codes: MappedDesign, request: Request, chips: int = 1) -> Observables:
    """All that was asked for, as NaN."""
    outputs, count = chips * len(codes.readout_offset), codes.count
    curves, driven = None, None
    if request.curves is not None:
        swept, held = request.curves.voltage, np.array(request.curves.outputs)
        curves = Table(swept, held, np.full((len(codes.rows), swept.size, held.size, count), np.nan))
    if request.driven is not None:
        samples = len(request.driven.inputs)
        driven = Answer(np.full((samples, count), np.nan), np.full((samples, outputs), np.nan))
    return Observables(
        curves=curves,
        spikes=tuple(tuple(np.array([np.nan]) for _ in range(count)) for _ in request.firing),
        readout=np.full((outputs, PREDICTIONS.size), np.nan) if request.readout else None,
        driven=driven,
    )
