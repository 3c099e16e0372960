"""The main job: train, map, simulate at both levels, draw chips, calibrate them, and tell what was found."""

import dataclasses
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy.interpolate import PchipInterpolator

from mtc_hw import __version__
from mtc_hw.analysis.datasheet import datasheet
from mtc_hw.analysis.yields import Yield, clopper_pearson
from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.plan import Plan, load_plan
from mtc_hw.calibration.purpose import Purpose
from mtc_hw.calibration.result import Result, apply, save_result
from mtc_hw.characterise import cells_for
from mtc_hw.findings import Findings, Stage
from mtc_hw.findings_file import load_findings, save_findings
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.design import MappedDesign, as_spec
from mtc_hw.hardware.design_file import save_design
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import load_technology
from mtc_hw.hardware.variation import Variation
from mtc_hw.metrics import r2
from mtc_hw.model.options import TrainOptions, load_recipe
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import Split, mackey_glass_split
from mtc_hw.model.train import Trained
from mtc_hw.montecarlo.engine import EngineOptions, run_study
from mtc_hw.montecarlo.row import ChipRow
from mtc_hw.montecarlo.study import DrivenNetwork, Series, Study, one_place
from mtc_hw.montecarlo.table import read_table, rows_of
from mtc_hw.netlist.deck import write_decks
from mtc_hw.purposes import task_purpose, without_refit
from mtc_hw.report import write_report
from mtc_hw.simulate.network import LayerRun, NetworkRun, input_spacing, layer_decks, run_networks
from mtc_hw.simulate.ngspice import version as ngspice_version
from mtc_hw.simulate.pool import Runner, Workers, open_workers, require
from mtc_hw.simulate.progress import watched
from mtc_hw.spec import Array, ModelSpec, Trace
from mtc_hw.training import require_spec, train_and_save

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunOptions:
    """The main job's size. Samples are of the network's input, one tau_m apart."""

    seed: int = 0
    training: TrainOptions = dataclasses.replace(load_recipe("circuit"), hidden=64, seconds=110.0)
    mapping: MappingOptions = MappingOptions()
    technology: str = "generic"
    size: float = 4e-6  # m, width and length of the unit transistor
    burn_in: int = 250  # samples
    test: int = 1000  # samples that count
    refit: int = 3000  # samples for a readout refit
    chips: int = 2  # at transistor level
    software_chips: int = 200
    threshold: float = 0.9  # R2 of a good chip
    jobs: int = 0


QUICK = RunOptions(
    training=dataclasses.replace(load_recipe("circuit"), hidden=16, seconds=12.0),
    test=400,
    refit=600,
    chips=1,
    software_chips=50,
)
"""Every stage in under a minute: the figures are those of a small, hardly trained network."""


@dataclass(frozen=True, eq=False)
class Chain:
    """What the stages share."""

    options: RunOptions
    split: Split
    spec: ModelSpec
    design: MappedDesign
    plan: Plan
    purpose: Purpose
    run: Runner

    @property
    def test_inputs(self) -> Array:
        return self.split.test.inputs[: self.options.burn_in + self.options.test, None]

    @property
    def refit_inputs(self) -> Array:
        return self.split.train.inputs[-(self.options.burn_in + self.options.refit) :, None]

    def score(self, answer: Array) -> float:
        """R2 of a standardised prediction (T,) of the test stretch after the burn-in."""
        kept = slice(self.options.burn_in, None)
        return r2(answer[kept], self.split.test.targets[: len(answer)][kept])


def run_chain(options: RunOptions, out: Path, progress: bool) -> Findings:
    """Runs every stage, leaves its artefacts in `out`, and writes report.html and result.json there."""
    clock, say = Clock(), _spoken(progress)
    split = mackey_glass_split()
    require("pyspice")  # before minutes of training
    say("training")
    training = dataclasses.replace(options.training, seed=options.seed)
    trained, _ = train_and_save(split, training, out, f"mtc-hw run --seed {options.seed}", progress)
    spec = require_spec(trained)
    clock.lap("training")
    technology = unit_sized(load_technology(options.technology), options.size, options.size)
    cells = cells_for(technology, options.size, options.size)
    design = map_spec(spec, technology, cells, options.mapping)
    save_design(design, out / "design.json")
    clock.lap("mapping")
    with open_workers(Workers(jobs=options.jobs)) as run:
        plan = load_plan("dc").with_refit(options.refit)
        purpose = task_purpose(spec, split)
        chain = Chain(options, split, spec, design, plan, purpose, watched(run, "neurons", progress))
        findings = _findings(chain, trained, _simulate(chain, out, say, clock), clock.seconds)
    save_findings(findings, out)
    findings = load_findings(out)  # as `mtc-hw report` does, so that it writes the same page
    report = write_report(findings, out / "report.html")
    (out / "result.json").write_text(json.dumps(to_json(findings, report), indent=1) + "\n", encoding="utf-8")
    return findings


def _spoken(shown: bool) -> Say:
    """Stages on standard error."""
    console = Console(stderr=True, quiet=not shown, highlight=False)
    return lambda text: console.print(text)


class Clock:
    """Wall time by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._start, 3)
        self._start = now


@dataclass(frozen=True, eq=False)
class Measured:
    """What the stages after training gave."""

    behavioural: NetworkRun
    untrimmed: NetworkRun
    trimmed: NetworkRun
    twins: list[ChipRow]
    raw: tuple[float, ...]  # R2 of each transistor-level chip
    calibrated: tuple[float, ...]
    chip_runs: list[NetworkRun]

    @property
    def runs(self) -> list[NetworkRun]:
        return [self.behavioural, self.untrimmed, self.trimmed, *self.chip_runs]


def _simulate(chain: Chain, out: Path, say: Say, clock: Clock) -> Measured:
    o, design, inputs = chain.options, chain.design, chain.test_inputs
    say(f"simulating {design.count} neurons, behavioural level")
    behavioural = run_networks([design], "behavioural", inputs, chain.run)[0]
    write_decks(layer_decks(design, "behavioural", inputs), out / "deck" / "behavioural")
    clock.lap("behavioural")
    say("trimming the nominal chip and simulating it, transistor level")
    trimmed, before, after = _transistor(chain, out)
    clock.lap("transistor")
    say(f"{o.software_chips} mismatched chips in software")
    twins = _twins(chain, out / "montecarlo")
    clock.lap("montecarlo")
    say(f"{o.chips} mismatched chips at transistor level, before and after calibration")
    raw, calibrated, chip_runs = _chips(chain, trimmed, out)
    clock.lap("chips")
    return Measured(behavioural, before, after, twins, raw, calibrated, chip_runs)


def _findings(chain: Chain, trained: Trained, found: Measured, seconds: dict[str, float]) -> Findings:
    o, inputs, report = chain.options, chain.test_inputs, trained.report
    quantised = run_spec(as_spec(chain.design), inputs)
    predictions = {
        "software": run_spec(chain.spec, inputs).prediction[:, 0],
        "refined": run_spec(chain.spec, inputs, chain.spec.step / 4).prediction[:, 0],
        "quantised": quantised.prediction[:, 0],
        "behavioural": found.behavioural.prediction[:, 0],
        "untrimmed": found.untrimmed.prediction[:, 0],
        "transistor": found.trimmed.prediction[:, 0],
    }
    scores: dict[str, tuple[float, ...]] = {name: (chain.score(y),) for name, y in predictions.items()}
    scores |= {"mismatch": found.raw, "calibrated": found.calibrated}
    drawn, refitted = (np.array([getattr(c, name) for c in found.twins], float) for name in ("r2", "r2_refitted"))
    voltage, step = found.trimmed.layer.voltage, found.trimmed.layer.step
    return Findings(
        spec=chain.spec,
        stages=tuple(Stage(name, meaning, scores[name]) for name, meaning in MEANINGS.items()),
        s_comp=report.s_comp,
        s_comm=report.s_comm,
        silent=report.silent / chain.spec.neurons.count,
        time=input_spacing(chain.design) * np.arange(len(inputs), dtype=np.float64),
        target=chain.split.test.targets[: len(inputs)],
        predictions=predictions,
        burn_in=o.burn_in,
        trace_time=step * np.arange(len(voltage), dtype=np.float64),
        software_voltage=on_grid(quantised.trace, found.trimmed.layer),
        circuit_voltage=voltage,
        software_chips=drawn,
        software_refitted=refitted,
        chips_raw=np.array(found.raw),
        chips_calibrated=np.array(found.calibrated),
        threshold=o.threshold,
        yield_=_yield(drawn, o.threshold),
        yield_refitted=_yield(refitted, o.threshold),
        neuron_power=float(found.trimmed.power / chain.design.count),
        simulated=len(found.runs) * chain.design.count,
        failures=tuple(f"{e.deck}: {e.status}: {e.reason}" for run in found.runs for e in run.failed),
        seconds=seconds,
        provenance=provenance(chain, trained),
    )


def _yield(scores: Array, threshold: float) -> Yield | None:
    return clopper_pearson(int((scores >= threshold).sum()), len(scores)) if len(scores) else None


def _shown(found: Yield | None) -> dict[str, float] | None:
    return None if found is None else vars(found) | {"value": found.value}


MEANINGS = {
    "software": "the trained network, float, at the step it was trained with",
    "refined": "the same at a quarter of the step: what the continuous-time equations do",
    "quantised": "conductances, offsets, time constants and weights as converter codes",
    "behavioural": "the codes' equations as a netlist in ngspice",
    "untrimmed": "the same codes with transistors in place of equations, readout included, nominal devices",
    "transistor": "after the nominal chip was trimmed from sweeps of its own transconductors",
    "mismatch": "virtual chips with those codes, every transistor drawn after Pelgrom, trained readout",
    "calibrated": "the same chips, each trimmed from its own sweeps, readout refitted and quantised",
}


def on_grid(trace: Trace, layer: LayerRun) -> Array:
    """A software trace at the layer's grid points, (S, N)."""
    grid = np.arange(len(layer.voltage)) * layer.step
    return np.asarray(PchipInterpolator(trace.time, trace.voltage, axis=0)(grid))


def _twins(chain: Chain, out: Path) -> list[ChipRow]:
    """Mismatched chips on the ode tier, each with the trained readout and with one refitted to it."""
    o, split = chain.options, chain.split
    if not o.software_chips:
        return []
    kept = len(chain.refit_inputs)
    subject = DrivenNetwork(
        Series(chain.test_inputs, split.test.targets[: len(chain.test_inputs)]),
        o.burn_in,
        Series(chain.refit_inputs, split.train.targets[-kept:]),
    )
    study = Study(subject, chain.design, one_place(chain.design), "ode", Variation(), o.seed)
    sheet = datasheet("r2", {"r2": {"min": o.threshold}})
    options = EngineOptions(samples=o.software_chips, workers=Workers(jobs=o.jobs), csv=True)
    return rows_of(read_table(run_study(study, options, out, sheet).table))


def _transistor(chain: Chain, out: Path) -> tuple[MappedDesign, NetworkRun, NetworkRun]:
    """The nominal chip's trimmed design, and its test run before and after the trim."""
    result = calibrated(chain, chain.design, without_refit(chain.purpose))
    trimmed = apply(result, chain.design)
    save_result(result, out / "calibration" / "nominal.json")
    before, after = run_networks([chain.design, trimmed], "transistor", chain.test_inputs, chain.run)
    write_decks(layer_decks(trimmed, "transistor", chain.test_inputs), out / "deck" / "transistor")
    return trimmed, before, after


def calibrated(chain: Chain, chip: MappedDesign, purpose: Purpose) -> Result:
    """What a calibration of this chip in ngspice finds."""
    instrument = NgspiceInstrument(chip, "transistor", chain.run, purpose.course)
    return calibrate(chain.design, purpose, instrument, chain.plan)


def _chips(
    chain: Chain, trimmed: MappedDesign, out: Path
) -> tuple[tuple[float, ...], tuple[float, ...], list[NetworkRun]]:
    """R2 of transistor-level chips with the nominal chip's codes, and after their own calibration."""
    chips = [perturb(trimmed, chain.options.seed, k) for k in range(chain.options.chips)]
    before = run_networks(chips, "transistor", chain.test_inputs, chain.run) if chips else []
    raw = tuple(chain.score(one.prediction[:, 0]) for one in before)
    after, runs = [], list(before)
    for k, chip in enumerate(chips):
        untrimmed = dataclasses.replace(chain.design, deviations=chip.deviations)
        result = calibrated(chain, untrimmed, chain.purpose)
        save_result(result, out / "calibration" / f"chip-{k}.json")
        run = run_networks([apply(result, untrimmed)], "transistor", chain.test_inputs, chain.run)[0]
        after.append(chain.score(run.prediction[:, 0]))
        runs.append(run)
    return raw, tuple(after), runs


def command(options: RunOptions) -> str:
    """The command line that runs these options again; empty for options that no command line has."""
    for shown, base in (("mtc-hw run", RunOptions()), ("mtc-hw run --quick", QUICK)):
        if dataclasses.replace(options, seed=base.seed, jobs=base.jobs) == base:
            return f"{shown} --seed {options.seed}"
    return ""


def provenance(chain: Chain, trained: Trained) -> dict[str, str]:
    """What is needed to make the run again."""
    o, technology = chain.options, chain.design.technology
    packages = ("torch", "numpy", "scipy", "PySpice", "scikit-learn")
    return {
        "command": command(o),
        "mtc_hw": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
        "ngspice": ngspice_version(),
        "seed": str(o.seed),
        "training": json.dumps(dataclasses.asdict(trained.report.options)),
        "iterations": str(trained.report.iterations),
        "mapping": json.dumps(dataclasses.asdict(o.mapping)),
        "transistors": f"{o.size * 1e6:g}/{o.size * 1e6:g} um, technology {technology.name}",
        "supply and temperature": f"{technology.supply:g} V, {technology.temperature:g} C",
        "network digest": chain.spec.digest(),
        "design digest": chain.design.digest,
    }


def to_json(findings: Findings, report: Path) -> dict[str, object]:
    """What `mtc-hw run --json` prints."""
    scores: dict[str, object] = {
        stage.name: list(stage.r2) if stage.name in ("mismatch", "calibrated") else stage.r2[0]
        for stage in findings.stages
    }
    return {
        "r2": scores,
        "s_comp": findings.s_comp,
        "s_comm": findings.s_comm,
        "silent": findings.silent,
        "yield": _shown(findings.yield_),
        "yield_refitted": _shown(findings.yield_refitted),
        "failures": list(findings.failures),
        "seconds": findings.seconds,
        "report": str(report),
    }


def summary(findings: Findings, report: Path) -> str:
    """The figures of a run in one line."""
    scores = {stage.name: stage.r2 for stage in findings.stages}
    shown = [f"{name} {np.median(scores[name]):.3f}" for name in ("software", "behavioural", "transistor")]
    shown += [f"{name} {np.median(scores[name]):.3f}" for name in ("mismatch", "calibrated") if scores[name]]
    return f"R2: {', '.join(shown)}; sparsity {findings.s_comp:.2f}; report {report}"
