"""Monte Carlo over virtual chips: one row a chip, failed ones counted and never dropped."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from mtc_hw.analysis.regimes import classify
from mtc_hw.analysis.spikes import burst_statistics, interval_statistics, spike_times
from mtc_hw.hardware.design import MappedDesign, as_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.metrics import r2
from mtc_hw.netlist.render import own_deck
from mtc_hw.netlist.views import Level
from mtc_hw.neuron_file import NeuronFile
from mtc_hw.simulate.network import run_networks
from mtc_hw.simulate.outcome import Outcome
from mtc_hw.simulate.pool import Done, Runner
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import Array, ModelSpec


@dataclass(frozen=True)
class NeuronChip:
    """One virtual chip of a single neuron. Times in tau_m; None where a figure does not apply."""

    sample: int
    outcome: str
    reason: str
    regime: str | None
    spikes: int | None
    isi_mean: float | None
    burst_period: float | None
    spikes_per_burst: float | None
    seconds: float


@dataclass(frozen=True)
class NetworkChip:
    """One virtual chip of a network: R2 with the trained readout, and where it was tried with one of its own."""

    sample: int
    outcome: str
    reason: str
    r2: float
    r2_refitted: float | None
    failed_neurons: int
    seconds: float


def neuron_chips(
    design: MappedDesign,
    neuron: NeuronFile,
    level: Level,
    duration: float,
    seed: int,
    samples: int,
    run: Runner,
    done: Done | None = None,
) -> list[NeuronChip]:
    """`samples` chips of a single neuron in ngspice; `duration` in tau_m."""
    outcomes = run([own_deck(perturb(design, seed, k), neuron, level, duration) for k in range(samples)], done)
    return [_neuron_chip(k, outcome, design, neuron, duration) for k, outcome in enumerate(outcomes)]


def _neuron_chip(
    sample: int, outcome: Outcome, design: MappedDesign, neuron: NeuronFile, duration: float
) -> NeuronChip:
    if outcome.waveforms is None:
        nothing = (None,) * 5
        return NeuronChip(sample, outcome.status, outcome.reason, *nothing, outcome.seconds)
    trace = to_trace(outcome.waveforms, design, 0)
    spikes = spike_times(trace.time, trace.voltage[:, 0])
    bursts = burst_statistics(spikes, duration)
    return NeuronChip(
        sample=sample,
        outcome=outcome.status,
        reason="",
        regime=classify(spikes, duration, neuron.stimulus, float(trace.voltage[-1, 0])),
        spikes=len(spikes),
        isi_mean=interval_statistics(spikes).mean,
        burst_period=bursts.period,
        spikes_per_burst=bursts.spikes_per_burst,
        seconds=outcome.seconds,
    )


def network_chips(
    design: MappedDesign,
    level: Level,
    inputs: Array,
    targets: Array,
    burn_in: int,
    seed: int,
    samples: int,
    run: Runner,
    done: Done | None = None,
) -> list[NetworkChip]:
    """`samples` chips of a network in ngspice. `inputs` (T, inputs) and `targets` (T,), standardised; the first
    `burn_in` samples do not count."""
    rows = []
    for k in range(samples):
        found = run_networks([perturb(design, seed, k)], level, inputs, run, done)[0]
        worst = found.failed[0] if found.failed else None
        rows.append(
            NetworkChip(
                sample=k,
                outcome=worst.status if worst else "ok",
                reason=f"{worst.deck}: {worst.reason}" if worst else "",
                r2=r2(found.prediction[burn_in:, 0], targets[burn_in:]),
                r2_refitted=None,
                failed_neurons=len(found.failed),
                seconds=found.layer.seconds,
            )
        )
    return rows


def software_chips(
    design: MappedDesign, score: Callable[[ModelSpec], tuple[float, float]], seed: int, samples: int
) -> list[NetworkChip]:
    """`samples` chips by the software twin: the same draws, through `as_spec`.

    `score` gives a network's R2, with its own readout and with one refitted to it.
    """
    chips = (as_spec(perturb(design, seed, k)) for k in range(samples))
    return [NetworkChip(k, "ok", "", *score(chip), 0, 0.0) for k, chip in enumerate(chips)]


def regime_counts(chips: Sequence[NeuronChip]) -> dict[str, int]:
    return dict(Counter(chip.regime for chip in chips if chip.regime is not None))


def write_table(chips: Sequence[NeuronChip] | Sequence[NetworkChip], path: Path) -> None:
    """One row a chip, CSV; an empty cell where a figure does not apply."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(chips[0])], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(chip) for chip in chips)
