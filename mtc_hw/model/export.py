"""Between the torch network and the frozen `ModelSpec`."""

import numpy as np
import torch

from mtc_hw.errors import SpecError, UnmappableError
from mtc_hw.model.lif import LifNetwork
from mtc_hw.model.network import Network, spec_timing
from mtc_hw.spec import ModelSpec, Neurons, Readout, Task


def to_spec(network: Network | LifNetwork, readout: Readout | None = None, task: Task | None = None) -> ModelSpec:
    """The network as frozen values, in float64. Raises UnmappableError for a layer without MTC neurons."""
    if isinstance(network, LifNetwork):
        raise UnmappableError(["a LIF network has no conductance elements to map; train with neuron = 'mtc'"])
    p = network.parameters()
    alpha, delta, tau = (np.asarray(part.detach().double()[:, 0]) for part in (p.alpha, p.delta, p.tau))
    return ModelSpec(
        neurons=Neurons(alpha, delta, tau, leak_curve=network.leak_curve, filter_curve=network.filter_curve),
        weights=network.weights.detach().double().numpy(),
        bias=network.bias.detach().double().numpy(),
        synapse=network.synapse,
        readout=readout,
        task=task,
        step=network.timing.step,
        integrator=network.timing.integrator,
    )


def from_spec(spec: ModelSpec) -> Network:
    """A network to train on from. Raises SpecError for what training cannot hold: mismatched leaks, a fast filter."""
    n = spec.neurons
    if (n.tau[0] != 0).any() or (n.leak != 1).any() or n.rest.any() or n.offset.any():
        raise SpecError("training needs instantaneous fast elements, unit leaks, zero rests and zero filter offsets")
    tensors = {
        name: torch.tensor(getattr(n, name), dtype=torch.float32).unsqueeze(1) for name in ("alpha", "delta", "tau")
    }
    present = (tensors["alpha"] > 0).float()
    return Network(
        log_alpha=torch.where(present > 0, tensors["alpha"], torch.ones_like(present)).log(),
        delta=tensors["delta"],
        log_tau=tensors["tau"][1:].log(),
        weights=torch.tensor(spec.weights, dtype=torch.float32),
        bias=torch.tensor(spec.bias, dtype=torch.float32),
        present=present,
        leak_curve=n.leak_curve,
        filter_curve=n.filter_curve,
        synapse=spec.synapse,
        timing=spec_timing(spec),
    )
