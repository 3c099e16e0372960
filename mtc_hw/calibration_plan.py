"""What a calibration may turn, and in what order: a TOML plan."""

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mtc_hw.errors import DataError
from mtc_hw.resources import folder


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _increasing(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError("the second value must be the larger")
    return limits


_Level = Annotated[float, Field(ge=-100.0, le=100.0, allow_inf_nan=False)]
_Width = Annotated[float, Field(gt=0, le=10.0, allow_inf_nan=False)]
Range = Annotated[tuple[_Level, _Level], AfterValidator(_increasing)]
"""From, to; unit voltages."""


class Trims(_Strict):
    """Which codes of a group of OTAs may move."""

    bias: bool = True
    reference: bool = True


class FieldTrim(_Strict):
    """The last trim: all codes of a neuron together, so that dV/dt along the model's own course is the model's.

    `bias` (relative), `reference` (unit voltages) and `constant` (unit currents) are how far a code may be expected
    to move from where its own OTA's sweep put it; `accuracy` (unit currents) is what the sweeps are good for.
    """

    rounds: Annotated[int, Field(ge=0, le=20)] = 2
    bias: _Width = 0.03
    reference: _Width = 0.05
    constant: _Width = 0.1
    accuracy: _Width = 0.003


class ReadoutTrim(_Strict):
    ridge: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-5  # per sample


class Plan(_Strict):
    """Which knobs turn on which observables, and in what order: elements, linear OTAs, the whole current, readout."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
    rounds: Annotated[int, Field(ge=1, le=20)] = 1
    sweep: Range = (-5.0, 4.5)
    step: Annotated[float, Field(gt=0.001, le=1.0)] = 0.25
    outputs: Annotated[tuple[_Level, ...], Field(min_length=3)] = (-4.0, -2.5, -1.0, 0.5, 2.0, 3.5)
    elements: Trims = Trims()
    linear: Trims = Trims()
    field: FieldTrim = FieldTrim()
    readout: ReadoutTrim = ReadoutTrim()

    @model_validator(mode="after")
    def _even_outputs(self) -> Self:
        steps = {round(b - a, 6) for a, b in zip(self.outputs, self.outputs[1:], strict=False)}
        if len(steps) != 1 or min(steps) <= 0:
            raise ValueError("outputs must rise in equal steps")
        if (self.sweep[1] - self.sweep[0]) / self.step < 5:
            raise ValueError(f"the sweep must hold five steps of {self.step:g}")
        return self


def load_plan(name_or_path: str) -> Plan:
    """A shipped plan by name, or a user's file. Raises DataError with every violation."""
    shipped = {path.stem: path for path in sorted((folder("calibration") / "plans").glob("*.toml"))}
    path = shipped.get(name_or_path, Path(name_or_path))
    try:
        return Plan.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc'])) or 'it'} is {e['input']!r}: {e['msg']}" for e in error.errors()]
        raise DataError(f"plan {path}: " + "; ".join(wrong)) from None
    except (OSError, ValueError) as error:
        raise DataError(f"plan {path}: {error}; shipped plans: {', '.join(shipped)}") from None
