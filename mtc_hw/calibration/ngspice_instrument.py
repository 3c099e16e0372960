"""An instrument on one virtual chip in ngspice, behavioural or of transistors."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.calibration.observables import (
    PREDICTIONS,
    READOUT_REACH,
    Answer,
    Curves,
    Driven,
    Firing,
    Observables,
    Request,
    Table,
)
from mtc_hw.course import Course
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.netlist.bench import sweep_deck, synapse_deck
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.render import neuron_deck, readout_sweep
from mtc_hw.netlist.solver import FREE_RUNNING
from mtc_hw.netlist.views import Level
from mtc_hw.simulate.network import layer_features, run_networks
from mtc_hw.simulate.ngspice import version
from mtc_hw.simulate.outcome import Outcome
from mtc_hw.simulate.pool import Runner
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import Array

BELOW = 3.0  # unit voltages below the threshold, where a synapse sends nothing but what it leaks


@dataclass(frozen=True, eq=False)
class NgspiceInstrument:
    """Measures with the codes asked about and the chip's own deviations.

    The readout is measured with its sums carrying what they carry on average along the course, and what the synapses
    leak on top, which no weight stands for.
    """

    chip: MappedDesign
    level: Level
    run: Runner
    course: Course

    @property
    def identity(self) -> str:
        drawn = self.chip.deviations
        chip = "nominal chip" if drawn is None else f"chip seed {drawn.seed} sample {drawn.sample}"
        design = dataclasses.replace(self.chip, deviations=None)
        return f"ngspice {version()}, {self.level}, {chip} of design {design.digest}"

    def measure(self, codes: MappedDesign, request: Request) -> Observables:
        design = dataclasses.replace(codes, deviations=self.chip.deviations)
        benches = self._benches(design, request)
        outcomes = self.run([deck for decks in benches for deck in decks])
        parts, start = [], 0
        for decks in benches:
            parts.append(outcomes[start : start + len(decks)])
            start += len(decks)
        swept, answered, *fired = parts
        return Observables(
            curves=None if request.curves is None else _table(design, request.curves, swept),
            spikes=tuple(tuple(_spikes(design, i, each) for i, each in enumerate(group)) for group in fired),
            readout=_answer(design, answered) if request.readout else None,
            driven=None if request.driven is None else self._driven(design, request.driven),
        )

    def _benches(self, design: MappedDesign, request: Request) -> list[list[Deck]]:
        """Decks of the curves, of the readout and of each free run."""
        neurons, curves = range(design.count), request.curves
        swept: list[Deck] = []
        if curves is not None:
            sweep = (*curves.sweep, curves.step)
            swept = [sweep_deck(design, i, self.level, sweep, curves.outputs) for i in neurons]
        fired = [[self._free(design, i, each) for i in neurons] for each in request.firing]
        return [swept, self._readout_decks(design) if request.readout else [], *fired]

    def _free(self, design: MappedDesign, index: int, firing: Firing) -> Deck:
        return neuron_deck(
            design, index, self.level, firing.stimulus, firing.duration, firing.initial, FREE_RUNNING[self.level]
        )

    def _readout_decks(self, design: MappedDesign) -> list[Deck]:
        rest, leak = _mean_sums(design, self.course), self._leaks(design)
        return [
            readout_sweep(design, output, self.level, READOUT_REACH, rest[output], leak[output])
            for output in range(len(rest))
        ]

    def _leaks(self, design: MappedDesign) -> Array:
        """What all synapses send into each output's sums with their neurons far below the threshold, A, (outputs, 2).

        It does not shrink with a synapse's code, and doubles every ten kelvin or so. A synapse that cannot be
        measured counts as one without.
        """
        leak = np.zeros((len(design.readout_offset), 2))
        if self.level == "behavioural":  # has none
            return leak
        low = design.synapse.threshold - BELOW
        used = np.flatnonzero(design.readout_code.any(axis=0))
        decks = [synapse_deck(design, int(neuron), self.level, (low, low + 0.5, 0.5)) for neuron in used]
        for neuron, outcome in zip(used, self.run(decks), strict=True):
            if outcome.waveforms is None:
                continue
            for output in np.flatnonzero(design.readout_code[:, neuron]):
                sign = int(design.readout_code[output, neuron] < 0)
                leak[output, sign] += outcome.waveforms[f"i(vo_synapse_{output}_{neuron})"][0]
        return leak

    def _driven(self, design: MappedDesign, request: Driven) -> Answer:
        """A neuron whose run failed has no features, and the answer without it is not the chip's."""
        found = run_networks([design], self.level, request.inputs, self.run)[0]
        features, prediction = layer_features(design, found.layer), found.prediction
        lost = np.isnan(found.layer.power)
        features[:, lost] = np.nan
        if lost.any():
            prediction = np.full_like(prediction, np.nan)
        return Answer(features, prediction)


def _table(design: MappedDesign, curves: Curves, outcomes: Sequence[Outcome]) -> Table:
    voltage, outputs = curves.voltage, np.array(curves.outputs)
    current = np.full((len(design.rows), voltage.size, outputs.size, design.count), np.nan)
    here = design.row_bias() > 0.0
    for neuron, outcome in enumerate(outcomes):
        if outcome.waveforms is None:
            continue
        for row in np.flatnonzero(here[:, neuron]):
            values = outcome.waveforms[f"i(vo_{_name(design, int(row), neuron)})"] / design.scale.amp
            current[row, :, :, neuron] = values.reshape(outputs.size, -1)[:, : voltage.size].T
    return Table(voltage, outputs, current)


def _spikes(design: MappedDesign, neuron: int, outcome: Outcome) -> Array:
    if outcome.waveforms is None:
        return np.array([np.nan])
    trace = to_trace(outcome.waveforms, design, neuron)
    return spike_times(trace.time, trace.voltage[:, 0])


def _answer(design: MappedDesign, outcomes: Sequence[Outcome]) -> Array:
    """Predictions that the low-passes' outputs stand for, (outputs, S)."""
    result = np.full((len(outcomes), PREDICTIONS.size), np.nan)
    for output, outcome in enumerate(outcomes):
        if outcome.waveforms is not None:
            swept = outcome.waveforms.axis / design.readout_unit
            volts = outcome.waveforms[f"v(y_{output})"] - design.technology.analog_ground
            result[output] = np.interp(PREDICTIONS, swept, volts / (design.scale.volt * design.readout_span))
    return result


def _mean_sums(design: MappedDesign, course: Course) -> Array:
    """Mean current into the positive and the negative sum of each output, A, (outputs, 2)."""
    full = design.readout_dac.decode(design.readout_code)
    mean = full * design.cells.synapse.gain_at(np.abs(full)) * design.synapse(course.voltage).mean(axis=0)
    return np.stack([np.maximum(mean, 0.0).sum(axis=1), np.maximum(-mean, 0.0).sum(axis=1)], axis=1)


def _name(design: MappedDesign, row: int, neuron: int) -> str:
    name = design.rows[row][0]
    return f"{name}_{neuron}" if name.startswith("synapse") else name
