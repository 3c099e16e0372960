"""What a layer does in one step: integrate its neurons, pass their synapses, low-pass.

Written once over `algebra`: on tensors it is the reference in any precision, recorded it becomes the fused kernel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from mtc_hw.model.algebra import Value, clamp, detach, kept, tanh
from mtc_hw.readout import POLES
from mtc_hw.spec import AnySynapse, RectifiedTanh

State = tuple[Value, ...]
Coefficients = Mapping[str, Value]
"""Per-neuron numbers of a step, (rows, N) each, or a float that holds for all: 0.0 and 1.0 then cost nothing."""

Output = Literal["state", "synapse", "features"]


class Dynamics(Protocol):
    """One neuron's equations over one integration step. Hashable: equal ones share a kernel."""

    @property
    def initial(self) -> tuple[float, ...]:
        """Every state at the start; the first one is what the backward pass keeps after each step."""

    @property
    def bounds(self) -> Mapping[str, float]:
        """Coefficients by name whose size must not exceed a bound where the kernel is to be exact."""

    def step(self, state: State, current: Value, c: Coefficients) -> State:
        """The state one step later, under a current that belongs to the step's middle."""

    def visible(self, state: State) -> Value:
        """What the synapse sees: a voltage, or spikes of 0 and 1."""


class Sums(NamedTuple):
    """What the penalties see of a step."""

    activity: Value  # s
    excess: Value  # squared voltage beyond the limit, unit voltages squared


@dataclass(frozen=True)
class Program:
    """A layer's work; all of it is known when the kernel is compiled."""

    dynamics: Dynamics
    substeps: int  # from one input sample to the next
    synapse: AnySynapse | None  # None: spikes pass as they are
    output: Output
    decay: float = 0.0  # of every readout pole in a step
    limit: float = 3.2  # unit voltages

    @property
    def initial(self) -> tuple[float, ...]:
        poles = (0.0,) * POLES if self.output == "features" else ()
        return *self.dynamics.initial, *poles

    def emitted(self, visible: Value) -> Value:
        """Synapse output of what a neuron shows."""
        if self.synapse is None:
            return visible
        if isinstance(self.synapse, RectifiedTanh):
            return clamp(tanh(visible - self.synapse.threshold), 0.0)
        gain = 1.0 / (self.synapse.saturation - self.synapse.threshold)
        return clamp((visible - self.synapse.threshold) * gain, 0.0, 1.0)

    def step(self, state: State, current: Value, c: Coefficients) -> tuple[State, Value, Sums]:
        """State, output and penalties one integration step later."""
        own = len(self.dynamics.initial)
        neuron, poles = state[:own], state[own:]
        before = self.emitted(self.dynamics.visible(neuron))
        neuron = self.dynamics.step(neuron, current, c)
        neuron = (kept(neuron[0]), *neuron[1:])
        shown = self.dynamics.visible(neuron)
        after = self.emitted(shown)
        # Detached, because where the bound moves along with the voltage its square has no slope.
        beyond = shown - detach(clamp(shown, -self.limit, self.limit))
        poles = self._filtered(poles, before, after)
        output = {"state": shown, "synapse": after, "features": poles[-1] if poles else after}[self.output]
        return (*neuron, *poles), output, Sums(after, beyond * beyond)

    def _filtered(self, poles: State, before: Value, after: Value) -> State:
        """The poles of `readout.lowpass` one step later: each sees the mean of its input's ends."""
        share = (1.0 - self.decay) / 2.0
        result: list[Value] = []
        for pole in poles:
            later = self.decay * pole + share * (before + after)
            before, after = pole, later
            result.append(later)
        return tuple(result)


def shares(substeps: int) -> list[float]:
    """How far between two samples the middle of each step lies."""
    return [(index + 0.5) / substeps for index in range(substeps)]


class Unrolled(NamedTuple):
    """What a run put out, (B, records, N), and the penalties of each neuron, (2, N), added over rows and steps."""

    outputs: Tensor
    sums: Tensor


def unrolled(program: Program, current: Tensor, c: Coefficients, recurrent: Tensor | None = None) -> Unrolled:
    """Run a program on tensors, with autograd, from currents (B, samples, N); slow, in the precision of the current.

    An output for every step. `recurrent` (N, N) feeds what each neuron emitted by the last sample back into the
    currents until the next.
    """
    state = tuple(torch.full_like(current[:, 0], start) for start in program.initial)
    outputs, activity, excess = [], torch.zeros_like(current[0, 0]), torch.zeros_like(current[0, 0])
    # unbind, because indexing sample by sample makes the backward quadratic in time
    drive = current.unbind(1)
    for left, right in pairwise(drive):
        fed: Value = 0.0
        if recurrent is not None:
            fed = program.emitted(program.dynamics.visible(state[: len(program.dynamics.initial)])) @ recurrent.T
        for share in shares(program.substeps):
            state, output, sums = program.step(state, left + share * (right - left) + fed, c)
            outputs.append(output)
            activity, excess = activity + sums.activity.sum(0), excess + sums.excess.sum(0)
    return Unrolled(torch.stack(outputs, 1), torch.stack([activity, excess]))
