"""A chip's figures from what it did: spikes of a free neuron, answer of a network."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtc_hw.analysis.regimes import classify
from mtc_hw.analysis.spikes import burst_statistics, interval_statistics, spike_trains
from mtc_hw.metrics import r2
from mtc_hw.montecarlo.row import ChipRow, Result
from mtc_hw.montecarlo.study import DrivenNetwork, FreeNeuron, Place
from mtc_hw.readout import fit_readout, predict
from mtc_hw.spec import Array, Trace

NOT_FINITE = "not finite"


def blank(place: Place, sample: int, outcome: str = "ok", reason: str = "") -> ChipRow:
    """A row without any figure."""
    where = place.condition
    return ChipRow(sample, where.corner, where.supply, where.celsius, outcome, reason)


def neuron_results(rows: Sequence[ChipRow], subject: FreeNeuron, trace: Trace) -> list[Result]:
    """The rows and spikes of neurons that did this, a column each."""
    finite = np.atleast_1d(np.isfinite(trace.voltage).all(axis=0))
    seen = trace if finite.all() else Trace(trace.time, trace.voltage[:, finite])
    trains, last = iter(spike_trains(seen)), trace.voltage[-1]
    return [
        _fired(row, subject, next(trains), float(last[index])) if finite[index] else Result(_lost(row, trace, index))
        for index, row in enumerate(rows)
    ]


def _lost(row: ChipRow, trace: Trace, index: int) -> ChipRow:
    reached = float(trace.time[np.argmax(~np.isfinite(trace.voltage[:, index]))])
    return dataclasses.replace(row, outcome=NOT_FINITE, reason=f"the voltage is not finite at {reached:g} tau_m")


def _fired(row: ChipRow, subject: FreeNeuron, spikes: Array, last: float) -> Result:
    bursts, intervals = burst_statistics(spikes, subject.duration), interval_statistics(spikes)
    fired = dataclasses.replace(
        row,
        regime=classify(spikes, subject.duration, subject.neuron.stimulus, last),
        spikes=len(spikes),
        isi_mean=intervals.mean,
        isi_cv=intervals.cv,
        burst_period=bursts.period,
        spikes_per_burst=bursts.spikes_per_burst,
        intra_interval=bursts.intra_interval,
    )
    return Result(fired, spikes=spikes, counts=np.array([len(spikes)]))


def network_result(
    row: ChipRow,
    subject: DrivenNetwork,
    answer: Array,
    refitted: float | None,
    voltage: NDArray[np.floating],
    step: float,
) -> Result:
    """Of a network with this answer (samples,), standardised, and layer voltage (T, N) every `step` tau_m."""
    if not np.isfinite(answer).all():
        return Result(dataclasses.replace(row, outcome=NOT_FINITE, reason="the network's answer is not finite"))
    kept = slice(subject.burn_in, None)
    trains = spike_trains(Trace(np.asarray(np.arange(len(voltage)) * step), np.asarray(voltage, dtype=np.float64)))
    counts, score = np.array([train.size for train in trains]), r2(answer[kept], subject.test.targets[kept])
    row = dataclasses.replace(row, spikes=int(counts.sum()), r2=score, r2_refitted=refitted)
    return Result(row, spikes=np.concatenate([np.empty(0), *trains]), counts=counts, answer=answer)


def refitted_score(subject: DrivenNetwork, fitted_on: Array, tested_on: Array, tau: float) -> float:
    """R2 on the test part of a readout fitted to a chip's own features (samples, N); `tau` in tau_m."""
    assert subject.refit is not None
    kept = slice(subject.burn_in, None)
    own = fit_readout(fitted_on[kept], subject.refit.targets[kept], tau, subject.ridge)
    return r2(predict(tested_on, own)[kept, 0], subject.test.targets[kept])
