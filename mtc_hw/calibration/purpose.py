"""What a chip is to do: the side of a calibration that knows the model and nothing of the chip."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtc_hw.analysis.firing import started
from mtc_hw.analysis.spikes import spike_trains
from mtc_hw.course import Course
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.simulate.ensemble import Holds, integrate_many, step_of
from mtc_hw.spec import Array, CellEffects, ModelSpec, Neurons

STILL = Stimulus(((0.0, 0.0),))


@dataclass(frozen=True, eq=False)
class Lesson:
    """A series that the readout is refitted on."""

    inputs: Array  # (T, inputs), standardised
    targets: Array  # (T,) or (T, outputs)


@dataclass(frozen=True, eq=False)
class Purpose:
    """A design's model and how it is used."""

    spec: ModelSpec
    course: Course  # the states that it goes through in use
    stimulus: Stimulus = STILL  # of its neurons when they run free
    initial: Initial = dataclasses.field(default_factory=Initial)
    lesson: Lesson | None = None  # the end of the training part; None: no refit

    def firing(self, stimulus: Stimulus, duration: float) -> tuple[Array, ...]:
        """When the model's neurons spike by themselves, tau_m."""
        neurons, steps = self.spec.neurons, stimulus.steps
        held = Holds(tuple(start for start, _ in steps), np.array([[level] for _, level in steps]) + self.spec.bias)
        start = started(self.initial, neurons.count)
        return tuple(spike_trains(integrate_many(neurons, held, duration, start, step=step_of(neurons))))


def side_by_side(purpose: Purpose, chips: int) -> Purpose:
    """The same for so many chips of a design, whose neurons stand chip by chip."""

    def tiled(value: Array, axis: int = -1) -> Array:
        return np.concatenate([value] * chips, axis=axis)

    spec, course = purpose.spec, purpose.course
    own = {each.name: getattr(spec.neurons, each.name) for each in dataclasses.fields(Neurons)}
    neurons: dict[str, Any] = {
        name: tiled(value) if isinstance(value, np.ndarray) else value for name, value in own.items()
    }
    effects = spec.neurons.cells
    if effects is not None:
        rows = {each.name: getattr(effects, each.name) for each in dataclasses.fields(CellEffects)}
        neurons["cells"] = CellEffects(
            **{name: tiled(value) if isinstance(value, np.ndarray) else value for name, value in rows.items()}
        )
    readout = spec.readout and dataclasses.replace(spec.readout, weights=tiled(spec.readout.weights))
    return dataclasses.replace(
        purpose,
        spec=dataclasses.replace(
            spec,
            neurons=dataclasses.replace(spec.neurons, **neurons),
            weights=tiled(spec.weights, axis=0),
            bias=tiled(spec.bias),
            readout=readout,
        ),
        course=Course(*(tiled(each) for each in (course.voltage, course.filtered, course.inputs))),
    )
