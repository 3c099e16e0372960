"""Chips that are made, set to another network's parameters, and run: what `model.in_the_loop` measures."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mtc_hw.analysis.firing import started
from mtc_hw.calibration.observables import Driven, Instrument, Request
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import BRANCHES, LEAK, MappedDesign, as_spec, load_capacitance, row_offset
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.population import population
from mtc_hw.montecarlo.study import Tier
from mtc_hw.simulate.ensemble import integrate_many
from mtc_hw.simulate.ensemble_flow import select
from mtc_hw.simulate.network import SETTLED, input_spacing
from mtc_hw.simulate.ode import SampledCurrent
from mtc_hw.spec import Array, ModelSpec

GRID = 3  # points per sample at which the synapses are seen
LONGEST = 0.25  # tau_m, of a step; neurons that need shorter ones take several
POLES = 4
ROWS = 32  # windows that run at once


def reprogram(layout: MappedDesign, spec: ModelSpec) -> MappedDesign:
    """A layout with the codes that come nearest to another network's parameters; its readout stays as it is.

    Capacitors, transconductors and converters are there already. What they do not reach gets the nearest code. Raises
    DataError for a network that needs other transconductors.
    """
    scale, cells, filters = layout.scale, layout.cells, slice(LEAK + 1, len(BRANCHES))
    if spec.weights.shape != layout.input_code.shape or ((spec.neurons.alpha > 0) != layout.present[:LEAK]).any():
        raise DataError("the network has other neurons, elements or inputs than the layout; map it instead")
    has = layout.present[filters]
    tau = np.where(has, spec.neurons.tau, 1.0)
    nominal = dataclasses.replace(layout, deviations=None)
    currents = [
        cells.ota.bias_for(spec.neurons.alpha * scale.amp),
        cells.wide_ota.bias_for(spec.neurons.leak * scale.amp)[None],
        cells.wide_ota.bias_for(load_capacitance(nominal)[1:] * scale.volt / (tau * scale.second)),
    ]
    codes = [layout.dac(row).nearest(each) for row, each in enumerate(np.vstack(currents))]
    reference = layout.technology.analog_ground + scale.volt * np.vstack([spec.neurons.delta, spec.neurons.rest])
    weights = spec.weights * scale.amp
    return dataclasses.replace(
        layout,
        bias_code=np.where(layout.present, np.array(codes), 0.0),
        reference_code=layout.reference_dac.nearest(reference),
        input_code=layout.input_dac.nearest(np.sign(weights) * cells.wide_ota.bias_for(np.abs(weights))),
        offset_code=layout.offset_dac.nearest(spec.bias * scale.amp),
        spec_digest=spec.digest(),
    )


TRIMS = ("bias_trim", "reference_trim", "input_trim", "offset_trim", "trim", "pole_code")
"""What a chip keeps when it is set to other parameters: trims are fixed codes on top of those of the network."""


def onto(codes: MappedDesign, chip: MappedDesign) -> MappedDesign:
    """The chip, with its deviations and its trims, at a network's codes."""
    return dataclasses.replace(codes, deviations=chip.deviations, **{name: getattr(chip, name) for name in TRIMS})


@dataclass(frozen=True, eq=False)
class CompiledChips:
    """Virtual chips of one layout on a tier without ngspice. The codes change, deviations and trims stay."""

    chips: tuple[MappedDesign, ...]
    tier: Tier = "cells"
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.chips:
            raise DataError("no chips to train with; give one or more")
        if self.tier not in ("ode", "cells"):
            raise DataError(f"tier is {self.tier!r}; chips in the loop run on ode or cells, or are instruments")

    @property
    def count(self) -> int:
        return len(self.chips)

    @cached_property
    def identity(self) -> str:
        sha = hashlib.sha256(self.tier.encode())
        for each in self.chips:
            sha.update(each.digest.encode())
        return sha.hexdigest()

    def __call__(self, spec: ModelSpec, inputs: Array, chips: Sequence[int]) -> Array:
        """(B, samples, N): `model.in_the_loop.Measure`."""
        used = sorted(set(chips))
        codes = reprogram(self.chips[0], spec)
        together = population([onto(codes, self.chips[each]) for each in used])
        meant = as_spec(together) if self.tier == "ode" else as_cells(together)
        volts = row_offset(together) / together.scale.volt
        outputs = len(together.readout_code)
        shift = volts[-outputs] if outputs else np.zeros(together.count)
        tau = np.repeat([self._tau(each) for each in used], codes.count)
        place = {each: index for index, each in enumerate(used)}
        rows = [place[each] for each in chips]
        found = [
            self._run(codes, meant, shift, tau, inputs[first : first + ROWS], rows[first : first + ROWS])
            for first in range(0, len(rows), ROWS)
        ]
        return np.concatenate(found)

    def _tau(self, chip: int) -> float:
        """Of the chip's own low-pass, tau_m."""
        own = self.chips[chip]
        return own.readout_tau / own.scale.second if len(own.pole_code) else 3.0

    def _run(
        self, codes: MappedDesign, meant: ModelSpec, shift: Array, tau: Array, inputs: Array, rows: list[int]
    ) -> Array:
        """Windows (B, samples) on chips at these places of the population.

        `shift` are its synapses' offsets, unit voltages, `tau` its low-passes', tau_m, one for each neuron.
        """
        count, spacing = codes.count, input_spacing(codes)
        lanes = np.concatenate([np.arange(count) + row * count for row in rows])
        felt = inputs if meant.input_curve is None else meant.input_curve(inputs)
        weights, bias = meant.weights[lanes, 0], meant.bias[lanes]
        current = np.repeat(felt.T, count, axis=1) * weights + bias
        record = spacing / GRID
        every = int(np.ceil(record / LONGEST))
        trace = integrate_many(
            select(meant.neurons, lanes),
            SampledCurrent(current, spacing),
            (inputs.shape[1] - 1) * spacing,
            started(SETTLED, len(lanes)),
            step=record / every,
            precision="float32",
            every=every,
            threads=self.threads,
        )
        sent = codes.synapse(trace.voltage - shift[lanes].astype(np.float32))
        kept = filtered(sent, record, tau[lanes])[::GRID]
        return np.moveaxis(kept.reshape(len(kept), len(rows), count), 0, 1).astype(np.float64)


def filtered(signal: Array, step: float, tau: Array) -> Array:
    """`readout.lowpass` in the signal's own precision, time by time: for thousands of columns five times as fast.

    Each column of the signal (T, M) has its own tau (M,).
    """
    decay = np.exp(-step / tau).astype(signal.dtype)
    gain = (1.0 - decay) / 2.0
    before, result = np.zeros((POLES + 1, signal.shape[1]), signal.dtype), np.zeros_like(signal)
    before[0] = signal[0]
    for row in range(1, len(signal)):
        value = signal[row]
        for pole in range(POLES):
            after = decay * before[pole + 1] + gain * (value + before[pole])
            before[pole], value = value, after
        before[POLES] = value
        result[row] = value
    return result


@dataclass(frozen=True, eq=False)
class MeasuredChips:
    """Chips behind instruments, one each: a lab's bench, ngspice, whatever answers `Driven`."""

    settings: tuple[MappedDesign, ...]  # of one layout, without deviations, each with its own chip's trims
    instruments: tuple[Instrument, ...]

    def __post_init__(self) -> None:
        if not self.instruments or len(self.instruments) != len(self.settings):
            raise DataError(
                f"{len(self.settings)} settings for {len(self.instruments)} instruments; give one for each"
            )

    @property
    def count(self) -> int:
        return len(self.instruments)

    @property
    def identity(self) -> str:
        return " ".join([each.digest for each in self.settings] + [each.identity for each in self.instruments])

    def __call__(self, spec: ModelSpec, inputs: Array, chips: Sequence[int]) -> Array:
        """(B, samples, N): `model.in_the_loop.Measure`; a run for each window."""
        codes = reprogram(self.settings[0], spec)
        result = np.full((*inputs.shape, codes.count), np.nan)
        for row, chip in enumerate(chips):
            request = Request(driven=Driven(inputs[row][:, None]))
            answer = self.instruments[chip].measure(onto(codes, self.settings[chip]), request).driven
            if answer is not None and answer.features.shape == result[row].shape:
                result[row] = answer.features
        return result
