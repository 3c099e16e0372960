"""What the transistor circuit of a design does, in model units: every cell's measured curve at its own bias."""

import dataclasses

import numpy as np

from mtc_hw.hardware.cells import Cells
from mtc_hw.hardware.design import (
    BRANCHES,
    LEAK,
    MappedDesign,
    as_spec,
    load_capacitance,
    row_constant,
    row_gain,
    row_offset,
)
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import Technology
from mtc_hw.spec import EFFECT_ROWS, SIGNS, Array, CellEffects, Curve, ModelSpec, Neurons

SENSES = np.array(SIGNS)[:, None]
"""+1 where an element's V+ hears what it senses, and -1 where its V- does, as the leak's: `netlist.views`."""

TYPICAL = ((2.0, 2.0, 1.5, 1.5), (0.0, 0.0, -1.5, -1.5), (0.0, 20.0, 300.0))
"""alpha, delta and tau, tau_m, of a trained network's burster."""

TYPICAL_WEIGHT = 0.7

SHORTEST_LAG = 0.1
"""tau_m: a tail that is faster takes back all the charge that it gave."""


def as_cells(design: MappedDesign) -> ModelSpec:
    """`as_spec` with the cells' measured transfers, offsets and conductances in the neurons and their inputs.

    The chip's deviations are in it. The input transconductors share one curve, that of their median bias; their
    offset is taken at small inputs and their common mode is left out. Synapses and readout are those of `as_spec`.
    """
    meant = as_spec(design)
    slowing = load_capacitance(design)[0] / design.scale.farad
    constant = design.offset_dac.decode(design.offset_code) / design.scale.amp / slowing
    inputs = _Inputs.of(design, meant, slowing)
    # The constant current comes from a source without a tilt: what I (1 - t V) takes off it is given back.
    added = inputs.conductance - inputs.tilt * constant
    neurons = dataclasses.replace(meant.neurons, cells=_effects(design, slowing, added, inputs.tilt))
    return dataclasses.replace(
        meant, neurons=neurons, bias=constant + inputs.bias, input_curve=inputs.curve or meant.input_curve
    )


def typical_effects(technology: Technology, cells: Cells, count: int, options: MappingOptions) -> CellEffects:
    """The effects at typical biases, the same for each of `count` neurons: what a training takes as given.

    Of a burster with one input: `TYPICAL` conductances, offsets and time constants, exactly mapped.
    """
    alpha, delta, tau = (np.array(values)[:, None] for values in TYPICAL)
    spec = ModelSpec(Neurons(alpha, delta, tau), np.array([[TYPICAL_WEIGHT]]), np.zeros(1))
    exact = dataclasses.replace(options, bits=None)
    own = as_cells(map_spec(spec, technology, cells, exact)).neurons.cells
    assert own is not None
    return CellEffects(**{name: np.repeat(getattr(own, name), count, axis=-1) for name in EFFECT_ROWS})


def _at_bias(design: MappedDesign, quantity: str) -> Array:
    """A cell's quantity at each transconductor's own bias, (rows, N), synapses included."""
    rows = zip(design.rows, design.row_bias(), strict=True)
    return np.array([getattr(design.cells, kind).at(quantity, bias) for (_, kind), bias in rows])


def _tail(design: MappedDesign) -> Array:
    """Tail current of each transconductor, unit currents, (rows, N): its bias, and the deviation of its gain."""
    return design.row_bias() / design.scale.amp * row_gain(design) / _at_bias(design, "gain")


def _effects(design: MappedDesign, slowing: Array, added: Array, input_tilt: Array) -> CellEffects:
    """`added` (N,) is what else conducts at v."""
    volt, branches, at_v = design.scale.volt, slice(0, len(BRANCHES)), slice(0, LEAK + 1)
    filters = slice(LEAK + 1, len(BRANCHES))

    def at(quantity: str) -> Array:
        return np.where(design.present, _at_bias(design, quantity)[branches], 0.0)

    tail, gain, constant, conductance = _tail(design)[branches], at("gain"), at("constant"), at("conductance") * volt
    per_gain = np.where(design.present[filters], gain[filters], 1.0)
    offered = constant * tail + row_constant(design)[branches] / design.scale.amp
    own = [offered[at_v] / slowing, constant[filters] / per_gain]
    total = (conductance * tail)[at_v].sum(axis=0) / slowing + added
    wide = {name: _at_bias(design, name)[LEAK : len(BRANCHES)] for name in ("slope", "shift", "skew")}
    bias = np.where(design.present[filters], tail[filters], 1.0) * design.scale.amp
    farad = np.interp(np.log(bias), np.log(design.cells.tail_bias), design.cells.tail_capacitance)
    lag = np.where(design.present[filters], farad * volt / (bias * design.scale.second), 0.0)
    lag = np.where(lag < SHORTEST_LAG, 0.0, lag)
    reference = design.reference_dac.decode(design.reference_code) - design.technology.analog_ground
    return CellEffects(
        offset=np.vstack([SENSES * at("offset")[:LEAK], -at("offset")[LEAK:]]) / volt,
        sharpness=volt / _at_bias(design, "unit")[:LEAK],
        output_shift=SENSES * at("output_shift")[:LEAK],
        slope=wide["slope"],
        shift=wide["shift"],
        skew=wide["skew"],
        constant=np.vstack(own),
        common_mode=at("common_mode") * volt,
        tilt=at("tilt") * volt,
        reference=reference / volt,
        conductance=np.vstack([total, conductance[filters] / per_gain]),
        lag=lag,
        input_tilt=input_tilt,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Inputs:
    """The input transconductors of each neuron together."""

    bias: Array  # (N,) unit currents at an input of zero
    conductance: Array  # (N,)
    tilt: Array  # (N,), their mean by weight
    curve: Curve | None  # of the median bias; None without inputs

    @staticmethod
    def of(design: MappedDesign, meant: ModelSpec, slowing: Array) -> "_Inputs":
        rows = slice(len(BRANCHES), len(BRANCHES) + design.input_code.shape[1])
        volt, bias = design.scale.volt, design.row_bias()[rows]
        at = {name: _at_bias(design, name)[rows] for name in ("offset", "constant", "conductance", "tilt")}
        tail, weight = _tail(design)[rows] / slowing, np.abs(meant.weights.T)
        heard = weight * (at["offset"] + row_offset(design)[rows]) / volt
        total = np.where(weight.any(axis=0), weight.sum(axis=0), 1.0)
        curve = None
        if bias.any():
            middle = np.array(np.median(bias[bias > 0]))
            wide = design.cells.wide_ota
            curve = Curve(float(wide.at("slope", middle)), float(wide.at("shift", middle)))
        return _Inputs(
            bias=(at["constant"] * tail - heard).sum(axis=0),
            conductance=(at["conductance"] * tail).sum(axis=0) * volt,
            tilt=(weight * at["tilt"]).sum(axis=0) / total * volt,
            curve=curve,
        )
