"""An instrument on virtual chips in a tier without ngspice: one chip, or several of a design side by side."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtc_hw.analysis.spikes import spike_trains
from mtc_hw.analysis.tiers import CompiledTier, Lanes, Precision
from mtc_hw.calibration.compiled_curves import curve_table
from mtc_hw.calibration.observables import PREDICTIONS, Answer, Curves, Driven, Firing, Observables, Request, Table
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import LEAK, MappedDesign
from mtc_hw.hardware.population import population
from mtc_hw.spec import Array, Trace


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
        if any(chip.deviations is None for chip in self.chips):
            raise DataError("a design without deviations is no chip; draw it with `variation.Variation`")

    @property
    def identity(self) -> str:
        drawn = [chip.deviations for chip in self.chips if chip.deviations is not None]
        samples = ", ".join(f"{each.seed}.{each.sample}" for each in drawn)
        return f"{self.tier} tier, {self.precision}, design {self._nominal.digest}, chips seed.sample {samples}"

    @cached_property
    def _nominal(self) -> MappedDesign:
        return dataclasses.replace(self.chips[0], deviations=None)

    @cached_property
    def _own(self) -> MappedDesign:
        """The chips side by side, with the codes that they came with."""
        return population(self.chips)

    def measure(self, codes: MappedDesign, request: Request) -> Observables:
        """Raises DataError for codes of another design and for a series that does not fit its inputs."""
        self._check(codes, request)
        design, lost = self._mended(codes)
        lanes = Lanes.of(design, self._nominal, self.tier, self.precision, self.threads)
        return Observables(
            curves=None if request.curves is None else _curves(lanes, request.curves, lost),
            spikes=tuple(_spikes(lanes, each, lost) for each in request.firing),
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

        A leak or a filter without bias, or a converter's value that is not a number, is in no tier's equations.
        """
        design, own = dataclasses.replace(codes, deviations=self._own.deviations), self._own
        bias = design.row_bias()
        with np.errstate(invalid="ignore"):
            still = (design.present & ~(design.bias() > 0.0))[LEAK:].any(axis=0)
        levels = np.vstack([bias, design.references(), design.offset_current()[None]])
        lost = still | ~np.isfinite(levels).all(axis=0)
        kept: dict[str, Any] = {
            name: np.where(lost, getattr(own, name), getattr(design, name))
            for name in ("bias_code", "reference_code", "offset_code", "bias_trim", "reference_trim", "offset_trim")
        }
        for name in ("input_code", "input_trim"):
            kept[name] = np.where(lost[:, None], getattr(own, name), getattr(design, name))
        return dataclasses.replace(design, **kept), lost

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


def _curves(lanes: Lanes, request: Curves, lost: NDArray[np.bool_]) -> Table:
    table = curve_table(lanes.chips, lanes.spec, request)
    table.current[..., lost] = np.nan
    return table


def _spikes(lanes: Lanes, request: Firing, lost: NDArray[np.bool_]) -> tuple[Array, ...]:
    trace = lanes.free(request.stimulus, request.initial, request.duration)
    finite = np.isfinite(trace.voltage).all(axis=0) & ~lost
    trains = iter(spike_trains(Trace(trace.time, trace.voltage[:, finite])))
    return tuple(next(trains) if good else np.array([np.nan]) for good in finite)
