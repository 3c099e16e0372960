"""One neuron in software and in the circuit, side by side."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mtc_hw.analysis.compare import Comparison, compare_traces
from mtc_hw.analysis.regimes import Regime, classify
from mtc_hw.analysis.spikes import spike_times
from mtc_hw.calibrate import apply, calibrate
from mtc_hw.calibration_plan import load_plan
from mtc_hw.characterise import cells_for
from mtc_hw.converters import Choice, chosen_converters
from mtc_hw.courses import neuron_course
from mtc_hw.errors import SpecError
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.design import MappedDesign, as_spec
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import Technology
from mtc_hw.instrument import bench
from mtc_hw.netlist.deck import Deck, write_decks
from mtc_hw.netlist.render import own_deck
from mtc_hw.netlist.views import Level
from mtc_hw.neuron_file import NeuronFile, Stimulus
from mtc_hw.simulate.ode import integrate
from mtc_hw.simulate.outcome import Outcome
from mtc_hw.simulate.pool import Runner
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import Array, ModelSpec, Trace

Trim = Literal["none", "nominal", "chip"]
ACCURACY = 1e-10  # relative tolerance of the software reference
LONGEST = 1e7  # tau_m
EXACT = MappingOptions(bits=None)


@dataclass(frozen=True)
class NeuronOptions:
    """How a neuron is put into the circuit."""

    level: Level = "behavioural"
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
    """What software and circuit did; the circuit's part is empty when its run failed."""

    software: Trace  # of the neuron as the file says, accurate integration
    software_spikes: Array  # tau_m
    software_regime: Regime
    circuit: Trace | None
    circuit_spikes: Array
    circuit_regime: Regime | None
    comparison: Comparison | None
    outcome: Outcome
    deck: Deck
    design: MappedDesign

    def to_json(self, deck: Path) -> dict[str, object]:
        regime = None if self.circuit_regime is None else str(self.circuit_regime)
        return {
            "software": {"spike_times": self.software_spikes.tolist(), "regime": self.software_regime},
            "circuit": {
                "spike_times": self.circuit_spikes.tolist(),
                "regime": regime,
                "outcome": self.outcome.status,
                "reason": self.outcome.reason,
            },
            "comparison": None if self.comparison is None else self.comparison.to_json(),
            "deck": str(deck),
            "design_digest": self.design.digest,
            "deck_digest": self.deck.digest,
        }


def with_current(neuron: NeuronFile, current: float | None) -> NeuronFile:
    """The neuron under a constant current instead of its own stimulus."""
    if current is None:
        return neuron
    return dataclasses.replace(neuron, stimulus=Stimulus(((0.0, current),)))


def bare_spec(neuron: NeuronFile) -> ModelSpec:
    """A ModelSpec without inputs and readout."""
    return ModelSpec(neuron.neurons, np.zeros((1, 0)), np.zeros(1))


def neuron_design(neuron: NeuronFile, technology: Technology, options: NeuronOptions, run: Runner) -> MappedDesign:
    """The mapped neuron, a virtual chip when a seed is given, trimmed as the options say."""
    technology = unit_sized(technology, options.width, options.length)
    cells = cells_for(technology, options.width, options.length)
    spec = bare_spec(neuron)
    nominal = map_spec(spec, technology, cells, options.mapping)
    chip = nominal if options.seed is None else perturb(nominal, options.seed, options.sample)
    if options.level == "behavioural" or options.trim == "none":
        return chip
    plan = load_plan("dc")
    measured = chip if options.trim == "chip" else nominal
    course = neuron_course(neuron)
    instrument = bench(measured, "transistor", plan, run, course)
    return apply(calibrate(nominal, spec, instrument, plan, course), chip)


def run_neuron(neuron: NeuronFile, technology: Technology, options: NeuronOptions, run: Runner) -> NeuronRun:
    """Raises SpecError for a duration that is not positive and finite."""
    if not (math.isfinite(options.duration) and 0 < options.duration <= LONGEST):
        raise SpecError(f"duration is {options.duration}; it must be above 0 and at most {LONGEST:g} tau_m")
    design = neuron_design(neuron, technology, options, run)
    converters = chosen_converters(options.converters, design, options.level, jobs=1)
    deck = own_deck(design, neuron, options.level, options.duration, converters)
    outcome = run([deck])[0]
    software = integrate(neuron.neurons, neuron.stimulus, options.duration, neuron.initial, rtol=ACCURACY)
    software_spikes, software_regime = observe(software, neuron, options.duration)
    if outcome.waveforms is None:
        nothing = np.empty(0)
        return NeuronRun(software, software_spikes, software_regime, None, nothing, None, None, outcome, deck, design)
    circuit = to_trace(outcome.waveforms, design, 0)
    comparison = compare_traces(software, circuit, stimulus=neuron.stimulus)
    spikes, regime = observe(circuit, neuron, options.duration)
    return NeuronRun(
        software, software_spikes, software_regime, circuit, spikes, regime, comparison, outcome, deck, design
    )


def observe(trace: Trace, neuron: NeuronFile, duration: float) -> tuple[Array, Regime]:
    """Spike times, tau_m, and the regime of the one neuron of a trace."""
    spikes = spike_times(trace.time, trace.voltage[:, 0])
    return spikes, classify(spikes, duration, neuron.stimulus, float(trace.voltage[-1, 0]))


def meant(design: MappedDesign, neuron: NeuronFile, duration: float) -> Trace:
    """What the codes, and the chip's deviations, mean: the design's own equations, integrated accurately."""
    spec = as_spec(design)
    stimulus = neuron.stimulus.shifted(float(spec.bias[0]))
    return integrate(spec.neurons, stimulus, duration, neuron.initial, rtol=ACCURACY)


def write_deck(deck: Deck, folder: Path) -> Path:
    return write_decks([deck], folder)[0]
