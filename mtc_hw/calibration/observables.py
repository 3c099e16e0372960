"""What a calibration may ask of an instrument, and what it gets: the only things that it knows of a chip."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mtc_hw.hardware.design import MappedDesign
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.spec import Array


def _increasing(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError("the second value must be the larger")
    return limits


def _even(outputs: tuple[float, ...]) -> tuple[float, ...]:
    steps = {round(b - a, 6) for a, b in itertools.pairwise(outputs)}
    if len(steps) > 1 or min(steps, default=1.0) <= 0.0:
        raise ValueError("outputs must rise in equal steps")
    return outputs


_Level = Annotated[float, Field(ge=-100.0, le=100.0, allow_inf_nan=False)]
Range = Annotated[tuple[_Level, _Level], AfterValidator(_increasing)]
"""From, to; unit voltages."""


class Curves(BaseModel):
    """DC sweeps of every transconductor, one by one: what it senses is swept, its output held. Unit voltages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sweep: Range = (-5.0, 4.5)
    step: Annotated[float, Field(gt=0.001, le=1.0)] = 0.25
    outputs: Annotated[tuple[_Level, ...], AfterValidator(_even), Field(min_length=1)] = (-1.0,)

    @property
    def voltage(self) -> Array:
        """What is swept, (P,)."""
        points = round((self.sweep[1] - self.sweep[0]) / self.step) + 1
        return np.linspace(self.sweep[0], self.sweep[1], points)


@dataclass(frozen=True)
class Firing:
    """Every neuron by itself, free, under one stimulus: when it spikes."""

    stimulus: Stimulus  # unit currents, on top of the neuron's own constant current
    duration: float  # tau_m
    initial: Initial = field(default_factory=Initial)


@dataclass(frozen=True, eq=False)
class Driven:
    """The whole network on a series."""

    inputs: Array  # (T, inputs), standardised, a row each sample


@dataclass(frozen=True)
class Request:
    """What is to be measured at one setting of the codes."""

    curves: Curves | None = None
    firing: tuple[Firing, ...] = ()
    readout: bool = False  # DC sweep of each output's sums and low-pass
    driven: Driven | None = None

    def cost(self, design: MappedDesign) -> Array:
        """Measurements of each neuron, (N,): a curve at one output voltage is one, and so is a run."""
        here = (design.row_bias() > 0.0).sum(axis=0).astype(np.float64)
        swept = here * len(self.curves.outputs) if self.curves else np.zeros(design.count)
        return np.asarray(swept + len(self.firing) + (self.driven is not None))


@dataclass(frozen=True, eq=False)
class Table:
    """DC curves; NaN where there is no such transconductor or it could not be measured."""

    voltage: Array  # (P,) unit voltages, of what is sensed
    output: Array  # (Q,) unit voltages, of the output
    current: Array  # (rows, P, Q, N) unit currents out of the output, by `MappedDesign.rows`

    def complete(self, design: MappedDesign) -> NDArray[np.bool_]:
        """Which neurons could be measured altogether, (N,)."""
        finite = np.isfinite(self.current).all(axis=(1, 2))
        return np.asarray((finite | (design.row_bias() == 0.0)).all(axis=0))


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network did with a series; NaN where it could not be measured."""

    features: Array  # (samples, N) low-passed synapse outputs, what the readout's weights act on
    prediction: Array  # (samples, outputs) as the readout circuit answers


@dataclass(frozen=True, eq=False)
class Observables:
    """What was measured; None where it was not asked for. A failed part is NaN and ends nothing."""

    curves: Table | None = None
    spikes: tuple[
        tuple[Array, ...], ...
    ] = ()  # of each `Request.firing`, each neuron: spike times, tau_m; [nan] failed
    readout: Array | None = (
        None  # (outputs, S) what the low-passes answer at `PREDICTIONS`, the readout's offset left out
    )
    driven: Answer | None = None


class Instrument(Protocol):
    """Anything that can set a chip's codes and measure it: ngspice, a compiled tier, recorded data, a lab's bench.

    It raises no exception for a chip that fails; what it could not measure is NaN.
    """

    @property
    def identity(self) -> str:
        """What it measures on, as text: the record of a calibration holds it."""

    def measure(self, codes: MappedDesign, request: Request) -> Observables:
        """`codes` is the design without deviations, with the codes and trims to be set."""


READOUT_REACH = 2.5
"""Predictions, either side of zero, over which the readout's gain and zero are measured."""

PREDICTIONS = np.linspace(-READOUT_REACH, READOUT_REACH, 41)


def spent(requests: Sequence[Request], design: MappedDesign) -> Array:
    """Measurements of each neuron over several requests, (N,)."""
    return np.asarray(sum((each.cost(design) for each in requests), np.zeros(design.count)))
