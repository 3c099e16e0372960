"""A trained network at several temperatures, all of it in transistors: trims set once, the readout refitted at each.

Run: python benchmarks/temperature.py [NETWORK] [--sizes 4 2/8] [--celsius 0 27 70] [--out benchmarks/results]

The nominal chip is calibrated at the technology's temperature, the readout's gain and zero too. At every temperature
the whole network, synapses and low-pass included, runs on the test part with these codes (`raw`), and with a readout
calibrated there, weights, gain and zero (`refitted`).
"""

import argparse
import csv
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.plan import Plan, ReadoutStep, RefitStep, load_plan
from mtc_hw.calibration.purpose import Purpose
from mtc_hw.calibration.result import apply
from mtc_hw.errors import DataError
from mtc_hw.exports import design_of
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.conditions import Tracking, at_condition
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.technology import load_technology
from mtc_hw.hardware.unit import SQUARE, UnitSize, parse_size
from mtc_hw.metrics import r2
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.purposes import task_purpose, without_refit
from mtc_hw.simulate.network import run_networks
from mtc_hw.simulate.pool import Runner, Workers, open_workers
from mtc_hw.sources import load_source
from mtc_hw.spec import Array

BURN_IN = 250  # samples that only bring the network into step


@dataclass(frozen=True)
class Row:
    """One size at one temperature."""

    network: str
    technology: str
    size: str  # W/L, um
    tracking: str
    celsius: float
    raw: float  # R2 with the readout codes of the technology's temperature
    refitted: float  # R2 with those of its own
    power: float  # W a neuron
    failed: int  # decks
    seconds: float


@dataclass(frozen=True)
class Work:
    """What is run."""

    technology: str
    tracking: Tracking
    refit: int  # samples
    test: int


def over_temperature(name: str, size: UnitSize, temperatures: list[float], work: Work, run: Runner) -> Iterator[Row]:
    """Each temperature's scores, as they come."""
    source, split = load_source(name), mackey_glass_split()
    spec = source.spec
    if spec is None or spec.readout is None:
        raise DataError(f"{name!r} is no trained network")
    nominal = design_of(source, 8, work.technology, size)
    purpose = task_purpose(spec, split)
    trimmed = calibrated(nominal, without_refit(purpose), load_plan("dc"), run)
    readout = RefitStep(method="refit", samples=work.refit, burn_in=BURN_IN)
    own = Plan(name="readout", steps=(ReadoutStep(method="readout"), readout))
    inputs = split.test.inputs[: BURN_IN + work.test, None]
    for celsius in temperatures:
        start = time.perf_counter()
        there = moved(trimmed, celsius, work)
        before, after = run_networks([there, calibrated(there, purpose, own, run)], "transistor", inputs, run)
        raw, refitted = (score(each.prediction, split.test.targets[: len(inputs)]) for each in (before, after))
        yield Row(
            network=Path(name).stem,
            technology=work.technology,
            size=str(size),
            tracking=work.tracking,
            celsius=celsius,
            raw=raw,
            refitted=refitted,
            power=after.power / nominal.count,
            failed=len(before.failed) + len(after.failed),
            seconds=time.perf_counter() - start,
        )


def calibrated(design: MappedDesign, purpose: Purpose, plan: Plan, run: Runner) -> MappedDesign:
    """The design with what the plan finds of it, in transistors."""
    instrument = NgspiceInstrument(design, "transistor", run, purpose.course)
    return apply(calibrate(design, purpose, instrument, plan), design)


def moved(design: MappedDesign, celsius: float, work: Work) -> MappedDesign:
    technology = load_technology(work.technology, temperature=celsius)
    return at_condition(design, unit_sized(technology, design.cells.width, design.cells.length), work.tracking)


def score(prediction: Array, targets: Array) -> float:
    return r2(prediction[BURN_IN:, 0], targets[BURN_IN:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", default="mackey-glass-fast")
    parser.add_argument("--technology", default="generic")
    parser.add_argument("--sizes", nargs="+", type=parse_size, default=[SQUARE, parse_size("2/8")])
    parser.add_argument("--celsius", nargs="+", type=float, default=[0.0, 27.0, 70.0])
    parser.add_argument("--tracking", choices=["ptat", "fixed"], default="ptat")
    parser.add_argument("--refit", type=int, default=3000, help="samples")
    parser.add_argument("--test", type=int, default=1000, help="samples")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="one size and temperature, 150 samples")
    given = parser.parse_args()
    work = Work(given.technology, given.tracking, given.refit, given.test)
    sizes, temperatures = given.sizes, given.celsius
    if given.quick:
        work, sizes, temperatures = dataclasses.replace(work, refit=150, test=150), sizes[:1], temperatures[:1]
    print("| network | size | bias | C | raw R2 | refitted R2 | power a neuron, nW | failed | s |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    rows = []
    with open_workers(Workers(jobs=given.jobs)) as run:
        for size in sizes:
            for row in over_temperature(given.network, size, temperatures, work, run):
                rows.append(row)
                print(
                    f"| {row.network} | {row.size} | {row.tracking} | {row.celsius:g} | {row.raw:.4f} "
                    f"| {row.refitted:.4f} | {row.power * 1e9:.1f} | {row.failed} | {row.seconds:.0f} |",
                    flush=True,
                )
    if given.out is not None:
        write(rows, given.out / f"temperature-{rows[0].network}-{given.tracking}.csv")


def write(rows: list[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [each.name for each in dataclasses.fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)


if __name__ == "__main__":
    main()
