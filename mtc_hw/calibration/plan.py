"""What a calibration does to a chip, step by step: a plan, in TOML."""

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mtc_hw.calibration.observables import Curves
from mtc_hw.calibration.setting import KNOBS, Knob
from mtc_hw.errors import DataError
from mtc_hw.resources import folder
from mtc_hw.violations import violations

Small = Annotated[float, Field(gt=0, le=10.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Budget = Annotated[int, Field(ge=1, le=10_000)]


LEAST_STEPS = 5
"""Of a sweep, so that a curve can be fitted."""


def _fittable(curves: Curves) -> Curves:
    if (curves.sweep[1] - curves.sweep[0]) / curves.step < LEAST_STEPS:
        raise ValueError(f"the sweep must hold {LEAST_STEPS} steps of {curves.step:g}")
    return curves


Swept = Annotated[Curves, AfterValidator(_fittable)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(_Strict):
    """A quantity of a neuron's firing and what it is to be: a number, or what the model does."""

    quantity: str
    current: Finite = 0.0  # unit currents, held on top of the neuron's own stimulus
    value: Literal["model"] | Finite = "model"
    tolerance: Small = 0.02
    relative: bool = True  # whether the tolerance is a share of the value
    noise: Annotated[float, Field(ge=0, le=1.0)] = 0.0  # of the measurement, a share of the value: a bound


class CurvesStep(_Strict):
    """Every transconductor's DC curve is measured; each trim goes to where the chip's current is the model's.

    First each OTA by itself, its gain and its zero; then all trims of a neuron together, along the course that the
    model takes. `bias` (relative), `reference` (unit voltages) and `constant` (unit currents) are how far a trim may
    be expected from where its own OTA's curve puts it; `accuracy` (unit currents) is what the curves are good for.
    """

    method: Literal["curves"]
    curves: Swept = Curves()
    knobs: Annotated[tuple[Knob, ...], Field(min_length=1)] = tuple(sorted(KNOBS))
    bias: Small = 0.03
    reference: Small = 0.05
    constant: Small = 0.1
    accuracy: Small = 0.0015


class SearchStep(_Strict):
    """Trims of a neuron are turned until what it does is on target: knobs by name, such as "bias.slow_positive"."""

    method: Literal["bisection", "gauss-newton", "surrogate"]
    knobs: Annotated[tuple[str, ...], Field(min_length=1)]
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    duration: Annotated[float, Field(gt=0, le=1e6)]  # tau_m of each run
    budget: Budget = 24  # runs at most
    reach: Annotated[float, Field(gt=0, le=1.0)] = 1.0  # how far knobs may turn either way, as a share of their range
    seed: Annotated[int, Field(ge=0)] = 0  # of the surrogate's first points

    @property
    def runs(self) -> int:
        """Of each measurement: one for each current."""
        return len({target.current for target in self.targets})

    @model_validator(mode="after")
    def _one_knob(self) -> Self:
        if self.method == "bisection" and (len(self.knobs), len(self.targets)) != (1, 1):
            raise ValueError("a bisection turns one knob on one target; use gauss-newton for coupled ones")
        return self


class CheckStep(_Strict):
    """The curves once more, with the codes as they are: is the neuron's current the model's, along its course?

    A search that follows judges anew, by its own targets; the residual stays that of the check.
    """

    method: Literal["check"]
    curves: Swept = Curves()
    tolerance: Small = 0.1  # unit currents, rms


class ReadoutStep(_Strict):
    """The low-pass's gain by its first pole's bias, its zero by the constant current of the sum."""

    method: Literal["readout"]


class RefitStep(_Strict):
    """New readout weights from the chip's own features, near the trained ones; then the low-pass once more.

    The low-pass at rest, and then in use: what the network answers is looked at, and looked at again if it was off.
    """

    method: Literal["refit"]
    samples: Annotated[int, Field(ge=50, le=100_000)] = 1000
    burn_in: Annotated[int, Field(ge=0, le=100_000)] = 250  # samples before them that do not count
    look: Annotated[int, Field(ge=0, le=100_000)] = 200  # samples of such a look; 0: none

    @property
    def runs(self) -> int:
        """Of the whole network, at most."""
        return 1 + (LOOKS if self.look else 0)


LOOKS = 2  # at most, that a refit is followed by
Step = CurvesStep | SearchStep | CheckStep | ReadoutStep | RefitStep


class Plan(_Strict):
    """Which knobs turn on which observables, in what order, and how well is well enough."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
    measurements: Budget = 40  # of each neuron at most, see `observables.Request.cost`
    steps: tuple[Annotated[Step, Field(discriminator="method")], ...]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        methods = [each.method for each in self.steps]
        if not methods:
            raise ValueError("a plan has one step or more")
        chip = [i for i, method in enumerate(methods) if method in ("readout", "refit")]
        if chip and any(method not in ("readout", "refit") for method in methods[chip[0] :]):
            raise ValueError("readout and refit come after all steps of single neurons")
        if "curves" in methods and "check" not in methods[_last(methods, "curves") :]:
            raise ValueError("a check must follow the last step of curves: what is not measured is no success")
        return self

    @property
    def neuron_steps(self) -> tuple[CurvesStep | SearchStep | CheckStep, ...]:
        return tuple(each for each in self.steps if isinstance(each, CurvesStep | SearchStep | CheckStep))

    @property
    def readout_steps(self) -> tuple[ReadoutStep | RefitStep, ...]:
        return tuple(each for each in self.steps if isinstance(each, ReadoutStep | RefitStep))

    @property
    def refit(self) -> RefitStep | None:
        return next((each for each in self.steps if isinstance(each, RefitStep)), None)

    def with_refit(self, samples: int) -> Self:
        """The plan with a refit of the readout on so many samples; 0: without one."""
        others = tuple(each for each in self.steps if not isinstance(each, RefitStep))
        own = (self.refit or RefitStep(method="refit")).model_copy(update={"samples": samples})
        return self.model_copy(update={"steps": (*others, own) if samples else others})

    def digest(self) -> str:
        """SHA-256 of everything in it, hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def _last(methods: Sequence[str], method: str) -> int:
    return max(i for i, each in enumerate(methods) if each == method)


def shipped_plans() -> dict[str, Path]:
    return {path.stem: path for path in sorted((folder("calibration") / "plans").glob("*.toml"))}


def load_plan(name_or_path: str) -> Plan:
    """A shipped plan by name, or a user's file. Raises DataError with every violation."""
    shipped = shipped_plans()
    path = shipped.get(name_or_path, Path(name_or_path))
    try:
        return Plan.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise DataError(f"plan {path}: {violations(error)}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"plan {path}: {error}; shipped plans: {', '.join(shipped)}") from None
