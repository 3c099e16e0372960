"""Between the torch network and the frozen `ModelSpec`."""

from dataclasses import replace

import numpy as np
import torch

from mtc_hw.errors import SpecError, UnmappableError
from mtc_hw.model.mtc_neurons import MtcNeurons
from mtc_hw.model.network import Layer, Network
from mtc_hw.model.run import spec_timing
from mtc_hw.spec import ModelSpec, Neurons, Readout, Task


def to_spec(network: Network, readout: Readout | None = None, task: Task | None = None) -> ModelSpec:
    """The network as frozen values, in float64. Raises UnmappableError for what has no circuit here."""
    layer, neurons = network.layers[0], network.layers[0].neurons
    if not isinstance(neurons, MtcNeurons) or network.synapse is None:
        raise UnmappableError(
            [f"{type(neurons).__name__} have no conductance elements to map; train with neuron = 'mtc'"]
        )
    if len(network.layers) > 1 or layer.recurrent is not None:
        raise UnmappableError(["only one layer without recurrent weights has a circuit; train with layers = 1"])
    p = replace(neurons, codes=None).parameters()
    alpha, delta, tau = (np.asarray(part.detach().double()[:, 0]) for part in (p.alpha, p.delta, p.tau))
    return ModelSpec(
        neurons=Neurons(
            alpha,
            delta,
            tau,
            leak_curve=neurons.leak_curve,
            filter_curve=neurons.filter_curve,
            cells=neurons.cells,
        ),
        weights=layer.weights.detach().double().numpy(),
        bias=layer.bias.detach().double().numpy(),
        synapse=network.synapse,
        readout=readout,
        input_curve=network.input_curve,
        task=task,
        step=network.timing.step,
        integrator=neurons.integrator,
    )


def from_spec(spec: ModelSpec) -> Network:
    """A network to train on from. Raises SpecError for what training cannot hold: mismatched leaks, a fast filter."""
    n = spec.neurons
    if (n.tau[0] != 0).any() or (n.leak != 1).any() or n.rest.any() or n.offset.any():
        raise SpecError("training needs instantaneous fast elements, unit leaks, zero rests and zero filter offsets")
    alpha, delta, tau = (torch.tensor(array, dtype=torch.float32).unsqueeze(1) for array in (n.alpha, n.delta, n.tau))
    present = (alpha > 0).float()
    neurons = MtcNeurons(
        log_alpha=torch.where(present > 0, alpha, torch.ones_like(present)).log(),
        delta=delta,
        log_tau=tau[1:].log(),
        present=present,
        integrator=spec.integrator,
        leak_curve=n.leak_curve,
        filter_curve=n.filter_curve,
        cells=n.cells,
    )
    weights, bias = (torch.tensor(array, dtype=torch.float32) for array in (spec.weights, spec.bias))
    layers = (Layer(neurons, weights, bias),)
    return Network(layers, spec.synapse, spec_timing(spec), input_curve=spec.input_curve)


def with_codes(network: Network, quantised: ModelSpec) -> Network:
    """The network with a quantised spec's values, through which gradients pass as if they were its own."""
    layer = network.layers[0]
    assert isinstance(layer.neurons, MtcNeurons)
    weights, bias = (
        own + (torch.tensor(codes, dtype=own.dtype) - own).detach()
        for own, codes in ((layer.weights, quantised.weights), (layer.bias, quantised.bias))
    )
    neurons = replace(layer.neurons, codes=quantised.neurons)
    return replace(network, layers=(replace(layer, neurons=neurons, weights=weights, bias=bias),))
