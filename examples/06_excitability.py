"""What a neuron can do by its I-V curves and by simulation, and a neuron made for a wanted regime."""

from pathlib import Path

import numpy as np

from mtc_hw.analysis.equilibria import onset
from mtc_hw.analysis.excitability import classify_excitability
from mtc_hw.analysis.fi_curve import fi_curve
from mtc_hw.analysis.regime_map import parse_axis, regime_map
from mtc_hw.analysis.shape import Wish, shape
from mtc_hw.excitability_plots import map_figure
from mtc_hw.neuron_file import load_neuron, save_neuron

OUT = Path("example")


def main() -> None:
    tonic = load_neuron("tonic")
    found = classify_excitability(tonic.neurons)[0]
    print(f"tonic is {found.kind}: {'; '.join(found.reasons)}")
    lost = onset(tonic.neurons)
    curve = fi_curve(tonic.neurons, np.linspace(-1.0, 0.0, 6))
    for current, rate in zip(curve.current, curve.rate(curve.from_rest), strict=True):
        print(f"{current:5.1f} I_u  {rate:.4f} spikes per tau_m")
    if lost is not None:
        print(f"rest ends at {lost.current:.3f} I_u, type {lost.type}")

    made = shape("bursting", Wish(period=450.0, spikes=5.0))
    low, high = made.currents
    print(f"made bursting from {low:.2f} to {high:.2f} I_u:", {k: round(v, 1) for k, v in made.figures.items()})
    print("saved", save_neuron(made.neuron, OUT / "bursting.toml"))

    cells = regime_map(made.neuron, parse_axis("current:-2.5:1:15"), parse_axis("alpha.slow_negative:0:2:9"))
    map_figure(cells).savefig(OUT / "map.png", dpi=150)
    print("drew", OUT / "map.png")


if __name__ == "__main__":
    main()
