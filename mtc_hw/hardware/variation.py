"""Where a virtual chip's draws come from: mismatch of each device or of each parameter, and the process of a chip."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from mtc_hw.errors import SpecError
from mtc_hw.hardware.bank import Bank
from mtc_hw.hardware.cells import DEVICES, Cells
from mtc_hw.hardware.design import BRANCHES, COMMON, LEAK, MAX_DEVICES, Deviations, MappedDesign
from mtc_hw.hardware.mismatch import Instance, device_counts, device_sigmas, instances, pelgrom, trim_errors
from mtc_hw.hardware.process import ProcessSpread
from mtc_hw.hardware.sampling import Sampling, normals, stream
from mtc_hw.hardware.technology import Technology
from mtc_hw.spec import Array
from mtc_hw.spread import Spread
from mtc_hw.violations import violations

PROCESS = "process"
"""Path of a chip's common draws, first in a set of points."""


@dataclass(frozen=True)
class Variation:
    """What differs from chip to chip.

    `local`, of each transconductor by itself: Pelgrom draws of its devices from the technology's figures; those of
    the PDK's own statistics ("pdk", which takes a Bank); or standard deviations of what it is to do, which its
    devices are then drawn for. `process`, of a chip as a whole. `samples` is how many chips there will be, which a
    Latin hypercube ("lhs") or Sobol' points must know beforehand.
    """

    local: Literal["pelgrom", "pdk", "none"] | Spread = "pelgrom"
    process: ProcessSpread | None = None
    sampling: Sampling = "plain"
    samples: int | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        wrong = []
        if isinstance(self.local, Spread) and self.local.current:
            wrong.append("a spread of the input current belongs to no transconductor; leave it at 0")
        if self.sampling != "plain":
            if self.local == "pdk":
                wrong.append(f"a PDK's draws are a list, which {self.sampling} cannot order; sample plainly")
            if self.samples is None or self.samples < 1:
                wrong.append(f"{self.sampling} sampling needs the number of samples, 1 or more, not {self.samples}")
            elif self.sampling == "sobol" and self.samples & (self.samples - 1):
                wrong.append(
                    f"Sobol' points are balanced in powers of two; give {1 << self.samples.bit_length()} samples or "
                    f"{1 << (self.samples.bit_length() - 1)}, not {self.samples}"
                )
        if wrong:
            raise SpecError("; ".join(wrong))

    def draw(self, design: MappedDesign, seed: int, sample: int, bank: Bank | None = None) -> MappedDesign:
        """The virtual chip (seed, sample) of a design. Raises SpecError for a sample or bank that does not fit."""
        here = instances(design)
        parts = ({PROCESS: len(COMMON) + 1} if self.process else {}) | self._parts(here)
        normal = normals(parts, seed, sample, self.sampling, self.samples)
        if self.local == "pdk":
            threshold, width = _banked(design, here, seed, sample, _checked(bank, design))
        elif isinstance(self.local, Spread):
            threshold, width = _parametric(design, here, self.local, normal)
        elif self.local == "pelgrom":
            threshold, width = pelgrom(design, here, normal)
        else:
            threshold, width = _nothing(design)
        common = np.zeros(len(COMMON) + 1)
        if self.process is not None:
            common = normal[PROCESS] * [getattr(self.process, name) for name in (*COMMON, "capacitor")]
        everywhere = np.repeat(common[:, None], design.count, axis=1)
        trims = trim_errors(design, seed, sample) if self.local in ("pelgrom", "pdk") else ()
        drawn = Deviations(seed, sample, threshold, width, everywhere[:-1], everywhere[-1], *trims)
        return dataclasses.replace(design, deviations=drawn)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file or a digest."""
        return dataclasses.asdict(self)

    def _parts(self, here: Sequence[Instance]) -> dict[str, int]:
        """How many numbers each instance takes, by path."""
        if self.local == "pelgrom":
            return device_counts(here)
        if isinstance(self.local, Spread):
            return {each.path: 2 for each in here if each.row < len(BRANCHES)}
        return {}


def variation_of(fields: Any) -> Variation:
    """`Variation.to_json` back. Raises SpecError with every violation in one line."""
    try:
        return _ADAPTER.validate_python(fields, strict=False)
    except ValidationError as error:
        raise SpecError(f"no variation: {violations(error)}") from None


_ADAPTER: TypeAdapter[Variation] = TypeAdapter(Variation)


def _nothing(design: MappedDesign) -> tuple[Array, Array]:
    shape = len(design.rows), MAX_DEVICES, design.count
    return np.zeros(shape), np.zeros(shape)


def _checked(bank: Bank | None, design: MappedDesign) -> Bank:
    if bank is None:
        raise SpecError("draws of the PDK come from a bank; measure it with mtc_hw.pdk_statistics.bank_for")
    wanted = (design.technology.digest(), design.cells.width, design.cells.length)
    if (bank.technology, bank.width, bank.length) != wanted:
        raise SpecError("the bank of PDK draws is of another technology, corner or size than the design")
    return bank


def _banked(
    design: MappedDesign, here: Sequence[Instance], seed: int, sample: int, bank: Bank
) -> tuple[Array, Array]:
    threshold, width = _nothing(design)
    for each in here:
        drawn = bank.of(each.kind, stream(seed, sample, each.path))
        devices = slice(len(DEVICES[each.kind]))
        threshold[each.row, devices, each.neuron], width[each.row, devices, each.neuron] = drawn
    return threshold, width


def _parametric(
    design: MappedDesign, here: Sequence[Instance], spread: Spread, normal: dict[str, Array]
) -> tuple[Array, Array]:
    """Devices that give each branch's drawn gain and offset; inputs and synapses have none."""
    threshold, width = _nothing(design)
    volt = design.scale.volt
    elements, leak, filters = (spread.alpha, spread.delta), (spread.leak, spread.rest), (spread.tau, spread.offset)
    answers = {kind: response(design.technology, design.cells, kind) for kind in ("ota", "wide_ota")}
    for each in here:
        if each.path not in normal:
            continue
        gain, offset = elements if each.row < LEAK else leak if each.row == LEAK else filters
        by_gain, by_offset = answers[each.kind]
        drawn = normal[each.path]
        devices = drawn[0] * gain * by_gain + drawn[1] * offset * volt * by_offset
        threshold[each.row, : devices.shape[1], each.neuron] = devices[0]
        width[each.row, : devices.shape[1], each.neuron] = devices[1]
    return threshold, width


def response(technology: Technology, cells: Cells, kind: str) -> tuple[Array, Array]:
    """Devices' thresholds, V, and widths, (2, devices) each: one for ln(gain) = 1, one for an offset of 1 V.

    Of all that give the one and neither the other nor a constant current, what Pelgrom's figures make most likely:
    the least norm in the devices' standard deviations. A cell is linear in them to first order.
    """
    cell = getattr(cells, kind)
    sigma = np.concatenate(device_sigmas(technology, kind, cells.width, cells.length))
    rows = np.array(
        [
            np.append(getattr(cell, f"{quantity}_per_threshold"), getattr(cell, f"{quantity}_per_width")) * sigma
            for quantity in ("gain", "offset", "constant")
        ]
    )
    size = np.linalg.norm(rows, axis=1)
    size[size == 0.0] = 1.0  # a wide OTA has no constant
    solved = np.linalg.pinv(rows / size[:, None]) / size * sigma[:, None]
    return solved[:, 0].reshape(2, -1), solved[:, 1].reshape(2, -1)
