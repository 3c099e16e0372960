"""Layers of neurons, one feeding the next, as trainable tensors: what they put out, and what it costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from mtc_hw.model.algebra import Value
from mtc_hw.model.chips import Chips
from mtc_hw.model.kernel import fused, supported
from mtc_hw.model.program import Dynamics, Output, Program, Unrolled, unrolled
from mtc_hw.spec import AnySynapse, Curve


class Neurons(Protocol):
    """A population of one kind of neuron."""

    @property
    def count(self) -> int: ...
    def tensors(self) -> dict[str, Tensor]:
        """What training changes, in a fixed order; (..., 1, N) each."""

    def confine(self, step: float) -> None:
        """Bring what is trained back into the range that is legal for a step of so many tau_m."""

    def dynamics(self, step: float) -> Dynamics:
        """The equations over a step of so many tau_m."""

    def coefficients(self, step: float, chips: Chips | None = None) -> dict[str, Value]:
        """What a step sees, (1 or rows, N) each."""


@dataclass(frozen=True)
class Timing:
    """How layers are stepped and read: times in tau_m, `sample` between inputs, `substeps` steps to a sample."""

    sample: float = 1.0
    substeps: int = 2
    readout: float = 3.0  # of each pole of the low-pass

    @property
    def step(self) -> float:
        return self.sample / self.substeps


@dataclass(frozen=True, eq=False)
class Layer:
    """Neurons and the currents that they get."""

    neurons: Neurons
    weights: Tensor  # (N, inputs)
    bias: Tensor  # (N,)
    recurrent: Tensor | None = None  # (N, N), of what the neurons emitted by the last sample

    def tensors(self) -> dict[str, Tensor]:
        own = {"weights": self.weights, "bias": self.bias}
        return self.neurons.tensors() | own | ({} if self.recurrent is None else {"recurrent": self.recurrent})


class Observation(NamedTuple):
    """What the readout and the penalties see of a batch."""

    features: Tensor  # (B, kept, N), of the last layer
    activity: Tensor  # (neurons of all layers,): mean s
    excess: Tensor  # (neurons of all layers,): mean squared voltage beyond the limit, unit voltages squared


@dataclass(frozen=True, eq=False)
class Network:
    """Layers behind each other; the readout sees the last one."""

    layers: tuple[Layer, ...]
    synapse: AnySynapse | None  # None: spikes pass as they are
    timing: Timing
    limit: float = 3.2  # unit voltages, above which the excess counts
    input_curve: Curve | None = None  # what the network's inputs pass before their weights

    def tensors(self) -> dict[str, Tensor]:
        """Every trainable tensor by name, in a fixed order."""
        return {
            f"layer{index}.{name}": tensor
            for index, layer in enumerate(self.layers)
            for name, tensor in layer.tensors().items()
        }

    def confine(self) -> None:
        for layer in self.layers:
            layer.neurons.confine(self.timing.step)

    def observe(self, inputs: Tensor, kept: Sequence[int], chips: Chips | None = None) -> Observation:
        """Features at the kept samples, from 1, of inputs (B, samples) or (B, samples, inputs)."""
        inputs = _bent(self.input_curve, inputs)
        steps = len(inputs) * (inputs.shape[1] - 1) * self.timing.substeps
        totals = []
        for layer in self.layers[:-1]:
            run = self._run(layer, inputs, "synapse", range(1, inputs.shape[1]), chips)
            inputs = torch.nn.functional.pad(run.outputs, (0, 0, 1, 0), value=self._first_emitted(layer))
            totals.append(run.sums)
        run = self._run(self.layers[-1], inputs, "features", kept, chips)
        means = torch.cat([*totals, run.sums], 1) / steps
        return Observation(run.outputs, means[0], means[1])

    def visible(self, inputs: Tensor, chips: Chips | None = None) -> list[Tensor]:
        """Voltage or spikes of every layer after every step, the start first, (B, steps + 1, N) each."""
        seen = []
        inputs = _bent(self.input_curve, inputs)
        for layer in self.layers:
            samples = inputs.shape[1] - 1
            run = self._run(layer, inputs, "state", None, chips)
            shown = torch.nn.functional.pad(run.outputs, (0, 0, 1, 0), value=self._first_shown(layer))
            seen.append(shown)
            emitted = shown if self.synapse is None else self._program(layer, "state").emitted(shown)
            inputs = emitted[:, :: self.timing.substeps][:, : samples + 1]
        return seen

    def _first_shown(self, layer: Layer) -> float:
        """Voltage at the start; no spike."""
        return 0.0 if self.synapse is None else layer.neurons.dynamics(self.timing.step).initial[0]

    def _first_emitted(self, layer: Layer) -> float:
        start = self._first_shown(layer)
        return start if self.synapse is None else float(self.synapse(np.array(start)))

    def _program(self, layer: Layer, output: Output) -> Program:
        t = self.timing
        decay = math.exp(-t.step / t.readout)
        return Program(layer.neurons.dynamics(t.step), t.substeps, self.synapse, output, decay, self.limit)

    def _run(
        self, layer: Layer, inputs: Tensor, output: Output, kept: Sequence[int] | None, chips: Chips | None
    ) -> Unrolled:
        program = self._program(layer, output)
        c = layer.neurons.coefficients(self.timing.step, chips)
        bias = layer.bias.unsqueeze(0)
        if chips is not None:
            bias = bias + chips.error(chips.spread.current, layer.neurons.count)
        steps = None if kept is None else [sample * self.timing.substeps for sample in kept]
        fast = layer.recurrent is None and supported(program, c)
        if fast and inputs.ndim == 2:
            return fused(program, inputs, c | {"weight": layer.weights.T, "bias": bias}, steps)
        inputs = inputs.unsqueeze(-1) if inputs.ndim == 2 else inputs
        current = inputs @ layer.weights.T + bias.unsqueeze(1)
        if fast:
            return fused(program, current, c, steps)
        run = unrolled(program, current, c, layer.recurrent)
        return run if steps is None else Unrolled(run.outputs[:, [step - 1 for step in steps]], run.sums)


def _bent(curve: Curve | None, x: Tensor) -> Tensor:
    if curve is None:
        return x
    left, right = (torch.tanh(curve.slope * (x + side * curve.shift)) for side in (-1.0, 1.0))
    return curve.amplitude * (left + right)
