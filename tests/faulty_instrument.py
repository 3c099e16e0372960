"""An instrument with faults, its own or its chip's: dead elements, stuck codes, lost neurons, no answer in time."""

import dataclasses
from collections.abc import Collection

import numpy as np

from mtc_hw.calibration.observables import Instrument, Observables, Request
from mtc_hw.calibration.parts import blank, without
from mtc_hw.hardware.design import BRANCHES, MappedDesign

Place = int | tuple[int, int]
"""Of a code: (row, neuron), as the array of the design has them, or the neuron where it has one a neuron."""


class Faulty:
    """Wraps an instrument on one chip.

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
    ) -> None:
        self.instrument, self.lost, self.hanging = instrument, sorted(lost), hanging
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
            seen = self.instrument.measure(self._set(codes), request)
        except TimeoutError:
            return blank(codes, request)
        for row, neuron in self.dead if seen.curves else ():
            seen.curves.current[row, :, :, neuron] = 0.0
        return without(seen, np.isin(np.arange(codes.count), self.lost)) if self.lost else seen

    def _set(self, codes: MappedDesign) -> MappedDesign:
        """What the chip makes of the codes."""
        wrong = [*self.stuck, *((name, place, 0.0) for place in self.dead for name in ("bias_code", "bias_trim"))]
        for name, place, value in wrong:
            array = getattr(codes, name).copy()
            array[place] = value
            codes = dataclasses.replace(codes, **{name: array})
        return codes
