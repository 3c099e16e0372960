"""Tasks for benchmarks/workers.py, which its worker processes import by name."""

from dataclasses import dataclass

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.render import Series, neuron_deck, own_deck
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.neuron_file import Initial, NeuronFile
from mtc_hw.simulate.pool import Runner
from mtc_hw.simulate.waveforms import to_trace

SEED = 1  # of the chips


@dataclass(frozen=True, eq=False)
class Preset:
    """A neuron, its design, and how long a chip runs, tau_m."""

    design: MappedDesign
    neuron: NeuronFile
    duration: float


@dataclass(frozen=True, eq=False)
class Layer:
    """A network's neurons under one input for some tau_m."""

    design: MappedDesign
    series: Series
    duration: float


def chip_deck(preset: Preset, sample: int) -> Deck:
    return own_deck(perturb(preset.design, SEED, sample), preset.neuron, "transistor", preset.duration)


def count_spikes(preset: Preset, sample: int, run: Runner) -> int:
    """Spikes of one chip; -1 for a run that failed."""
    outcome = run([chip_deck(preset, sample)])[0]
    if outcome.waveforms is None:
        return -1
    trace = to_trace(outcome.waveforms, preset.design, 0)
    return len(spike_times(trace.time, trace.voltage[:, 0]))


def run_layer(layer: Layer, sample: int, run: Runner) -> int:
    """How many neurons of one chip ran to the end."""
    chip = perturb(layer.design, SEED, sample)
    decks = [
        neuron_deck(chip, i, "transistor", layer.series, layer.duration, Initial(), TRANSISTOR)
        for i in range(chip.count)
    ]
    return sum(outcome.ok for outcome in run(decks))
