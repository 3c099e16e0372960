"""MappedDesign: a network as codes, capacitors and sizes, with or without a virtual chip's deviations. SI units."""

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mtc_hw.hardware.cells import DEVICES, Cell, Cells
from mtc_hw.hardware.dac import Codes, Dac
from mtc_hw.hardware.scale import Scale
from mtc_hw.hardware.technology import Technology
from mtc_hw.hardware.trim import TRIM_BITS, TrimDacs, trim_value
from mtc_hw.spec import ELEMENT_FILTER, ELEMENTS, AnySynapse, Array, Curve, ModelSpec, Neurons, Readout, Task, frozen

BRANCHES = (*ELEMENTS, "leak", "fast_filter", "slow_filter", "ultraslow_filter")
"""The OTAs of one neuron, in the order of the rows of `MappedDesign.bias_code`."""

BRANCH_CELL = ("ota",) * 4 + ("wide_ota",) * 4
LEAK = BRANCHES.index("leak")
MAX_DEVICES = len(DEVICES["wide_ota"])

SUM_BIAS = 1e-9
"""A: bias of the amplifier that holds the negative sum, and the least that its mirror carries."""


COMMON = ("nmos_threshold", "pmos_threshold", "nmos_gain", "pmos_gain")


@dataclass(frozen=True, eq=False)
class Deviations:
    """One virtual chip: what each device's threshold and width differ by, and what all its devices share.

    A deck's transistors have both. The equations of a neuron have only a device's own: what is common to a mirror or
    a pair cancels to first order, and the cells' sensitivities, taken one device at a time, do not say what is left.
    """

    seed: int
    sample: int
    threshold: Array  # (rows, 10, N) V, by `MappedDesign.rows`, device and neuron; zero where there is no such device
    width: Array  # (rows, 10, N) relative
    common: Array = field(default_factory=lambda: np.empty(0))  # (4, N) by `COMMON`, V and relative; or zeros
    capacitance: Array = field(default_factory=lambda: np.empty(0))  # (N,) ln of the capacitors' factor; or zeros
    # Relative error of each bit of the trim converters, (TRIM_BITS, rows, N) of currents and (TRIM_BITS, 6, N) of the
    # five references and of the constant current; or zeros.
    current_trim: Array = field(default_factory=lambda: np.empty(0))
    level_trim: Array = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        for name, wanted in self._shapes().items():
            value = getattr(self, name)
            value = np.zeros(wanted) if np.size(value) == 0 and name in LATER else value
            object.__setattr__(self, name, frozen(value, wanted, f"deviations' {name}"))

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shape, count = self.threshold.shape, self.threshold.shape[-1]
        return {
            "threshold": shape,
            "width": shape,
            "common": (len(COMMON), count),
            "capacitance": (count,),
            "current_trim": (TRIM_BITS, shape[0], count),
            "level_trim": (TRIM_BITS, LEAK + 2, count),
        }

    def take(self, index: int) -> "Deviations":
        """Those of the one neuron at `index`."""
        at = {name: getattr(self, name)[..., index : index + 1] for name in self._shapes()}
        return dataclasses.replace(self, **at)


BY_COLUMN = ("present", "bias_code", "reference_code", "capacitor", "readout_code", "bias_trim", "reference_trim")
BY_LINE = ("input_code", "offset_code", "input_trim", "offset_trim")
"""Fields of a design whose last axis, or whose first, is the neurons'."""

LATER = ("common", "capacitance", "current_trim", "level_trim")
"""Fields that older files and digests of chips do not have."""


@dataclass(frozen=True, eq=False)
class MappedDesign:
    """A network on silicon. A mismatched or a trimmed chip is another MappedDesign."""

    technology: Technology
    cells: Cells
    scale: Scale
    present: NDArray[np.bool_]  # (8, N): which OTAs a neuron has
    bias_code: Codes  # (8, N)
    reference_code: Codes  # (5, N): elements and leak
    input_code: Codes  # (N, inputs)
    offset_code: Codes  # (N,)
    capacitor: Array  # (4, N) F, drawn: membrane, fast, slow, ultra-slow; the parasitics come on top
    readout_code: Codes  # (outputs, N)
    readout_offset: Array  # (outputs,)
    readout_unit: float  # A that a synapse at its full output sends for a weight of one
    readout_span: float  # unit voltages of the low-pass's output that are read as a prediction of one
    pole_code: Codes  # (4,), of the readout's low-pass; empty without a readout
    pole_capacitor: Array  # (4,) F, drawn
    bias_dac: Dac  # A, for the elements and the leak
    filter_dac: Dac  # A
    pole_dac: Dac  # A, of the readout's low-pass
    reference_dac: Dac  # V
    input_dac: Dac  # A of an input transconductor's bias; the sign is which of its inputs hears the signal
    offset_dac: Dac  # A
    readout_dac: Dac  # A of a synapse's bias; the sign is the sum that it sends to
    trim: TrimDacs
    bias_trim: Codes  # (8, N), of `bias_code`'s currents; a trim's code is 0 until a calibration turns it
    reference_trim: Codes  # (5, N)
    input_trim: Codes  # (N, inputs)
    offset_trim: Codes  # (N,)
    synapse: AnySynapse
    leak_curve: Curve | None  # what the model assumes of the leak; transistors are what they are
    filter_curve: Curve | None
    input_curve: Curve | None
    task: Task | None
    step: float
    integrator: str
    spec_digest: str  # of the ModelSpec that was mapped
    deviations: Deviations | None = None

    @property
    def count(self) -> int:
        return int(self.bias_code.shape[1])

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every value, hexadecimal."""
        sha = hashlib.sha256()
        for value in _leaves(self):
            if isinstance(value, np.ndarray):
                sha.update(f"{value.shape}".encode() + value.tobytes())
            else:
                sha.update(repr(value).encode())
        return sha.hexdigest()

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """Name and cell of every transconductor that a neuron may have: branches, inputs, synapses."""
        inputs = ((f"input_{i}", "wide_ota") for i in range(self.input_code.shape[1]))
        synapses = ((f"synapse_{o}", "synapse") for o in range(self.readout_code.shape[0]))
        return (*zip(BRANCHES, BRANCH_CELL, strict=True), *inputs, *synapses)

    def cell(self, branch: int) -> Cell:
        return self.cells.ota if BRANCH_CELL[branch] == "ota" else self.cells.wide_ota

    def dac(self, branch: int) -> Dac:
        """The converter that biases this branch."""
        return self.bias_dac if branch <= LEAK else self.filter_dac

    def bias(self) -> Array:
        """Bias currents, A, (8, N), trims included; zero where there is no OTA."""
        rows = [self.dac(branch).decode(self.bias_code[branch]) for branch in range(len(BRANCHES))]
        return np.where(self.present, np.array(rows) * (1.0 + self.bias_trims()), 0.0)

    def bias_trims(self) -> Array:
        """By how much trims change the bias currents, relative, (8, N)."""
        return trim_value(self.trim.current, self.bias_trim, self._errors("current_trim", 0, len(BRANCHES)))

    def references(self) -> Array:
        """Voltages of the elements' and the leak's references, V, (5, N), trims included."""
        return self.reference_dac.decode(self.reference_code) + self.reference_trims()

    def reference_trims(self) -> Array:
        """What trims add to the references, V, (5, N)."""
        return trim_value(self.trim.reference, self.reference_trim, self._errors("level_trim", 0, LEAK + 1))

    def offset_current(self) -> Array:
        """Constant current into each membrane, A, (N,), trims included."""
        return self.offset_dac.decode(self.offset_code) + self.offset_trims()

    def offset_trims(self) -> Array:
        """What trims add to the constant current, A, (N,)."""
        errors = self._errors("level_trim", LEAK + 1, LEAK + 2)
        return trim_value(self.trim.offset, self.offset_trim, None if errors is None else errors[:, 0])

    def input_current(self) -> Array:
        """Bias of the input transconductors with their weights' signs, A, (N, inputs), trims included."""
        return self.input_dac.decode(self.input_code) * (1.0 + self.input_trims())

    def input_trims(self) -> Array:
        """By how much trims change the input transconductors' currents, relative, (N, inputs)."""
        first = len(BRANCHES)
        errors = self._errors("current_trim", first, first + self.input_code.shape[1])
        turned = None if errors is None else errors.transpose(0, 2, 1)
        return trim_value(self.trim.current, self.input_trim, turned)

    def _errors(self, name: str, first: int, last: int) -> Array | None:
        return None if self.deviations is None else np.asarray(getattr(self.deviations, name)[:, first:last])

    def row_bias(self) -> Array:
        """Bias currents of every row, A, (rows, N); zero where there is nothing."""
        synapses = self.readout_dac.decode(self.readout_code)
        return np.vstack([self.bias(), np.abs(self.input_current().T), np.abs(synapses)])

    @property
    def pole_current(self) -> Array:
        """What the low-pass's transconductors give, A per unit voltage, (4,)."""
        bias = self.pole_dac.decode(self.pole_code)
        return bias * self.cells.wide_ota.gain_at(bias)

    @property
    def readout_tau(self) -> float:
        """Mean time constant of the low-pass's poles, s; 0 without a readout. Of a population: the first chip's."""
        return float(self.readout_taus[0]) if len(self.pole_code) else 0.0

    @property
    def readout_taus(self) -> Array:
        """The same on the chip that each neuron is on, s, (N,): in a population the chips' capacitors may differ."""
        total = self.made(self.pole_capacitor[:, None]) + pole_parasitic(self.cells)[:, None]
        tau = np.mean(total * self.scale.volt / self.pole_current[:, None], axis=0)
        return np.broadcast_to(tau, (self.count,))

    def made(self, drawn: Array) -> Array:
        """What drawn capacitors, F, (..., N) or (..., 1), are on the chip."""
        return drawn if self.deviations is None else drawn * np.exp(self.deviations.capacitance)

    def take(self, index: int) -> "MappedDesign":
        """The chip with the one neuron `index`, as a population of one."""
        at = slice(index, index + 1)
        return dataclasses.replace(
            self,
            **{name: getattr(self, name)[:, at] for name in BY_COLUMN},
            **{name: getattr(self, name)[at] for name in BY_LINE},
            deviations=self.deviations and self.deviations.take(index),
        )


def _leaves(value: object) -> Iterator[object]:
    """Every array and scalar of nested dataclasses and models, in field order."""
    if isinstance(value, Technology):
        yield value.digest()
        if value.sizes:  # frozen cards are not in the technology's digest
            yield value.cards
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            if isinstance(value, Deviations) and each.name in LATER and not getattr(value, each.name).any():
                continue
            yield each.name
            yield from _leaves(getattr(value, each.name))
    else:
        # A numpy scalar prints its type, and would not after a round trip through a file.
        yield value.item() if isinstance(value, np.generic) else value


def row_gain(design: MappedDesign) -> Array:
    """Each transconductor's gain at its own bias, the chip's deviations included, (rows, N)."""
    nominal = [
        getattr(design.cells, kind).gain_at(bias)
        for (_, kind), bias in zip(design.rows, design.row_bias(), strict=True)
    ]
    return np.array(nominal) * np.exp(_deviation(design, "gain"))


def row_offset(design: MappedDesign) -> Array:
    """Each one's random offset, V, (rows, N). Systematic offsets are not in it: calibration takes those away."""
    return _deviation(design, "offset")


def row_constant(design: MappedDesign) -> Array:
    """Current that each one's mismatched mirror adds to its output, A, (rows, N); it goes with the tail current."""
    return design.row_bias() * np.exp(_deviation(design, "gain")) * _deviation(design, "constant")


def input_constant(design: MappedDesign) -> Array:
    """What each input transconductor's random offset sends, unit currents, (inputs, N)."""
    inputs = slice(len(BRANCHES), len(BRANCHES) + design.input_code.shape[1])
    current = (design.row_bias() * row_gain(design))[inputs]
    return current / design.scale.amp * -(row_offset(design)[inputs] / design.scale.volt)


def _deviation(design: MappedDesign, quantity: str) -> Array:
    result = np.zeros((len(design.rows), design.count))
    if design.deviations is None:
        return result
    for row, (_, kind) in enumerate(design.rows):
        cell = getattr(design.cells, kind)
        per_threshold, per_width = (getattr(cell, f"{quantity}_per_{cause}") for cause in ("threshold", "width"))
        for device in range(len(DEVICES[kind])):
            # Added one by one: a matrix product's last bit depends on how many neurons there are.
            result[row] += per_threshold[device] * design.deviations.threshold[row, device]
            result[row] += per_width[device] * design.deviations.width[row, device]
    return result


def load_capacitance(design: MappedDesign) -> Array:
    """Whole capacitance at v and at the filters' outputs, as made and parasitic, F, (4, N)."""
    inputs, synapses = (design.input_code != 0).sum(axis=1), (design.readout_code != 0).sum(axis=0)
    return design.made(design.capacitor) + parasitic(design.cells, design.present, inputs, synapses)


def pole_parasitic(cells: Cells) -> Array:
    """Capacitance that the low-pass's own transconductors add at the four poles, F. The sums' is left out."""
    into, out = cells.input_parasitic[1], cells.output_parasitic[1]
    return np.array([2.0 * into + out] * 3 + [into + out])


def parasitic(
    cells: Cells, present: NDArray[np.bool_], inputs: NDArray[np.int_], synapses: NDArray[np.int_]
) -> Array:
    """Capacitance that the transconductors themselves add at v and at the filters' outputs, F, (4, N).

    An element's sensing input loads v or the filter it listens to; a filter's input loads v, and so do the outputs of
    the input transconductors and the synapses' inputs, so many (N,) of each.
    """
    plain, wide, synapse = 0, 1, 2
    result = np.zeros((4, present.shape[1]))
    result[0] += inputs * cells.output_parasitic[wide] + synapses * cells.input_parasitic[synapse]
    for branch, kind in enumerate(BRANCH_CELL[: LEAK + 1]):
        cell = plain if kind == "ota" else wide
        result[0] += present[branch] * cells.output_parasitic[cell]
        listens = 0 if branch == LEAK else ELEMENT_FILTER[branch] + 1
        target = np.where(present[LEAK + listens], listens, 0) if listens else np.zeros(present.shape[1], int)
        np.add.at(result, (target, np.arange(present.shape[1])), present[branch] * cells.input_parasitic[cell])
    for row in range(1, 4):
        has = present[LEAK + row]
        result[0] += has * cells.input_parasitic[wide]
        result[row] += has * (cells.input_parasitic[wide] + cells.output_parasitic[wide])
    return result


def as_spec(design: MappedDesign) -> ModelSpec:
    """What the hardware means, in model units: the inverse of `map_spec`, with the chip's deviations in it.

    A synapse's random offset is not: all synapses of a ModelSpec share one threshold.
    """
    scale, gain = design.scale, row_gain(design)
    current = design.row_bias() * gain
    shift = row_offset(design) / scale.volt
    reference = (design.references() - design.technology.analog_ground) / scale.volt
    has_filter = design.present[LEAK + 1 :]
    capacitor = load_capacitance(design)
    # A larger membrane capacitor slows V alone: every current shrinks with it and every filter stays.
    slowing = capacitor[0] / scale.farad
    absent_tau = np.array([[0.0], [1.0], [1.0]])
    filters = slice(LEAK + 1, len(BRANCHES))
    filter_current = np.where(has_filter, current[filters], 1.0)
    tau = np.where(has_filter, capacitor[1:] * scale.volt / (filter_current * scale.second), absent_tau)
    # Which OTA input the reference is on decides the sign with which its offset moves delta; see neuron.cir.j2.
    delta = reference[:4] + np.array([[1.0], [-1.0], [1.0], [-1.0]]) * shift[:4]
    neurons = Neurons(
        alpha=np.where(design.present[:4], current[:4] / scale.amp / slowing, 0.0),
        delta=np.where(design.present[:4], delta, 0.0),
        tau=tau,
        leak=current[LEAK] / scale.amp / slowing,
        rest=reference[LEAK] - shift[LEAK],
        offset=np.where(has_filter, -shift[filters], 0.0),
        leak_curve=design.leak_curve,
        filter_curve=design.filter_curve,
    )
    inputs = slice(len(BRANCHES), len(BRANCHES) + design.input_code.shape[1])
    weights = current[inputs].T / scale.amp * np.sign(design.input_code)
    heard = input_constant(design).sum(axis=0)
    constant = row_constant(design)[:LEAK].sum(axis=0)
    return ModelSpec(
        neurons=neurons,
        weights=weights / slowing[:, None],
        bias=((design.offset_current() + constant) / scale.amp + heard) / slowing,
        synapse=design.synapse,
        readout=_readout(design, current[inputs.stop :]),
        input_curve=design.input_curve,
        task=design.task,
        step=design.step,
        integrator="euler" if design.integrator == "euler" else "split",
    )


def _readout(design: MappedDesign, current: Array) -> Readout | None:
    """`current` (outputs, N) is what the synapses give at their full output, A."""
    if not len(design.readout_offset):
        return None
    unit = float(design.pole_current[0]) * design.readout_span
    weights = np.sign(design.readout_code) * current / unit
    offset = design.readout_offset * design.readout_unit / unit
    return Readout(weights, offset, design.readout_tau / design.scale.second)
