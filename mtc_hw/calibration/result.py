"""What a calibration found: codes, how well they do, for which neurons it failed and why, and of what chip."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtc_hw.errors import DataError
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.fields import load_fields, save_fields
from mtc_hw.spec import Array

FORMAT, VERSION = "mtc_hw calibration", 4
TRIMS = ("bias_trim", "reference_trim", "input_trim", "offset_trim")


@dataclass(frozen=True)
class Identity:
    """Of which design a result is. Each part is a digest or what a person would ask for first."""

    design: str  # of the whole design without deviations, before the calibration
    spec: str  # of the ModelSpec that was mapped
    technology: str
    size: str  # of the unit transistor
    converters: str  # bits and steps of all converters
    codes: str  # that the mapper set

    @staticmethod
    def of(design: MappedDesign) -> "Identity":
        """Of a design, a chip of it included; trims and readout codes that it has count as another version."""
        nominal, cells = dataclasses.replace(design, deviations=None), design.cells
        names = [each.name for each in dataclasses.fields(design) if each.name.endswith("_dac")]
        dacs = [getattr(design, name) for name in names if name != "readout_dac"]  # whose step is a readout's own
        codes = [getattr(design, f"{name}_code") for name in ("bias", "reference", "input", "offset")]
        corner = f"{design.technology.corner} {design.technology.supply:g} V {design.technology.temperature:g} C"
        return Identity(
            design=nominal.digest,
            spec=design.spec_digest,
            technology=f"{design.technology.name} {corner}",
            size=f"{cells.width * 1e6:g}/{cells.length * 1e6:g} um",
            converters=_digest(repr((dacs, design.trim)).encode()),
            codes=_digest(b"".join(each.tobytes() for each in codes)),
        )


def _digest(said: bytes) -> str:
    return hashlib.sha256(said).hexdigest()


@dataclass(frozen=True, eq=False)
class ReadoutSetting:
    """The readout's codes."""

    code: Array  # (outputs, N)
    lsb: float  # A, of the synapses' converter: the largest weight is its full scale
    offset: Array  # (outputs,)
    pole_code: Array  # (4,)

    @staticmethod
    def of(design: MappedDesign) -> "ReadoutSetting":
        return ReadoutSetting(design.readout_code, design.readout_dac.lsb, design.readout_offset, design.pole_code)

    def on(self, design: MappedDesign) -> MappedDesign:
        return dataclasses.replace(
            design,
            readout_code=self.code,
            readout_dac=dataclasses.replace(design.readout_dac, lsb=self.lsb),
            readout_offset=self.offset,
            pole_code=self.pole_code,
        )


@dataclass(frozen=True, eq=False)
class Look:
    """One turn of a calibration: the trims that were measured, and what came of it."""

    step: str  # of the plan, by number and method
    bias_trim: Array  # (8, N)
    reference_trim: Array  # (5, N)
    input_trim: Array  # (N, inputs)
    offset_trim: Array  # (N,)
    quantity: tuple[str, ...]  # what was observed, (Q,)
    observed: Array  # (Q, N); NaN where it could not be measured


@dataclass(frozen=True, eq=False)
class Result:
    """One chip's calibration."""

    plan: str
    plan_digest: str
    identity: Identity
    instrument: str  # what was measured on
    version: str  # of mtc_hw
    bias_trim: Array  # (8, N)
    reference_trim: Array  # (5, N)
    input_trim: Array  # (N, inputs)
    offset_trim: Array  # (N,)
    readout: ReadoutSetting  # the last one
    trained: ReadoutSetting  # before a refit; the same without one
    residual: Array  # (N,) rms error of the neuron's current along the model's course, unit currents; NaN unmeasured
    success: NDArray[np.bool_]  # (N,) of the neurons: measured to be on target with these very codes
    reason: tuple[str, ...]  # (N,) why not; "" with success
    readout_reason: str  # why the readout could not be calibrated; "" where it was, or there is none
    bounds: tuple[tuple[str, ...], ...]  # (N,) trims at the end of their range
    measurements: Array  # (N,)
    history: tuple[Look, ...]

    @property
    def succeeded(self) -> bool:
        """Whether every neuron, and the readout, is on target."""
        return bool(self.success.all()) and not self.readout_reason

    def digest(self) -> str:
        """SHA-256 over the codes, hexadecimal."""
        parts = [getattr(self, name) for name in TRIMS] + [self.readout.code, self.readout.pole_code]
        return _digest(b"".join(np.ascontiguousarray(each).tobytes() for each in parts))


def apply(result: Result, design: MappedDesign, trained_readout: bool = False) -> MappedDesign:
    """The design, or a virtual chip of it, with the result's codes; with the readout of before the refit if asked.

    Raises DataError, with what differs, when the result was made for another design or another version of it.
    """
    own = Identity.of(design)
    if own != result.identity:
        raise DataError(f"this calibration, plan {result.plan}, does not fit: {_difference(result.identity, own)}")
    readout = result.trained if trained_readout else result.readout
    trims = {name: getattr(result, name) for name in TRIMS}
    return readout.on(dataclasses.replace(design, **trims))


def _difference(made: Identity, own: Identity) -> str:
    if made.spec != own.spec:
        return f"it is of network {made.spec[:16]}, the design of {own.spec[:16]}; calibrate this one"
    for name in ("technology", "size"):
        if getattr(made, name) != getattr(own, name):
            return f"it is of {name} {getattr(made, name)}, the design of {getattr(own, name)}; calibrate this one"
    if made.converters != own.converters:
        return "the design's converters have other bits or steps; calibrate this version"
    if made.codes != own.codes:
        return "the design's codes are others, it was mapped or edited since; calibrate this version"
    return (
        f"it is of design {made.design[:16]}, this is {own.design[:16]}, which has trims, capacitors or readout "
        "codes of its own; calibrate this version"
    )


def save_result(result: Result, path: Path) -> None:
    save_fields(result, path, FORMAT, VERSION)


def load_result(path: Path) -> Result:
    """Raises DataError for a file that holds no calibration."""
    result: Result = load_fields(Result, path, FORMAT, VERSION, "calibrate again")
    return result
