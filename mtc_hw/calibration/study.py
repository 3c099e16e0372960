"""What a calibration of many chips asks: everything that decides what becomes of a chip, and nothing else."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from mtc_hw.calibration.plan import Plan
from mtc_hw.calibration.purpose import Purpose
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.montecarlo.study import Study

FORMAT = 1  # of results: another number, and every chip is calibrated anew
LANES = 64
"""Neurons that are calibrated together on a compiled tier: enough for whole vectors, few enough that a kill costs
little."""


@dataclass(frozen=True, eq=False)
class CalibrationStudy:
    """Virtual chips of a design, each to be run with the nominal chip's codes, calibrated, and run again."""

    chips: Study  # which they are and what they do; their one place has the design with the nominal chip's codes
    design: MappedDesign  # with the codes that the mapping gave, without deviations
    purpose: Purpose
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
        said = {
            "format": FORMAT,
            "chips": self.chips.digest,
            "design": self.design.digest,
            "purpose": _purpose_digest(self.purpose),
            "plan": self.plan.digest(),
            "noise": self.noise,
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def before(self, sample: int) -> MappedDesign:
        """A virtual chip with the nominal chip's codes."""
        return self.chips.chip(self.chips.places[0], sample)

    def chip(self, sample: int) -> MappedDesign:
        """The same with the codes of the mapping."""
        return dataclasses.replace(self.design, deviations=self.before(sample).deviations)

    @property
    def refits(self) -> bool:
        """Whether every chip gets a readout of its own."""
        return self.plan.refit is not None and self.purpose.spec.readout is not None

    def blocks(self, samples: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Samples in the portions that a worker takes: free neurons of a compiled tier together, others one by one.

        Chips side by side have one low-pass and one noise. The same chips are together, whichever are missing.
        """
        together = self.chips.compiled and not len(self.design.readout_offset) and not self.noise
        size = max(1, LANES // self.design.count) if together else 1
        for _, group in groupby(samples, key=lambda sample: sample // size):
            yield tuple(group)


def _purpose_digest(purpose: Purpose) -> str:
    course, lesson = purpose.course, purpose.lesson
    digest = hashlib.sha256(f"{purpose.spec.digest()} {purpose.stimulus} {purpose.initial}".encode())
    for values in (course.voltage, course.filtered, course.inputs):
        digest.update(values.tobytes())
    if lesson is not None:
        digest.update(lesson.inputs.tobytes() + lesson.targets.tobytes())
    return digest.hexdigest()
