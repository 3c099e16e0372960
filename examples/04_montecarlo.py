"""How many mismatched chips of a tonic neuron still fire tonically, on two tiers: many fast, a few as transistors."""

import tempfile
from pathlib import Path

from mtc_hw.montecarlo.engine import EngineOptions
from mtc_hw.montecarlo.table import read_table
from mtc_hw.montecarlo_run import ChipsOptions, run_chips
from mtc_hw.sources import load_source

MANY, FEW = 200, 4


def main() -> None:
    source = load_source("tonic")
    with tempfile.TemporaryDirectory() as folder:
        options = ChipsOptions(tier="cells", seed=1, duration=1000.0)
        found = run_chips(source, options, EngineOptions(samples=MANY), Path(folder), confirm=FEW)
        print(found.summary())
        table = read_table(found.finished.table)
        intervals = table["isi_mean"].drop_null().to_numpy()
        print(f"regimes {found.finished.regimes}, interval {intervals.mean():.1f} +- {intervals.std():.1f} tau_m")


if __name__ == "__main__":
    main()
