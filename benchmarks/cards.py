"""Frozen cards against the PDKs' own transistors, and how long both take to load.

python benchmarks/cards.py [--technology gf180mcuD sky130A] [--size 4.0] [--corners tt ff ss sf fs] [--quick]

For each corner one load of the PDK as it ships: both devices, the unit size and twice its width, at -40, 27 and 125
degrees Celsius, drain current over gate voltage at three drain voltages; the worst relative difference between 1 pA
and 1 uA counts. Loading is from the start of the ngspice process until the circuit is there; that of the cards is the
least of ten. Needs PDK_ROOT; cards are frozen anew, in a cache of the run's own.
"""

import argparse
import os
import tempfile

from mtc_hw.card_bench import Transistor, card_sweep, library_sweep, worst_difference
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.process import CORNERS, KINDS
from mtc_hw.hardware.technology import load_technology

TEMPERATURES = (-40.0, 27.0, 125.0)


def row(name: str, corner: str, size: float) -> str:
    technology = unit_sized(load_technology(name, corner), size, size)
    transistors = [Transistor(kind, width, size) for kind in KINDS for width in (size, 2.0 * size)]
    cards = [technology.card(each.kind, each.width, each.length) for each in transistors]
    reference = library_sweep(technology, transistors, TEMPERATURES)
    runs = [card_sweep(technology, technology.cards, cards, transistors, TEMPERATURES) for _ in range(10)]
    worst = [
        max(
            worst_difference(reference.currents[at][index], runs[0].currents[at][index])
            for index, each in enumerate(transistors)
            if each.kind == kind
        )
        for kind in KINDS
        for at in TEMPERATURES
    ]
    loading = f"{reference.loading:.2f} s | {1e3 * min(run.loading for run in runs):.1f} ms"
    return f"| {name} | {corner} | {' | '.join(f'{each:.0e}' for each in worst)} | {loading} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--technology", nargs="+", default=["gf180mcuD", "sky130A"])
    parser.add_argument("--corners", nargs="+", default=list(CORNERS))
    parser.add_argument("--size", type=float, default=4.0, help="um, width and length of the unit transistor")
    parser.add_argument("--quick", action="store_true", help="one corner of GF180MCU")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.technology, chosen.corners = ["gf180mcuD"], ["tt"]
    columns = [f"{kind} {at:g} C" for kind in KINDS for at in TEMPERATURES]
    print(f"| technology | corner | {' | '.join(columns)} | PDK loads | cards load |")
    print("|---" * (len(columns) + 4) + "|")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        for name in chosen.technology:
            for corner in chosen.corners:
                print(row(name, corner, chosen.size * 1e-6), flush=True)


if __name__ == "__main__":
    main()
