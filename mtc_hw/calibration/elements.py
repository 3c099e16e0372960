"""Trims of single transconductors, all neurons at once: each one's own curve against what the model asks of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration.compiled_curves import curve_table
from mtc_hw.calibration.observables import Curves, Table
from mtc_hw.calibration.setting import KNOBS, Knob, Setting
from mtc_hw.calibration.surface import FOLLOWERS, Surface
from mtc_hw.hardware.design import BRANCHES, LEAK, MappedDesign, load_capacitance
from mtc_hw.spec import ELEMENT_FILTER, SIGNS, Array, Curve, ModelSpec

OUTPUT = -1.0
"""Unit voltages of the output at which single OTAs are matched: the middle of what it sees in use."""

REACH = 3.0
"""Unit voltages either side of its zero in which a leak's or a filter's curve is fitted."""

DEAD, WRONG = 0.1, 0.25
"""Gain, and rms residual, as shares of the gain asked for, at which an OTA is no such OTA."""

STEPS, SETTLED = 12, 1e-6  # of Levenberg and Marquardt, and the cost that such a step takes away when it is the last
DAMPING, LESS, MORE = 1e-3, 0.2, 5.0


@dataclass(frozen=True, eq=False)
class Fit:
    """gain * shape(x - crossing) of M curves."""

    gain: Array  # (M,) unit currents
    crossing: Array  # (M,) unit voltages
    residual: Array  # (M,) rms, unit currents


@dataclass(frozen=True, eq=False)
class Matched:
    """What single OTAs need, and which neurons have one that cannot be trimmed; those keep their setting."""

    setting: Setting
    residual: Array  # (rows, N) rms error of each fit, unit currents; NaN where there is none
    marks: tuple[str, ...]  # of each neuron: what is wrong with it, or nothing


def match(design: MappedDesign, target: ModelSpec, table: Table, knobs: frozenset[Knob] = KNOBS) -> Matched:
    """Every OTA's gain by its bias, every zero crossing by its reference; a synapse's full output by its bias.

    `table` is a `surface.completed` look at the chip with the design's codes.
    """
    surface, had = Surface.of(table), Setting.of(design)
    fit = _fits(design, target, surface)
    wanted, crossing = _asked(design, target)
    off = design.bias() == 0.0
    share = np.where(off, 1.0, wanted / np.where(fit.gain == 0.0, 1.0, fit.gain))
    marks = _marks(design, surface, fit, wanted, off)
    good = np.array([not each for each in marks])
    share = np.where(good & (share > 0.0), share, 1.0)
    turned = np.zeros(share.shape, bool)
    turned[: LEAK + 1], turned[FOLLOWERS] = "bias" in knobs, "filter" in knobs
    bias = np.where(turned, (1.0 + had.bias) * share - 1.0, had.bias)
    reference = had.reference
    if "reference" in knobs:
        missed = np.where(off, 0.0, crossing - fit.crossing)
        heard = missed[FOLLOWERS][list(ELEMENT_FILTER)]
        missed[:LEAK] += np.where(off[:LEAK], 0.0, heard)
        reference = reference + np.where(good, missed[: LEAK + 1], 0.0) * design.scale.volt
    synapses = had.synapses
    if "synapse" in knobs and target.readout is not None:
        synapses = np.where(good, _synapses(design, target, surface, had), synapses)
    residual = np.full((len(design.rows), design.count), np.nan)
    residual[: len(BRANCHES)] = np.where(off, np.nan, fit.residual)
    return Matched(Setting(bias, reference, had.inputs, had.offset, synapses), residual, marks)


def _asked(design: MappedDesign, target: ModelSpec) -> tuple[Array, Array]:
    """Gains, unit currents, and zero crossings, unit voltages, that the model asks of the branches, (8, N)."""
    n, capacitor = target.neurons, load_capacitance(design) / design.scale.farad
    if n.cells is not None:
        # The circuit's effects move what a fit finds: the model's own curves are fitted the same way.
        own = curve_table(design, target, Curves(outputs=(OUTPUT,)))
        fit = _fits(design, target, Surface.of(own))
        return fit.gain, fit.crossing
    gain = np.vstack(
        [n.alpha * capacitor[0], n.leak * capacitor[0], capacitor[1:] / np.where(n.tau > 0.0, n.tau, 1.0)]
    )
    return gain, np.vstack([n.delta, n.rest, OUTPUT - n.offset])


def _fits(design: MappedDesign, target: ModelSpec, surface: Surface) -> Fit:
    """Of all branches, (8, N) each."""
    x, shape = surface.voltage, (len(BRANCHES), design.count)
    grid = np.repeat(x[:, None], design.count, axis=1)
    curves = np.array([surface.at(row, grid, OUTPUT)[0].T for row in range(len(BRANCHES))])  # (8, N, P)
    signed = curves[:LEAK] * np.array(SIGNS)[:, None, None]
    parts = [fit_tanh(x, signed.reshape(-1, len(x)))]
    cells, neurons = design.cells, target.neurons
    # The measured cell's shape, or, where a level's OTA is what the model assumes, that one: whichever fits.
    leak, follower = (cells.leak_curve, neurons.leak_curve), (cells.filter_curve, neurons.filter_curve)
    parts.append(_best(x, -curves[LEAK], 0.0, leak))
    parts.append(_best(x, curves[LEAK + 1 :].reshape(-1, len(x)), OUTPUT, follower))
    gain, crossing, residual = (
        np.concatenate([getattr(each, name) for each in parts]).reshape(shape)
        for name in ("gain", "crossing", "residual")
    )
    return Fit(gain, crossing, residual)


def _best(x: Array, current: Array, centre: float, curves: tuple[Curve | None, Curve | None]) -> Fit:
    inside = np.abs(x - centre) < REACH
    if curves[0] == curves[1]:
        return fit_curve(x[inside], current[:, inside], curves[0])
    one, other = (fit_curve(x[inside], current[:, inside], curve) for curve in curves)
    first = one.residual <= other.residual
    pairs = ((getattr(one, name), getattr(other, name)) for name in ("gain", "crossing", "residual"))
    return Fit(*(np.where(first, *pair) for pair in pairs))


def fit_tanh(x: Array, current: Array) -> Fit:
    """gain * tanh(x - crossing), beside a constant and a slope, to curves (M, P)."""

    def model(p: Array) -> tuple[Array, Array]:
        t = np.tanh(x - p[:, 1:2])
        ones = np.ones_like(t)
        return p[:, :1] * t + p[:, 2:3] + p[:, 3:] * x, np.stack(
            [t, p[:, :1] * (t * t - 1.0), ones, x * ones], axis=-1
        )

    return _least_squares(model, np.hstack([_guess(x, current), np.zeros((len(current), 2))]), current)


def fit_curve(x: Array, current: Array, curve: Curve | None) -> Fit:
    """gain * curve(x - crossing) to curves (M, P); None is the straight line."""

    def model(p: Array) -> tuple[Array, Array]:
        at = x - p[:, 1:]
        value, slope = (at, np.ones_like(at)) if curve is None else (curve(at), _slope(curve, at))
        return p[:, :1] * value, np.stack([value, -p[:, :1] * slope], axis=-1)

    return _least_squares(model, _guess(x, current), current)


def _slope(curve: Curve, x: Array) -> Array:
    k, d = curve.slope, curve.shift
    return np.asarray(curve.amplitude * k * (2.0 - np.tanh(k * (x - d)) ** 2 - np.tanh(k * (x + d)) ** 2))


def _guess(x: Array, current: Array) -> Array:
    """Half the swing, and where half of it is reached, (M, 2)."""
    first, last = current[:, :1], current[:, -1:]
    halfway = np.argmin(np.abs(current - 0.5 * (first + last)), axis=1)
    return np.column_stack([0.5 * (last - first)[:, 0], x[halfway]])


def _least_squares(model: Callable[[Array], tuple[Array, Array]], start: Array, current: Array) -> Fit:
    """Levenberg and Marquardt's method on M problems side by side; parameters (M, K), gain and crossing first."""
    p, damping = start, np.full(len(start), DAMPING)
    value, jacobian = model(p)
    cost = np.square(value - current).sum(axis=1)
    diagonal = np.eye(p.shape[1])
    for _ in range(STEPS):
        normal = np.einsum("mpk,mpl->mkl", jacobian, jacobian)
        size = np.einsum("mkk->mk", normal)
        floor = 1e-9 * (1.0 + size.max(axis=1, keepdims=True))
        normal = normal + diagonal * (damping[:, None] * size + floor)[:, None]
        gradient = np.einsum("mpk,mp->mk", jacobian, current - value)
        tried = p + np.linalg.solve(normal, gradient[..., None])[..., 0]
        new_value, new_jacobian = model(tried)
        new_cost = np.square(new_value - current).sum(axis=1)
        better = new_cost < cost
        done = not (new_cost < (1.0 - SETTLED) * cost).any()
        damping = np.where(better, LESS, MORE) * damping
        p, cost = np.where(better[:, None], tried, p), np.where(better, new_cost, cost)
        value = np.where(better[:, None], new_value, value)
        jacobian = np.where(better[:, None, None], new_jacobian, jacobian)
        if done:
            break
    return Fit(p[:, 0], p[:, 1], np.sqrt(cost / current.shape[1]))


def _marks(
    design: MappedDesign, surface: Surface, fit: Fit, wanted: Array, off: NDArray[np.bool_]
) -> tuple[str, ...]:
    """What is wrong with each neuron: the first of its rows that is no such OTA."""
    lost = (design.row_bias() > 0.0) & ~surface.here
    branches = ~off & surface.here[: len(BRANCHES)]
    kinds = (
        ("wrong sign", branches & (fit.gain < -DEAD * wanted)),
        ("no current", branches & (fit.gain < DEAD * wanted)),
        ("not the curve of an OTA", branches & ~(fit.residual < WRONG * wanted)),
    )
    marks = []
    for neuron in range(design.count):
        found = [f"{design.rows[row][0]}: not measured" for row in np.flatnonzero(lost[:, neuron])]
        for text, where in kinds:
            found += [f"{BRANCHES[row]}: {text}" for row in np.flatnonzero(where[:, neuron])]
        marks.append(found[0] if found else "")
    return tuple(marks)


def _synapses(design: MappedDesign, target: ModelSpec, surface: Surface, had: Setting) -> Array:
    """Full output to the weight, A, (outputs, N). The sum node sits at the analog ground."""
    assert target.readout is not None
    weights, result = target.readout.weights, had.synapses.copy()
    x = surface.voltage
    shape = target.synapse(x)
    grid = np.repeat(x[:, None], design.count, axis=1)
    for output, row in enumerate(range(len(design.rows) - len(weights), len(design.rows))):
        current = surface.at(row, grid, 0.0)[0] * design.scale.amp / design.readout_unit
        gain = shape @ current / (shape @ shape)
        share = np.abs(weights[output]) / np.where(gain > 0.0, gain, 1.0)
        result[output] *= np.where((gain > 0.0) & (result[output] != 0.0), share, 1.0)
    return result
