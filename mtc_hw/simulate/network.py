"""A network in the circuit: one deck a neuron, run in parallel and gathered on one time grid, then its readout."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from mtc_hw.hardware.design import MappedDesign
from mtc_hw.netlist.converter_views import Converters
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.render import Series, neuron_deck, readout_deck
from mtc_hw.netlist.solver import DRIVEN
from mtc_hw.netlist.views import Level
from mtc_hw.neuron_file import Initial
from mtc_hw.readout import features
from mtc_hw.simulate.outcome import Outcome
from mtc_hw.simulate.pool import Done, Runner
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import INITIAL_VOLTAGE, Array

SETTLED = Initial(INITIAL_VOLTAGE, INITIAL_VOLTAGE, INITIAL_VOLTAGE)
GRID = 4  # points per sample of the input


@dataclass(frozen=True, eq=False)
class LayerRun:
    """What a hidden layer did. A neuron whose run failed stays at the start and is listed."""

    voltage: Array  # (GRID * samples + 1, N), unit voltages
    step: float  # tau_m between rows
    sums: Array  # (GRID * samples + 1, 2, outputs) A that all synapses send into the positive and the negative sum
    power: Array  # (N,) W from the supply, mean over the run; NaN where the run failed
    failed: tuple[Outcome, ...]
    seconds: float  # sum over the decks
    rung: int = 0  # of the retry ladder, the highest of the decks


@dataclass(frozen=True, eq=False)
class NetworkRun:
    """What a network did, its readout included."""

    layer: LayerRun
    prediction: Array  # (samples, outputs), standardised; NaN where the readout's run failed
    power: float  # W from the supply, of all neurons and readouts, mean over the run
    failed: tuple[Outcome, ...]
    rung: int  # of the retry ladder, the highest of all decks


def layer_decks(
    design: MappedDesign, level: Level, inputs: Array, converters: Converters | None = None
) -> list[Deck]:
    """A deck for each neuron; `inputs` (T, inputs), standardised, one row every sample; ideal converters or given."""
    spacing = input_spacing(design)
    duration = (len(inputs) - 1) * spacing
    series = Series(inputs, spacing)
    return [
        neuron_deck(design, i, level, series, duration, SETTLED, DRIVEN[level], converters)
        for i in range(design.count)
    ]


def run_layers(
    designs: list[MappedDesign], level: Level, inputs: Array, run: Runner, done: Done | None = None
) -> list[LayerRun]:
    """Several chips over the same input, all their decks in one batch."""
    spacing = input_spacing(designs[0])
    decks = [deck for design in designs for deck in layer_decks(design, level, inputs)]
    outcomes = run(decks, done)
    runs, start = [], 0
    for design in designs:
        runs.append(gather(design, outcomes[start : start + design.count], (len(inputs) - 1) * spacing, spacing))
        start += design.count
    return runs


def input_spacing(design: MappedDesign) -> float:
    """tau_m between the samples of the network's input."""
    return 1.0 if design.task is None else design.task.sample * design.task.time_unit


def run_networks(
    designs: list[MappedDesign], level: Level, inputs: Array, run: Runner, done: Done | None = None
) -> list[NetworkRun]:
    """Several chips over the same input: the neurons, then sums and low-passes fed with the neurons' currents.

    Exact but for the first pole's voltage, which the synapses of the neurons' own decks do not see.
    """
    layers = run_layers(designs, level, inputs, run, done)
    decks = [
        readout_deck(design, output, level, Series(layer.sums[:, :, output], layer.step), DRIVEN[level])
        for design, layer in zip(designs, layers, strict=True)
        for output in range(len(design.readout_offset))
    ]
    outcomes, runs, start = run(decks), [], 0
    for design, layer in zip(designs, layers, strict=True):
        outputs = len(design.readout_offset)
        runs.append(_with_readout(design, layer, outcomes[start : start + outputs]))
        start += outputs
    return runs


def _with_readout(design: MappedDesign, layer: LayerRun, outcomes: list[Outcome]) -> NetworkRun:
    grid = np.arange(len(layer.voltage)) * layer.step
    prediction = np.full((len(grid[::GRID]), len(outcomes)), np.nan)
    power = float(np.nansum(layer.power))
    for output, outcome in enumerate(outcomes):
        if outcome.waveforms is None:
            continue
        time = outcome.waveforms.axis / design.scale.second
        volts = outcome.waveforms[f"v(y_{output})"] - design.technology.analog_ground
        answer = volts / (design.scale.volt * design.readout_span)
        prediction[:, output] = PchipInterpolator(time, answer)(grid[::GRID])
        power += mean_power(design, outcome)
    failed = (*layer.failed, *(outcome for outcome in outcomes if not outcome.ok))
    rung = max([layer.rung, *(outcome.rung for outcome in outcomes)])
    return NetworkRun(layer, prediction, power, failed, rung)


def mean_power(design: MappedDesign, outcome: Outcome) -> float:
    """From the supply, mean over a run that succeeded, W."""
    assert outcome.waveforms is not None
    supply = -outcome.waveforms["i(vdd)"] * design.technology.supply
    return float(np.trapezoid(supply, outcome.waveforms.axis) / outcome.waveforms.axis[-1])


def gather(design: MappedDesign, outcomes: list[Outcome], duration: float, spacing: float) -> LayerRun:
    """The neurons' waveforms on one grid. Between the solver's points by a monotone cubic: spikes are sharp."""
    step = spacing / GRID
    grid = np.arange(round(duration / step) + 1) * step
    voltage = np.full((grid.size, design.count), INITIAL_VOLTAGE)
    power = np.full(design.count, np.nan)
    sums = np.zeros((grid.size, 2, len(design.readout_offset)))
    for neuron, outcome in enumerate(outcomes):
        if outcome.waveforms is None:
            continue
        trace = to_trace(outcome.waveforms, design, neuron)
        voltage[:, neuron] = PchipInterpolator(trace.time, trace.voltage[:, 0])(grid)
        power[neuron] = mean_power(design, outcome)
        for output, code in enumerate(design.readout_code[:, neuron]):
            if code != 0.0:
                sign = int(code < 0)
                current = outcome.waveforms[f"i(vsum_{'pn'[sign]}_{output})"]
                sums[:, sign, output] += PchipInterpolator(trace.time, current)(grid)
    failed = tuple(outcome for outcome in outcomes if not outcome.ok)
    rung = max((outcome.rung for outcome in outcomes), default=0)
    return LayerRun(voltage, step, sums, power, failed, sum(outcome.seconds for outcome in outcomes), rung)


def layer_features(design: MappedDesign, layer: LayerRun) -> Array:
    """Low-passed synapse outputs at every input sample, (samples, N)."""
    tau = design.readout_tau / design.scale.second
    return features(layer.voltage, layer.step, design.synapse, tau)[::GRID]
