"""MappedDesign -> Deck: the neurons of a design, one or all, with a stimulus and a solver's options."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mtc_hw import __version__
from mtc_hw.errors import DeckError
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.technology import Technology
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.solver import FREE_RUNNING, Solver
from mtc_hw.netlist.templates import render, spice
from mtc_hw.netlist.views import Level, NeuronView, neuron_view
from mtc_hw.neuron_file import Initial, NeuronFile, Stimulus
from mtc_hw.spec import AnySynapse, Array, RectifiedTanh


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
) -> Deck:
    """One neuron alone: exact for a feed-forward layer, and faster than many on one time step.

    `duration` in tau_m.
    """
    view = neuron_view(design, index, level)
    return _deck(f"neuron_{index}", design, level, [view], stimulus, duration, initial, solver, readout=False)


def own_deck(design: MappedDesign, neuron: NeuronFile, level: Level, duration: float) -> Deck:
    """A design of one neuron under that neuron file's own stimulus, from its own start; `duration` in tau_m."""
    return neuron_deck(design, 0, level, neuron.stimulus, duration, neuron.initial, FREE_RUNNING[level])


def network_deck(
    design: MappedDesign, level: Level, series: Series, duration: float, initial: Initial, solver: Solver
) -> Deck:
    """The whole network with synapses, readout and low-pass in one deck; V(y_0) is the standardised prediction."""
    views = [neuron_view(design, index, level) for index in range(design.count)]
    return _deck("network", design, level, views, series, duration, initial, solver, readout=True)


def _deck(
    name: str,
    design: MappedDesign,
    level: Level,
    views: list[NeuronView],
    stimulus: Stimulus | Series,
    duration: float,
    initial: Initial,
    solver: Solver,
    *,
    readout: bool,
) -> Deck:
    outputs = [f"v(y_{o})" for o in range(design.readout_code.shape[0])] if readout else []
    # A network's filters are not read, and saving them would cost memory for nothing.
    states = [state for view in views for state in (view.states[:1] if isinstance(stimulus, Series) else view.states)]
    wanted = (*(f"v({state})" for state in states), *outputs, "i(vdd)")
    end = duration * design.scale.second
    context = common_context(design.technology, design.cells.width, design.cells.length) | {
        "title": f"{name}: {len(views)} multi-timescale conductance neuron{'s' if len(views) > 1 else ''}",
        "level": level,
        "digest": design.digest[:16],
        "chip": design.deviations,
        "scale": design.scale,
        "neurons": views,
        "readout": _readout(design, views) if readout else None,
        "stimulus": _stimulus(design, views, stimulus, duration),
        "initial": [f"v({node})={spice(volt)}" for view in views for node, volt in _initial(design, view, initial)],
        "options": solver.options(),
        "wanted": wanted,
        "step": min(solver.max_step, duration) * design.scale.second,
        "duration": end,
        "max_step": solver.max_step * design.scale.second,
    }
    text = render("top.cir.j2", context)
    lint(text)
    return Deck(name, text, wanted, end)


def common_context(technology: Technology, width: float, length: float) -> dict[str, object]:
    """What every deck says: the technology's cards, supply and device sizes."""
    return {
        "version": __version__,
        "technology": technology.name,
        "cards": technology.cards.rstrip(),
        "supply": technology.supply,
        "analog_ground": technology.analog_ground,
        "temperature": technology.temperature,
        "nmos": technology.nmos.model,
        "pmos": technology.pmos.model,
        "unit_size": _size(width, length, technology.diffusion),
        "double_size": _size(2.0 * width, length, technology.diffusion),
    }


def _size(width: float, length: float, diffusion: float) -> dict[str, float]:
    area, perimeter = width * diffusion, 2.0 * (width + diffusion)
    return {"width": width, "length": length, "area": area, "perimeter": perimeter}


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
    if count < 2 or times[-1] < duration * second:
        missing = f"{(count - 1) * series.spacing:g} tau_m of input for a run of {duration:g} tau_m"
        raise DeckError(f"{missing}; give a longer series or shorten the run")
    return f"pwl(time,{_wrapped(pairs, ',')})"


def _wrapped(items: list[str], separator: str) -> str:
    """Items on continuation lines of four."""
    lines = [separator.join(items[i : i + 4]) for i in range(0, len(items), 4)]
    return f"{separator}\n+ ".join(lines)


def _readout(design: MappedDesign, views: list[NeuronView]) -> dict[str, object]:
    weights = [
        {
            "output": output,
            "neuron": view.index,
            "code": float(design.readout_code[output, view.index]),
            "lsb": design.readout_dac.lsb,
        }
        for output in range(design.readout_code.shape[0])
        for view in views
    ]
    return {
        "synapse": "rectified_tanh" if isinstance(design.synapse, RectifiedTanh) else "saturated_relu",
        "threshold": design.synapse.threshold * design.scale.volt,
        "range": _synapse_range(design.synapse) * design.scale.volt,
        "weights": weights,
        "outputs": [{"index": i, "offset": float(o)} for i, o in enumerate(design.readout_offset)],
        "tau": design.readout_tau,
    }


def _synapse_range(synapse: AnySynapse) -> float:
    """From threshold to saturation, or the unit voltage of the tanh, unit voltages."""
    return 1.0 if isinstance(synapse, RectifiedTanh) else synapse.saturation - synapse.threshold
