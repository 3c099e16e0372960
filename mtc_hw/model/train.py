"""Training: Adam through the neurons' own dynamics, with the readout projected out of every batch."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from mtc_hw.model.export import to_spec
from mtc_hw.model.lif import LifNetwork, initial_lif
from mtc_hw.model.lowpass import Observation, observe
from mtc_hw.model.mtc import Integrator
from mtc_hw.model.network import Network, Timing, initial_network, run_spec
from mtc_hw.model.progress import Progress
from mtc_hw.model.tasks import Examples, Split
from mtc_hw.metrics import r2, s_comm, s_comp, silent
from mtc_hw.readout import features, fit_readout, predict
from mtc_hw.spec import Curve, ModelSpec, Readout

CIRCUIT_CURVE = Curve(0.45, 1.502)
"""Fit to the generic process's wide-range transconductor: leak and filter followers of the circuit."""


@dataclass(frozen=True)
class TrainOptions:
    """What a training depends on, besides its series. The same options give the same network on the same machine."""

    hidden: int = 64
    iterations: int = 1500
    seconds: float | None = None  # cap on wall-clock; lowers `iterations` by a measurement, so no longer reproducible
    seed: int = 0
    neuron: Literal["mtc", "lif"] = "mtc"
    integrator: Integrator = "split"
    substeps: int = 2
    curves: Literal["circuit", "linear"] = "circuit"
    batch: int = 32
    window: int = 650  # samples
    burn_in: int = 250  # samples without loss at the start of a window
    learning_rate: float = 5e-3
    warm_up: int = 100  # iterations
    noise: tuple[float, float] = (0.02, 0.01)  # mismatch of each sample's own chip, first and second half
    activity: float = 0.05  # weight of mean s
    excess: float = 0.3  # weight of mean relu(|V| - limit)^2
    limit: float = 3.2  # unit voltages
    input_scale: float = 0.7  # standard deviation of the initial input weights
    readout_tau: float = 3.0  # tau_m, of each of the four poles
    ridge: float = 1e-5  # per sample
    candidates: int = 16  # untrained networks to choose the start from


@dataclass(frozen=True)
class TrainReport:
    """How well the network does on the test part, and how it came to be."""

    r2: float
    r2_refined: float  # the same network and readout at a quarter of the step; r2 again for LIF, which has no step
    s_comp: float
    s_comm: float
    silent: int  # neurons that never cross threshold in the test part
    seconds: float
    iterations: int  # done
    interrupted: bool
    history: tuple[tuple[int, float, float], ...]  # iteration, loss, R2 of the batch
    options: TrainOptions
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Trained:
    """A training's outcome; LIF networks have no spec."""

    network: Network | LifNetwork
    spec: ModelSpec | None
    report: TrainReport


class Layer(Protocol):
    """What training asks of a hidden layer."""

    @property
    def timing(self) -> Timing: ...
    def trainable(self) -> list[Tensor]: ...
    def voltage(self, inputs: Tensor, noise: float, generator: torch.Generator) -> Tensor: ...
