"""A transconductor's closed form from DC sweeps in all the ways that a neuron wires it."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from mtc_hw.characterise.bench import Bench, Column, Level
from mtc_hw.hardware.cells import DEVICES, MEASURED, REFERENCE_BIAS, Cell, skewed
from mtc_hw.spec import Array, Curve

BIASES = np.array([1e-12, 3e-12, 1e-11, 3e-11, 1e-10, 3e-10, 1e-9, 2e-9, 4e-9, 1e-8, 3e-8])  # A
FILTER_BIAS = 6e-11  # A
STEPS = (("threshold", 2e-3), ("width", 0.02))  # of the finite differences: V, and relative
SWEEP = 0.3  # V either side of the analog ground
FITTED = 0.2  # V either side: where the closed form is fitted
RESOLUTION = 0.02  # V
# Once V(out) is below V(inn) by a gate-source voltage, the pair's second transistor conducts backwards. The fit
# leaves that out: from here on at the bias beside it, and further by unit / 2 per e-fold of the bias.
SATURATED, SATURATED_AT = 0.1, 1e-11  # V, A
LEVELS = (Level("low", "ref", -0.1), Level("high", "ref", 0.1), Level("upper", "ref", 0.15))
# A positive and a negative element, alone and driving the node that they sense; a follower that rests below and above
# the analog ground; and the output alone, with the input above, at and below the other.
WIRINGS = (
    ("in", "ref", "ref"),
    ("ref", "in", "ref"),
    ("in", "ref", "in"),
    ("ref", "in", "in"),
    ("in", "low", "low"),
    ("in", "high", "high"),
    ("upper", "ref", "in"),
    ("ref", "ref", "in"),
    ("ref", "upper", "in"),
)
OFF = 0.1  # V below its threshold a synapse is off
# by QUANTITIES; voltages in V
START = {
    "ota": (1.0, 0.0, 0.0, 0.065, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "wide_ota": (0.3, 0.0, 0.0, 0.065, 0.45, 1.4, 0.0, 0.0, 0.0, 0.0, 0.0),
    # Not 0: at the kink, where points of the sweep are, the search for the offset would stick.
    "synapse": (1.0, -1e-3, 0.0, 0.065, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
}
QUANTITIES = (
    "gain",
    "offset",
    "constant",
    "unit",
    "slope",
    "shift",
    "skew",
    "conductance",
    "tilt",
    "common_mode",
    "output_shift",
)
FREE = {
    "ota": ("gain", "offset", "constant", "unit", "conductance", "tilt", "common_mode", "output_shift"),
    "wide_ota": ("gain", "offset", "constant", "slope", "shift", "skew", "conductance", "tilt", "common_mode"),
    "synapse": ("gain", "offset", "unit", "tilt", "common_mode"),
}
SCALE = {"offset": 0.01, "unit": 0.05, "output_shift": 0.01}


@dataclass(frozen=True)
class Key:
    """One column of the sweep: a wiring at a bias, or one device shifted in the first wiring at the reference."""

    kind: str
    bias: float
    wiring: tuple[str, str, str] = WIRINGS[0]
    device: str = ""
    threshold: float = 0.0  # V
    width: float = 0.0  # relative

    def column(self) -> Column:
        shifted = {f"vt_{self.device}": self.threshold, f"b_{self.device}": self.width} if self.device else {}
        return Column(self.kind, self.bias, *self.wiring, shifted)


@dataclass(frozen=True, eq=False)
class Sweeps:
    """What the transconductors do: output current per bias by column, over the swept voltage from the ground, V."""

    voltage: Array  # (T,)
    current: dict[Key, Array]  # (T,) A per A of bias


def _shifted(kind: str, device: str, cause: str, step: float) -> Key:
    threshold, width = (step, 0.0) if cause == "threshold" else (0.0, step)
    return Key(kind, REFERENCE_BIAS[kind], device=device, threshold=threshold, width=width)


def biases(kind: str) -> list[float]:
    return sorted({*map(float, BIASES), REFERENCE_BIAS[kind], FILTER_BIAS})


def sweep(bench: Bench) -> Sweeps:
    """Every cell in every wiring at every bias, then one threshold and one width step for each device."""
    keys = [Key(kind, bias, wiring) for kind in MEASURED for bias in biases(kind) for wiring in WIRINGS]
    keys += [_shifted(kind, d, cause, step) for kind in MEASURED for cause, step in STEPS for d in DEVICES[kind]]
    ground = bench.technology.analog_ground
    seen = bench.sweep([key.column() for key in keys], LEVELS, ground - SWEEP, ground + SWEEP, RESOLUTION)
    return Sweeps(seen.axis - ground, {key: seen.current[:, i] / key.bias for i, key in enumerate(keys)})


def unit_voltage(sweeps: Sweeps) -> float:
    """The plain OTA's tanh scale at an element's bias, V."""
    return float(_fit(sweeps, "ota", REFERENCE_BIAS["ota"], 0.0)["unit"])


def cell(sweeps: Sweeps, kind: str, unit: float) -> Cell:
    """One transconductor's closed form at every bias, and its sensitivities to its devices."""
    fits = [_fit(sweeps, kind, bias, unit) for bias in biases(kind)]
    at_reference = fits[biases(kind).index(REFERENCE_BIAS[kind])]
    arrays = {name: np.array([fit[name] for fit in fits]) for name in (*QUANTITIES, "residual")}
    return Cell(
        rectified=kind == "synapse",
        bias=np.array(biases(kind)),
        **arrays,
        **_sensitivities(sweeps, kind, at_reference),
    )


def curve(wide: Cell, bias: float) -> Curve:
    """A wide OTA's shape at one of the biases measured."""
    at = int(np.argmin(np.abs(np.log(wide.bias / bias))))
    return Curve(float(wide.slope[at]), float(wide.shift[at]))


def _fit(sweeps: Sweeps, kind: str, bias: float, unit: float) -> dict[str, float]:
    """The closed form of `Cell` at one bias by least squares over all wirings; a wide OTA's unit is given."""
    window = np.abs(sweeps.voltage) <= FITTED + 1e-9
    v = sweeps.voltage[window]
    nodes = {"in": v, "ref": np.zeros_like(v)} | {level.name: np.full_like(v, level.value) for level in LEVELS}
    inp, inn, out = (np.stack([nodes[wiring[i]] for wiring in WIRINGS]) for i in range(3))
    seen = np.stack([sweeps.current[Key(kind, bias, wiring)][window] for wiring in WIRINGS])
    start = dict(zip(QUANTITIES, START[kind], strict=True))
    if kind == "wide_ota":
        start["unit"] = unit
    free = FREE[kind]
    limit = SATURATED + 0.5 * START[kind][QUANTITIES.index("unit")] * np.log(bias / SATURATED_AT)
    kept = inn - out <= max(limit, 0.0) + 1e-9 if kind != "synapse" else np.ones_like(seen, bool)
    inp, inn, out, seen = inp[kept], inn[kept], out[kept], seen[kept]
    if kind == "synapse":
        start["constant"] = float(np.median(seen[inp - inn <= -OFF]))

    def residual(values: Array) -> Array:
        form = start | dict(zip(free, map(float, values), strict=True))
        return np.asarray(_current(form, kind, inp, inn, out) - seen)

    scale = [SCALE.get(name, 1.0) for name in free]
    found = least_squares(residual, [start[name] for name in free], x_scale=scale).x
    form = start | dict(zip(free, map(float, found), strict=True))
    return form | {"residual": float(np.sqrt(np.mean(residual(found) ** 2)))}


def _current(form: dict[str, float], kind: str, inp: Array, inn: Array, out: Array) -> Array:
    """Output current per bias; see `Cell`."""
    offset = form["offset"] + form["output_shift"] * out
    shape = skewed(Curve(form["slope"], form["shift"]), form["skew"], (inp - inn - offset) / form["unit"])
    core = form["gain"] * (np.maximum(shape, 0.0) if kind == "synapse" else shape) + form["constant"]
    common = 1.0 + form["common_mode"] * (inp + inn) / 2.0
    return np.asarray(core * common - (form["conductance"] + form["tilt"] * core) * out)


def _sensitivities(sweeps: Sweeps, kind: str, form: dict[str, float]) -> dict[str, Array]:
    """Of ln(gain), offset and constant to each device, the shape being the nominal one's."""
    reference = _transfer(sweeps, Key(kind, REFERENCE_BIAS[kind]), form)
    result: dict[str, Array] = {}
    for cause, step in STEPS:
        shifted = [_shifted(kind, device, cause, step) for device in DEVICES[kind]]
        gain, offset, constant = np.array([_transfer(sweeps, key, form) for key in shifted]).T
        result[f"gain_per_{cause}"] = np.log(gain / reference[0]) / step
        result[f"offset_per_{cause}"] = (offset - reference[1]) / step
        result[f"constant_per_{cause}"] = (constant - reference[2]) / step
    return result


def _transfer(sweeps: Sweeps, key: Key, form: dict[str, float]) -> tuple[float, float, float]:
    """Gain, offset in V, and constant of one column.

    A wide OTA's offset is its zero crossing, without a constant; a synapse's is where a third of its current flows.
    """
    current = sweeps.current[key]
    if key.kind == "synapse":
        straight = np.arctanh(np.clip(current / current[-1], 0.0, 0.99))
        return float(current[-1]), float(np.interp(np.arctanh(1.0 / 3.0), straight, sweeps.voltage)), 0.0
    x, shape = sweeps.voltage / form["unit"], Curve(form["slope"], form["shift"])

    def residual(p: Array) -> Array:
        return np.asarray(p[0] * shape(x - p[1]) + p[2] - current)

    gain, middle, constant = map(float, least_squares(residual, [0.5, 0.0, 0.0]).x)
    if key.kind == "wide_ota":
        return gain, float(np.interp(0.0, current, sweeps.voltage)), 0.0
    return gain, middle * form["unit"], constant
