"""What the worker pool costs on top of ngspice, for Monte Carlo at transistor level.

Efficiency: wall time of a run, the workers' start included, against the processor time of plain `ngspice -b` on the
same decks divided by the workers. Growth: processor time over samples and over neurons, as slopes between logarithms.
Memory: how much this process grows while thousands of short samples pass.

Run: python benchmarks/workers.py [--preset tonic] [--samples 200] [--jobs 0] [--repeats 3] [--quick] [--json]
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
from chip_tasks import SEED, Layer, Preset, chip_deck, count_spikes, run_layer
from numpy.typing import NDArray

from mtc_hw.analysis.datasheet import datasheet
from mtc_hw.characterise import cells_for
from mtc_hw.checkpoint import load_spec
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import load_technology
from mtc_hw.hardware.variation import Variation
from mtc_hw.montecarlo.engine import EngineOptions, run_study
from mtc_hw.montecarlo.study import FreeNeuron, Study, one_place
from mtc_hw.netlist.deck import write_decks
from mtc_hw.netlist.render import Series
from mtc_hw.neuron_file import load_neuron
from mtc_hw.simulate.pool import Workers, open_workers, processors
from mtc_hw.spec import ModelSpec

NETWORK = Path(__file__).parents[1] / "models" / "networks" / "mackey-glass-circuit.safetensors"
Schedule = dict[int, tuple[float, float]]
DISTINCT = 8  # neurons of a layer; a larger layer repeats them, so that only the number of neurons grows
SHORT = 2.0  # tau_m of the runs that show the memory


def preset(name: str, duration: float) -> Preset:
    technology = load_technology("generic")
    neuron = load_neuron(name)
    spec = ModelSpec(neuron.neurons, np.zeros((1, 0)), np.zeros(1))
    design = map_spec(spec, technology, cells_for(technology, 4e-6, 4e-6), MappingOptions())
    return Preset(design, neuron, duration)


def taken(spec: ModelSpec, which: NDArray[np.intp]) -> ModelSpec:
    """A network of some of another's neurons."""
    n, readout = spec.neurons, spec.readout
    assert readout is not None
    rows = {name: getattr(n, name)[..., which] for name in ("alpha", "delta", "tau", "leak", "rest", "offset")}
    return replace(
        spec,
        neurons=replace(n, **rows),
        weights=spec.weights[which],
        bias=spec.bias[which],
        readout=replace(readout, weights=readout.weights[:, which]),
    )


def layer(count: int, samples: int) -> Layer:
    """`count` neurons of the Mackey-Glass circuit under a random input, a sample every tau_m."""
    technology = load_technology("generic")
    spec = taken(load_spec(NETWORK), np.arange(count) % DISTINCT)
    design = map_spec(spec, technology, cells_for(technology, 4e-6, 4e-6), MappingOptions())
    inputs = np.random.default_rng(1).normal(size=(samples, spec.weights.shape[1]))
    return Layer(design, Series(inputs, 1.0), samples - 1.0)


def bare_seconds(work: Preset, samples: int) -> float:
    """Processor time, user and system, of `ngspice -b` on each deck."""
    with tempfile.TemporaryDirectory() as name:
        paths = write_decks([replace(chip_deck(work, k), name=f"chip_{k}") for k in range(samples)], Path(name))
        before = children_seconds()
        for path in paths:
            command = ["ngspice", "-b", "-o", "log", "-r", "out.raw", path.name]
            subprocess.run(command, cwd=name, check=True, capture_output=True)
        return children_seconds() - before


def children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def pool_seconds(work: Preset, samples: int, jobs: int, known: Schedule) -> tuple[float, float, float]:
    """Of a whole run: wall time with the workers' start and end, processor time, and the wall time less what the
    processes queued for a processor, as on a machine with nothing else to do. `known`: the schedule as of the
    last pool."""
    before, start = known | schedule(), time.perf_counter()
    with open_workers(Workers(jobs=jobs), work) as pool:
        found = [spikes for _, spikes in pool.each(count_spikes, range(samples))]
        known |= schedule()
        spent, queued = zip(*(np.subtract(known[pid], before.get(pid, 0.0)) for pid in schedule()), strict=True)
    wall = time.perf_counter() - start
    assert len(found) == samples and min(found) > 0
    # The server, which comes first, runs before its workers; they run side by side.
    return wall, sum(spent), wall - queued[0] - float(np.mean(queued[2:]))


def schedule() -> Schedule:
    """By process, the server of workers first, this one, then the workers: s on a processor and s queued for one.

    Linux keeps both in /proc.
    """
    workers = [process.pid for process in active_children() if process.pid is not None]
    servers = {int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) for pid in workers}
    found = {}
    for pid in [*servers, os.getpid(), *workers]:
        spent, queued, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
        found[pid] = (int(spent) * 1e-9, int(queued) * 1e-9)
    return found


def efficiency(work: Preset, samples: int, jobs: int, repeats: int) -> dict[str, float]:
    """Medians over runs that take turns with plain ngspice."""
    rows: list[tuple[float, ...]] = []
    known: Schedule = {}
    for _ in range(repeats):
        bare = bare_seconds(work, samples)
        wall, processor, quiet = pool_seconds(work, samples, jobs, known)
        with tempfile.TemporaryDirectory() as folder:
            study = study_seconds(work, samples, jobs, Path(folder))
        share = bare / jobs
        rows.append((bare, wall, quiet, processor, wall / share, quiet / share, processor / bare, study / share))
    seconds = ("bare_s", "wall_s", "quiet_s", "processor_s")
    names = (*seconds, "wall_ratio", "quiet_ratio", "processor_ratio", "study_ratio")
    return dict(zip(names, np.median(rows, axis=0).tolist(), strict=True))


def study_seconds(work: Preset, samples: int, jobs: int, folder: Path) -> float:
    """Wall time of the same chips as `mtc-hw montecarlo` runs them, with figures, ledger and table."""
    subject = FreeNeuron(work.neuron, work.duration)
    study = Study(subject, work.design, one_place(work.design), "transistor", Variation(), SEED)
    sheet = datasheet("spikes", {"spikes": {"min": 1.0}})
    return run_study(study, EngineOptions(samples, workers=Workers(jobs=jobs)), folder, sheet).seconds


def workers_seconds() -> float:
    """Processor time of this process, its workers and their server so far."""
    return sum(spent for spent, _ in schedule().values())


def slope(sizes: Sequence[int], cost: Callable[[int], float], repeats: int) -> tuple[float, list[float]]:
    """Of log cost over log size, and the costs, s: the least of a few tries each."""
    costs = [min(cost(size) for _ in range(repeats)) for size in sizes]
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0]), costs


def growth_in_samples(work: Preset, sizes: Sequence[int], jobs: int, repeats: int) -> dict[str, Any]:
    """Processor time of batches in workers that are warm."""
    with open_workers(Workers(jobs=jobs), work) as pool:

        def cost(samples: int) -> float:
            before = workers_seconds()
            assert all(spikes > 0 for _, spikes in pool.each(count_spikes, range(samples)))
            return workers_seconds() - before

        cost(2 * jobs)
        steepness, costs = slope(sizes, cost, repeats)
    return {"samples": list(sizes), "samples_s": costs, "samples_slope": steepness}


def growth_in_neurons(sizes: Sequence[int], chips: int, samples: int, jobs: int, repeats: int) -> dict[str, Any]:
    """The same for layers: every size in workers of its own, warm."""

    def cost(count: int) -> float:
        with open_workers(Workers(jobs=jobs), layer(count, samples)) as pool:
            list(pool.each(run_layer, range(jobs)))
            before = workers_seconds()
            assert all(ran == count for _, ran in pool.each(run_layer, range(chips)))
            return workers_seconds() - before

    steepness, costs = slope(sizes, cost, repeats)
    return {"neurons": list(sizes), "neurons_s": costs, "neurons_slope": steepness}


def memory_growth(name: str, samples: int, jobs: int) -> float:
    """Megabytes that this process's peak grows by from a fiftieth of the samples to all of them, of a whole study."""
    work = preset(name, SHORT)
    with tempfile.TemporaryDirectory() as folder:
        study_seconds(work, samples // 50, jobs, Path(folder, "few"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        study_seconds(work, samples, jobs, Path(folder, "all"))
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024.0


def measure(given: argparse.Namespace) -> dict[str, Any]:
    quick, jobs = given.quick, given.jobs or processors()
    work = preset(given.preset, 100.0 if quick else given.duration)
    found: dict[str, Any] = {"preset": given.preset, "jobs": jobs, "runs": 8 if quick else given.samples}
    found |= efficiency(work, found["runs"], jobs, 1 if quick else given.repeats)
    short = preset(given.preset, 100.0 if quick else given.duration / 4.0)
    found |= growth_in_samples(short, (4, 8, 16) if quick else (25, 50, 100, 200, 400), jobs, 1 if quick else 2)
    layers = ((2, 4, 8), 1, 20) if quick else ((8, 16, 32, 64, 128), 2, 100)
    found |= growth_in_neurons(*layers, jobs, 1 if quick else 2)
    passed = 100 if quick else 2000
    return found | {"passed": passed, "growth_mb": memory_growth(given.preset, passed, jobs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="tonic")
    parser.add_argument("--duration", type=float, default=1500.0, help="tau_m")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a few short samples, once")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{found['runs']} chips of {found['preset']}, {found['jobs']} workers, medians:")
    print(f"plain ngspice {found['bare_s']:.1f} s of processor time; the pool {found['wall_s']:.1f} s of wall time, ")
    print(f"{found['wall_ratio']:.3f} of its share, {found['quiet_ratio']:.3f} without queueing for a processor; ")
    print(f"{found['processor_ratio']:.3f} in processor time; a whole study {found['study_ratio']:.3f} of its share")
    print(f"cost over samples {found['samples']}: slope {found['samples_slope']:.3f}")
    print(f"cost over neurons {found['neurons']}: slope {found['neurons_slope']:.3f}")
    print(f"this process grew by {found['growth_mb']:.1f} MB over {found['passed']} samples")


if __name__ == "__main__":
    main()
