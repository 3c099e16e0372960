"""What a calibration may aim at in a neuron's firing: numbers by name, from the spike times of one run."""

import difflib
from collections.abc import Sequence

import numpy as np

from mtc_hw.analysis import firing as analysis
from mtc_hw.analysis.regimes import classify
from mtc_hw.analysis.spikes import burst_statistics, checked_spikes, interval_statistics
from mtc_hw.calibration.observables import Firing
from mtc_hw.errors import DataError
from mtc_hw.spec import Array

FIRING_QUANTITIES = {
    "spikes": "spikes in the whole run; 0 where it is silent",
    "rate": "spikes per tau_m in the long run; 0 where firing ceases and where there is none",
    "isi": "mean interval between spikes, tau_m",
    "isi_cv": "standard deviation of the intervals over their mean",
    "latency": "first spike after the stimulus's last step, tau_m from that step",
    "period": "mean time from one burst's first spike to the next one's, tau_m",
    "spikes_per_burst": "mean spikes of the complete bursts",
    "intraburst_isi": "mean interval within bursts, tau_m",
    "duty": "share of the period in which a burst lasts",
}
"""By name. NaN where too few spikes or bursts define it, and of a run that failed."""

SLACK = 0.01
"""Of a run, by which a noisy instrument may put a spike before its start or after its end: these do not count."""


def firing_quantities(names: Sequence[str], trains: Sequence[Array], run: Firing) -> Array:
    """Of each neuron's spike times in one run, (Q, N), in the order of the names.

    Trains that are no spike times of such a run, [nan] among them, give NaN. Raises DataError for unknown names.
    """
    unknown = [name for name in names if name not in FIRING_QUANTITIES]
    if unknown:
        raise DataError("; ".join(map(_unknown, unknown)) + f"; there are: {', '.join(FIRING_QUANTITIES)}")
    found = [_quantities(train, run) for train in trains]
    return np.array([[each.get(name, np.nan) for each in found] for name in names]).reshape(len(names), len(found))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, FIRING_QUANTITIES, n=1)
    return f"{name[:100]!r} is no quantity of firing" + (f", did you mean {near[0]!r}" if near else "")


def _quantities(train: Array, run: Firing) -> dict[str, float]:
    """All of one train that are defined."""
    slack = SLACK * run.duration
    try:
        every = checked_spikes(train)
        inside = (every >= 0.0) & (every <= run.duration)
        train = every[inside | (every < -slack) | (every > run.duration + slack)]
        regime = classify(train, run.duration, run.stimulus)
        intervals, bursts = interval_statistics(train), burst_statistics(train, run.duration)
    except DataError:
        return {}
    whole = analysis.Firing(train, regime, np.nan, run.duration)
    step = run.stimulus.holds(run.duration)[-1][0]
    later = train[train >= step]
    values = {
        "spikes": float(train.size),
        "rate": whole.rate,
        "isi": intervals.mean,
        "isi_cv": intervals.cv,
        "latency": float(later[0]) - step if later.size else None,
        "period": bursts.period,
        "spikes_per_burst": bursts.spikes_per_burst,
        "intraburst_isi": bursts.intra_interval,
        "duty": 1.0 - bursts.silence / bursts.period if bursts.silence and bursts.period else None,
    }
    return {name: value for name, value in values.items() if value is not None}
