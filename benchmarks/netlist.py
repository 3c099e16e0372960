"""How long a large network takes to be mapped and to be rendered, a deck a neuron.

Run: python benchmarks/netlist.py [--neurons 1000] [--samples 1250] [--json]
"""

import argparse
import json
import time

import numpy as np

from mtc_hw.characterise import cells_for
from mtc_hw.hardware.cells import Cells
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import load_technology
from mtc_hw.netlist import render
from mtc_hw.netlist.render import Series, neuron_deck
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.simulate.network import SETTLED
from mtc_hw.spec import ModelSpec, Neurons, Readout


def random_spec(count: int, cells: Cells, rng: np.random.Generator) -> ModelSpec:
    """Neurons of every kind: half of them bursting, a third with a filter in front of the fast element."""
    bursting = rng.random(count) < 0.5
    alpha = rng.uniform(0.5, 3.0, (4, count)) * np.array([np.ones(count), np.ones(count), bursting, bursting])
    tau = np.array(
        [
            np.where(rng.random(count) < 1 / 3, rng.uniform(1.0, 3.0, count), 0.0),
            rng.uniform(20.0, 80.0, count),
            rng.uniform(200.0, 2500.0, count),
        ]
    )
    delta = rng.uniform(-1.5, 1.0, (4, count))
    neurons = Neurons(alpha, delta, tau, leak_curve=cells.leak_curve, filter_curve=cells.filter_curve)
    readout = Readout(rng.normal(size=(1, count)), np.zeros(1), tau=20.0)
    return ModelSpec(neurons, rng.normal(size=(count, 1)), rng.normal(size=count), readout=readout)


def render_all(design: MappedDesign, samples: int, shared: bool) -> tuple[float, int]:
    """Seconds and characters for a transistor deck of every neuron; not shared: the input's text anew for each."""
    series = Series(np.random.default_rng(1).normal(size=(samples, 1)), 1.0)
    render._interpolation.cache_clear()
    start, characters = time.perf_counter(), 0
    for index in range(design.count):
        if not shared:
            render._interpolation.cache_clear()
        deck = neuron_deck(design, index, "transistor", series, samples - 1.0, SETTLED, TRANSISTOR)
        characters += len(deck.text)
    return time.perf_counter() - start, characters


def measure(neurons: int, samples: int, repeats: int) -> dict[str, float]:
    technology = load_technology("generic")
    cells = cells_for(technology, 4e-6, 4e-6)
    spec = random_spec(neurons, cells, np.random.default_rng(0))
    mapped, shared, alone = [], [], []
    for _ in range(repeats):
        start = time.perf_counter()
        design = map_spec(spec, technology, cells, MappingOptions())
        mapped.append(time.perf_counter() - start)
        seconds, characters = render_all(design, samples, shared=True)
        shared.append(seconds)
        alone.append(render_all(design, samples, shared=False)[0])
    best = {"map_s": min(mapped), "render_s": min(shared), "render_without_sharing_s": min(alone)}
    return best | {
        "neurons": neurons,
        "megabytes": characters / 1e6,
        "total_s": best["map_s"] + best["render_s"],
        "ratio": best["render_without_sharing_s"] / best["render_s"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=1250)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="20 neurons, 50 samples, once")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    size = (20, 50, 1) if given.quick else (given.neurons, given.samples, given.repeats)
    found = measure(*size)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{found['neurons']:g} neurons, {found['megabytes']:.1f} MB of decks, best of {size[2]}:")
    print(f"map {found['map_s']:.3f} s, render {found['render_s']:.2f} s, together {found['total_s']:.2f} s")
    print(f"the input's text made once, not once a neuron: {found['ratio']:.2f} times as fast")


if __name__ == "__main__":
    main()
