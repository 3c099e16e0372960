"""A hidden layer of MTC neurons: its trainable tensors, its virtual chips, and a `ModelSpec` run over a series."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mtc_hw.errors import DataError, SpecError
from mtc_hw.model.kernel import integrate, supported
from mtc_hw.model.mtc import Integrator, Parameters, parameters, simulate
from mtc_hw.readout import features, predict
from mtc_hw.spec import Curve, ModelSpec, Synapse, Trace

Array = NDArray[np.float64]

TYPICAL_ALPHA = (2.0, 2.0, 1.5, 1.5)
TYPICAL_DELTA = (0.0, 0.0, -1.5, -1.5)
ALPHA_REACH = (0.1, 3.5)
DELTA_REACH = (-3.5, 3.5)
SLOW_REACH = (1.0, 200.0)
ULTRASLOW_REACH = (10.0, 1500.0)
"""What training may ask for: inside the default converters' full scale, with room for a chip's trims."""
"""Ribar's wide burster; a spiking neuron has its first two elements."""


@dataclass(frozen=True)
class Timing:
    """How a layer is stepped and read: times in tau_m, `sample` between inputs, `substeps` steps to a sample."""

    sample: float = 1.0
    substeps: int = 2
    integrator: Integrator = "split"
    readout: float = 3.0  # of each pole of the low-pass

    @property
    def step(self) -> float:
        return self.sample / self.substeps


@dataclass(frozen=True, eq=False)
class Network:
    """One hidden layer, parametrised so that every real number is legal; absent elements are masked."""

    log_alpha: Tensor  # (4, 1, N)
    delta: Tensor  # (4, 1, N)
    log_tau: Tensor  # (2, 1, N), slow and ultraslow
    weights: Tensor  # (N, 1)
    bias: Tensor  # (N,)
    present: Tensor  # (4, 1, N), 1 or 0
    leak_curve: Curve | None
    filter_curve: Curve | None
    synapse: Synapse
    timing: Timing

    def trainable(self) -> list[Tensor]:
        return [self.log_alpha, self.delta, self.log_tau, self.weights, self.bias]

    def voltage(self, inputs: Tensor, noise: float, generator: torch.Generator) -> Tensor:
        """Voltages (B, steps + 1, N) for inputs (B, samples); every batch item a chip of its own when `noise` > 0."""
        current = inputs.unsqueeze(-1) * self.weights[:, 0] + self.bias
        p = self.parameters()
        if noise > 0:
            p = perturbed(p, len(inputs), noise, generator)
            current = current + noise * torch.randn((len(inputs), 1, len(self.bias)), generator=generator)
        return run(current, p, self.timing)

    def confine(self) -> None:
        """Bring the parameters back into what a circuit reaches."""
        with torch.no_grad():
            self.log_alpha.clamp_(*map(math.log, ALPHA_REACH))
            self.delta.clamp_(*DELTA_REACH)
            for row, reach in enumerate((SLOW_REACH, ULTRASLOW_REACH)):
                self.log_tau[row].clamp_(*map(math.log, reach))

    def parameters(self) -> Parameters:
        lanes = len(self.bias)
        alpha = self.log_alpha.exp() * self.present
        tau = torch.cat([torch.zeros(1, 1, lanes), self.log_tau.exp()])
        rest, offset = torch.zeros(1, lanes), torch.zeros(3, 1, lanes)
        return Parameters(
            alpha, self.delta, tau, torch.ones(1, lanes), rest, offset, self.leak_curve, self.filter_curve
        )


def perturbed(p: Parameters, rows: int, sigma: float, generator: torch.Generator) -> Parameters:
    """`rows` chips: normal errors, sigma relative in alpha, tau, leak, absolute in delta, rest, offset."""
    lanes = p.alpha.shape[-1]
    alpha, delta, tau, leak, rest, offset = (
        sigma * torch.randn((count, rows, lanes), generator=generator) for count in (4, 4, 3, 1, 1, 3)
    )
    return replace(
        p,
        alpha=p.alpha * alpha.exp(),
        delta=p.delta + delta,
        tau=p.tau * tau.exp(),
        leak=p.leak * leak[0].exp(),
        rest=p.rest + rest[0],
        offset=p.offset + offset,
    )


def initial_network(
    hidden: int, timing: Timing, curve: Curve | None, input_scale: float, generator: torch.Generator
) -> Network:
    """Half spiking, half bursting neurons around the typical ones, with log-uniform time constants.

    Raises SpecError for fewer than two neurons.
    """
    if hidden < 2:
        raise SpecError(f"hidden is {hidden}; half of the neurons spike and half burst, so give at least 2")
    bursting = torch.arange(hidden) >= hidden // 2
    present = torch.ones(4, 1, hidden)
    present[2:, :, ~bursting] = 0.0
    centre = torch.tensor([TYPICAL_ALPHA, TYPICAL_DELTA]).reshape(2, 4, 1, 1)
    spread = 0.1 * torch.randn((2, 4, 1, hidden), generator=generator)
    tau = torch.rand((2, 1, hidden), generator=generator)
    low, high = torch.tensor([[2.0, 50.0], [20.0, 1000.0]]).log().reshape(2, 2, 1, 1)
    weights, bias = torch.randn((2, hidden), generator=generator)
    return Network(
        log_alpha=(centre[0] * (1 + spread[0])).log(),
        delta=centre[1] + spread[1],
        log_tau=low + (high - low) * tau,
        weights=input_scale * weights.unsqueeze(-1),
        bias=-1.0 + 0.4 * bias - 0.3 * bursting,
        present=present,
        leak_curve=curve,
        filter_curve=curve,
        synapse=Synapse(),
        timing=timing,
    )


def run(current: Tensor, p: Parameters, timing: Timing) -> Tensor:
    """Voltages (B, steps + 1, N) by the fused kernel in float32, or by the reference where the kernel cannot."""
    if timing.integrator == "split" and supported(p, timing.step):
        return integrate(current.float(), p, timing.step, timing.substeps)
    states = simulate(current.transpose(0, 1), p, timing.step, timing.substeps, timing.integrator)
    return states.voltage.transpose(0, 1)


@dataclass(frozen=True, eq=False)
class Run:
    """What a network did with a series: its state after every integration step, its answer at every sample."""

    trace: Trace
    features: Array  # (T, N)
    prediction: Array  # (T, outputs); no outputs without a readout


def run_spec(spec: ModelSpec, series: ArrayLike, step: float | None = None, exact: bool = False) -> Run:
    """Run the network over a standardised series, (T,) or (T, inputs), one row every `task.sample`, linear between.

    `step` in tau_m (the spec's own when None) is rounded down to a whole part of the sample. `exact` takes the
    float64 reference, many times slower, which also gives the filters' states. The first value is at time 0, from
    `INITIAL_VOLTAGE`. Raises DataError for a series of the wrong shape.
    """
    x = np.asarray(series, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or x.shape[1] != spec.weights.shape[1] or len(x) < 2 or not np.isfinite(x).all():
        raise DataError(
            f"the series has shape {x.shape}; it needs 2 or more finite rows of {spec.weights.shape[1]} inputs"
        )
    timing = spec_timing(spec, step)
    current = torch.from_numpy(x @ spec.weights.T + spec.bias).unsqueeze(1)
    with torch.no_grad():
        states = _states(current, spec, timing, exact)
    voltage = states[0]
    time = timing.step * np.arange(len(voltage), dtype=np.float64)
    y = features(voltage, timing.step, spec.synapse, timing.readout)[:: timing.substeps]
    answer = np.empty((len(y), 0)) if spec.readout is None else predict(y, spec.readout)
    return Run(Trace(time, voltage, *states[1:]), y, answer)


def _states(current: Tensor, spec: ModelSpec, timing: Timing, exact: bool) -> tuple[Array, ...]:
    """Voltage, and in the reference slow and ultraslow filter, (steps + 1, N) each."""
    single = parameters(spec.neurons, torch.float32)
    if not exact and timing.integrator == "split" and supported(single, timing.step):
        voltage = integrate(current.float().transpose(0, 1), single, timing.step, timing.substeps)
        return (np.asarray(voltage[0].double(), dtype=np.float64),)
    double = parameters(spec.neurons, torch.float64)
    states = simulate(current, double, timing.step, timing.substeps, timing.integrator)
    return tuple(np.asarray(part[:, 0], dtype=np.float64) for part in (states.voltage, states.slow, states.ultraslow))


def spec_timing(spec: ModelSpec, step: float | None = None) -> Timing:
    """The spec's timing, or that of another step."""
    sample = 1.0 if spec.task is None else spec.task.sample * spec.task.time_unit
    wanted = spec.step if step is None else step
    if not wanted > 0:
        raise SpecError(f"integration step is {wanted:g} tau_m; it must be > 0")
    tau = 3.0 if spec.readout is None else spec.readout.tau
    return Timing(sample, max(1, int(np.ceil(sample / wanted - 1e-9))), spec.integrator, tau)
