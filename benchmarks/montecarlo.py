"""What a chip costs on each tier, and how the compiled ones agree with LSODA and with ngspice, in one run.

Run: python benchmarks/montecarlo.py [--chips 1000] [--checked 200] [--networks 1000] [--circuits 20] [--jobs 2]

1. Mismatched bursting neurons over 4,000 tau_m on the ode and the cells tier, ledger and table included, and how many
   have LSODA's spike count (rtol 1e-8); then fewer of the same chips on both ngspice tiers, and the ratios a chip.
2. Chips of the shipped 128-neuron Mackey-Glass network over 1,000 samples after 250 that do not count.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.montecarlo.engine import EngineOptions, Finished, run_study
from mtc_hw.montecarlo.study import FreeNeuron, Study, Tier
from mtc_hw.montecarlo.table import read_table
from mtc_hw.montecarlo_run import ChipsOptions, study_of, usual
from mtc_hw.simulate.ode import integrate
from mtc_hw.simulate.pool import Workers
from mtc_hw.sources import load_source

TOLERANCE = 1e-8  # relative, of LSODA


def study(name: str, tier: Tier, duration: float | None, workers: Workers) -> Study:
    return study_of(load_source(name), ChipsOptions(tier=tier, duration=duration, trim="none"), workers)


def timed(asked: Study, chips: int, workers: Workers, folder: Path) -> Finished:
    options = EngineOptions(chips, workers=workers)
    return run_study(asked, options, folder / f"{asked.tier}-{chips}", usual(asked, 0.9))


def same_counts(asked: Study, counts: Sequence[int | None], checked: int) -> float:
    """Share of the first chips with as many spikes as LSODA finds."""
    subject, meant, same = asked.subject, as_spec if asked.tier == "ode" else as_cells, 0
    assert isinstance(subject, FreeNeuron)
    for sample in range(checked):
        spec = meant(asked.chip(asked.places[0], sample))
        stimulus = subject.neuron.stimulus.shifted(float(spec.bias[0]))
        trace = integrate(
            spec.neurons, stimulus, subject.duration, subject.neuron.initial, rtol=TOLERANCE, atol=TOLERANCE
        )
        same += len(spike_times(trace.time, trace.voltage[:, 0])) == counts[sample]
    return same / checked


def neurons(given: argparse.Namespace, workers: Workers, folder: Path) -> None:
    print(f"| bursting, {given.duration:g} tau_m | chips | seconds | ms a chip | times ode | LSODA's count |")
    print("|---|---|---|---|---|---|")
    base = 0.0
    for tier in ("ode", "cells", "behavioural", "transistor"):
        asked = study("bursting", tier, given.duration, workers)
        chips = given.chips if asked.compiled else given.circuits
        if asked.compiled:  # the first run compiles
            timed(asked, 2, workers, folder)
        found = timed(asked, chips, workers, folder)
        each = found.seconds / chips
        base = base or each
        same = "" if not asked.compiled else f"{same_counts(asked, _counts(found), min(given.checked, chips)):.1%}"
        print(
            f"| {tier} | {chips} | {found.seconds:.2f} | {1e3 * each:.3g} | {each / base:.3g} | {same} |", flush=True
        )


def _counts(found: Finished) -> list[int | None]:
    counts: list[int | None] = read_table(found.table)["spikes"].to_pylist()
    return counts


def networks(given: argparse.Namespace, workers: Workers, folder: Path) -> None:
    for tier in ("ode", "cells"):
        found = timed(study("mackey-glass-circuit", tier, None, workers), given.networks, workers, folder)
        scores = np.array(read_table(found.table)["r2"].to_pylist(), float)
        print(
            f"{tier}: {given.networks} chips of mackey-glass-circuit, 1,000 samples: {found.seconds:.1f} s, "
            f"R2 median {np.median(scores):.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chips", type=int, default=1000)
    parser.add_argument("--checked", type=int, default=200)
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--circuits", type=int, default=20, help="chips on each ngspice tier")
    parser.add_argument("--duration", type=float, default=4000.0, help="tau_m")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few chips of each")
    given = parser.parse_args()
    if given.quick:
        given.chips, given.checked, given.networks, given.circuits, given.duration = 8, 2, 2, 2, 300.0
    workers = Workers(jobs=given.jobs)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        neurons(given, workers, Path(folder))
        networks(given, workers, Path(folder))
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
