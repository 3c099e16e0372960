"""Does co-design beat calibration alone? The same chips, calibrated alike, carry three networks of one size.

Run: python benchmarks/codesign.py [--chips 100] [--size 2] [--iterations 1200] [--tune 150] [--out FOLDER] [--quick]

"ideal" is trained in ideal mathematics, "measured" in the measured curves of the cells. Both go on for `--tune`
iterations at a small rate, and so does "co-designed" from where "measured" was, but with calibrated chips in the loop.
All have as many neurons, the same transistors, capacitors and converters; where a network's area is larger than that
of "ideal", its capacitors shrink. Every chip is trimmed by the same plan towards its own network and judged on the
`cells` tier, with the trained readout and with one refitted to it. What is finished stays in the folder, and another
run goes on from there.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtc_hw.characterise import cells_for
from mtc_hw.checkpoint import load_spec, load_training, save_spec
from mtc_hw.codesign.loop import FINE, IN_THE_LOOP, in_its_cells
from mtc_hw.codesign.paired import paired
from mtc_hw.codesign.plots import codesign_figure
from mtc_hw.codesign.silicon import CompiledChips
from mtc_hw.codesign.verify import Scores, VerifyOptions, verify
from mtc_hw.hardware.budget import budget
from mtc_hw.hardware.cells import Cells
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.faithful import typical_effects
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import Technology, load_technology
from mtc_hw.hardware.unit import parse_size
from mtc_hw.model.export import from_spec
from mtc_hw.model.in_the_loop import hardware_in_the_loop
from mtc_hw.model.options import TrainOptions, load_recipe
from mtc_hw.model.tasks import Split, mackey_glass_split
from mtc_hw.model.train import Trained, train
from mtc_hw.spec import ModelSpec
from mtc_hw.spread import Spread

NAMES = ("ideal", "measured", "co-designed")
PAIRS = (("ideal", "measured"), ("measured", "co-designed"), ("ideal", "co-designed"))
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

    def network(self, name: str) -> ModelSpec:
        """From the folder where it is there."""
        path = self.given.out / name
        if path.with_suffix(".json").exists():
            return load_spec(path)
        began = time.perf_counter()
        spec, told = self._co_designed() if name == "co-designed" else self._in_the_model(name)
        save_spec(spec, path, told | {"seconds": time.perf_counter() - began})
        return spec

    def _options(self, curves: str) -> tuple[TrainOptions, TrainOptions]:
        """Of a training, and of its last iterations."""
        g = self.given
        own: dict[str, Any] = {"hidden": g.hidden, "seed": g.seed, "batch": g.batch, "window": g.window, "curves": curves}
        own |= {"burn_in": g.burn_in}
        if curves == "linear":
            own |= {"chips": "nominal", "spread": Spread()}
        whole = dataclasses.replace(load_recipe("circuit"), iterations=g.iterations, **own)
        rate, warm_up = FINE.learning_rate, FINE.warm_up
        return whole, dataclasses.replace(whole, iterations=g.tune, learning_rate=rate, warm_up=warm_up)

    def _first(self, name: str) -> Trained:
        curves = "linear" if name == "ideal" else "cells"
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
        first = self._first("measured").spec
        assert first is not None
        design = map_spec(first, self.technology, self.cells, MappingOptions())
        spec = in_its_cells(first, design)
        chips = calibrated(spec, drawn(design, self.given.seed + IN_THE_LOOP, range(self.given.looped)), self.split)
        loop = CompiledChips(tuple(chips), threads=self.given.threads)
        tuned, told = hardware_in_the_loop(spec, loop, self.split, self._options("cells")[1])
        return tuned, {"before": dataclasses.asdict(told.before), "after": dataclasses.asdict(told.after)}

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
        had = json.loads(path.read_text()) if path.exists() else {}
        rows: list[list[float]] = had["rows"] if had.get("key") == key else []
        while len(rows) < self.given.chips:
            samples = range(len(rows), min(len(rows) + self.given.block, self.given.chips))
            found = verify(calibrated(spec, drawn(design, self.given.seed, samples), self.split), self.split, self.judged)
            rows += np.stack([found.raw, found.refitted], axis=1).tolist()
            path.write_text(json.dumps({"key": key, "rows": rows}))
            print(f"{name}: {len(rows)} of {self.given.chips} chips", flush=True)
        return Scores(*np.array(rows[: self.given.chips]).T)


def drawn(design: MappedDesign, seed: int, samples: Sequence[int]) -> list[MappedDesign]:
    return [perturb(design, seed, sample) for sample in samples]


def calibrated(target: ModelSpec, chips: Sequence[MappedDesign], split: Split) -> list[MappedDesign]:
    raise NotImplementedError
