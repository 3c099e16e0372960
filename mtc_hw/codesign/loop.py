"""The loop: characterise, train in the measured curves, map, verify, fine-tune with chips, map and verify again."""

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path

from mtc_hw.characterise import cells_for
from mtc_hw.codesign.silicon import CompiledChips
from mtc_hw.codesign.trimming import Calibrate, Trimmed, untrimmed
from mtc_hw.codesign.verify import Scores, VerifyOptions, verify, verify_circuits
from mtc_hw.errors import DataError
from mtc_hw.hardware.cells import Cells
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.faithful import as_cells, typical_effects
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import Technology, load_technology
from mtc_hw.hardware.unit import SQUARE, UnitSize
from mtc_hw.hardware.variation import Variation
from mtc_hw.model.export import from_spec
from mtc_hw.model.in_the_loop import LoopHistory, hardware_in_the_loop, measured_readout
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.tasks import Split
from mtc_hw.model.train import train
from mtc_hw.simulate.pool import Runner
from mtc_hw.spec import CellEffects, ModelSpec
from mtc_hw.training import require_spec

IN_THE_LOOP = 1
"""What the root seed of chips in the loop is larger by, so that no chip is both trained with and judged."""

FINE = TrainOptions(
    hidden=128, curves="cells", synapse="rectified_tanh", substeps=3, batch=16, window=650, burn_in=250,
    iterations=200, learning_rate=1.5e-3, warm_up=10, activity=0.02, allowance=0.02, candidates=1,
)  # fmt: skip
"""Of the fine-tuning: short, at a small rate, on windows as in the recipe "circuit"."""


@dataclass(frozen=True)
class CodesignOptions:
    """On what, with what chips, and how long."""

    technology: str = "generic"
    size: UnitSize = SQUARE
    mapping: MappingOptions = field(default_factory=MappingOptions)
    variation: Variation = field(default_factory=Variation)
    chips: int = 20  # that every step is judged on
    looped: int = 16  # others, in the loop
    share: float = 0.5  # of the fine-tuning's windows that run on them; the others are the model's
    seed: int = 0  # of the judged chips; those in the loop have the next
    tune: TrainOptions = FINE
    verify: VerifyOptions = field(default_factory=VerifyOptions)
    circuits: int = 0  # of the judged chips, so many by transistors too

    def __post_init__(self) -> None:
        least = {"chips": 1, "looped": 1, "circuits": 0}
        wrong = [
            f"{name} is {getattr(self, name)}; give {low} or more"
            for name, low in least.items()
            if getattr(self, name) < low
        ]
        if self.circuits > self.chips:
            wrong.append(f"circuits is {self.circuits}; there are {self.chips} chips")
        if wrong:
            raise DataError("; ".join(wrong))


@dataclass(frozen=True, eq=False)
class Step:
    """A network on silicon: after one more part of the loop."""

    name: str
    spec: ModelSpec
    design: MappedDesign
    scores: Scores
    circuits: Scores | None  # of the first chips, by transistors
    seconds: float
    history: tuple[tuple[int, float, float], ...] = ()  # iteration, loss, R2 of the batch
    loop: LoopHistory | None = None


@dataclass(frozen=True, eq=False)
class Codesigned:
    """Every step, the last one's network the result."""

    options: CodesignOptions
    cells: Cells
    steps: tuple[Step, ...]
    series: str  # digest of what was learned from

    @property
    def spec(self) -> ModelSpec:
        return self.steps[-1].spec


@dataclass(frozen=True, eq=False)
class _Bench:
    """What all steps have in common."""

    options: CodesignOptions
    technology: Technology
    cells: Cells
    split: Split
    calibrate: Calibrate
    run: Runner | None

    def mapped(self, spec: ModelSpec) -> MappedDesign:
        return map_spec(spec, self.technology, self.cells, self.options.mapping)

    def chips(self, spec: ModelSpec, design: MappedDesign, seed: int, samples: range) -> Trimmed:
        drawn = [self.options.variation.draw(design, seed, sample) for sample in samples]
        return self.calibrate(spec, drawn, self.split)

    def step(self, name: str, spec: ModelSpec, began: float) -> Step:
        o, design = self.options, self.mapped(spec)
        chips = self.chips(spec, design, o.seed, range(o.chips))
        scores = verify(chips, self.split, o.verify, o.seed)
        circuits = None
        if self.run is not None and o.circuits:
            circuits = verify_circuits(chips.chips[: o.circuits], self.split, o.verify, self.run)
        return Step(name, spec, design, scores, circuits, time.monotonic() - began)


def codesign(
    start: ModelSpec | TrainOptions,
    split: Split,
    options: CodesignOptions | None = None,
    calibrate: Calibrate = untrimmed,
    run: Runner | None = None,
    out: Path | None = None,
    progress: bool = True,
    resume: bool = False,
) -> Codesigned:
    """Every step of the loop, with what chips make of each.

    `start` are the options of a training from the beginning, in the measured curves, or a network, which is judged as
    it is and then fine-tuned. `calibrate` trims the chips, in the loop and judged.
    `run` is for the chips that are judged by transistors too. `out` is a folder for the trainings' states, from which
    `resume` goes on to the same result.
    """
    o = options or CodesignOptions()
    technology = load_technology(o.technology)
    cells = cells_for(technology, o.size.width, o.size.length)
    bench = _Bench(o, technology, cells, split, calibrate, run)
    if isinstance(start, ModelSpec):
        steps = [bench.step("given", start, time.monotonic())]
    else:
        steps = [_trained(bench, start, out, progress, resume)]
    steps.append(_tuned(bench, steps[-1], out, progress, resume))
    return Codesigned(o, cells, tuple(steps), split.digest())


def _trained(bench: _Bench, options: TrainOptions, out: Path | None, progress: bool, resume: bool) -> Step:
    began, o = time.monotonic(), dataclasses.replace(options, curves="cells", bits=None)
    typical = typical_effects(bench.technology, bench.cells, o.hidden, bench.options.mapping)
    save = None if out is None else out / "trained-state.safetensors"
    found = train(bench.split, o, progress, save=save, resume=resume, cells=typical)
    step = bench.step("trained", require_spec(found), began)
    return dataclasses.replace(step, history=found.report.history)


def _tuned(bench: _Bench, last: Step, out: Path | None, progress: bool, resume: bool) -> Step:
    """With chips of the last step's design in the loop. A network without effects takes those of its own biases.

    Trims go stale as the codes move, and a readout would learn these chips' errors: it is fitted to others, trimmed
    for the network as it is then.
    """
    began, o = time.monotonic(), bench.options
    spec = in_its_cells(last.spec, last.design) if last.spec.neurons.cells is None else last.spec
    from_spec(spec)  # refuses what training cannot hold before chips are trimmed
    seed, threads = o.seed + IN_THE_LOOP, o.verify.threads
    looped = CompiledChips(bench.chips(spec, last.design, seed, range(o.looped)).chips, threads=threads)
    save = None if out is None else out / "fine-tuned-state.safetensors"
    tuned, told = hardware_in_the_loop(spec, looped, bench.split, o.tune, progress, save, resume, o.share)
    fresh = bench.chips(tuned, bench.mapped(tuned), seed, range(o.looped, 2 * o.looped))
    shown = CompiledChips(fresh.chips, threads=threads)
    tuned = dataclasses.replace(tuned, readout=measured_readout(tuned, shown, bench.split, o.tune, o.share))
    step = bench.step("fine-tuned", tuned, began)
    return dataclasses.replace(step, history=told.history, loop=told)


def in_its_cells(spec: ModelSpec, design: MappedDesign) -> ModelSpec:
    """The network with the effects that the nominal design's cells have at its own biases, neuron by neuron."""
    effects = as_cells(dataclasses.replace(design, deviations=None)).neurons.cells
    assert isinstance(effects, CellEffects)
    return dataclasses.replace(spec, neurons=dataclasses.replace(spec.neurons, cells=effects))
