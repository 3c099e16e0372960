"""The parts that describe a process: transistors with their mismatch, legal sizes; and how their faults are told."""

import math
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mtc_hw.errors import TechnologyError
from mtc_hw.violations import violations

Kind = Literal["nmos", "pmos"]
KINDS: tuple[Kind, ...] = ("nmos", "pmos")
CORNERS = ("tt", "ff", "ss", "sf", "fs")
"""Typical, fast and slow; of a mixed corner the first letter is the nMOS. The same names for every technology."""

# Rust's regular expressions, which pydantic uses: `$` is the end of the text, never before a newline.
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Text = Annotated[str, Field(pattern=r"^[ -~]+$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Sigma = Annotated[float, Field(ge=0, lt=0.5)]
Celsius = Annotated[float, Field(gt=-100, lt=250)]
STRICT = ConfigDict(frozen=True, extra="forbid")


class Device(BaseModel):
    """One kind of transistor, with its Pelgrom coefficients: sigma = A / sqrt(W L) (IEEE JSSC 24(5), 1989)."""

    model_config = STRICT
    model: Name
    threshold_mismatch: Positive  # V m
    threshold_source: Text
    gain_mismatch: Positive  # m
    gain_source: Text


@dataclass(frozen=True)
class ProcessSpread:
    """Standard deviations of what all devices of a chip have in common, normal and independent of each other."""

    nmos_threshold: float  # V
    pmos_threshold: float  # V
    nmos_gain: float  # relative
    pmos_gain: float  # relative
    capacitor: float  # of the capacitors, relative (log-normal)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value < 0.5:
                raise TechnologyError(f"process spread of {field.name} is {value}; it must be at least 0, below 0.5")


class ProcessRecord(BaseModel):
    """A technology's process spread, with where the figures are from."""

    model_config = STRICT
    nmos_threshold: Sigma
    pmos_threshold: Sigma
    nmos_gain: Sigma
    pmos_gain: Sigma
    transistor_source: Text
    capacitor: Sigma
    capacitor_source: Text

    def spread(self) -> ProcessSpread:
        return ProcessSpread(**{each.name: getattr(self, each.name) for each in fields(ProcessSpread)})


class Grid(BaseModel):
    """The transistor sizes that may be drawn, m."""

    model_config = STRICT
    width: tuple[Positive, Positive]  # smallest and largest
    length: tuple[Positive, Positive]
    step: Positive

    def violations(self, width: float, length: float) -> list[str]:
        """What is wrong with a size; empty when it may be drawn."""
        wrong = []
        for name, value, (low, high) in (("width", width, self.width), ("length", length, self.length)):
            if not low <= value <= high:
                wrong.append(f"{name} {um(value)} um is outside {um(low)} to {um(high)} um")
            elif not self.holds(value):
                wrong.append(f"{name} {um(value)} um is not a multiple of {um(self.step)} um")
        return wrong

    def up(self, value: float) -> float:
        """The next multiple of the step, m, not below `value`."""
        # A millionth of a step of slack, so that 4e-6 stays 4e-6.
        return round(math.ceil(value / self.step - 1e-6) * self.step, 12)

    def holds(self, value: float) -> bool:
        """Whether a length, m, is a multiple of the step."""
        return abs(value / self.step - round(value / self.step)) < 1e-6


Model = TypeVar("Model", bound=BaseModel)


def validated(kind: type[Model], fields: dict[str, Any]) -> Model:
    """A model from its fields. Raises TechnologyError with every violation in one line."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise TechnologyError(violations(error)) from None


def um(value: float) -> str:
    """A length as a number of um."""
    return f"{value * 1e6:.6g}"
