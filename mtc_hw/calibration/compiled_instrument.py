"""An instrument on virtual chips in a tier without ngspice: one chip, or several of a design side by side."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtc_hw.analysis.tiers import CompiledTier, Lanes, Precision, longest_step, meant
from mtc_hw.calibration.compiled_curves import curve_table
from mtc_hw.calibration.observables import PREDICTIONS, Answer, Driven, Observables, Request
from mtc_hw.calibration.parts import without
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import BY_COLUMN, BY_LINE, LEAK, MappedDesign
from mtc_hw.hardware.population import population
from mtc_hw.spec import Array


@dataclasses.dataclass(frozen=True, eq=False)
class CompiledInstrument:
    """Measures K chips of a design by a tier's own equations.

    The codes asked about are those of K N neurons, chip by chip, as `population` puts them; for one chip its own. An
    answer's readouts and predictions are then K times the outputs, chip by chip too. What belongs to a chip as a
    whole, the readout's offset, converter and low-pass, is the codes' one for all.
    """

    chips: Sequence[MappedDesign]
    tier: CompiledTier
    threads: int = 1
    precision: Precision = "float64"  # of runs; curves are always float64

    def __post_init__(self) -> None:
        if not self.chips:
            raise DataError("no chip to measure; give one or more")

    @property
    def identity(self) -> str:
        drawn = [chip.deviations for chip in self.chips]
        names = ", ".join("nominal" if each is None else f"{each.seed}.{each.sample}" for each in drawn)
        design, chips = self._nominal.digest[:16], self._own.digest[:16]
        return f"{self.tier} tier, {self.precision}, design {design}, chips {chips}: seed.sample {names}"

    @cached_property
    def _nominal(self) -> MappedDesign:
        return dataclasses.replace(self.chips[0], deviations=None)

    @cached_property
    def _step(self) -> float:
        return longest_step(self._nominal, self.tier)

    @cached_property
    def _own(self) -> MappedDesign:
        """The chips side by side, with the codes that they came with."""
        return population(self.chips)

    def measure(self, codes: MappedDesign, request: Request) -> Observables:
        """Raises DataError for codes of another design and for a series that does not fit its inputs."""
        self._check(codes, request)
        design, lost = self._mended(codes)
        lanes = Lanes(design, meant(design, self.tier), self._step, self.precision, self.threads)
        seen = Observables(
            curves=None if request.curves is None else curve_table(design, lanes.spec, request.curves),
            spikes=tuple(lanes.spikes(each.stimulus, each.initial, each.duration) for each in request.firing),
        )
        return dataclasses.replace(
            without(seen, lost) if lost.any() else seen,
            readout=self._readout(design) if request.readout else None,
            driven=None if request.driven is None else self._driven(lanes, request.driven, lost),
        )

    def _check(self, codes: MappedDesign, request: Request) -> None:
        if codes.count != self._own.count or codes.rows != self._own.rows:
            raise DataError(
                f"codes have {len(codes.rows)} rows of {codes.count} neurons, the instrument's {len(self.chips)} "
                f"chips {len(self._own.rows)} of {self._own.count}; put the chips side by side with `population`"
            )
        if request.driven is None:
            return
        wanted, shape = codes.input_code.shape[1], np.shape(request.driven.inputs)
        if not len(codes.readout_offset):
            raise DataError("the design has no readout, so no network can be driven; ask for firing")
        if len(shape) != 2 or shape[0] < 2 or shape[1] != wanted:
            raise DataError(f"the series has shape {shape}; give (samples, {wanted}), two samples or more")

    def _mended(self, codes: MappedDesign) -> tuple[MappedDesign, NDArray[np.bool_]]:
        """The codes on the chips; neurons that they make no neurons of, (K N,), have the codes that they came with.

        A leak or a filter without bias, and a code that is not a number, are in no tier's equations.
        """
        columns, lines = ([np.asarray(getattr(codes, n), float) for n in names] for names in (BY_COLUMN, BY_LINE))
        told = np.vstack([*columns, *(each.reshape(codes.count, -1).T for each in lines)])
        unclear = ~np.isfinite(told).all(axis=0)
        design = self._kept(dataclasses.replace(codes, deviations=self._own.deviations), unclear)
        still = np.any((design.present & ~(design.bias() > 0.0))[LEAK:], axis=0)
        return self._kept(design, still), unclear | still

    def _kept(self, design: MappedDesign, which: NDArray[np.bool_]) -> MappedDesign:
        """The design with what these neurons came with."""
        if not which.any():
            return design
        own: dict[str, Any] = {n: np.where(which, getattr(self._own, n), getattr(design, n)) for n in BY_COLUMN}
        for name in BY_LINE:
            values = getattr(design, name).copy()
            values[which] = getattr(self._own, name)[which]
            own[name] = values
        return dataclasses.replace(design, **own)

    def _readout(self, design: MappedDesign) -> Array:
        """The low-pass's poles follow one another exactly; only the first one's current counts at rest."""
        outputs = len(design.readout_offset) * len(self.chips)
        gain = design.readout_unit / (float(design.pole_current[0]) * design.readout_span) if outputs else 1.0
        return np.tile(gain * PREDICTIONS, (outputs, 1))

    def _driven(self, lanes: Lanes, request: Driven, lost: NDArray[np.bool_]) -> Answer:
        trace = lanes.driven(np.asarray(request.inputs, dtype=np.float64))
        trace.voltage[:, lost] = np.nan
        count = lanes.chips.count // len(self.chips)
        heard = [lanes.heard(trace, slice(k * count, (k + 1) * count)) for k in range(len(self.chips))]
        prediction, features = (np.concatenate(parts, axis=1) for parts in zip(*heard, strict=True))
        return Answer(features, prediction)
