"""The tonic and the bursting preset over five corners, five temperatures and three supplies, at transistor level.

Run: python benchmarks/corners.py [--neurons tonic bursting] [--tracking ptat fixed] [--out benchmarks/results]

Prints the operating window of each and leaves a table, corners-NEURON-TRACKING.csv, with a row a condition.
"""

import argparse
import time
from pathlib import Path

from mtc_hw.corners import CornersOptions, CornersStudy, study_corners, summary, windows, write_rows
from mtc_hw.hardware.unit import LONG, parse_size
from mtc_hw.neuron_file import load_neuron
from mtc_hw.simulate.pool import Workers, open_workers

DURATION = {"bursting": 6000.0}  # tau_m: three bursts; of the others as their files say
QUICK = {"corners": ("tt",), "temperatures": (27.0,), "duration": 400.0}


def table(study: CornersStudy) -> str:
    """The window of each corner (row) and supply (column) in Markdown."""
    head = [f"| {study.neuron}, {study.tracking} |", *(f" {supply:g} V |" for supply in study.supplies)]
    lines = ["".join(head), "|---" * (len(study.supplies) + 1) + "|"]
    found = windows(study)
    for corner in study.corners:
        cells = [f" {each} |" for each in found if each.corner == corner]
        lines.append("".join([f"| {corner} |", *cells]))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", nargs="+", default=["tonic", "bursting"])
    parser.add_argument("--tracking", nargs="+", choices=["ptat", "fixed"], default=["ptat", "fixed"])
    parser.add_argument("--technology", default="generic")
    parser.add_argument("--size", type=parse_size, default=LONG)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="one corner and temperature, 400 tau_m")
    given = parser.parse_args()
    for name in given.neurons:
        for tracking in given.tracking:
            options = CornersOptions(given.technology, given.size, tracking=tracking, duration=DURATION.get(name))
            if given.quick:
                options = CornersOptions(given.technology, given.size, tracking=tracking, **QUICK)
            start = time.perf_counter()
            with open_workers(Workers(jobs=given.jobs)) as run:
                study = study_corners(load_neuron(name), options, run)
            if given.out is not None:
                write_rows(study, given.out / f"corners-{name}-{tracking}.csv")
            print(f"{summary(study)}; {time.perf_counter() - start:.0f} s\n\n{table(study)}\n", flush=True)


if __name__ == "__main__":
    main()
