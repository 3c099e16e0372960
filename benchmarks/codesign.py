"""Does co-design beat calibration alone? The same chips, calibrated alike, carry three networks of one size.

Run: python benchmarks/codesign.py [--chips 100] [--size 2] [--iterations 2000] [--tune 250] [--out FOLDER] [--quick]

"ideal" is trained in ideal mathematics, "measured" in the measured curves of the cells, with the spread of the recipe
"circuit". "co-designed" is "measured" but for the last `--tune` iterations, which have calibrated chips in the loop.
All have as many neurons, the same transistors, capacitors and converters; where a network's area is larger than that
of "ideal", its capacitors shrink. Every chip is trimmed by the same plan towards its own network and judged on the
`cells` tier, with the trained readout and with one refitted to it. What is finished stays in the folder, and another
run goes on from there.
"""

import argparse
import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mtc_hw import __version__
from mtc_hw.calibration.plan import Plan, RefitStep, load_plan
from mtc_hw.characterise import cells_for
from mtc_hw.checkpoint import load_spec, load_training, save_spec
from mtc_hw.codesign.loop import FINE, CodesignOptions, codesign
from mtc_hw.codesign.paired import paired
from mtc_hw.codesign.plots import codesign_figure
from mtc_hw.codesign.trimming import ByPlan
from mtc_hw.codesign.verify import Scores, VerifyOptions, verify
from mtc_hw.hardware.budget import budget
from mtc_hw.hardware.cells import Cells
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.faithful import typical_effects
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import Technology, load_technology
from mtc_hw.hardware.unit import parse_size
from mtc_hw.model.options import TrainOptions, load_recipe
from mtc_hw.model.tasks import Split, mackey_glass_split
from mtc_hw.model.train import Trained, train
from mtc_hw.spec import ModelSpec
from mtc_hw.spread import Spread

NAMES = ("ideal", "measured", "co-designed")
PAIRS = (("ideal", "measured"), ("measured", "co-designed"), ("ideal", "co-designed"))
Curves = Literal["circuit", "linear", "cells"]
FIGURES = ("area", "transistor area", "capacitor area", "converter area", "power")
LARGER = 1.001  # area from which on capacitors shrink


@dataclass(frozen=True, eq=False)
class Contest:
    """What all networks have in common."""

    given: argparse.Namespace
    technology: Technology
    cells: Cells
    split: Split
    judged: VerifyOptions
    trim: ByPlan

    def network(self, name: str) -> ModelSpec:
        """From the folder where it is there."""
        path = self.given.out / name
        if path.with_suffix(".json").exists():
            return load_spec(path)
        began = time.perf_counter()
        spec, told = self._co_designed() if name == "co-designed" else self._in_the_model(name)
        save_spec(spec, path, told | {"seconds": time.perf_counter() - began})
        return spec

    def _options(self, curves: Curves) -> tuple[TrainOptions, TrainOptions]:
        """Of a training, and of its last iterations."""
        g = self.given
        own: dict[str, Any] = {name: getattr(g, name) for name in ("hidden", "seed", "batch", "window", "burn_in")}
        whole = dataclasses.replace(load_recipe("circuit"), curves=curves, iterations=g.iterations, **own)
        if curves == "linear":
            whole = dataclasses.replace(whole, chips="nominal", spread=Spread())
        last = dataclasses.replace(whole, iterations=g.tune, learning_rate=g.rate, warm_up=FINE.warm_up)
        return whole, last

    def _first(self, name: str) -> Trained:
        curves: Curves = "linear" if name == "ideal" else "cells"
        cells = None
        if name != "ideal":
            cells = typical_effects(self.technology, self.cells, self.given.hidden, MappingOptions())
        save = self.given.out / f"{name}-state.safetensors"
        return train(self.split, self._options(curves)[0], save=save, resume=True, cells=cells)

    def _in_the_model(self, name: str) -> tuple[ModelSpec, dict[str, object]]:
        first = self._first(name)
        last = train(self.split, self._options(first.report.options.curves)[1], start=first.network)
        assert last.spec is not None
        return last.spec, {"r2": last.report.r2}

    def _co_designed(self) -> tuple[ModelSpec, dict[str, object]]:
        g, first = self.given, self._first("measured").spec
        assert first is not None
        options = CodesignOptions(
            g.technology, parse_size(g.size), looped=g.looped, chips=1, seed=g.seed, tune=self._options("cells")[1]
        )
        save = g.out / "co-designed"
        found = codesign(first, self.split, options, self.trim, out=save, resume=True)
        loop = found.steps[-1].loop
        assert loop is not None
        return found.spec, {name: dataclasses.asdict(getattr(loop, name)) for name in ("before", "after")}

    def design(self, spec: ModelSpec, most: float | None) -> MappedDesign:
        """Mapped; with capacitors so small that the area is no more than that, m^2."""
        options = MappingOptions()
        design = map_spec(spec, self.technology, self.cells, options)
        area = budget(design)
        if most is None or area["area"] <= LARGER * most:
            return design
        share = 1.0 - (area["area"] - most) / area["capacitor area"]
        return map_spec(
            spec, self.technology, self.cells, dataclasses.replace(options, capacitor=share * options.capacitor)
        )

    def scores(self, name: str, spec: ModelSpec, design: MappedDesign) -> Scores:
        """Of every chip, block by block from the folder where they are there."""
        path = self.given.out / f"{name}-chips.json"
        key = {"design": design.digest, "network": spec.digest(), "judged": dataclasses.asdict(self.judged)}
        key["plan"] = self.trim.plan.digest()
        had = json.loads(path.read_text()) if path.exists() else {}
        rows: list[list[float]] = had["rows"] if had.get("key") == key else []
        while len(rows) < self.given.chips:
            samples = range(len(rows), min(len(rows) + self.given.block, self.given.chips))
            chips = [perturb(design, self.given.seed, sample) for sample in samples]
            found = verify(self.trim(spec, chips, self.split), self.split, self.judged)
            rows += np.stack([found.raw, found.refitted], axis=1).tolist()
            path.write_text(json.dumps({"key": key, "rows": rows}))
            print(f"{name}: {len(rows)} of {self.given.chips} chips", flush=True)
        return Scores(*np.array(rows[: self.given.chips]).T)


def main() -> None:
    given = arguments()
    began = time.perf_counter()
    size = parse_size(given.size)
    technology = load_technology(given.technology)
    cells = cells_for(technology, size.width, size.length)
    split = mackey_glass_split(3000, 900) if given.quick else mackey_glass_split()
    judged, trim = VerifyOptions(test=given.test), ByPlan(plan_of(given), threads=given.threads)
    contest = Contest(given, technology, cells, split, judged, trim)
    specs = {name: contest.network(name) for name in NAMES}
    most = budget(contest.design(specs["ideal"], None))["area"]
    designs = {name: contest.design(spec, most) for name, spec in specs.items()}
    scores = {name: contest.scores(name, specs[name], designs[name]) for name in NAMES}
    gains = [
        {"before": one, "after": other, "readout": readout}
        | paired(getattr(scores[one], readout), getattr(scores[other], readout)).to_json()
        for one, other in PAIRS
        for readout in ("raw", "refitted")
    ]
    result = {
        "networks": {name: told(given.out / name, designs[name], scores[name]) for name in NAMES},
        "gains": gains,
        "given": {name: str(value) for name, value in vars(given).items() if name not in ("out", "json")},
        "mtc_hw": __version__,
        "series": split.digest(),
        "plan": {"name": trim.plan.name, "digest": trim.plan.digest()},
        "seconds": time.perf_counter() - began,
    }
    (given.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    codesign_figure(scores, {}).savefig(given.out / "codesign.png", dpi=150)
    text = table(result)
    (given.out / "table.md").write_text(text + "\n")
    print(json.dumps(result) if given.json else text)


def plan_of(given: argparse.Namespace) -> Plan:
    """With a refit on so many samples."""
    plan = load_plan(given.plan)
    longer = {"samples": given.refit}
    steps = [step.model_copy(update=longer) if isinstance(step, RefitStep) else step for step in plan.steps]
    return plan.model_copy(update={"steps": tuple(steps)})


def told(path: Path, design: MappedDesign, scores: Scores) -> dict[str, Any]:
    costs = budget(design)
    known = load_training(path)
    return {
        "training": known,
        "design": design.digest,
        "costs": {name: costs[name] for name in FIGURES},
        "capacitor": design.scale.farad,
        "chips": scores.to_json(),
    }


def table(result: dict[str, Any]) -> str:
    lines = ["| network | area, mm2 | chips | R2 trained readout, median (5 %) | R2 refitted | seconds to train |"]
    lines.append("|---|---|---|---|---|---|")
    for name, each in result["networks"].items():
        chips, area = each["chips"], 1e6 * each["costs"]["area"]
        figures = [f"{chips[f'{kind}_median']:.4f} ({chips[f'{kind}_p5']:.4f})" for kind in ("raw", "refitted")]
        ran = f"{chips['chips'] - chips['failed']} of {chips['chips']}"
        lines.append(
            f"| {name} | {area:.3f} | {ran} | {figures[0]} | {figures[1]} | {each['training']['seconds']:.0f} |"
        )
    lines += ["", "| on the same chips | readout | mean difference in R2 (95 %) | median (95 %) | better on |"]
    lines.append("|---|---|---|---|---|")
    for each in result["gains"]:
        figures = [interval(each[kind]) for kind in ("mean", "median")]
        where = f"{each['after']} over {each['before']}"
        lines.append(
            f"| {where} | {each['readout']} | {figures[0]} | {figures[1]} | {each['better']:.0%} of {each['chips']} |"
        )
    return "\n".join(lines)


def interval(found: dict[str, float]) -> str:
    return f"{found['value']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chips", type=int, default=100)
    parser.add_argument("--looped", type=int, default=16, help="other chips, in the loop")
    parser.add_argument("--size", default="2", help="um, of the unit transistor")
    parser.add_argument("--technology", default="generic")
    parser.add_argument("--plan", default="dc")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--tune", type=int, default=250, help="of them, at a small rate, after these")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate of these")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--window", type=int, default=650)
    parser.add_argument("--burn-in", type=int, default=250)
    parser.add_argument("--test", type=int, default=1000, help="samples of the test part that count")
    parser.add_argument("--refit", type=int, default=3000, help="samples for a chip's own readout")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--block", type=int, default=16, help="chips from one saved result to the next")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("codesign-contest"))
    parser.add_argument("--quick", action="store_true", help="a few of everything")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.chips, given.looped, given.hidden, given.iterations, given.tune, given.batch = 4, 2, 8, 30, 5, 4
        given.window, given.burn_in, given.test, given.refit = 120, 40, 200, 400
    given.out.mkdir(parents=True, exist_ok=True)
    return given


if __name__ == "__main__":
    main()
