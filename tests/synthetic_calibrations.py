"""Calibrated chips that look like a study's without its hours: intervals and R2 spread before and are near after."""

import numpy as np

from mtc_hw.calibration.chip_row import CalibratedChip
from mtc_hw.calibration_network_plots import NetworkChip, Networks, Spikes
from mtc_hw.calibration_plots import Codes
from mtc_hw.montecarlo.row import ChipRow

DURATION = 2000.0


def chip_row(sample=0, outcome="ok", reason="", **figures):
    return ChipRow(sample, "tt", 1.8, 27.0, outcome, reason, **figures)


def calibrated(sample, before, after, **more):
    values = {"neurons": 1, "succeeded": 1, "knobs": 12, "residual": 0.01, "measurements": 38.0}
    values |= {"record": f"records/chip-{sample}.json", "calibrating": 4.0, "seconds": 6.0} | more
    return CalibratedChip(sample, chip_row(sample, **before), chip_row(sample, **after), **values)


def tonic_chips(count, seed=0):
    """A tonic neuron's: a third are silent before; chip 3 is silent after too, and chip 5's run fails."""
    rng = np.random.default_rng(seed)
    rows, spikes = [], {}
    for sample in range(count):
        before, after = 52.0 * np.exp(rng.normal(0.0, [0.1, 0.01]))
        rows.append(calibrated(sample, told(before, sample % 3 == 1), told(after, False)))
        spikes[sample] = {"before": train(before, sample % 3 == 1), "after": train(after, False)}
        if sample == 3:
            marked = {"succeeded": 0, "marked": "0: bias.fast_negative at its bound", "at_bounds": 2, "residual": 0.4}
            rows[-1] = calibrated(3, told(before, False), told(after, True), **marked)
            spikes[3] = {"before": train(before, False), "after": train(after, True)}
        if sample == 5:
            failed = {"outcome": "timeout", "reason": "killed after 300 s in deck neuron_0"}
            rows[-1] = calibrated(5, told(before, False), failed, neurons=0, succeeded=0, knobs=0, measurements=None)
            spikes[5] = {"before": train(before, False)}
    return rows, spikes


def told(interval, silent):
    if silent:
        return {"regime": "silent", "spikes": 0}
    return {"regime": "tonic", "spikes": int(DURATION / interval), "isi_mean": float(interval), "isi_cv": 0.001}


def train(interval, silent):
    return np.empty(0) if silent else np.arange(interval, DURATION, interval)


def network_chips(count, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for sample in range(count):
        before, refitted, after, best = 1.0 - np.exp(rng.normal([-1.6, -3.0, -3.4, -4.8], 0.4))
        first, last = {"r2": before, "r2_refitted": refitted}, {"r2": after, "r2_refitted": best}
        rows.append(calibrated(sample, first, last, neurons=16, succeeded=16, knobs=200))
    return rows


def codes(count=400, seed=0):
    rng = np.random.default_rng(seed)
    trims = {"bias": 9.0, "reference": 16.0, "offset": 5.0}
    found = [
        Codes(kind, np.clip(np.rint(rng.normal(0.0, sd, count)), -31, 31), -31, 31) for kind, sd in trims.items()
    ]
    return [
        *found,
        Codes("readout", np.clip(np.rint(rng.normal(0.0, 60.0, count)), -127, 127), -127, 127, trim=False),
    ]


def networks(failed=False, names=("median chip (4)", "worst chip (2)")):
    """Two chips of five neurons on a sine, one of which may have failed before calibration."""
    rng = np.random.default_rng(0)
    time = np.arange(400.0)
    target = np.sin(time / 15.0)

    def layer():
        counts = rng.integers(0, 30, 5)
        return Spikes(np.concatenate([np.sort(rng.uniform(0.0, 400.0, count)) for count in counts]), counts)

    chips = [
        NetworkChip(
            name,
            None if failed else layer(),
            layer(),
            None if failed else 0.4 * target,
            0.98 * target,
            None if failed else 0.64,
            0.9996,
        )
        for name in names
    ]
    return Networks(chips, layer(), target, 1.0, 50)
