"""How a network does on mismatched chips: R2 of each with the trained readout and with one of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtc_hw.codesign.trimming import Trimmed
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.variation import Variation
from mtc_hw.metrics import r2
from mtc_hw.model.tasks import Examples, Split
from mtc_hw.montecarlo.compiled import simulated
from mtc_hw.montecarlo.study import DrivenNetwork, Series, Study, Tier, one_place
from mtc_hw.simulate.network import run_networks
from mtc_hw.simulate.pool import Runner
from mtc_hw.spec import Array

BURN_IN = 250  # samples that only bring a network into step
RIDGE = 1e-5  # per sample, of a readout of a chip's own


@dataclass(frozen=True)
class VerifyOptions:
    """On what chips are judged."""

    tier: Tier = "cells"
    test: int = 1000  # samples of the test part that count
    refit: int = 3000  # samples of the training part that a readout of its own is fitted to
    threads: int = 1


@dataclass(frozen=True, eq=False)
class Scores:
    """R2 of each chip on the test part, (chips,); NaN where it did not run."""

    raw: Array  # with the trained readout
    refitted: Array

    def summary(self) -> dict[str, Any]:
        """Median, 5th percentile and how many ran, of those that did."""
        told: dict[str, Any] = {"chips": len(self.raw), "failed": int(np.isnan(self.raw).sum())}
        for name, values in (("raw", self.raw), ("refitted", self.refitted)):
            ran = values[np.isfinite(values)]
            for what, share in (("median", 0.5), ("p5", 0.05)):
                told[f"{name}_{what}"] = float(np.quantile(ran, share)) if ran.size else None
        return told

    def to_json(self) -> dict[str, Any]:
        rows = {name: [_number(each) for each in getattr(self, name)] for name in ("raw", "refitted")}
        return self.summary() | rows


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def verify(trimmed: Trimmed, split: Split, options: VerifyOptions, seed: int = 0) -> Scores:
    """Run every chip, a design with its deviations and trims, over the test part.

    Where the calibration left no readouts of the chips' own, each gets one without a converter's rounding, fitted to
    the end of the training part.
    """
    test = _series(split.test, slice(0, BURN_IN + options.test + 1))
    if trimmed.refitted is not None:
        subject = DrivenNetwork(test, BURN_IN)
        return Scores(*(_scores(each, subject, options, seed)[0] for each in (trimmed.chips, trimmed.refitted)))
    lesson = _series(split.train, slice(-(BURN_IN + options.refit), None))
    return Scores(*_scores(trimmed.chips, DrivenNetwork(test, BURN_IN, lesson, RIDGE), options, seed))


def _scores(
    chips: Sequence[MappedDesign], subject: DrivenNetwork, options: VerifyOptions, seed: int
) -> tuple[Array, Array]:
    """R2 with the chips' readouts, and with those fitted here."""
    places = one_place(chips[0])
    study = Study(subject, chips[0], places, options.tier, Variation(), seed, precision="float32")
    rows = []
    for sample, chip in enumerate(chips):
        # Alone: chips side by side share the first one's low-pass and readout converter, which trims have turned.
        rows += simulated(study, places[0], [sample], [chip], options.threads)
    raw, refitted = (np.array([_found(getattr(each.row, name)) for each in rows]) for name in ("r2", "r2_refitted"))
    return raw, refitted


def _found(value: float | None) -> float:
    return np.nan if value is None else value


def _series(examples: Examples, part: slice) -> Series:
    return Series(examples.inputs[part, None], examples.targets[part])


def verify_circuits(chips: Sequence[MappedDesign], split: Split, options: VerifyOptions, run: Runner) -> Scores:
    """The same test part by transistors in ngspice, with the trained readout alone."""
    series = _series(split.test, slice(0, BURN_IN + options.test + 1))
    found = run_networks(list(chips), "transistor", series.inputs, run)
    kept = slice(BURN_IN, None)
    raw = [
        r2(each.prediction[kept, 0], series.targets[kept])
        if not each.failed and np.isfinite(each.prediction).all()
        else np.nan
        for each in found
    ]
    return Scores(np.array(raw), np.full(len(raw), np.nan))
