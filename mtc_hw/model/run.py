"""A frozen `ModelSpec` run over a series, fast in float32 or exactly in float64."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mtc_hw.errors import DataError, SpecError
from mtc_hw.model.kernel import fused, supported
from mtc_hw.model.mtc import coefficients, dynamics, parameters, simulate
from mtc_hw.model.network import Timing
from mtc_hw.model.program import Program
from mtc_hw.readout import features, predict
from mtc_hw.spec import INITIAL_VOLTAGE, ModelSpec, Trace

Array = NDArray[np.float64]


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
    current = torch.from_numpy(spec.input_current(x))
    with torch.no_grad():
        states = _states(current, spec, timing, exact)
    voltage = states[0]
    time = timing.step * np.arange(len(voltage), dtype=np.float64)
    y = features(voltage, timing.step, spec.synapse, timing.readout)[:: timing.substeps]
    answer = np.empty((len(y), 0)) if spec.readout is None else predict(y, spec.readout)
    return Run(Trace(time, voltage, *states[1:]), y, answer)


def _states(current: torch.Tensor, spec: ModelSpec, timing: Timing, exact: bool) -> tuple[Array, ...]:
    """Voltage, and in the reference slow and ultraslow filter, (steps + 1, N) each."""
    single = parameters(spec.neurons, torch.float32)
    law = dynamics(single, spec.integrator, timing.step)
    program, c = Program(law, timing.substeps, spec.synapse, "state"), coefficients(single, law)
    if not exact and supported(program, c):
        voltage = fused(program, current.float().unsqueeze(0), c).outputs[0].double()
        return (np.vstack([np.full((1, voltage.shape[1]), INITIAL_VOLTAGE), voltage.numpy()]),)
    double = parameters(spec.neurons, torch.float64)
    states = simulate(current.unsqueeze(1), double, timing.step, timing.substeps, spec.integrator)
    return tuple(np.asarray(part[:, 0], dtype=np.float64) for part in states)


def spec_timing(spec: ModelSpec, step: float | None = None) -> Timing:
    """The spec's timing, or that of another step."""
    sample = 1.0 if spec.task is None else spec.task.sample * spec.task.time_unit
    wanted = spec.step if step is None else step
    if not wanted > 0:
        raise SpecError(f"integration step is {wanted:g} tau_m; it must be > 0")
    tau = 3.0 if spec.readout is None else spec.readout.tau
    return Timing(sample, max(1, int(np.ceil(sample / wanted - 1e-9))), tau)
