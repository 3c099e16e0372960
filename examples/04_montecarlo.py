"""How many mismatched chips of a tonic neuron still fire tonically, and how much their intervals spread."""

import numpy as np

from mtc_hw.analysis.yields import clopper_pearson
from mtc_hw.exports import design_of
from mtc_hw.hardware.unit import SQUARE
from mtc_hw.montecarlo import neuron_chips, regime_counts
from mtc_hw.simulate.pool import Workers, open_workers
from mtc_hw.sources import load_source

SAMPLES = 6


def main() -> None:
    source = load_source("tonic")
    design = design_of(source, bits=8, technology="generic", size=SQUARE)
    assert source.neuron is not None
    with open_workers(Workers()) as run:
        chips = neuron_chips(design, source.neuron, "transistor", 1000.0, seed=1, samples=SAMPLES, run=run)
    regimes = regime_counts(chips)
    good = clopper_pearson(regimes.get("tonic", 0), SAMPLES)
    intervals = np.array([chip.isi_mean for chip in chips if chip.isi_mean is not None])
    print(f"regimes {regimes}, yield {good.value:.2f} ({good.low:.2f} to {good.high:.2f})")
    print(f"interval {intervals.mean():.1f} +- {intervals.std():.1f} tau_m")


if __name__ == "__main__":
    main()
