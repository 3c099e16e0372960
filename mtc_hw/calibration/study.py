"""What a calibration of many chips asks: everything that decides what becomes of a chip, and nothing else."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from mtc_hw.calibration_plan import Plan
from mtc_hw.course import Course
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.montecarlo.study import Study
from mtc_hw.spec import ModelSpec

FORMAT = 1  # of results: another number, and every chip is calibrated anew
LANES = 64
"""Neurons that are calibrated together on a compiled tier: enough for whole vectors, few enough that a kill costs
little."""


@dataclass(frozen=True, eq=False)
class CalibrationStudy:
    """Virtual chips of a design, each to be run with the nominal chip's codes, calibrated, and run again."""

    chips: Study  # which they are and what they do; their one place has the design with the nominal chip's codes
    design: MappedDesign  # with the codes that the mapping gave, without deviations
    target: ModelSpec
    course: Course  # of the target
    plan: Plan
    noise: float = 0.0  # of each measured value, relative, standard deviation

    def __post_init__(self) -> None:
        if len(self.chips.places) != 1:
            raise DataError(f"{len(self.chips.places)} conditions to calibrate at; give one")
        if not 0.0 <= self.noise < 1.0:
            raise DataError(f"noise is {self.noise:g}; it must be from 0 to below 1, such as 0.01")

    @cached_property
    def key(self) -> str:
        """SHA-256, hexadecimal: with a sample's number the address of its result."""
        course = hashlib.sha256()
        for values in (self.course.voltage, self.course.filtered, self.course.inputs):
            course.update(values.tobytes())
        said = {
            "format": FORMAT,
            "chips": self.chips.digest,
            "design": self.design.digest,
            "target": self.target.digest(),
            "course": course.hexdigest(),
            "plan": plan_digest(self.plan),
            "noise": self.noise,
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def before(self, sample: int) -> MappedDesign:
        """A virtual chip with the nominal chip's codes."""
        return self.chips.chip(self.chips.places[0], sample)

    def chip(self, sample: int) -> MappedDesign:
        """The same with the codes of the mapping."""
        return dataclasses.replace(self.design, deviations=self.before(sample).deviations)

    def blocks(self, samples: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Samples in the portions that a worker takes: in ngspice a chip each."""
        size = max(1, LANES // self.design.count) if self.chips.compiled else 1
        for first in range(0, len(samples), size):
            yield tuple(samples[first : first + size])


def plan_digest(plan: Plan) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(plan.model_dump_json().encode()).hexdigest()
