"""How well one run repeats another: spike by spike, by statistics, by published distances and by waveform."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtc_hw.analysis.distances import coincidence_factor, van_rossum, victor_purpura, waveform_rmse
from mtc_hw.analysis.profiles import isi_distance, spike_distance
from mtc_hw.analysis.regimes import Regime, classify
from mtc_hw.analysis.spikes import (
    THRESHOLD,
    BurstStatistics,
    IntervalStatistics,
    burst_statistics,
    checked_spikes,
    interval_statistics,
    spike_times,
)
from mtc_hw.neuron_file import Stimulus
from mtc_hw.spec import Array, Trace


@dataclass(frozen=True)
class Metrics:
    """Time scales of the distances, in tau_m; a spike lasts about 25, an interval about 60."""

    van_rossum_tau: float = 10.0  # tau_m
    victor_purpura_cost: float = 0.1  # per tau_m: a shift beyond 20 tau_m counts as one spike lost and one won
    coincidence_window: float = 3.0  # tau_m, to either side


@dataclass(frozen=True)
class Differences:
    """(test - reference) / reference of each statistic; None where either is not defined."""

    interval_mean: float | None
    spikes_per_burst: float | None
    burst_period: float | None
    intra_interval: float | None


@dataclass(frozen=True)
class Comparison:
    """A test run against its reference. Times in tau_m; None where a quantity is not defined."""

    reference_count: int
    test_count: int
    paired: bool  # the counts are equal, and spikes are matched in order; else each to the other train's nearest
    worst_error: float | None  # of |test - reference| over matched spikes
    median_error: float | None
    reference_intervals: IntervalStatistics
    test_intervals: IntervalStatistics
    reference_bursts: BurstStatistics
    test_bursts: BurstStatistics
    differences: Differences
    reference_regime: Regime | None  # None: no stimulus was given
    test_regime: Regime | None
    van_rossum: float
    victor_purpura: float
    isi_distance: float
    spike_distance: float
    coincidence: float | None  # Gamma
    waveform_rmse: float | None  # unit voltages; None: spike times alone were compared
    metrics: Metrics

    @property
    def same_regime(self) -> bool | None:
        return None if self.reference_regime is None else self.reference_regime == self.test_regime

    def to_json(self) -> dict[str, object]:
        """Every field as JSON values, plus `same_regime`; a number that is not finite becomes null."""
        values: dict[str, object] = dataclasses.asdict(self) | {"same_regime": self.same_regime}
        return {name: _json_value(value) for name, value in values.items()}


def compare(
    reference: ArrayLike,
    test: ArrayLike,
    duration: float,
    *,
    stimulus: Stimulus | None = None,
    final_voltages: tuple[float | None, float | None] = (None, None),
    threshold: float = THRESHOLD,
    metrics: Metrics = Metrics(),
) -> Comparison:
    """Compares spike times (spikes,) of two runs of one neuron from 0 to `duration` tau_m.

    `stimulus` is needed to name the regimes, `final_voltages` of (reference, test) to know a block: one
    that stays above the spikes' `threshold`. Raises DataError.
    """
    one, two = checked_spikes(reference, "reference spike times"), checked_spikes(test, "test spike times")
    errors = _timing_errors(one, two)
    intervals = (interval_statistics(one), interval_statistics(two))
    bursts = (burst_statistics(one, duration), burst_statistics(two, duration))
    regimes = [
        None if stimulus is None else classify(train, duration, stimulus, voltage, threshold)
        for train, voltage in zip((one, two), final_voltages, strict=True)
    ]
    return Comparison(
        reference_count=one.size,
        test_count=two.size,
        paired=one.size == two.size,
        worst_error=float(errors.max()) if errors.size else None,
        median_error=float(np.median(errors)) if errors.size else None,
        reference_intervals=intervals[0],
        test_intervals=intervals[1],
        reference_bursts=bursts[0],
        test_bursts=bursts[1],
        differences=_differences(intervals, bursts),
        reference_regime=regimes[0],
        test_regime=regimes[1],
        van_rossum=van_rossum(one, two, metrics.van_rossum_tau),
        victor_purpura=victor_purpura(one, two, metrics.victor_purpura_cost),
        isi_distance=isi_distance(one, two, 0.0, duration),
        spike_distance=spike_distance(one, two, 0.0, duration),
        coincidence=coincidence_factor(one, two, duration, metrics.coincidence_window),
        waveform_rmse=None,
        metrics=metrics,
    )


def compare_traces(
    reference: Trace,
    test: Trace,
    *,
    neuron: int = 0,
    stimulus: Stimulus | None = None,
    threshold: float = THRESHOLD,
    metrics: Metrics = Metrics(),
) -> Comparison:
    """Compares one neuron's voltage in two traces, over the time from 0 that both cover. Raises DataError."""
    rmse = waveform_rmse(reference, test, neuron)
    end = min(float(reference.time[-1]), float(test.time[-1]))
    trains, finals = [], []
    for trace in (reference, test):
        spikes = spike_times(trace.time, trace.voltage[:, neuron], threshold)
        trains.append(spikes[(spikes >= 0.0) & (spikes <= end)])
        finals.append(float(np.interp(end, trace.time, trace.voltage[:, neuron])))
    comparison = compare(
        trains[0],
        trains[1],
        end,
        stimulus=stimulus,
        final_voltages=(finals[0], finals[1]),
        threshold=threshold,
        metrics=metrics,
    )
    return dataclasses.replace(comparison, waveform_rmse=rmse)


def _timing_errors(reference: Array, test: Array) -> Array:
    """|time error| in order for equal counts; else of each spike of the shorter train to the nearest of the other."""
    if reference.size == test.size:
        return np.abs(test - reference)
    few, many = sorted((reference, test), key=len)
    if few.size == 0:
        return np.empty(0)
    right = np.clip(np.searchsorted(many, few), 1, max(many.size - 1, 1))
    return np.minimum(np.abs(few - many[right - 1]), np.abs(few - many[np.minimum(right, many.size - 1)]))


def _differences(
    intervals: tuple[IntervalStatistics, IntervalStatistics], bursts: tuple[BurstStatistics, BurstStatistics]
) -> Differences:
    return Differences(
        interval_mean=_relative(intervals[0].mean, intervals[1].mean),
        spikes_per_burst=_relative(bursts[0].spikes_per_burst, bursts[1].spikes_per_burst),
        burst_period=_relative(bursts[0].period, bursts[1].period),
        intra_interval=_relative(bursts[0].intra_interval, bursts[1].intra_interval),
    )


def _relative(reference: float | None, test: float | None) -> float | None:
    return None if reference is None or test is None else test / reference - 1.0


def _json_value(value: object) -> object:
    if isinstance(value, dict):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
