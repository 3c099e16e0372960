"""MappedDesign: a network as codes, capacitors and sizes, with or without a virtual chip's deviations. SI units."""

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mtc_hw.hardware.cells import DEVICES, Cell, Cells
from mtc_hw.hardware.dac import Codes, Dac
from mtc_hw.hardware.scale import Scale
from mtc_hw.hardware.technology import Technology
from mtc_hw.spec import ELEMENT_FILTER, ELEMENTS, AnySynapse, Array, Curve, ModelSpec, Neurons, Readout, Task

BRANCHES = (*ELEMENTS, "leak", "fast_filter", "slow_filter", "ultraslow_filter")
"""The OTAs of one neuron, in the order of the rows of `MappedDesign.bias_code`."""

BRANCH_CELL = ("ota",) * 4 + ("wide_ota",) * 4
LEAK = BRANCHES.index("leak")
MAX_DEVICES = len(DEVICES["wide_ota"])


@dataclass(frozen=True, eq=False)
class Deviations:
    """One virtual chip: what each device's threshold and width differ by."""

    seed: int
    sample: int
    threshold: Array  # (8, 10, N) V, by branch, device and neuron; zero where a cell has no such device
    width: Array  # (8, 10, N) relative


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
    readout_tau: float  # s, each pole
    bias_dac: Dac  # A, for the elements and the leak
    filter_dac: Dac  # A
    reference_dac: Dac  # V
    input_dac: Dac  # A per unit voltage at the input
    offset_dac: Dac  # A
    readout_dac: Dac  # weight
    synapse: AnySynapse
    leak_curve: Curve | None  # what the model assumes of the leak; transistors are what they are
    filter_curve: Curve | None
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

    def cell(self, branch: int) -> Cell:
        return self.cells.ota if BRANCH_CELL[branch] == "ota" else self.cells.wide_ota

    def dac(self, branch: int) -> Dac:
        """The converter that biases this branch."""
        return self.bias_dac if branch <= LEAK else self.filter_dac

    def bias(self) -> Array:
        """Bias currents, A, (8, N); zero where there is no OTA."""
        rows = [self.dac(branch).decode(self.bias_code[branch]) for branch in range(len(BRANCHES))]
        return np.where(self.present, np.array(rows), 0.0)

    def take(self, index: int) -> "MappedDesign":
        """The chip with the one neuron `index`, as a population of one."""
        at = slice(index, index + 1)
        rows = ("present", "bias_code", "reference_code", "capacitor", "readout_code")
        deviations = self.deviations and dataclasses.replace(
            self.deviations, threshold=self.deviations.threshold[..., at], width=self.deviations.width[..., at]
        )
        return dataclasses.replace(
            self,
            **{name: getattr(self, name)[:, at] for name in rows},
            input_code=self.input_code[at],
            offset_code=self.offset_code[at],
            deviations=deviations,
        )


def _leaves(value: object) -> Iterator[object]:
    """Every array and scalar of nested dataclasses and models, in field order."""
    if isinstance(value, Technology):
        yield value.digest()
        if value.sizes:  # frozen cards are not in the technology's digest
            yield value.cards
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            yield each.name
            yield from _leaves(getattr(value, each.name))
    else:
        # A numpy scalar prints its type, and would not after a round trip through a file.
        yield value.item() if isinstance(value, np.generic) else value


def branch_gain(design: MappedDesign) -> Array:
    """Each OTA's gain at its own bias, the chip's deviations included, (8, N)."""
    bias = design.bias()
    nominal = np.array([design.cell(b).gain_at(bias[b]) for b in range(len(BRANCHES))])
    return nominal * np.exp(_deviation(design, "gain"))


def branch_offset(design: MappedDesign) -> Array:
    """Each OTA's random offset, V, (8, N). Systematic offsets are not in it: calibration takes those away."""
    return _deviation(design, "offset")


def branch_constant(design: MappedDesign) -> Array:
    """Current that each OTA's mismatched mirror adds to its output, A, (8, N); it goes with the tail current."""
    return design.bias() * np.exp(_deviation(design, "gain")) * _deviation(design, "constant")


def _deviation(design: MappedDesign, quantity: str) -> Array:
    result = np.zeros((len(BRANCHES), design.count))
    if design.deviations is None:
        return result
    for branch, kind in enumerate(BRANCH_CELL):
        cell = design.cell(branch)
        per_threshold, per_width = (getattr(cell, f"{quantity}_per_{cause}") for cause in ("threshold", "width"))
        for device in range(len(DEVICES[kind])):
            # Added one by one: a matrix product's last bit depends on how many neurons there are.
            result[branch] += per_threshold[device] * design.deviations.threshold[branch, device]
            result[branch] += per_width[device] * design.deviations.width[branch, device]
    return result


def parasitic(cells: Cells, present: NDArray[np.bool_]) -> Array:
    """Capacitance that the OTAs themselves add at v and at the filters' outputs, F, (4, N).

    An element's sensing input loads v or the filter it listens to; a filter's input loads v.
    """
    plain, wide = 0, 1
    result = np.zeros((4, present.shape[1]))
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
    """What the hardware means, in model units: the inverse of `map_spec`, with the chip's deviations in it."""
    scale, current = design.scale, design.bias() * branch_gain(design)
    shift = branch_offset(design) / scale.volt
    reference = (design.reference_dac.decode(design.reference_code) - design.technology.analog_ground) / scale.volt
    has_filter = design.present[LEAK + 1 :]
    capacitor = design.capacitor + parasitic(design.cells, design.present)
    # A larger membrane capacitor slows V alone: every current shrinks with it and every filter stays.
    slowing = capacitor[0] / scale.farad
    absent_tau = np.array([[0.0], [1.0], [1.0]])
    filter_current = np.where(has_filter, current[LEAK + 1 :], 1.0)
    tau = np.where(has_filter, capacitor[1:] * scale.volt / (filter_current * scale.second), absent_tau)
    # Which OTA input the reference is on decides the sign with which its offset moves delta; see neuron.cir.j2.
    delta = reference[:4] + np.array([[1.0], [-1.0], [1.0], [-1.0]]) * shift[:4]
    neurons = Neurons(
        alpha=np.where(design.present[:4], current[:4] / scale.amp / slowing, 0.0),
        delta=np.where(design.present[:4], delta, 0.0),
        tau=tau,
        leak=current[LEAK] / scale.amp / slowing,
        rest=reference[LEAK] - shift[LEAK],
        offset=np.where(has_filter, -shift[LEAK + 1 :], 0.0),
        leak_curve=design.leak_curve,
        filter_curve=design.filter_curve,
    )
    constant = branch_constant(design)[:LEAK].sum(axis=0)
    return ModelSpec(
        neurons=neurons,
        weights=design.input_dac.decode(design.input_code) / scale.amp / slowing[:, None],
        bias=(design.offset_dac.decode(design.offset_code) + constant) / scale.amp / slowing,
        synapse=design.synapse,
        readout=_readout(design),
        task=design.task,
        step=design.step,
        integrator="euler" if design.integrator == "euler" else "split",
    )


def _readout(design: MappedDesign) -> Readout | None:
    if not len(design.readout_offset):
        return None
    weights = design.readout_dac.decode(design.readout_code)
    return Readout(weights, design.readout_offset, design.readout_tau / design.scale.second)
