"""Which neurons, and which stretch of time, to show where there is no room for all."""

from dataclasses import dataclass

import numpy as np

from mtc_hw.analysis.excitability import bursters
from mtc_hw.analysis.spikes import spike_times
from mtc_hw.findings import Findings
from mtc_hw.spec import Array


@dataclass(frozen=True)
class Exemplar:
    """A neuron worth a look, and why."""

    index: int
    kind: str  # "spiking" or "bursting"
    reason: str


def busiest(findings: Findings) -> list[Exemplar]:
    """The spiking neuron and the bursting one with most spikes in software; fewer where a kind is absent."""
    bursting = bursters(findings.spec.neurons)
    counts = np.array([train.size for train in spike_trains(findings.trace_time, findings.software_voltage)])
    members = {"spiking": np.flatnonzero(~bursting), "bursting": np.flatnonzero(bursting)}
    return [
        Exemplar(int(among[np.argmax(counts[among])]), kind, f"busiest {kind} neuron")
        for kind, among in members.items()
        if among.size
    ]


def exemplars(findings: Findings) -> list[Exemplar]:
    """The busiest neuron of each kind, and the one whose circuit strays farthest from the software."""
    chosen = busiest(findings)
    strayed = np.mean((findings.circuit_voltage - findings.software_voltage) ** 2, axis=0)
    worst = int(np.argmax(np.nan_to_num(strayed, nan=np.inf)))
    if worst in [each.index for each in chosen]:
        return chosen
    kind = "bursting" if bursters(findings.spec.neurons)[worst] else "spiking"
    return [*chosen, Exemplar(worst, kind, f"{kind} neuron with the largest difference of all")]


def zoom(findings: Findings) -> tuple[float, float]:
    """A stretch of the traces, after the burn-in, in which every exemplar that spikes does so a few times."""
    time = findings.trace_time
    shown = [each.index for each in exemplars(findings)]
    trains = [train for train in spike_trains(time, findings.software_voltage[:, shown]) if train.size]
    first, last = float(time[0]), float(time[-1])
    scored = float(findings.time[min(findings.burn_in, findings.time.size - 1)])
    first = scored if first < scored < first + 0.5 * (last - first) else first
    span = last - first
    rarest = min((train.size for train in trains), default=0)
    length = float(np.clip(6.0 * span / max(rarest, 1), span / 8.0, span / 3.0))
    starts = np.linspace(first, last - length, 25)
    fewest = [min((_between(train, s, s + length) for train in trains), default=0) for s in starts]
    start = float(starts[int(np.argmax(fewest))])
    return start, start + length


def spike_trains(time: Array, voltage: Array) -> list[Array]:
    """Spike times of each column; none of a voltage that is not finite."""
    return [spike_times(time, v) if np.isfinite(v).all() else np.empty(0) for v in voltage.T]


def _between(train: Array, start: float, end: float) -> int:
    return int(((train >= start) & (train <= end)).sum())
