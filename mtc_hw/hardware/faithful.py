"""What the transistor circuit of a design does, in model units: every cell's measured curve at its own bias."""

import dataclasses

import numpy as np

from mtc_hw.hardware.cells import DEVICES, REFERENCE_BIAS, Cells
from mtc_hw.hardware.design import (
    BRANCH_CELL,
    BRANCHES,
    LEAK,
    MappedDesign,
    as_spec,
    load_capacitance,
    row_gain,
    row_offset,
)
from mtc_hw.hardware.library import library_cell
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

IN_TAIL = {"mb": -1.0, "mt": 1.0}
IN_MIRROR = {"m3": -0.5, "m4": 0.5}
IN_BUMP = {"m5": -0.5, "m6": -0.5, "m7": 0.5, "m8": 0.5}
IN_LEAN = {"m5": -0.5, "m6": 0.5, "m7": 0.5, "m8": -0.5}
"""Shares of an OTA's devices, each with its ln(I), in ln(T), ln(M) / 2, ln(S) and e: see `_Mismatch`."""


def as_cells(design: MappedDesign) -> ModelSpec:
    """`as_spec` with the cells' measured transfers, offsets and conductances in the neurons and their inputs.

    The chip's deviations are in it. The input transconductors share one curve, that of their median bias; their
    offset is taken at small inputs and their common mode is left out. Synapses and readout are those of `as_spec`.
    """
    meant = as_spec(design)
    slowing = load_capacitance(design)[0] / design.scale.farad
    constant = design.offset_current() / design.scale.amp / slowing
    inputs = _Inputs.of(design, meant, slowing)
    # The constant current comes from a source without a tilt: what I (1 - t V) takes off it is given back.
    added = inputs.conductance.sum(axis=0) * design.scale.volt - inputs.tilt * constant
    mismatch = _Mismatch.of(design)
    finer = np.exp(mismatch.gain) / (row_gain(design) / _at_bias(design, "gain"))[: len(BRANCHES)]
    ideal = meant.neurons
    neurons = dataclasses.replace(
        ideal,
        alpha=ideal.alpha * finer[:LEAK],
        leak=ideal.leak * finer[LEAK],
        tau=ideal.tau / finer[LEAK + 1 :],
        cells=_effects(design, mismatch, slowing, added, inputs.tilt),
    )
    return dataclasses.replace(
        meant,
        neurons=neurons,
        bias=constant + inputs.constant.sum(axis=0),
        input_curve=inputs.curve or meant.input_curve,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class OneByOne:
    """What the neurons of `as_cells` hold as sums, of each transconductor at v: elements, leak, inputs."""

    constant: Array  # (inputs, N) unit currents at an input of zero
    conductance: Array  # (5 + inputs, N) unit currents per unit voltage

    @staticmethod
    def of(design: MappedDesign) -> "OneByOne":
        slowing, volt = load_capacitance(design)[0] / design.scale.farad, design.scale.volt
        inputs = _Inputs.of(design, as_spec(design), slowing)
        own = _conductance(design, _Mismatch.of(design))[: LEAK + 1]
        return OneByOne(inputs.constant * slowing, np.vstack([own, inputs.conductance * (volt * slowing)]))


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


def _effects(
    design: MappedDesign, mismatch: "_Mismatch", slowing: Array, added: Array, input_tilt: Array
) -> CellEffects:
    """`added` (N,) is what else conducts at v."""
    volt, branches, at_v = design.scale.volt, slice(0, len(BRANCHES)), slice(0, LEAK + 1)
    filters = slice(LEAK + 1, len(BRANCHES))

    def at(quantity: str) -> Array:
        return np.where(design.present, _at_bias(design, quantity)[branches], 0.0)

    gain, conductance = at("gain"), at("conductance") * volt
    tail = _branch_tail(design, mismatch)
    per_gain = np.where(design.present[branches], gain * np.exp(mismatch.gain - mismatch.tail), 1.0)
    constant = at("constant") / per_gain + mismatch.constant
    own = [(constant * per_gain * tail)[at_v] / slowing, constant[filters]]
    total = _conductance(design, mismatch)[at_v].sum(axis=0) / slowing + added
    drain = np.where(design.present[filters], tail[filters], 1.0) * design.scale.amp
    farad = np.interp(np.log(drain), np.log(design.cells.tail_bias), design.cells.tail_capacitance)
    lag = np.where(design.present[filters], farad * volt / (drain * design.scale.second), 0.0)
    lag = np.where(lag < SHORTEST_LAG, 0.0, lag)
    reference = design.references() - design.technology.analog_ground
    return CellEffects(
        offset=np.vstack([SENSES * at("offset")[:LEAK], mismatch.crossing - at("offset")[LEAK:]]) / volt,
        sharpness=volt / _at_bias(design, "unit")[:LEAK],
        output_shift=SENSES * at("output_shift")[:LEAK],
        slope=_at_bias(design, "slope")[LEAK : len(BRANCHES)],
        shift=mismatch.shift,
        skew=_at_bias(design, "skew")[LEAK : len(BRANCHES)] + mismatch.skew,
        constant=np.vstack(own),
        common_mode=at("common_mode") * volt,
        tilt=at("tilt") * volt,
        reference=reference / volt,
        conductance=np.vstack([total, (conductance / per_gain)[filters]]),
        lag=lag,
        input_tilt=input_tilt,
    )


def _branch_tail(design: MappedDesign, mismatch: "_Mismatch") -> Array:
    """Tail current of each branch, unit currents, (8, N)."""
    return design.row_bias()[: len(BRANCHES)] / design.scale.amp * np.exp(mismatch.tail)


def _conductance(design: MappedDesign, mismatch: "_Mismatch") -> Array:
    """Of each branch's output, unit currents per unit voltage, (8, N)."""
    own = np.where(design.present, _at_bias(design, "conductance")[: len(BRANCHES)], 0.0)
    return own * design.scale.volt * _branch_tail(design, mismatch)


@dataclasses.dataclass(frozen=True, eq=False)
class _Mismatch:
    """What a chip's draws make of its branches, (8, N), and of leak and filters alone, (4, N).

    In weak inversion a wide OTA with the pair's currents I1 and I2, the tail's T, the mirror's ratio M and the bump's
    strength S gives (Watts et al., IEEE JSSC 27(1), 1992)

        I(out) = M I1 - I2,   I1 / I2 = exp(2 k x),   T = I1 + I2 + S I1 I2 / (I1 exp(e) + I2 exp(-e))

    with e = 0 unless the bump's two devices differ. For M = 1 and e = 0 that is exactly the `Curve` with T / 2 for A
    and cosh(2 k d) = 1 + S / 2: S moves d and leaves k and T as they are. What M adds, ln(M) / 2 times I1 + I2, is a
    constant less a bump: a skew. With e the curve moves by -e / 2k, and a skew takes the zero crossing back. A plain
    OTA has no bump.
    """

    tail: Array  # (8, N): change of ln(T)
    gain: Array  # (8, N): change of ln(gain)
    constant: Array  # (8, N): what the mirror adds, per gain; of wide OTAs in unit voltages
    shift: Array  # (4, N): d
    skew: Array  # (4, N): its change
    crossing: Array  # (4, N) V: the zero crossing's offset less the curve's

    @staticmethod
    def of(design: MappedDesign) -> "_Mismatch":
        tail, mirror, bump, lean = (_moved(design, each) for each in (IN_TAIL, IN_MIRROR, IN_BUMP, IN_LEAN))
        wide = slice(LEAK, len(BRANCHES))
        slope, shift = (_at_bias(design, name)[wide] for name in ("slope", "shift"))
        bent = np.tanh(slope * shift)
        shift = shift + bump[wide] * bent / (2.0 * slope)
        whole = np.vstack([np.ones((LEAK, design.count)), np.cosh(slope * shift) ** 2 / slope])
        return _Mismatch(
            tail=tail,
            gain=tail + mirror - bump * np.vstack([np.zeros((LEAK, design.count)), bent**2]),
            constant=np.where(design.present, whole * mirror, 0.0),
            shift=shift,
            skew=mirror[wide] * bent + lean[wide] / np.sinh(2.0 * slope * shift),
            crossing=_mirror_offset(design)[wide] + lean[wide] / (2.0 * slope) * design.scale.volt,
        )


def _moved(design: MappedDesign, shares: dict[str, float]) -> Array:
    """What the devices' draws do to the logarithm of their own currents, by their shares, (8, N)."""
    result = np.zeros((len(BRANCHES), design.count))
    chip, plain, biases = design.deviations, design.cells.ota, design.bias()
    if chip is None:
        return result
    for row, kind in enumerate(BRANCH_CELL):
        per_threshold = dict(zip(DEVICES[kind], design.cell(row).gain_per_threshold, strict=True))
        slopes = {
            "n": 0.5 * (per_threshold["mt"] - per_threshold["mb"]),
            "p": per_threshold["m4"] - per_threshold["m3"],
        }
        # They are those at the reference bias, and go with the bias as the slope of a pair's tanh does.
        reference = np.array(REFERENCE_BIAS[kind])
        bias = np.where(design.present[row], biases[row], reference)
        steeper = plain.at("unit", reference) / plain.at("unit", bias)
        for index, device in enumerate(library_cell(kind).devices):
            if device.name in shares:
                slope = slopes[device.polarity] * steeper
                result[row] += shares[device.name] * (slope * chip.threshold[row, index] + chip.width[row, index])
    return result


def _mirror_offset(design: MappedDesign) -> Array:
    """The part of `row_offset` that is the mirrors', V, (8, N)."""
    result = np.zeros((len(BRANCHES), design.count))
    chip = design.deviations
    if chip is None:
        return result
    for row, kind in enumerate(BRANCH_CELL):
        cell = design.cell(row)
        for index in (DEVICES[kind].index(name) for name in IN_MIRROR):
            result[row] += cell.offset_per_threshold[index] * chip.threshold[row, index]
            result[row] += cell.offset_per_width[index] * chip.width[row, index]
    return result


@dataclasses.dataclass(frozen=True, eq=False)
class _Inputs:
    """The input transconductors of each neuron together."""

    constant: Array  # (inputs, N) unit currents at an input of zero
    conductance: Array  # (inputs, N) unit currents per V
    tilt: Array  # (N,), their mean by weight
    curve: Curve | None  # of the median bias; None without inputs

    @staticmethod
    def of(design: MappedDesign, meant: ModelSpec, slowing: Array) -> "_Inputs":
        rows = slice(len(BRANCHES), len(BRANCHES) + design.input_code.shape[1])
        volt, _bias = design.scale.volt, design.row_bias()[rows]
        at = {name: _at_bias(design, name)[rows] for name in ("offset", "constant", "conductance", "tilt")}
        tail, weight = _tail(design)[rows] / slowing, np.abs(meant.weights.T)
        heard = weight * (at["offset"] + row_offset(design)[rows]) / volt
        total = np.where(weight.any(axis=0), weight.sum(axis=0), 1.0)
        curve = None
        drawn = np.abs(design.input_dac.decode(design.input_code))  # trims apart: all chips of a design share it
        if drawn.any():
            middle = np.array(np.median(drawn[drawn > 0]))
            wide = design.cells.wide_ota
            curve = Curve(float(wide.at("slope", middle)), float(wide.at("shift", middle)))
        return _Inputs(
            constant=at["constant"] * tail - heard,
            conductance=at["conductance"] * tail,
            tilt=(weight * at["tilt"]).sum(axis=0) / total * volt,
            curve=curve,
        )
