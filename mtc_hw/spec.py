"""The waist of the chain: a trained network as plain, frozen numpy values. Nothing right of here knows torch.

Everything is dimensionless: voltages in units of the OTA's tanh scale, currents in units of I_u, times in tau_m.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtc_hw.errors import SpecError

Array = NDArray[np.float64]

ELEMENTS = ("fast_negative", "slow_positive", "slow_negative", "ultraslow_positive")
"""The four conductance elements, in the order of the rows of `Neurons.alpha`."""

SIGNS = (1.0, -1.0, 1.0, -1.0)
"""Sign with which each element's alpha * tanh(U_x - delta) enters C dV/dt."""

FILTERS = ("fast", "slow", "ultraslow")
"""The three low-pass filters, in the order of the rows of `Neurons.tau`."""

ELEMENT_FILTER = (0, 1, 1, 2)
"""The filter whose voltage each element sees."""

INITIAL_VOLTAGE = -1.8
"""Membrane and filter voltages at the start of every run, in software and in circuits: near rest for most inputs."""


def frozen(values: ArrayLike, shape: tuple[int, ...], name: str) -> Array:
    """A read-only float64 copy of `values`. Raises SpecError when the shape differs or a value is not finite."""
    array = np.array(values, dtype=np.float64)
    if array.shape != shape:
        raise SpecError(f"{name} has shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise SpecError(f"{name}{list(where)} is {array[where]}; every value must be finite")
    array.setflags(write=False)
    return array


@dataclass(frozen=True)
class Curve:
    """G(x) = A [tanh k(x-d) + tanh k(x+d)] with G'(0) = 1: a wide-range OTA's transfer curve.

    A bump-linearised, diode-degenerated transconductor has two tanh-like halves that overlap around zero.
    """

    slope: float  # k
    shift: float  # d

    @property
    def amplitude(self) -> float:
        """A = cosh(k d)^2 / (2 k), so that the slope at zero is one."""
        return float(np.cosh(self.slope * self.shift) ** 2 / (2.0 * self.slope))

    def __call__(self, x: Array) -> Array:
        k, d = self.slope, self.shift
        return np.asarray(self.amplitude * (np.tanh(k * (x - d)) + np.tanh(k * (x + d))))


@dataclass(frozen=True, eq=False)
class CellEffects:
    """What a circuit's transconductors do beside the equations of `Neurons`, for N neurons. With them these are

        dV/dt         = I (1 - t_I V) + sum_x J_x (1 + c_x (U_x + r_x) / 2 - t_x V) - h_V V
        J_x           = sign_x alpha_x tanh(s_x (U_x - delta_x - z_x - b_x V)) + j_x    x an element
        J_leak        = g L(V_rest + z_leak - V) + j_leak                       and the leak, of which U_leak = V
        tau_y dU_y/dt = (F(V - U_y + o_y + z_y) + j_y) (1 + c_y (V + U_y) / 2 - t_y U_y) p / q_y - h_y U_y
        lag_y dq_y/dt = p - q_y,   p = exp(V)                                 lag_y = 0 means q_y = p

    with s the sharpness, z the offset, b the output shift, j the constant, c the common-mode factor, t the tilt, h
    the conductance and r the reference. L and F are A [(1 + e) tanh k(x-d) + (1 - e) tanh k(x+d)] of each neuron's
    own, with the slope k, the shift d, the skew e and A as in `Curve`; leak_curve and filter_curve of `Neurons` are
    then only what its circuit is meant to be. The lag is that of a filter's tail nodes. They follow a rising V at
    once, with charge out of the output's mirror, and fall only as fast as the bias discharges them: each spike so
    adds to a filter of some pA.

    Voltages are in unit voltages, currents in I_u, times in tau_m; a filter's constant is in unit voltages and its
    conductance a number. From `hardware.cells.Cell` by `hardware.faithful.as_cells`.
    """

    offset: Array  # (8, N): elements, leak, filters
    sharpness: Array  # (4, N), > 0: one unit voltage over the element's own tanh scale
    output_shift: Array  # (4, N): by how much of V the element's delta moves
    slope: Array  # (4, N), > 0: k of the leak's, fast, slow and ultraslow filter's curve
    shift: Array  # (4, N), >= 0: d of these
    skew: Array  # (4, N): e of these
    constant: Array  # (8, N): elements, leak, filters
    common_mode: Array  # (8, N)
    tilt: Array  # (8, N): how the output current falls with the output voltage, relative
    reference: Array  # (5, N): voltage at the other input of elements and leak
    conductance: Array  # (4, N): of all outputs at V together, and of each filter's own
    lag: Array  # (3, N), >= 0, tau_m: capacitance of a filter's tail nodes over its bias
    input_tilt: Array  # (N,): of the input transconductors

    def __post_init__(self) -> None:
        n = np.shape(self.sharpness)[-1] if np.ndim(self.sharpness) == 2 else 0
        for name, rows in EFFECT_ROWS.items():
            shape = (n,) if rows == 0 else (rows, n)
            object.__setattr__(self, name, frozen(getattr(self, name), shape, f"cells.{name}"))
        for name in ("sharpness", "slope", "shift", "lag"):
            values, least = getattr(self, name), name in ("shift", "lag")
            wrong = values < 0 if least else values <= 0
            if wrong.any():
                where = tuple(int(i) for i in np.argwhere(wrong)[0])
                rule = "must be >= 0" if least else "must be > 0"
                raise SpecError(f"cells.{name}{list(where)} is {getattr(self, name)[where]:g}; it {rule}")

    @property
    def count(self) -> int:
        return int(self.sharpness.shape[1])

    @property
    def amplitude(self) -> Array:
        """A of leak and filters, (4, N), so that each curve's slope at zero is one."""
        return np.asarray(np.cosh(self.slope * self.shift) ** 2 / (2.0 * self.slope))

    def take(self, index: int) -> "CellEffects":
        """Those of the one neuron at `index`."""
        return CellEffects(**{name: getattr(self, name)[..., index : index + 1] for name in EFFECT_ROWS})


TAIL_SLOPE = 1.0
"""Per unit voltage: how sharply a follower's tail goes over from rising with V to falling with the bias."""

EFFECT_ROWS = {
    "offset": len(ELEMENTS) + 1 + len(FILTERS),
    "sharpness": len(ELEMENTS),
    "output_shift": len(ELEMENTS),
    "slope": 1 + len(FILTERS),
    "shift": 1 + len(FILTERS),
    "skew": 1 + len(FILTERS),
    "constant": len(ELEMENTS) + 1 + len(FILTERS),
    "common_mode": len(ELEMENTS) + 1 + len(FILTERS),
    "tilt": len(ELEMENTS) + 1 + len(FILTERS),
    "reference": len(ELEMENTS) + 1,
    "conductance": 1 + len(FILTERS),
    "lag": len(FILTERS),
    "input_tilt": 0,
}
"""Rows of each array of `CellEffects`; 0: one number a neuron."""


@dataclass(frozen=True, eq=False)
class Neurons:
    """N multi-timescale conductance neurons (arXiv:2605.11835, after Ribar and Sepulchre, IEEE TCAS-I 66(8), 2019).

        dV/dt            = I - g L(V - V_rest) + sum_x sign_x alpha_x tanh(U_x - delta_x)
        tau_y dU_y/dt    = F(V - U_y + o_y)          y in fast, slow, ultraslow; tau_fast = 0 means U_fast = V

    L and F are the identity, or the wide-range OTA's `Curve`. An element with alpha = 0 is absent. With `cells` these
    are the neurons of a circuit: the equations of `CellEffects` hold.
    """

    alpha: Array  # (4, N), >= 0
    delta: Array  # (4, N)
    tau: Array  # (3, N), in tau_m; the first row >= 0, the others > 0
    leak: Array = field(default_factory=lambda: np.empty(0))  # (N,), g > 0; ones when omitted
    rest: Array = field(default_factory=lambda: np.empty(0))  # (N,), V_rest; zeros when omitted
    offset: Array = field(default_factory=lambda: np.empty(0))  # (3, N), o_y; zeros when omitted
    leak_curve: Curve | None = None  # None: linear
    filter_curve: Curve | None = None  # None: linear
    cells: CellEffects | None = None  # None: ideal transconductors

    def __post_init__(self) -> None:
        n = np.shape(self.alpha)[-1] if np.ndim(self.alpha) == 2 else 0
        if n == 0:
            raise SpecError(f"alpha has shape {np.shape(self.alpha)}, expected (4, N) with at least one neuron")
        defaults = {"leak": np.ones(n), "rest": np.zeros(n), "offset": np.zeros((3, n))}
        shapes = {
            "alpha": (4, n),
            "delta": (4, n),
            "tau": (3, n),
            "leak": (n,),
            "rest": (n,),
            "offset": (3, n),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            value = defaults[name] if name in defaults and np.size(value) == 0 else value
            object.__setattr__(self, name, frozen(value, shape, name))
        self._check(self.alpha < 0, "alpha", self.alpha, "must be >= 0 (the element's sign is in its name)")
        self._check(self.tau[:1] < 0, "tau", self.tau, "must be >= 0 (0: instantaneous)")
        self._check(np.vstack([np.zeros((1, n), bool), self.tau[1:] <= 0]), "tau", self.tau, "must be > 0")
        self._check(self.leak <= 0, "leak", self.leak, "must be > 0")
        if self.cells is not None and self.cells.count != n:
            raise SpecError(f"cells are those of {self.cells.count} neurons, there are {n}")

    @staticmethod
    def _check(wrong: NDArray[np.bool_], name: str, values: Array, rule: str) -> None:
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            row = {"alpha": ELEMENTS, "tau": FILTERS}.get(name)
            label = f"{name}.{row[where[0]]} of neuron {where[1]}" if row else f"{name} of neuron {where[0]}"
            raise SpecError(f"{label} is {values[where]:g}; it {rule}")

    @property
    def count(self) -> int:
        return int(self.alpha.shape[1])

    def take(self, index: int) -> "Neurons":
        """The one neuron at `index`, as a population of one."""
        arrays = ("alpha", "delta", "tau", "leak", "rest", "offset")
        cells = None if self.cells is None else self.cells.take(index)
        return dataclasses.replace(self, **{a: getattr(self, a)[..., index : index + 1] for a in arrays}, cells=cells)

    def ideal(self) -> "Neurons":
        """The same without the circuit's effects."""
        return dataclasses.replace(self, cells=None)


@dataclass(frozen=True)
class Synapse:
    """Saturated ReLU s = clip((V - threshold) / (saturation - threshold), 0, 1): sparse, bounded."""

    threshold: float = 0.0
    saturation: float = 1.0

    def __post_init__(self) -> None:
        if not self.saturation > self.threshold:
            raise SpecError(f"synapse saturation {self.saturation:g} must lie above its threshold {self.threshold:g}")

    def __call__(self, voltage: Array) -> Array:
        return np.clip((voltage - self.threshold) / (self.saturation - self.threshold), 0.0, 1.0)


@dataclass(frozen=True)
class RectifiedTanh:
    """s = max(0, tanh(V - threshold)): the current of a transconductor behind a rectifying mirror, per unit."""

    threshold: float = 0.0

    def __call__(self, voltage: Array) -> Array:
        return np.maximum(np.tanh(voltage - self.threshold), 0.0)


AnySynapse = Synapse | RectifiedTanh


@dataclass(frozen=True, eq=False)
class Readout:
    """y = weights @ lowpass(s) + offset; the low-pass is four equal cascaded poles of time constant tau."""

    weights: Array  # (outputs, N)
    offset: Array  # (outputs,)
    tau: float  # of each pole, in tau_m

    def __post_init__(self) -> None:
        shape = np.shape(self.weights)
        if len(shape) != 2:
            raise SpecError(f"readout weights have shape {shape}, expected (outputs, N)")
        object.__setattr__(self, "weights", frozen(self.weights, (shape[0], shape[1]), "readout weights"))
        object.__setattr__(self, "offset", frozen(self.offset, (shape[0],), "readout offset"))
        if not (np.isfinite(self.tau) and self.tau > 0):
            raise SpecError(f"readout tau is {self.tau}; it must be finite and > 0")


@dataclass(frozen=True)
class Task:
    """Prediction of a scalar series. The network sees (x - mean) / scale, linear between samples, and gives the
    standardised value `horizon` later. One time unit of the series lasts `time_unit` tau_m."""

    name: str
    horizon: float  # time units of the series
    sample: float  # time units between the samples that the network sees
    mean: float  # of the series
    scale: float  # of the series, > 0
    time_unit: float = 1.0  # tau_m per time unit


@dataclass(frozen=True, eq=False)
class ModelSpec:
    """A trained network: one hidden layer of MTC neurons, its input weights, and its readout."""

    neurons: Neurons
    weights: Array  # (N, inputs): input current per unit of standardised input
    bias: Array  # (N,): constant input current
    synapse: AnySynapse = Synapse()
    readout: Readout | None = None  # None: bare neurons
    input_curve: Curve | None = None  # what an input passes before its weight; None: linear
    task: Task | None = None
    step: float = 0.5  # integration step used in training, in tau_m
    integrator: Literal["euler", "split"] = "split"

    def __post_init__(self) -> None:
        n = self.neurons.count
        inputs = np.shape(self.weights)[-1] if np.ndim(self.weights) == 2 else -1
        object.__setattr__(self, "weights", frozen(self.weights, (n, inputs), "input weights"))
        object.__setattr__(self, "bias", frozen(self.bias, (n,), "bias"))
        if self.readout is not None and self.readout.weights.shape[1] != n:
            raise SpecError(f"readout has {self.readout.weights.shape[1]} columns for {n} neurons")

    def input_current(self, inputs: Array) -> Array:
        """Current into every neuron, (T, N), for standardised inputs (T, inputs)."""
        felt = inputs if self.input_curve is None else self.input_curve(inputs)
        return np.asarray(felt @ self.weights.T + self.bias)

    def arrays(self) -> dict[str, Array]:
        """Every array by name, for saving and for the digest."""
        neurons = {name: getattr(self.neurons, name) for name in ("alpha", "delta", "tau", "leak", "rest", "offset")}
        readout = (
            {}
            if self.readout is None
            else {"readout.weights": self.readout.weights, "readout.offset": self.readout.offset}
        )
        own = self.neurons.cells
        cells = {} if own is None else {f"cells.{name}": getattr(own, name) for name in EFFECT_ROWS}
        return neurons | cells | {"weights": self.weights, "bias": self.bias} | readout

    def header(self) -> dict[str, object]:
        """Everything that is not an array, as JSON values."""
        curves = {
            name: None if curve is None else dataclasses.asdict(curve)
            for name, curve in (("leak", self.neurons.leak_curve), ("filter", self.neurons.filter_curve))
        }
        if self.input_curve is not None:
            curves["input"] = dataclasses.asdict(self.input_curve)
        return {
            "curves": curves,
            "synapse": dataclasses.asdict(self.synapse),
            "readout_tau": None if self.readout is None else self.readout.tau,
            "task": None if self.task is None else dataclasses.asdict(self.task),
            "step": self.step,
            "integrator": self.integrator,
        }

    def digest(self) -> str:
        """SHA-256 over every value, hexadecimal."""
        sha = hashlib.sha256(json.dumps(self.header(), sort_keys=True).encode())
        for name, array in sorted(self.arrays().items()):
            sha.update(f"{name}{array.shape}".encode() + array.tobytes())
        return sha.hexdigest()


@dataclass(frozen=True, eq=False)
class Trace:
    """State of N neurons over time, in tau_m and unit voltages, whatever made it: torch, scipy or a circuit."""

    time: Array  # (T,), increasing
    voltage: Array  # (T, N)
    slow: Array | None = None  # (T, N)
    ultraslow: Array | None = None  # (T, N)
