"""Chips trimmed before they are judged or taken into the loop: by a plan, each towards its own network."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mtc_hw.analysis.tiers import CompiledTier
from mtc_hw.calibration.calibrate import calibrate_chips
from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.plan import Plan
from mtc_hw.calibration.purpose import Lesson, Purpose
from mtc_hw.calibration.result import apply
from mtc_hw.courses import task_course
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.model.tasks import Split
from mtc_hw.spec import ModelSpec

TOGETHER = 8
"""Chips whose neurons are measured side by side."""


@dataclass(frozen=True, eq=False)
class Trimmed:
    """The same chips, as a calibration leaves them."""

    chips: tuple[MappedDesign, ...]  # with the trained readout's weights
    refitted: tuple[MappedDesign, ...] | None = None  # with weights of their own
    success: tuple[float, ...] = ()  # share of each chip's neurons that are on target


class Calibrate(Protocol):
    """Trims chips of a design, each as far as it can, towards what the network means."""

    def __call__(self, target: ModelSpec, chips: Sequence[MappedDesign], split: Split) -> Trimmed: ...


def untrimmed(target: ModelSpec, chips: Sequence[MappedDesign], split: Split) -> Trimmed:
    """As they came."""
    return Trimmed(tuple(chips))


@dataclass(frozen=True, eq=False)
class ByPlan:
    """A calibration by a plan, on a tier without ngspice."""

    plan: Plan
    tier: CompiledTier = "cells"
    threads: int = 1

    def __call__(self, target: ModelSpec, chips: Sequence[MappedDesign], split: Split) -> Trimmed:
        purpose = Purpose(target, task_course(target, split), lesson=self._lesson(split))
        nominal = dataclasses.replace(chips[0], deviations=None)
        results = []
        for first in range(0, len(chips), TOGETHER):
            part = chips[first : first + TOGETHER]
            single = [CompiledInstrument([each], self.tier, self.threads) for each in part]
            together = CompiledInstrument(part, self.tier, self.threads)
            results += calibrate_chips(nominal, purpose, together, single, self.plan)
        trained = tuple(apply(each, chip, True) for each, chip in zip(results, chips, strict=True))
        own = tuple(apply(each, chip) for each, chip in zip(results, chips, strict=True)) if self.plan.refit else None
        return Trimmed(trained, own, tuple(float(each.success.mean()) for each in results))

    def _lesson(self, split: Split) -> Lesson | None:
        """The end of the training part."""
        step = self.plan.refit
        if step is None:
            return None
        kept = slice(-(step.samples + step.burn_in), None)
        return Lesson(split.train.inputs[kept, None], split.train.targets[kept])
