"""Names of trims, such as `bias.fast_negative`, and the codes that they stand for."""

import dataclasses
import difflib
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration.search import Space
from mtc_hw.errors import DataError
from mtc_hw.hardware.dac import Codes, Dac
from mtc_hw.hardware.design import BRANCHES, LEAK, MappedDesign
from mtc_hw.spec import FILTERS

IDEAL_STEPS = 1024
"""Steps of an ideal converter, whose codes need not be whole, from zero to its reach either way."""


@dataclass(frozen=True)
class Trim:
    """One trim code of every neuron. A search turns it by whole steps: codes, or parts of an ideal converter's reach.

    name            what it moves
    bias.ELEMENT    an element's bias current: fast_negative, slow_positive, slow_negative, ultraslow_positive; so its
                    alpha; `bias.leak` the leak's
    filter.FILTER   the bias current of the fast, slow or ultraslow filter, so its rate
    reference.ELEMENT    an element's reference voltage, so its delta; `reference.leak` where the leak rests
    input.NUMBER    an input transconductor's bias current, so its weight
    offset          the constant current into the membrane
    """

    name: str
    array: str  # of MappedDesign
    row: int  # of the array, or its column where a neuron is a line
    step: float  # of the design's code
    reach: float  # steps either way

    def of(self, design: MappedDesign) -> Codes:
        """Its codes on a design, (N,)."""
        return self.part(getattr(design, self.array))

    def part(self, values: Codes) -> Codes:
        """A view of its own in the design's array, (N,)."""
        if self.array == "offset_trim":
            return values
        return values[:, self.row] if self.array == "input_trim" else values[self.row]

    def present(self, design: MappedDesign) -> NDArray[np.bool_]:
        """Which neurons have what it trims, (N,)."""
        if self.array == "offset_trim":
            return np.ones(design.count, dtype=np.bool_)
        if self.array == "input_trim":
            return np.asarray(design.input_code[:, self.row] != 0)
        return np.asarray(design.present[self.row])


def available(design: MappedDesign) -> tuple[Trim, ...]:
    """Every trim that a design has."""
    trim = design.trim
    elements = BRANCHES[: LEAK + 1]
    return (
        *(_trim(f"bias.{name}", "bias_trim", row, trim.current) for row, name in enumerate(elements)),
        *(_trim(f"filter.{name}", "bias_trim", LEAK + 1 + row, trim.current) for row, name in enumerate(FILTERS)),
        *(_trim(f"reference.{name}", "reference_trim", row, trim.reference) for row, name in enumerate(elements)),
        *(_trim(f"input.{i}", "input_trim", i, trim.current) for i in range(design.input_trim.shape[1])),
        _trim("offset", "offset_trim", 0, trim.offset),
    )


def _trim(name: str, array: str, row: int, dac: Dac) -> Trim:
    if dac.bits is None:
        # An ideal trim converter's lsb is its whole reach.
        return Trim(name, array, row, 1.0 / IDEAL_STEPS, float(IDEAL_STEPS))
    return Trim(name, array, row, 1.0, dac.limits[1])


def resolve(design: MappedDesign, names: Sequence[str]) -> tuple[Trim, ...]:
    """The trims of these names, in their order; `bias.*` means all of a kind. Raises DataError with all violations.

    A trim that is named twice counts once; what no neuron of the design has is left out of a `*`.
    """
    every = {trim.name: trim for trim in available(design)}
    found: dict[str, Trim] = {}
    wrong = []
    for name in names:
        if "*" in name:
            kind = [trim for each, trim in every.items() if fnmatch.fnmatchcase(each, name)]
            matches = [trim for trim in kind if trim.present(design).any()]
        else:
            matches = [every[name]] if name in every else []
        if not matches:
            wrong.append(_unknown(name, list(every)))
        found |= {trim.name: trim for trim in matches}
    if wrong or not found:
        raise DataError("; ".join([*(wrong or ["no knob is named"]), f"there are: {', '.join(every)}"]))
    return tuple(found.values())


def _unknown(name: str, every: list[str]) -> str:
    near = difflib.get_close_matches(name, every, n=1)
    return f"{name[:100]!r} is no knob" + (f", did you mean {near[0]!r}" if near else "")


def read(design: MappedDesign, trims: Sequence[Trim]) -> Codes:
    """What they are set to, steps, (K, N); NaN where a neuron does not have one."""
    rows = [np.where(trim.present(design), np.rint(trim.of(design) / trim.step), np.nan) for trim in trims]
    return np.array(rows).reshape(len(trims), design.count)


def write(
    design: MappedDesign, trims: Sequence[Trim], codes: Codes, mask: NDArray[np.bool_] | None = None
) -> MappedDesign:
    """The design with these steps (K, N) set; where they are NaN, and in neurons outside the mask (N,), it stays.

    Raises DataError for another shape and for steps that a converter does not have.
    """
    if codes.shape != (len(trims), design.count):
        raise DataError(f"codes have shape {codes.shape}; {len(trims)} knobs of {design.count} neurons were named")
    chosen = np.ones(design.count, dtype=np.bool_) if mask is None else mask
    arrays: dict[str, Codes] = {trim.array: getattr(design, trim.array).copy() for trim in trims}
    for trim, steps in zip(trims, codes, strict=True):
        turned = chosen & np.isfinite(steps) & trim.present(design)
        beyond = turned & (np.abs(steps) > trim.reach)
        if beyond.any():
            n = int(np.flatnonzero(beyond)[0])
            raise DataError(
                f"{trim.name} of neuron {n} is {steps[n]:g}; it goes from -{trim.reach:g} to {trim.reach:g}"
            )
        trim.part(arrays[trim.array])[turned] = steps[turned] * trim.step
    changed: dict[str, Any] = arrays
    return dataclasses.replace(design, **changed)


def at_bounds(design: MappedDesign) -> tuple[tuple[str, ...], ...]:
    """Of each neuron, which trims a calibration would turn further than they go; ideal ones go on."""
    ends = [
        (f"{trim.name} at its bound", np.abs(trim.of(design)) >= trim.reach)
        for trim in available(design)
        if trim.step == 1.0
    ]
    return tuple(tuple(text for text, there in ends if there[neuron]) for neuron in range(design.count))


def space(design: MappedDesign, trims: Sequence[Trim], share: float = 1.0) -> Space:
    """The steps that the trims have, at most so large a share of their whole range from what they are set to now."""
    start = read(design, trims)
    reach = np.where(np.isfinite(start), np.array([trim.reach for trim in trims])[:, None], np.nan)
    far = np.ceil(share * 2.0 * reach)
    low, high = np.maximum(start - far, -reach), np.minimum(start + far, reach)
    return Space(tuple(trim.name for trim in trims), low, high, start)
