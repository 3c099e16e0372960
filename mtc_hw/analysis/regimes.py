"""What a neuron does with its stimulus, from its spike times alone."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mtc_hw.analysis.spikes import THRESHOLD, BurstStatistics, burst_statistics, checked_spikes
from mtc_hw.errors import DataError
from mtc_hw.neuron_file import Stimulus
from mtc_hw.spec import Array

Regime = Literal["silent", "block", "tonic", "phasic", "phasic_burst", "bursting", "adapting", "rebound"]

CEASED = 2.0  # firing has ceased after a quiet time of this many of the longest intervals
ADAPTED = 0.08  # least relative rise of the interval that is adaptation
JITTER = 0.02  # an interval may be shorter than the one before by this part and still count as no shorter
ONE_JUMP = 0.8  # a rise of which one interval makes more than this part is a transient, not adaptation
OUTLASTS = 3.0  # a last group this many times as long as the others' median is steady firing, not a burst


def classify(
    spikes: ArrayLike,
    duration: float,
    stimulus: Stimulus,
    final_voltage: float | None = None,
    threshold: float = THRESHOLD,
) -> Regime:
    """The regime of one neuron, from its spike times within (0, duration), in tau_m.

    Judged is the hold (interval of constant current) with the most spikes, of equals the last; no spikes at all are
    `silent`, or `block` when the voltage ends above the threshold. Firing has ceased when the hold's quiet end is
    longer than `CEASED` times its longest interval, or after a single spike. Ceased firing is
        block         in the last hold, when the voltage ends above the threshold,
        rebound       after release from a more negative current, to one that evoked fewer spikes before,
        phasic        one spike, else phasic_burst.
    Firing that goes on is
        bursting      where a gap in the intervals' logarithms parts it into groups, unless the last group lasts
                      `OUTLASTS` times the others: that is steady firing, judged alone,
        adapting      where the intervals after the first lengthen by `ADAPTED` or more, in several steps and none
                      shorter than the one before (within `JITTER`, or a quarter of the rise),
        tonic         otherwise.
    A run too short to show a second burst looks like tonic, adapting or phasic_burst, and one too short for a second
    spike like phasic; a block cannot be known without `final_voltage`. Raises DataError.
    """
    times = checked_spikes(spikes)
    if times.size and not (times[0] >= 0.0 and times[-1] <= duration):
        raise DataError(f"spikes from {times[0]:g} to {times[-1]:g} lie outside the run, 0 to {duration:g}")
    raised = final_voltage is not None and final_voltage > threshold
    if times.size == 0:
        return "block" if raised else "silent"
    holds = stimulus.holds(duration)
    parts = np.searchsorted(times, [start for start, _, _ in holds[1:]])
    trains = np.split(times, parts)
    counts = [train.size for train in trains]
    busiest = max(range(len(holds)), key=lambda index: (counts[index], index))
    judged, end = trains[busiest], holds[busiest][1]
    if not _has_ceased(judged, end):
        return _sustained(judged, end)
    if raised and busiest == len(holds) - 1:
        return "block"
    if _is_release([level for _, _, level in holds], counts, busiest):
        return "rebound"
    return "phasic" if judged.size == 1 else "phasic_burst"


def _has_ceased(spikes: Array, end: float) -> bool:
    return spikes.size == 1 or bool(end - spikes[-1] > CEASED * np.diff(spikes).max())


def _is_release(levels: list[float], counts: list[int], index: int) -> bool:
    """Whether hold `index` follows a more negative current, and its own current or a higher one did less before."""
    if index < 2 or levels[index - 1] >= levels[index]:
        return False
    earlier = [count for level, count in zip(levels[: index - 1], counts, strict=False) if level >= levels[index]]
    return bool(earlier) and max(earlier) < counts[index]


def _sustained(spikes: Array, end: float) -> Regime:
    bursts = burst_statistics(spikes, end)
    if bursts.count > 1:
        if not _outlasts(bursts, spikes):
            return "bursting"
        spikes = spikes[spikes >= bursts.starts[-1]]
    return "adapting" if _is_adapting(np.diff(spikes)) else "tonic"


def _outlasts(bursts: BurstStatistics, spikes: Array) -> bool:
    """Whether the last, unfinished group is so much longer than the others that it is no burst."""
    if bursts.complete == bursts.count:
        return False
    groups = np.split(spikes, np.cumsum(bursts.sizes)[:-1])
    spans = [float(group[-1] - group[0]) for group in groups]
    return spans[-1] > OUTLASTS * float(np.median(spans[:-1]))


def _is_adapting(intervals: Array) -> bool:
    later = intervals[1:]  # the first interval depends on the initial state
    if later.size < 3:
        return False
    settled = float(np.median(later[-max(1, later.size // 4) :]))
    rise = settled - float(later[0])
    steps = np.diff(later)
    lengthens = bool((steps >= -max(JITTER * settled, 0.25 * rise)).all())
    return rise >= ADAPTED * float(later[0]) and lengthens and float(steps.max()) <= ONE_JUMP * rise
