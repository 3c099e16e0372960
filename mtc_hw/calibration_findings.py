"""What the page of a calibration study shows, out of the study's folder."""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from mtc_hw.analysis.datasheet import Datasheet
from mtc_hw.calibration.study import CalibrationStudy
from mtc_hw.calibration.study_run import Finished
from mtc_hw.calibration.used_codes import TRIMS, code_limits
from mtc_hw.calibration_network_plots import NetworkChip, Networks, Spikes
from mtc_hw.calibration_plots import Codes
from mtc_hw.calibration_report import CalibrationPage
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.montecarlo.row import ChipRow
from mtc_hw.montecarlo.study import DrivenNetwork, FreeNeuron
from mtc_hw.simulate.network import input_spacing
from mtc_hw.spec import Array

Kept = Mapping[str, Array]


def calibration_page_of(
    study: CalibrationStudy, done: Finished, sheet: Datasheet, nominal: Finished, provenance: Mapping[str, object]
) -> CalibrationPage:
    """`nominal` is the calibration of the chip without mismatch."""
    subject, bits = study.chips.subject, study.design.trim.current.bits
    kept = {row.sample: done.arrays(row.sample) for row in done.rows if row.ok}
    free = subject if isinstance(subject, FreeNeuron) else None
    trims = "ideal trims" if bits is None else f"{bits}-bit trims"
    told = [f"{len(done.rows)} chips", f"{study.chips.tier} level", f"plan {study.plan.name}", trims]
    told += [f"noise {100.0 * study.noise:g} %"] if study.noise else []
    return CalibrationPage(
        title=free.neuron.name if free else f"network of {study.design.count} neurons",
        subject=" · ".join(told),
        rows=done.rows,
        sheet=sheet,
        codes=_codes(study.design, list(kept.values())),
        spikes=kept if free else {},
        duration=free.duration if free else 0.0,
        networks=_networks(study, subject, done, kept, nominal) if isinstance(subject, DrivenNetwork) else None,
        nominal=nominal.rows[0].after,
        provenance={name: _text(value) for name, value in provenance.items()},
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _codes(design: MappedDesign, kept: Sequence[Kept]) -> list[Codes]:
    found = []
    for kind, (low, high) in code_limits(design).items():
        used = [each[f"code_{kind}"] for each in kept if f"code_{kind}" in each]
        if used:
            found.append(Codes(kind, np.concatenate(used), low, high, kind in TRIMS))
    return found


def _networks(
    study: CalibrationStudy, subject: DrivenNetwork, done: Finished, kept: Mapping[int, Kept], nominal: Finished
) -> Networks:
    """The chip whose R2 is the worst after calibration, and the median one."""
    rows = sorted((row for row in done.rows if row.ok), key=lambda row: _last_r2(row.after))
    shown = (
        {"worst chip": rows[0], "median chip": rows[len(rows) // 2]}
        if len(rows) > 1
        else dict.fromkeys(["chip"], *rows)
    )
    chips = [
        NetworkChip(
            f"{name} ({row.sample})",
            _spikes(kept[row.sample], "before"),
            _spikes(kept[row.sample], "after"),
            kept[row.sample].get("before_answer"),
            kept[row.sample].get("after_answer"),
            row.before.r2,
            _last_r2(row.after),
        )
        for name, row in reversed(shown.items())
    ]
    ideal = _spikes(nominal.arrays(nominal.rows[0].sample), "after") if nominal.rows[0].ok else None
    return Networks(chips, ideal, subject.test.targets, input_spacing(study.design), subject.burn_in)


def _last_r2(row: ChipRow) -> float:
    """With the last readout that the chip got; the least of all where its run failed."""
    last = row.r2 if row.r2_refitted is None else row.r2_refitted
    return -np.inf if last is None else last


def _spikes(kept: Kept, state: str) -> Spikes | None:
    return Spikes(kept[state], kept[f"{state}_counts"]) if state in kept else None
