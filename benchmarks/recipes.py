"""What the shipped recipes reach: R2, sparsity, silent neurons and time over several seeds.

python benchmarks/recipes.py [--recipes sparse robust ...] [--seeds 5] [--bits 6] [--chips 50] [--json]

With --bits, each recipe is also trained for converters of so many bits, and scored with every converter, the
readout's too, at that. Recipes with mismatch are scored on fresh chips, with their own readout and with a refit.
"""

import argparse
import dataclasses
import json
import statistics
from typing import Any

from mtc_hw.metrics import r2
from mtc_hw.model.options import TrainOptions, load_recipe, recipe_names
from mtc_hw.model.robustness import robustness
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import Split, mackey_glass_split
from mtc_hw.model.train import Trained, train
from mtc_hw.training import quantiser

FRESH = 10_000
"""Added to the training's seed, so that no chip was seen before."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=recipe_names())
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--bits", type=int)
    parser.add_argument("--chips", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    split = mackey_glass_split()
    rows = []
    for name in given.recipes:
        for bits in [None, given.bits] if given.bits else [None]:
            for seed in range(given.seeds):
                options = dataclasses.replace(load_recipe(name), seed=seed, bits=bits)
                rows.append({"recipe": name, "bits": bits, "seed": seed} | measured(split, options, given.chips))
                print(json.dumps(rows[-1]), flush=True)
    if not given.json:
        print(table(rows))


def measured(split: Split, options: TrainOptions, chips: int) -> dict[str, Any]:
    """One training's figures."""
    rule = None if options.bits is None else quantiser(options.bits)
    trained = train(split, options, progress=False, quantiser=rule)
    report = trained.report
    found: dict[str, Any] = {
        "r2": report.r2,
        "r2_refined": report.r2_refined,
        "s_comp": report.s_comp,
        "silent": report.silent / options.hidden,
        "seconds": report.seconds,
    }
    if rule is not None:
        found["r2"] = quantised_score(split, trained, options)
    if options.chips != "nominal":
        seed = FRESH + options.seed
        found |= robustness(trained.network, trained.readout, split, options.spread, chips, seed).summary()
    return found


def quantised_score(split: Split, trained: Trained, options: TrainOptions) -> float:
    """R2 with every value of the network as its converter has it."""
    assert trained.spec is not None and options.bits is not None
    answer = run_spec(quantiser(options.bits)(trained.spec), split.test.inputs).prediction
    kept = slice(options.burn_in, None)
    return r2(answer[kept, 0], split.test.targets[kept])


def table(rows: list[dict[str, Any]]) -> str:
    """Median, and in brackets smallest and largest, of each recipe."""
    lines = []
    for key in dict.fromkeys((row["recipe"], row["bits"]) for row in rows):
        own = [row for row in rows if (row["recipe"], row["bits"]) == key]
        name = key[0] if key[1] is None else f"{key[0]}, {key[1]} bits"
        lines.append(f"{name} ({len(own)} seeds)")
        for quantity in (each for each in own[0] if each not in ("recipe", "bits", "seed")):
            values = [row[quantity] for row in own]
            span = f"({min(values):.4f} to {max(values):.4f})"
            lines.append(f"  {quantity:18}{statistics.median(values):9.4f}  {span}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
