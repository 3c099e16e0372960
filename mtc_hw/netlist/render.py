"""MappedDesign -> Deck: the neurons of a design, one or all, with a stimulus and a solver's options."""

import dataclasses
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from mtc_hw import __version__
from mtc_hw.errors import DeckError
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.technology import Technology
from mtc_hw.netlist import converter_views
from mtc_hw.netlist.converter_views import Converters
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.solver import FREE_RUNNING, SWEEP_OPTIONS, Solver
from mtc_hw.netlist.templates import render, spice
from mtc_hw.netlist.views import (
    Branch,
    Level,
    NeuronView,
    ReadoutView,
    neuron_view,
    readout_views,
    synapse_template,
    synapse_views,
)
from mtc_hw.neuron_file import Initial, NeuronFile, Stimulus
from mtc_hw.spec import Array


@dataclass(frozen=True, eq=False)
class Series:
    """Network inputs in model units, linear between samples `spacing` tau_m apart."""

    values: Array  # (T, inputs)
    spacing: float  # tau_m

    def __post_init__(self) -> None:
        # Its text is made once for all neurons, so the values must not change afterwards.
        values = np.array(self.values, dtype=np.float64)
        values.setflags(write=False)
        object.__setattr__(self, "values", values)


EDGE = 1e-3  # tau_m: how long a current step takes


def neuron_deck(
    design: MappedDesign,
    index: int,
    level: Level,
    stimulus: Stimulus | Series,
    duration: float,
    initial: Initial,
    solver: Solver,
    converters: Converters | None = None,
) -> Deck:
    """One neuron alone: exact for a feed-forward layer, and faster than many on one time step.

    `duration` in tau_m. In a network, driven by a series, its synapses send into clamped sums. Converters are ideal
    unless given; of transistors, at the transistor level only.
    """
    view = neuron_view(design, index, level)
    if not isinstance(stimulus, Series):
        parts = _Parts([view], [], [], [], (*(f"v({state})" for state in view.states), "i(vdd)"))
        return _deck(f"neuron_{index}", design, level, parts, stimulus, duration, initial, solver, converters)
    synapses = synapse_views(design, index, level)
    clamps = sorted({synapse.out for synapse in synapses})
    # A network's filters are not read, and saving them would cost memory for nothing.
    wanted = (f"v({view.states[0]})", *(f"i(v{node})" for node in clamps), "i(vdd)")
    parts = _Parts([view], synapses, clamps, [], wanted)
    return _deck(f"neuron_{index}", design, level, parts, stimulus, duration, initial, solver, converters)


def own_deck(
    design: MappedDesign, neuron: NeuronFile, level: Level, duration: float, converters: Converters | None = None
) -> Deck:
    """A design of one neuron under that neuron file's own stimulus, from its own start; `duration` in tau_m."""
    solver = FREE_RUNNING[level]
    return neuron_deck(design, 0, level, neuron.stimulus, duration, neuron.initial, solver, converters)


def network_deck(
    design: MappedDesign,
    level: Level,
    series: Series,
    duration: float,
    initial: Initial,
    solver: Solver,
    converters: Converters | None = None,
) -> Deck:
    """The whole network with synapses, sums and low-pass in one deck; V(y_0, ref) is the prediction."""
    views = [neuron_view(design, index, level) for index in range(design.count)]
    synapses = [each for index in range(design.count) for each in synapse_views(design, index, level)]
    outputs = readout_views(design, level)
    wanted = (*(f"v({view.states[0]})" for view in views), *(f"v(y_{o.index})" for o in outputs), "i(vdd)")
    parts = _Parts(views, synapses, [], outputs, wanted)
    return _deck("network", design, level, parts, series, duration, initial, solver, converters)


def readout_deck(design: MappedDesign, output: int, level: Level, currents: Series, solver: Solver) -> Deck:
    """The sums and the low-pass of one output alone.

    It is fed with what all synapses together send to the positive and to the negative sum, the two columns, A.
    """
    view = readout_views(design, level)[output]
    duration = (len(currents.values) - 1) * currents.spacing
    wanted = (f"v(y_{output})", "i(vdd)")
    lines = [
        f"Bsum_{sign}_{output} 0 sum_{sign}_{output} i={_interpolation(currents, i, duration, design.scale.second)}"
        for i, sign in enumerate("pn")
    ]
    parts = _Parts([], [], [], [view], wanted)
    return _deck(f"readout_{output}", design, level, parts, lines, duration, Initial(), solver)


def readout_sweep(
    design: MappedDesign, output: int, level: Level, reach: float, rest: Array, leak: ArrayLike = (0.0, 0.0)
) -> Deck:
    """The same at rest, over predictions from -reach to reach around what `rest` (2,), A into the sums, stands for.

    V(y) is what these predictions give with `leak` (2,), A into the sums, on top; the readout's offset is left out.
    """
    view = dataclasses.replace(readout_views(design, level)[output], offset=0.0)
    full = reach * design.readout_unit
    carried = zip("pn", rest + np.asarray(leak), strict=True)
    lines = [f"Bsum_{sign}_{output} 0 sum_{sign}_{output} i={spice(each)}" for sign, each in carried]
    # What is left of the two sums at rest is taken out again, so that the sweep is around zero.
    lines.append(f"Isweep 0 sum_p_{output} dc 0")
    balance = float(rest[0] - rest[1])
    lines.append(f"Ibalance sum_p_{output} 0 dc {spice(balance)}")
    wanted = (f"v(y_{output})",)
    context = _context(design, f"readout_{output}", level, _Parts([], [], [], [view], wanted), lines) | {
        "initial": [],
        "options": SWEEP_OPTIONS,
        "analysis": f".dc Isweep {spice(-full)} {spice(full * 1.001)} {spice(full / 20.0)}",
    }
    text = render("top.cir.j2", context)
    lint(text)
    return Deck(f"readout_sweep_{output}", text, wanted, full * 0.97)


@dataclass(frozen=True, eq=False)
class _Parts:
    """What stands in a deck, and what is saved."""

    neurons: list[NeuronView]
    synapses: list[Branch]
    clamps: list[str]
    readouts: list[ReadoutView]
    wanted: tuple[str, ...]


def _deck(
    name: str,
    design: MappedDesign,
    level: Level,
    parts: _Parts,
    stimulus: Stimulus | Series | list[str],
    duration: float,
    initial: Initial,
    solver: Solver,
    converters: Converters | None = None,
) -> Deck:
    """A transient; a stimulus that is a list stands in the deck as it is."""
    if converters is not None:
        parts = _on_transistors(design, level, parts, converters)
    end = duration * design.scale.second
    lines = stimulus if isinstance(stimulus, list) else _stimulus(design, parts.neurons, stimulus, duration)
    start = [pair for view in parts.neurons for pair in _initial(design, view, initial)]
    step, longest = (each * design.scale.second for each in (min(solver.max_step, duration), solver.max_step))
    context = _context(design, name, level, parts, lines) | {
        "initial": [f"v({node})={spice(volt)}" for node, volt in start],
        "options": solver.options(),
        "analysis": f".tran {spice(step)} {spice(end)} 0 {spice(longest)}",
    }
    context |= {} if converters is None else converter_views.context(design, converters)
    text = render("top.cir.j2", context)
    lint(text)
    return Deck(name, text, parts.wanted, end)


def _on_transistors(design: MappedDesign, level: Level, parts: _Parts, converters: Converters) -> _Parts:
    """The parts with converters of transistors. A synapse's sign switch sees both of its sums."""
    converter_views.check_level(level)
    outputs = sorted({clamp.rpartition("_")[2] for clamp in parts.clamps})
    return dataclasses.replace(
        parts,
        neurons=[converter_views.neuron(design, each, converters) for each in parts.neurons],
        synapses=[converter_views.synapse(design, each, converters) for each in parts.synapses],
        clamps=[f"sum_{sign}_{output}" for output in outputs for sign in "pn"],
        readouts=[converter_views.readout(design, each, converters) for each in parts.readouts],
    )


def _context(design: MappedDesign, name: str, level: Level, parts: _Parts, stimulus: list[str]) -> dict[str, object]:
    count = len(parts.neurons)
    title = f"{count} multi-timescale conductance neuron{'s' if count > 1 else ''}" if count else "sums and low-pass"
    return common_context(design.technology, design.cells.width, design.cells.length) | {
        "title": f"{name}: {title}",
        "level": level,
        "digest": design.digest[:16],
        "chip": design.deviations,
        "scale": design.scale,
        "neurons": parts.neurons,
        "synapses": parts.synapses,
        "synapse_template": synapse_template(design, level),
        "threshold": design.synapse.threshold * design.scale.volt,
        "clamps": parts.clamps,
        "readouts": parts.readouts,
        "stimulus": stimulus,
        "wanted": parts.wanted,
    }


def common_context(technology: Technology, width: float, length: float) -> dict[str, object]:
    """What every deck says: the technology's cards, supply and device sizes."""
    return {
        "version": __version__,
        "technology": technology.name,
        "cards": technology.cards.rstrip(),
        "supply": technology.supply,
        "analog_ground": technology.analog_ground,
        "temperature": technology.temperature,
        "nmos": "nmos",
        "pmos": "pmos",
        "unit_size": device_size(technology, width, length),
        "double_size": device_size(technology, 2.0 * width, length),
        "bias_dacs": [],  # of transistors
    }


@dataclass(frozen=True)
class DeviceSize:
    """What a template's `mos` needs of a transistor size: geometry, and the names of both kinds' cards."""

    width: float  # m
    length: float  # m
    area: float  # m^2, of source or drain
    perimeter: float  # m
    nmos: str
    pmos: str


def device_size(technology: Technology, width: float, length: float) -> DeviceSize:
    """Raises TechnologyError when the technology is a PDK's and has not been sized for it."""
    return DeviceSize(
        width=width,
        length=length,
        area=width * technology.diffusion,
        perimeter=2.0 * (width + technology.diffusion),
        nmos=technology.card("nmos", width, length),
        pmos=technology.card("pmos", width, length),
    )


def _initial(design: MappedDesign, view: NeuronView, initial: Initial) -> list[tuple[str, float]]:
    fast = initial.voltage if initial.fast is None else initial.fast
    units = {"v": initial.voltage, "u_fast": fast, "u_slow": initial.slow, "u_ultraslow": initial.ultraslow}
    ground = design.technology.analog_ground
    return [
        (node, ground + design.scale.volt * units[port]) for port, node in zip(view.ports, view.states, strict=False)
    ]


def _stimulus(
    design: MappedDesign, views: list[NeuronView], stimulus: Stimulus | Series, duration: float
) -> list[str]:
    scale = design.scale
    inputs = design.input_code.shape[1]
    if isinstance(stimulus, Series):
        if stimulus.values.shape[1] != inputs:
            raise DeckError(f"the series has {stimulus.values.shape[1]} columns for a network of {inputs} inputs")
        return [
            f"Bx_{i} x_{i} ref v={spice(scale.volt)}*{_interpolation(stimulus, i, duration, scale.second)}"
            for i in range(inputs)
        ]
    points = [
        (time * scale.second, current * scale.amp)
        for start, end, level in stimulus.holds(duration)
        for time, current in ((start + min(EDGE, 0.5 * (end - start)) if start else 0.0, level), (end, level))
    ]
    idle = [f"Vx_{i} x_{i} ref dc 0" for i in range(inputs)]
    if len(points) == 2:
        return idle + [f"Iin_{view.index} 0 v_{view.index} dc {spice(points[0][1])}" for view in views]
    pairs = _wrapped([f"{spice(time)} {spice(current)}" for time, current in points], " ")
    return idle + [f"Iin_{view.index} 0 v_{view.index} pwl({pairs})" for view in views]


@lru_cache(maxsize=16)
def _interpolation(series: Series, column: int, duration: float, second: float) -> str:
    """pwl(time, ...) inside a B source: found by bisection and no breakpoints, unlike a PWL source's."""
    count = min(int(np.ceil(duration / series.spacing)) + 2, len(series.values))
    times = np.arange(count) * series.spacing * second
    pairs = [f"{spice(t)},{spice(x)}" for t, x in zip(times, series.values[:count, column], strict=True)]
    if count < 2 or times[-1] < duration * second * (1.0 - 1e-12):
        missing = f"{(count - 1) * series.spacing:g} tau_m of input for a run of {duration:g} tau_m"
        raise DeckError(f"{missing}; give a longer series or shorten the run")
    return f"pwl(time,{_wrapped(pairs, ',')})"


def _wrapped(items: list[str], separator: str) -> str:
    """Items on continuation lines of four."""
    lines = [separator.join(items[i : i + 4]) for i in range(0, len(items), 4)]
    return f"{separator}\n+ ".join(lines)
