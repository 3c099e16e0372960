"""Untrained networks of every kind, and the best of a few as a start."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from mtc_hw.model import adlif, csilif, lif, mtc_neurons, silif
from mtc_hw.model.network import Layer, Network, Neurons, Timing
from mtc_hw.model.options import TrainOptions
from mtc_hw.spec import CellEffects, Curve, RectifiedTanh, Synapse

CIRCUIT_CURVE = Curve(0.45, 1.502)
"""Fit to the generic process's wide-range transconductor: leak, filter followers and inputs of the circuit."""

RECURRENCE = 0.2
"""Standard deviation of initial recurrent weights, times the root of the neurons."""

SPARSITY = 0.1
"""Share of the time that a neuron of a hidden layer is taken to be active when weights from it are drawn."""


def timing_of(o: TrainOptions, sample: float) -> Timing:
    """Baselines make one step a sample, as in their papers."""
    return Timing(sample, o.substeps if o.neuron == "mtc" else 1, o.readout_tau)


def initial_network(
    o: TrainOptions, sample: float, inputs: int, generator: torch.Generator, cells: CellEffects | None = None
) -> Network:
    """An untrained network for inputs that come every `sample` tau_m; `cells` for curves = "cells"."""
    spiking = o.neuron != "mtc"
    synapse = RectifiedTanh() if o.synapse == "rectified_tanh" else Synapse()
    layers = []
    for index in range(o.layers):
        layers.append(_layer(o, inputs if index == 0 else o.hidden, index > 0, generator, cells))
    curve = None if spiking or o.curves == "linear" else CIRCUIT_CURVE
    return Network(tuple(layers), None if spiking else synapse, timing_of(o, sample), o.limit, curve)


def _layer(
    o: TrainOptions, inputs: int, hidden: bool, generator: torch.Generator, cells: CellEffects | None
) -> Layer:
    neurons, scale, (mean, spread) = _population(o, generator, cells)
    scale = scale if o.input_scale is None or hidden else o.input_scale
    # Several inputs share the current that one would give; those of a hidden layer are seldom active.
    share = (inputs * SPARSITY) ** 0.5 if hidden else inputs**0.5
    draws = torch.randn((inputs + 1, o.hidden), generator=generator)
    recurrent = None
    if o.recurrent:
        recurrent = RECURRENCE / o.hidden**0.5 * torch.randn((o.hidden, o.hidden), generator=generator)
    bias = mean + spread * draws[0] + _lower(neurons)
    return Layer(neurons, (scale / share * draws[1:]).T.contiguous(), bias, recurrent)


def _lower(neurons: Neurons) -> Tensor | float:
    """Bursting MTC neurons rest a little lower."""
    return -0.3 * neurons.present[2, 0] if isinstance(neurons, mtc_neurons.MtcNeurons) else 0.0


def _population(
    o: TrainOptions, generator: torch.Generator, cells: CellEffects | None
) -> tuple[Neurons, float, tuple[float, float]]:
    """Neurons, and the scale of their inputs: standard deviation of a weight, mean and deviation of a bias."""
    if o.neuron == "mtc":
        curve = None if o.curves == "linear" else CIRCUIT_CURVE
        neurons = replace(mtc_neurons.initial_mtc(o.hidden, generator, o.integrator, curve), cells=cells)
        return neurons, mtc_neurons.INPUT_SCALE, mtc_neurons.INPUT_BIAS
    spiking, scale, bias = _spiking(o, generator)
    return spiking if o.surrogate is None else replace(spiking, surrogate=o.surrogate), scale, bias


Spiking = lif.LifNeurons | adlif.AdLifNeurons | silif.SiLifNeurons | csilif.CSiLifNeurons


def _spiking(o: TrainOptions, generator: torch.Generator) -> tuple[Spiking, float, tuple[float, float]]:
    match o.neuron:
        case "lif":
            return lif.initial_lif(o.hidden, generator), lif.INPUT_SCALE, lif.INPUT_BIAS
        case "adlif":
            return adlif.initial_adlif(o.hidden, generator, o.form), adlif.INPUT_SCALE, adlif.INPUT_BIAS
        case "silif":
            return silif.initial_silif(o.hidden, generator), silif.INPUT_SCALE, silif.INPUT_BIAS
        case "c-silif":
            return csilif.initial_csilif(o.hidden, generator), csilif.INPUT_SCALE, csilif.INPUT_BIAS
    raise AssertionError(f"{o.neuron} does not spike by a threshold")


def best_start(
    o: TrainOptions,
    sample: float,
    inputs: int,
    score: Callable[[Network], float],
    generator: torch.Generator,
    cells: CellEffects | None = None,
) -> Network:
    """Of `candidates` untrained networks the one with the lowest score."""
    best, lowest = None, math.inf
    for _ in range(o.candidates):
        network = initial_network(o, sample, inputs, generator, cells)
        with torch.no_grad():
            value = score(network)
        value = value if math.isfinite(value) else math.inf
        if best is None or value < lowest:
            best, lowest = network, value
    assert best is not None, "candidates is at least 1"
    return best
