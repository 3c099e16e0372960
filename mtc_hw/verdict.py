"""What a run amounts to, in one line worked out from its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from mtc_hw.analysis.yields import Yield, clopper_pearson
from mtc_hw.findings import Findings
from mtc_hw.spec import Array

Tone = Literal["good", "mixed", "bad"]


@dataclass(frozen=True)
class Verdict:
    tone: Tone
    line: str
    detail: str


def verdict(findings: Findings) -> Verdict:
    """Judged in the order of the chain: the first stage that misses the threshold decides."""
    least = findings.threshold
    software = median(findings.stages[0].r2) if findings.stages else float("nan")
    circuit = stage_median(findings, "transistor")
    numbers = f"R² is {figure(software)} in software and {figure(circuit)} on transistors; a good chip has {least:g}."
    if not software >= least:
        return Verdict("bad", "The trained network misses its target before any circuit.", numbers)
    if np.isnan(circuit):
        return Verdict("bad", "The transistor-level circuit gave no result.", numbers)
    if circuit < least:
        numbers += f" {steepest_fall(findings)}"
        return Verdict("bad", "The network is lost on its way to transistors.", numbers)
    return _judge_chips(findings, f"{numbers} {_uncalibrated(findings)}")


def _judge_chips(findings: Findings, detail: str) -> Verdict:
    calibrated = share(findings.chips_calibrated, findings.threshold)
    if calibrated is None:
        return Verdict("mixed", "The nominal circuit works; no calibrated chip was tried.", detail)
    detail += (
        f" {calibrated.total} calibrated chips bound the yield after calibration only to"
        f" {percent(calibrated.low)} to {percent(calibrated.high)} (95 % interval)."
    )
    reach = f"{calibrated.good} of {calibrated.total} calibrated chips"
    if calibrated.good == calibrated.total:
        return Verdict("good", f"The network works on transistors, and so do {reach}.", detail)
    if calibrated.good == 0:
        return Verdict("bad", f"The nominal circuit works, but mismatch breaks it: {reach} are good.", detail)
    return Verdict("mixed", f"The nominal circuit works; with mismatch {reach} are good.", detail)


def _uncalibrated(findings: Findings) -> str:
    parts = []
    raw = share(findings.chips_raw, findings.threshold)
    if raw is not None:
        parts.append(f"{raw.good} of {raw.total} transistor-level chips")
    if findings.yield_ is not None:
        low, high = percent(findings.yield_.low), percent(findings.yield_.high)
        parts.append(f"{percent(findings.yield_.value)} of the software twin's (95 % interval {low} to {high})")
    return f"Without calibration, {' and '.join(parts)} are good." if parts else "Mismatch was not tried."


def steepest_fall(findings: Findings) -> str:
    """The step between two stages that costs most, as a sentence; empty where none loses."""
    known = [(stage.name, median(stage.r2)) for stage in findings.stages if not np.isnan(median(stage.r2))]
    falls = [(after[1] - before[1], after[0]) for before, after in pairwise(known)]
    change, name = min(falls, default=(0.0, ""))
    return f"The steepest fall is {figure(-change)}, at {name}." if change < 0.0 else ""


def share(values: Array, threshold: float) -> Yield | None:
    """Chips that reach the threshold, a failed one counting as bad; None without chips."""
    good = int((np.nan_to_num(values, nan=-np.inf) >= threshold).sum())
    return clopper_pearson(good, values.size) if values.size else None


def stage_median(findings: Findings, name: str) -> float:
    """NaN where the stage is absent or has no result."""
    return next((median(stage.r2) for stage in findings.stages if stage.name == name), float("nan"))


def median(values: Sequence[float] | Array) -> float:
    """Of the values that are numbers; NaN without one."""
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    return float(np.median(array)) if array.size else float("nan")


def figure(value: float) -> str:
    """An R2 or a difference of two in a table or sentence."""
    if np.isnan(value):
        return "none"
    return (f"{value:.3f}" if abs(value) < 1000.0 else f"{value:.3g}").replace("-", "\u2212")


def percent(fraction: float) -> str:
    return f"{100.0 * fraction:.0f} %"
