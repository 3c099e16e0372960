"""Mismatched chips before and after calibration: presets on transistors by trim bits, and a network.

Run: python benchmarks/calibration.py neurons [--chips 100] [--size 2] [--technology generic sky130A] [--bits 4 5 6 8]
         [--subject near_threshold] [--plan onset]
     python benchmarks/calibration.py neurons --csv TABLE.csv --figure bits.png
     python benchmarks/calibration.py network [--chips 20] [--size 4] [--level transistor|cells]

`near_threshold` is the tonic preset at a current of -0.8, where it fires a fifth slower than at its own -0.5 and from
-0.9 on not at all. Every row is one study of `mtc-hw calibrate`; a second run goes on where the first one ended. The
chips are the same for all bits, as far as their transconductors go. Times are those of a chip on one process.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from mtc_hw.calibration_run import CalibrationOptions, CalibrationRun, run_calibration
from mtc_hw.hardware.unit import UnitSize, parse_size
from mtc_hw.montecarlo.engine import EngineOptions
from mtc_hw.montecarlo.study import Tier
from mtc_hw.montecarlo_run import ChipsOptions
from mtc_hw.neuron_file import load_neuron
from mtc_hw.neuron_run import with_current
from mtc_hw.simulate.pool import Workers
from mtc_hw.sources import Source, load_source

DURATION = {"tonic": 2000.0, "near_threshold": 2500.0, "bursting": 8000.0}  # tau_m: 30 spikes or more, four bursts
NEAR = -0.8  # I_u
STATES = ("before", "before_refit", "after", "after_refit")
SHOWN = {"bursting": "intra_interval", "tonic": "isi_mean", "near_threshold": "isi_mean"}


@dataclass(frozen=True)
class Case:
    """One study."""

    subject: str
    level: Tier
    technology: str
    size: UnitSize
    bits: int  # of the trims
    chips: int
    seed: int
    plan: str

    @property
    def name(self) -> str:
        plan = Path(self.plan).stem
        return f"{self.subject}-{self.level}-{self.technology}-{self.size.width * 1e6:g}um-{self.bits}-{plan}"

    def source(self) -> Source:
        if self.subject != "near_threshold":
            return load_source(self.subject)
        return Source(neuron=with_current(load_neuron("tonic"), NEAR))

    def run(self, out: Path, jobs: int) -> CalibrationRun:
        chips = ChipsOptions(
            tier=self.level,
            seed=self.seed,
            technology=self.technology,
            size=self.size,
            trim_bits=self.bits,
            duration=DURATION.get(self.subject),
        )
        engine = EngineOptions(samples=self.chips, workers=Workers(jobs=jobs), shown=True)
        return run_calibration(self.source(), chips, CalibrationOptions(self.plan), engine, out / self.name)


def row_of(case: Case, run: CalibrationRun) -> dict[str, Any]:
    """What the table shows of a study."""
    told = run.to_json()
    row: dict[str, Any] = {
        "subject": case.subject,
        "level": case.level,
        "technology": case.technology,
        "size_um": f"{case.size.width * 1e6:g}",
        "trim_bits": case.bits,
        "plan": Path(case.plan).stem,
        "chips": told["n_ok"] + told["n_failed"],
        "failed": told["n_failed"],
        "measurements_most": told["measurements_most"],
    }
    name, states = ("interval", STATES[::2]) if case.subject in SHOWN else ("r2", STATES)
    spreads = told["quantities"][SHOWN.get(case.subject, "r2")]
    for state in states:  # in ngspice there is no refit alone
        spread = spreads.get(state, dict.fromkeys(("median", "low", "sd", "mean")))
        row[f"yield_{state}"] = told["yield"].get(state, {}).get("value")
        row |= {f"{name}_{state}_{figure}": spread[figure] for figure in ("median", "low")}
        row[f"{name}_{state}_sd"] = spread["sd"] / spread["mean"] if spread["mean"] else None
    row["seconds_calibrating"] = told["seconds_calibrating_a_chip"].get("median")
    row["seconds_all"] = told["seconds_a_chip"].get("median")
    return row


def cases(options: argparse.Namespace) -> Iterator[Case]:
    subjects: Sequence[str] = options.subject if options.what == "neurons" else (options.network,)
    for technology in options.technology:
        for subject in subjects:
            for bits in options.bits:
                yield Case(
                    subject,
                    options.level,
                    technology,
                    options.size,
                    bits,
                    options.chips,
                    options.seed,
                    options.plan,
                )


def shown(row: dict[str, Any]) -> str:
    return "  ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
    )


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """The interval's spread and the yield over the trims' bits, a line each subject, level, technology and plan."""
    figure, (spread, good) = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
    groups = sorted({group_of(row) for row in rows})
    for number, group in enumerate(groups):
        own = sorted((row for row in rows if group_of(row) == group), key=bits_of)
        bits = [bits_of(row) for row in own]
        shade = plt.get_cmap("cividis")(0.85 * number / max(len(groups) - 1, 1))
        style = {"marker": "os^Dv<>p"[number % 8], "color": shade}
        label = ", ".join((group[0].replace("_", " "), *group[1:]))
        spread.plot(bits, [100.0 * float(row["interval_after_sd"]) for row in own], label=label, **style)
        good.plot(bits, [100.0 * float(row["yield_after"]) for row in own], **style)
    for axes, text in ((spread, "sd of the interval after calibration (%)"), (good, "yield after calibration (%)")):
        axes.set(xlabel="bits of the trims", ylabel=text, xticks=sorted({bits_of(row) for row in rows}))
        axes.spines[["top", "right"]].set_visible(False)
    spread.set_ylim(bottom=0.0)
    good.set_ylim(top=100.5)
    spread.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def group_of(row: dict[str, Any]) -> tuple[str, ...]:
    return row["subject"], row["level"], row["technology"], f"plan {row['plan']}"


def bits_of(row: dict[str, Any]) -> int:
    return int(row["trim_bits"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("neurons", "network"))
    parser.add_argument("--chips", type=int, default=100)
    parser.add_argument("--size", type=parse_size, default=parse_size("2"))
    parser.add_argument("--technology", nargs="+", default=["generic"])
    parser.add_argument("--bits", nargs="+", type=int, default=[6])
    parser.add_argument("--subject", nargs="+", choices=tuple(SHOWN), default=list(SHOWN), help="of the neurons")
    parser.add_argument("--plan", default="dc", help="a shipped plan, or a file")
    parser.add_argument("--level", default="transistor", choices=("transistor", "cells", "behavioural", "ode"))
    parser.add_argument("--network", default="mackey-glass-circuit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("calibration-runs"))
    parser.add_argument("--csv", type=Path, help="add the rows to this table")
    parser.add_argument("--figure", type=Path, help="draw the table of neurons over the trims' bits")
    options = parser.parse_args()
    if options.figure is not None:
        with options.csv.open(encoding="utf-8") as file:
            return draw(list(csv.DictReader(file)), options.figure)
    for case in cases(options):
        row = row_of(case, case.run(options.out, options.jobs))
        print(shown(row), flush=True)
        if options.csv is not None:
            fresh = not options.csv.exists()
            with options.csv.open("a", newline="", encoding="utf-8") as file:
                table = csv.DictWriter(file, row, lineterminator="\n")
                if fresh:
                    table.writeheader()
                table.writerow(row)


if __name__ == "__main__":
    main()
