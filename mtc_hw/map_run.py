"""Mapping as a user asks for it: the size from a mismatch budget, alternatives, and what the design costs."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from mtc_hw.analysis.spikes import burst_statistics, interval_statistics, spike_trains
from mtc_hw.characterise import cells_for
from mtc_hw.errors import DataError
from mtc_hw.exports import spec_of
from mtc_hw.hardware.alternatives import Change, map_or_suggest, map_with_alternatives
from mtc_hw.hardware.budget import Activity, Budget, Item, budget, mean_power, measured_budget
from mtc_hw.hardware.cells import Cells
from mtc_hw.hardware.conditions import technology_at, warming
from mtc_hw.hardware.design import MappedDesign, as_spec
from mtc_hw.hardware.design_file import load_design
from mtc_hw.hardware.mapping import MappingOptions
from mtc_hw.hardware.rules import filter_floor
from mtc_hw.hardware.sizing import MismatchBudget, Size, length_of, size_for
from mtc_hw.hardware.technology import Technology, load_technology
from mtc_hw.hardware.unit import UnitSize
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.netlist.render import own_deck
from mtc_hw.neuron_file import NeuronFile
from mtc_hw.neuron_run import faithful, observe
from mtc_hw.simulate.network import input_spacing, run_networks
from mtc_hw.simulate.pool import Runner
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.sources import Source
from mtc_hw.spec import Array, Trace

SAMPLES = 400  # of a network's input, whose activity stands for all
SUSTAINED = ("tonic", "adapting", "bursting")
DURATION = 2000.0  # tau_m of a neuron whose file does not say
AREA, PREFIXES = 1e12, {1e-15: "f", 1e-12: "p", 1e-9: "n", 1e-6: "u", 1e-3: "m", 1.0: ""}


@dataclass(frozen=True)
class Wishes:
    """What `map` is asked for. A mismatch budget takes the place of the width; the aspect is length over width."""

    technology: str = "generic"
    width: float = 4e-6  # m
    aspect: float = 1.0
    mismatch: MismatchBudget | None = None
    mapping: MappingOptions = MappingOptions()
    adapt: bool = False
    hottest: float | None = None  # degrees Celsius, at which the filters' currents still exceed the off-currents


@dataclass(frozen=True, eq=False)
class Mapped:
    """A design and how it came about."""

    design: MappedDesign
    size: Size | None = None  # when it was chosen from a budget
    changes: tuple[Change, ...] = ()

    def notes(self) -> list[str]:
        """What was chosen or changed, in words."""
        found = [str(change) for change in self.changes]
        if self.size is not None:
            s = self.size
            found.append(
                f"unit transistor {s.width * 1e6:.4g}/{s.length * 1e6:.4g} um: sigma_alpha {s.spread.alpha:.3g}, "
                f"sigma_delta {s.spread.delta:.3g}, of a filter's follower {s.spread.offset:.3g}; "
                f"{s.limited_by} decides"
            )
        return found


def shape_of(size: UnitSize, aspect: float | None) -> float:
    """Length over width, from a size or from an aspect. Raises DataError where both give one."""
    if aspect is not None and size.width != size.length:
        raise DataError(f"size {size} um has a length of its own; give it or an aspect, not both")
    return size.aspect if aspect is None else aspect


def map_source(source: Source, wishes: Wishes) -> Mapped:
    """The mapping of a network or neuron; a design is taken as it is.

    Raises DataError for a wish that would change a design, UnmappableError, with an alternative where there is one.
    """
    if source.design is not None:
        if wishes.mismatch is not None or wishes.adapt or wishes.hottest is not None:
            raise DataError("this is a design already: give its network or neuron to size or adapt it")
        return Mapped(source.design)
    technology = load_technology(wishes.technology)
    size = None
    if wishes.mismatch is not None:
        size = size_for(
            technology,
            wishes.mismatch,
            lambda width, length: cells_for(technology, width, length),
            wishes.aspect,
        )
        cells = size.cells
    else:
        cells = cells_for(technology, wishes.width, length_of(wishes.width, wishes.aspect, technology.grid))
    spec, options = spec_of(source), _for_heat(wishes, technology, cells)
    if wishes.adapt:
        design, changes = map_with_alternatives(spec, technology, cells, options)
        return Mapped(design, size, changes)
    return Mapped(map_or_suggest(spec, technology, cells, options), size)


def _for_heat(wishes: Wishes, technology: Technology, cells: Cells) -> MappingOptions:
    """The options, with filter currents, and so capacitors, large enough for the hottest use under PTAT bias."""
    if wishes.hottest is None:
        return wishes.mapping
    hot = cells_for(technology_at(technology, wishes.hottest), cells.width, cells.length)
    floor = filter_floor(cells, hot, warming(technology, wishes.hottest), wishes.mapping)
    return dataclasses.replace(wishes.mapping, filter_min=max(floor, wishes.mapping.filter_min))


def design_for(source: Source, path: Path) -> MappedDesign:
    """A design from a file that belongs to a network or neuron. Raises DataError when it is another's."""
    design = load_design(path)
    if design.spec_digest != spec_of(source).digest():
        raise DataError(f"{path} is not a design of this network or neuron; map it again")
    return design


def estimated(source: Source, design: MappedDesign) -> Budget:
    """The design's budget, its activity from software: a neuron's stimulus in its cells, or the task's test part."""
    if source.neuron is not None:
        duration = source.neuron.duration or DURATION
        trace = faithful(design, source.neuron, duration)
        return budget(design, _neuron_activity(design, source.neuron, trace, duration))
    if design.task is None:
        return budget(design)
    spec = as_spec(design)
    inputs = _inputs(design)
    return budget(design, _layer_activity(design, run_spec(spec, inputs, spec.step / 4).trace))


def measured(source: Source, design: MappedDesign, run: Runner) -> Budget:
    """Power and energy over the same stimulus or input at transistor level. Raises DataError when a run fails."""
    if source.neuron is not None:
        duration = source.neuron.duration or DURATION
        outcome = run([own_deck(design, source.neuron, "transistor", duration)])[0]
        if outcome.waveforms is None:
            raise DataError(f"measuring the budget: {outcome.status}: {outcome.reason}")
        activity = _neuron_activity(design, source.neuron, to_trace(outcome.waveforms, design, 0), duration)
        power = mean_power(design, outcome.waveforms.axis, outcome.waveforms["i(vdd)"])
        return measured_budget(power, activity)
    if design.task is None:
        raise DataError("this design has neither a stimulus nor a task: give the preset or neuron file itself")
    network = run_networks([design], "transistor", _inputs(design), run)[0]
    if network.failed:
        worst = network.failed[0]
        raise DataError(f"measuring the budget: {worst.deck}: {worst.status}: {worst.reason}")
    layer = network.layer
    time = np.arange(len(layer.voltage), dtype=np.float64) * layer.step
    activity = _layer_activity(design, Trace(time, layer.voltage))
    return measured_budget(float(layer.power.sum()), activity, network.power)


def _inputs(design: MappedDesign) -> Array:
    """The first samples of the task's test part, (samples, 1)."""
    assert design.task is not None
    if design.task.name != "mackey-glass":
        raise DataError(f"the activity in task {design.task.name!r} is not known; only mackey-glass ships")
    return np.asarray(mackey_glass_split(task=design.task).test.inputs[:SAMPLES, None])


def _neuron_activity(design: MappedDesign, neuron: NeuronFile, trace: Trace, duration: float) -> Activity:
    """Mean time per spike, over whole bursts where there are two, and the stimulus' mean.

    Firing that ceases has no time per spike of its own: it depends on how often the stimulus comes.
    """
    spikes, regime = observe(trace, neuron, duration)
    bursts = burst_statistics(spikes, duration)
    interval = interval_statistics(spikes).mean if regime in SUSTAINED else None
    if interval is not None and bursts.period is not None and bursts.spikes_per_burst is not None:
        interval = bursts.period / bursts.spikes_per_burst
    mean = sum((end - start) * level for start, end, level in neuron.stimulus.holds(duration)) / duration
    seconds = None if interval is None else interval * design.scale.second
    return Activity(interval=seconds, input_current=mean * design.scale.amp)


def _layer_activity(design: MappedDesign, trace: Trace) -> Activity:
    second = design.scale.second
    spikes = sum(train.size for train in spike_trains(trace))
    return Activity(
        interval=float(trace.time[-1]) * second / spikes if spikes else None,
        sample=input_spacing(design) * second,
        synapses=tuple(design.synapse(trace.voltage).mean(axis=0).tolist()),
    )


def budget_table(estimate: Budget, measurement: Budget | None) -> str:
    """Both as a table for a terminal: name, estimate, measurement where there is one, formula."""
    table = Table(box=None, pad_edge=False)
    table.add_column("figure")
    table.add_column("estimate", justify="right")
    if measurement is not None:
        table.add_column("measured", justify="right")
    table.add_column("formula")
    for item in estimate.items:
        seen = [] if measurement is None else [_seen(measurement, item)]
        table.add_row(item.name, in_words(item.value, item.unit), *seen, item.formula)
    console = Console(width=118, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _seen(measurement: Budget, item: Item) -> str:
    return in_words(measurement[item.name], item.unit) if item.name in measurement else ""


def in_words(value: float, unit: str) -> str:
    """Three digits with an engineering prefix; areas in square micrometres."""
    if unit == "m^2":
        return f"{value * AREA:.3g} um^2"
    size = max((each for each in PREFIXES if abs(value) >= each), default=1.0)
    return f"{value / size:.3g} {PREFIXES[size]}{unit}"


def to_json(mapped: Mapped) -> dict[str, object]:
    """What a mapping chose, for other programs."""
    size = mapped.size
    return {
        "width": mapped.design.cells.width,
        "length": mapped.design.cells.length,
        "changes": [dataclasses.asdict(change) | {"text": str(change)} for change in mapped.changes],
        "spread": None if size is None else dataclasses.asdict(size.spread),
    }
