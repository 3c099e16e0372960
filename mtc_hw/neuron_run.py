"""One neuron in software and in the circuit, side by side."""

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from mtc_hw.analysis.compare import Comparison, compare_traces
from mtc_hw.analysis.regimes import Regime, classify
from mtc_hw.analysis.spikes import spike_times
from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.plan import load_plan
from mtc_hw.calibration.result import apply
from mtc_hw.characterise import cells_for
from mtc_hw.converters import Choice, chosen_converters
from mtc_hw.errors import SpecError
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.design import MappedDesign, as_spec
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import Technology
from mtc_hw.netlist.deck import Deck, write_decks
from mtc_hw.netlist.render import own_deck
from mtc_hw.netlist.views import Level
from mtc_hw.neuron_file import NeuronFile, Stimulus, bare_spec
from mtc_hw.purposes import neuron_purpose
from mtc_hw.simulate.ode import integrate
from mtc_hw.simulate.outcome import Outcome
from mtc_hw.simulate.pool import Runner
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import Array, ModelSpec, Trace

Trim = Literal["none", "nominal", "chip"]
NeuronLevel = Literal["behavioural", "cells", "transistor"]
ACCURACY = 1e-10  # relative tolerance of the software reference
LONGEST = 1e7  # tau_m
EXACT = MappingOptions(bits=None)


@dataclass(frozen=True)
class NeuronOptions:
    """How a neuron is put into the circuit."""

    level: NeuronLevel = "behavioural"  # cells: in software, by the cells' measured curves and the untrimmed codes
    duration: float = 2000.0  # tau_m
    width: float = 4e-6  # m
    length: float = 4e-6  # m
    mapping: MappingOptions = EXACT
    trim: Trim = "nominal"  # which chip's own DC sweeps set the codes, transistor level only
    seed: int | None = None  # of the virtual chip; None: no mismatch
    sample: int = 0
    converters: Choice = "ideal"


@dataclass(frozen=True, eq=False)
class NeuronRun:
    """What software and circuit did; the circuit's part is empty when its run failed, or none was asked for."""

    software: Trace  # of the neuron as the file says, accurate integration
    software_spikes: Array  # tau_m
    software_regime: Regime
    circuit: Trace | None
    circuit_spikes: Array
    circuit_regime: Regime | None
    comparison: Comparison | None  # with the software: of the circuit, or at the level of cells of these
    outcome: Outcome | None
    deck: Deck | None
    design: MappedDesign
    cells: Trace | None = None  # of the design by its cells' curves, accurate; None at the behavioural level
    cells_spikes: Array = field(default_factory=lambda: np.empty(0))
    cells_regime: Regime | None = None
    comparison_cells: Comparison | None = None  # of the transistors with the cells

    def to_json(self, deck: Path | None) -> dict[str, object]:
        said = {"outcome": None, "reason": ""}
        if self.outcome is not None:
            said = {"outcome": self.outcome.status, "reason": self.outcome.reason}
        comparisons = {"comparison": self.comparison, "comparison_cells": self.comparison_cells}
        cells = _seen(self.cells_spikes, self.cells_regime)
        return {
            "software": _seen(self.software_spikes, self.software_regime),
            "cells": None if self.cells is None else cells,
            "circuit": _seen(self.circuit_spikes, self.circuit_regime) | said,
            **{name: None if each is None else each.to_json() for name, each in comparisons.items()},
            "deck": None if deck is None else str(deck),
            "design_digest": self.design.digest,
            "deck_digest": None if self.deck is None else self.deck.digest,
        }


def _seen(spikes: Array, regime: Regime | None) -> dict[str, object]:
    return {"spike_times": spikes.tolist(), "regime": None if regime is None else str(regime)}


def with_current(neuron: NeuronFile, current: float | None) -> NeuronFile:
    """The neuron under a constant current instead of its own stimulus."""
    if current is None:
        return neuron
    return dataclasses.replace(neuron, stimulus=Stimulus(((0.0, current),)))


def neuron_design(neuron: NeuronFile, technology: Technology, options: NeuronOptions, run: Runner) -> MappedDesign:
    """The mapped neuron, a virtual chip when a seed is given, trimmed as the options say."""
    technology = unit_sized(technology, options.width, options.length)
    cells = cells_for(technology, options.width, options.length)
    nominal = map_spec(bare_spec(neuron), technology, cells, options.mapping)
    chip = nominal if options.seed is None else perturb(nominal, options.seed, options.sample)
    if options.level != "transistor" or options.trim == "none":
        return chip
    measured, purpose = chip if options.trim == "chip" else nominal, neuron_purpose(neuron)
    instrument = NgspiceInstrument(measured, "transistor", run, purpose.course)
    return apply(calibrate(nominal, purpose, instrument, load_plan("dc")), chip)


def run_neuron(neuron: NeuronFile, technology: Technology, options: NeuronOptions, run: Runner) -> NeuronRun:
    """Raises SpecError for a duration that is not positive and finite."""
    checked_duration(options.duration)
    design = neuron_design(neuron, technology, options, run)
    end = options.duration
    level: Level = "transistor" if options.level == "transistor" else "behavioural"
    converters = chosen_converters(options.converters, design, level, jobs=1)
    software = integrate(neuron.neurons, neuron.stimulus, end, neuron.initial, rtol=ACCURACY)
    nothing = NeuronRun(software, *observe(software, neuron, end), None, np.empty(0), None, None, None, None, design)
    if options.level == "behavioural":
        return _with_circuit(nothing, neuron, own_deck(design, neuron, "behavioural", end, converters), run)
    cells = faithful(design, neuron, end)
    spikes, regime = observe(cells, neuron, end)
    found = dataclasses.replace(nothing, cells=cells, cells_spikes=spikes, cells_regime=regime)
    if options.level == "cells":
        return dataclasses.replace(found, comparison=compare_traces(software, cells, stimulus=neuron.stimulus))
    return _with_circuit(found, neuron, own_deck(design, neuron, "transistor", end, converters), run)


def _with_circuit(found: NeuronRun, neuron: NeuronFile, deck: Deck, run: Runner) -> NeuronRun:
    """The run with what the circuit does, compared with the rest."""
    outcome = run([deck])[0]
    if outcome.waveforms is None:
        return dataclasses.replace(found, outcome=outcome, deck=deck)
    circuit = to_trace(outcome.waveforms, found.design, 0)
    spikes, regime = observe(circuit, neuron, float(found.software.time[-1]))
    comparison, comparison_cells = (
        None if each is None else compare_traces(each, circuit, stimulus=neuron.stimulus)
        for each in (found.software, found.cells)
    )
    return dataclasses.replace(
        found,
        circuit=circuit,
        circuit_spikes=spikes,
        circuit_regime=regime,
        comparison=comparison,
        comparison_cells=comparison_cells,
        outcome=outcome,
        deck=deck,
    )


def observe(trace: Trace, neuron: NeuronFile, duration: float) -> tuple[Array, Regime]:
    """Spike times, tau_m, and the regime of the one neuron of a trace."""
    spikes = spike_times(trace.time, trace.voltage[:, 0])
    return spikes, classify(spikes, duration, neuron.stimulus, float(trace.voltage[-1, 0]))


def own_regime(neuron: NeuronFile, duration: float) -> Regime:
    """What the neuron of a file does in software, over `duration` tau_m."""
    trace = integrate(neuron.neurons, neuron.stimulus, duration, neuron.initial, rtol=ACCURACY)
    return observe(trace, neuron, duration)[1]


def checked_duration(duration: float) -> float:
    """The duration, tau_m, as it is. Raises SpecError for one that is not positive and finite, or beyond reason."""
    if not (math.isfinite(duration) and 0 < duration <= LONGEST):
        raise SpecError(f"duration is {duration}; it must be above 0 and at most {LONGEST:g} tau_m")
    return duration


def faithful(design: MappedDesign, neuron: NeuronFile, duration: float) -> Trace:
    """What the design's transistors do by their cells' measured curves, integrated accurately."""
    return _integrated(as_cells(design), neuron, duration)


def meant(design: MappedDesign, neuron: NeuronFile, duration: float) -> Trace:
    """What the codes, and the chip's deviations, mean: the design's own equations, integrated accurately."""
    return _integrated(as_spec(design), neuron, duration)


def _integrated(spec: ModelSpec, neuron: NeuronFile, duration: float) -> Trace:
    stimulus = neuron.stimulus.shifted(float(spec.bias[0]))
    return integrate(spec.neurons, stimulus, duration, neuron.initial, rtol=ACCURACY)


def write_deck(deck: Deck, folder: Path) -> Path:
    return write_decks([deck], folder)[0]
