"""The command line: parse, load, one library call, save, one line. Heavy imports wait until a command needs them."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mtc_hw import __version__
from mtc_hw.cli_options import (
    AnyLevel,
    Bits,
    ChipSeed,
    Duration,
    Given,
    Jobs,
    Json,
    Level,
    MappedBits,
    Out,
    Sample,
    Size,
    Technology,
)
from mtc_hw.errors import MtcError

if TYPE_CHECKING:
    from mtc_hw.simulate.outcome import Outcome

INTERRUPTED = 130  # what a shell calls a program that Ctrl-C ended

app = typer.Typer(
    name="mtc-hw",
    help="Maps trained multi-timescale conductance spiking networks to circuit netlists.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: a user's fault is one line on standard error and exit code 2."""
    try:
        code = app(args=arguments, standalone_mode=False)
    except MtcError as error:
        code = _fail(str(error))
    except typer.TyperException as error:
        code = _fail(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted; what was written so far stays", file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:
        code = 1
    except OSError as error:
        code = _fail(f"{error.filename or ''}: {error.strerror or error}")
    sys.exit(code or 0)


def _fail(message: str) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2


def _emit(as_json: bool, values: dict[str, Any], text: str) -> None:
    print(json.dumps(values, allow_nan=False) if as_json else text)


def _version(shown: bool) -> None:
    if shown:
        print(f"mtc-hw {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
def train(
    out: Out = Path("out"),
    hidden: Annotated[int, typer.Option(min=2, max=4096, help="Hidden neurons.")] = 64,
    seconds: Annotated[float | None, typer.Option(min=1.0, help="Cap on the training's wall time.")] = None,
    seed: Annotated[int, typer.Option(help="Root seed.")] = 0,
    neuron: Annotated[Literal["mtc", "lif"], typer.Option(help="LIF is a baseline and has no circuit.")] = "mtc",
    as_json: Json = False,
) -> None:
    """Train a network on the Mackey-Glass task.

    Example: mtc-hw train --out net --hidden 64 --seconds 90
    """
    from mtc_hw.model.tasks import mackey_glass_split
    from mtc_hw.model.train import TrainOptions
    from mtc_hw.model.train import train as fit
    from mtc_hw.pipeline import save_trained

    options = TrainOptions(hidden=hidden, seconds=seconds, seed=seed, neuron=neuron)
    trained = fit(mackey_glass_split(), options, progress=not as_json)
    checkpoint = save_trained(trained, out)
    report = trained.report
    values = {
        "r2": report.r2,
        "r2_refined": report.r2_refined,
        "s_comp": report.s_comp,
        "s_comm": report.s_comm,
        "silent": report.silent / hidden,
        "seconds": report.seconds,
        "checkpoint": str(checkpoint) if checkpoint else None,
        "interrupted": report.interrupted,
    }
    saved = f", saved as {checkpoint}" if checkpoint else "; a LIF network has no circuit and is not saved"
    _emit(as_json, values, f"R2 {report.r2:.4f}, sparsity {report.s_comp:.3f}, {report.seconds:.0f} s{saved}")


@app.command()
def predict(
    checkpoint: Annotated[str, typer.Argument(help="A trained network.")],
    series: Annotated[Path, typer.Option(help="CSV with columns time and value.")],
    out: Out = Path("predictions.csv"),
    level: AnyLevel = "software",
    bits: MappedBits = 8,
    technology: Technology = "generic",
    size: Size = 4.0,
    jobs: Jobs = 0,
    as_json: Json = False,
) -> None:
    """Predict a series with a trained network, in software or in the circuit.

    Example: mtc-hw predict net/network.json --series series.csv --out predictions.csv --level behavioural
    """
    from contextlib import nullcontext

    from mtc_hw.hardware.mapping import MappingOptions
    from mtc_hw.hardware.technology import load_technology
    from mtc_hw.prediction import predict_series, read_series, write_prediction
    from mtc_hw.simulate.pool import Workers, open_workers
    from mtc_hw.sources import load_network

    spec = load_network(checkpoint)
    time, value = read_series(series)
    simulating = level in ("behavioural", "transistor")
    with open_workers(Workers(jobs=jobs)) if simulating else nullcontext() as run:
        prediction = predict_series(
            spec, time, value, level, load_technology(technology), MappingOptions(bits=bits), size * 1e-6, run
        )
    write_prediction(prediction, out)
    values = {"predictions": str(out), "rows": len(prediction.time), "level": level}
    _emit(as_json, values, f"{len(prediction.time)} predictions, {level}, in {out}")


@app.command(name="map")
def map_(
    given: Given,
    out: Out = Path("design.json"),
    bits: Bits = 8,
    exact: Annotated[bool, typer.Option("--exact", help="Ideal converters: no quantisation.")] = False,
    technology: Technology = "generic",
    size: Size = 4.0,
    as_json: Json = False,
) -> None:
    """Map a network or a neuron to bias codes, reference codes and capacitors.

    Example: mtc-hw map net/network.json --bits 6 --out design.json
    """
    from mtc_hw.exports import design_of
    from mtc_hw.hardware.design_file import save_design
    from mtc_hw.sources import load_source

    design = design_of(load_source(given), None if exact else bits, technology, size)
    save_design(design, out)
    otas = int(design.present.sum())
    values = {"design": str(out), "digest": design.digest, "neurons": design.count, "otas": otas}
    _emit(as_json, values, f"{design.count} neurons, {otas} OTAs, tau_m {design.scale.second * 1e6:.3g} us, in {out}")


@app.command()
def netlist(
    given: Given,
    out: Out = Path("deck"),
    level: Level = "transistor",
    duration: Duration = 1250.0,
    bits: Bits = 8,
    technology: Technology = "generic",
    size: Size = 4.0,
    whole: Annotated[bool, typer.Option("--whole", help="A network in one deck, with synapses and readout.")] = False,
    seed: ChipSeed = None,
    sample: Sample = 0,
    as_json: Json = False,
) -> None:
    """Export decks that plain `ngspice -b` runs.

    Example: mtc-hw netlist net/network.json --level transistor --out deck
    """
    from mtc_hw.exports import decks_of, design_of
    from mtc_hw.netlist.deck import write_decks
    from mtc_hw.sources import load_source

    source = load_source(given)
    design = design_of(source, bits, technology, size, seed, sample)
    paths = write_decks(decks_of(source, design, level, duration, whole=whole), out)
    values = {"decks": [str(path) for path in paths], "design_digest": design.digest}
    _emit(as_json, values, f"{len(paths)} deck{'s' if len(paths) > 1 else ''} in {out}")


@app.command()
def simulate(
    decks: Annotated[list[Path], typer.Argument(help="Deck files, or folders of them.")],
    out: Out = Path("waveforms"),
    driver: Annotated[Literal["pyspice", "ngspice"], typer.Option(help="Library, or command line.")] = "pyspice",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a deck may take.")] = 300.0,
    jobs: Jobs = 0,
    as_json: Json = False,
) -> None:
    """Run decks in ngspice and keep their waveforms as .npz.

    Example: mtc-hw simulate deck --out waveforms
    """
    from mtc_hw.netlist.deck import deck_paths, read_deck
    from mtc_hw.simulate.pool import Workers
    from mtc_hw.simulate.pool import simulate as run

    read = [read_deck(path) for path in deck_paths(decks)]
    outcomes = run(read, Workers(driver, jobs, timeout))
    out.mkdir(parents=True, exist_ok=True)
    for outcome in outcomes:
        if outcome.waveforms is not None:
            outcome.waveforms.save(out / f"{outcome.deck}.npz")
    rows = [_outcome_row(outcome) for outcome in outcomes]
    failed = [row for row in rows if row["status"] != "ok"]
    text = f"{len(rows) - len(failed)} of {len(rows)} decks ran; waveforms in {out}"
    _emit(as_json, {"runs": rows, "n_ok": len(rows) - len(failed), "n_failed": len(failed)}, _with(text, failed))
    if failed:
        raise typer.Exit(1)


@app.command()
def montecarlo(
    given: Given,
    out: Out = Path("montecarlo"),
    level: Level = "behavioural",
    samples: Annotated[int, typer.Option(min=1, help="Virtual chips.")] = 20,
    seed: Annotated[int, typer.Option(help="Root seed of the draws.")] = 0,
    duration: Duration = 4000.0,
    threshold: Annotated[float, typer.Option(help="R2 that a good network chip reaches.")] = 0.9,
    technology: Technology = "generic",
    size: Size = 4.0,
    bits: Bits = 8,
    jobs: Jobs = 0,
    as_json: Json = False,
) -> None:
    """Draw mismatched chips and simulate each.

    A neuron's chip is good when its regime is the nominal one's, a network's when its R2 reaches the threshold.

    Example: mtc-hw montecarlo bursting --level transistor --samples 50 --out chips
    """
    from mtc_hw.exports import design_of, draw_chips
    from mtc_hw.simulate.pool import Workers
    from mtc_hw.sources import load_source

    source = load_source(given)
    design = design_of(source, bits, technology, size)
    drawn = draw_chips(source, design, level, samples, seed, duration, threshold, Workers(jobs=jobs), out)
    y = drawn["yield"]
    text = f"{drawn['n_ok']} of {samples} chips ran, yield {y['value']:.2f} ({y['low']:.2f} to {y['high']:.2f})"
    _emit(as_json, drawn, f"{text}, table {drawn['table']}")


@app.command()
def compare(
    given: Given,
    out: Out = Path("comparison.json"),
    level: Level = "transistor",
    duration: Duration = 1000.0,
    technology: Technology = "generic",
    size: Size = 4.0,
    bits: Bits = 8,
    seed: ChipSeed = None,
    sample: Sample = 0,
    jobs: Jobs = 0,
    as_json: Json = False,
) -> None:
    """Compare the spike trains of circuit and software, neuron by neuron.

    Example: mtc-hw compare net/network.json --level transistor
    """
    from mtc_hw.exports import compare_levels, design_of
    from mtc_hw.simulate.pool import Workers
    from mtc_hw.sources import load_source

    source = load_source(given)
    design = design_of(source, bits, technology, size, seed, sample)
    values = compare_levels(source, design, level, duration, Workers(jobs=jobs))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    same, total = values["same_count"], len(values["neurons"])
    text = f"{same} of {total} neurons spike as often as in software, mean coincidence {values['coincidence']}"
    _emit(as_json, values, f"{text}; details in {out}")


@app.command()
def calibrate(
    given: Given,
    out: Out = Path("calibration.json"),
    plan: Annotated[str, typer.Option(help="Name of a shipped plan, or a file.")] = "dc",
    level: Level = "transistor",
    seed: Annotated[int, typer.Option(help="Root seed of the virtual chip.")] = 0,
    sample: Sample = 0,
    technology: Technology = "generic",
    size: Size = 4.0,
    bits: Bits = 8,
    jobs: Jobs = 0,
    as_json: Json = False,
) -> None:
    """Trim one virtual chip's codes from DC sweeps of its own OTAs, and refit a network's readout.

    Example: mtc-hw calibrate net/network.json --seed 1 --sample 0 --out chip.json
    """
    from mtc_hw.exports import calibrate_chip, design_of
    from mtc_hw.simulate.pool import Workers
    from mtc_hw.sources import load_source

    source = load_source(given)
    design = design_of(source, bits, technology, size)
    values = calibrate_chip(source, design, plan, level, seed, sample, Workers(jobs=jobs), out)
    text = f"{values['calibrated']} of {values['neurons']} neurons trimmed"
    _emit(as_json, values, f"{text}, median DC error {values['residual']:.3g} I_u; record {out}")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder that `mtc-hw run` wrote.")],
    out: Annotated[Path | None, typer.Option(help="The page; report.html in that folder when not given.")] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run again.

    Example: mtc-hw report demo
    """
    from mtc_hw.findings_file import load_findings
    from mtc_hw.report import write_report

    page = write_report(load_findings(folder), out or folder / "report.html")
    _emit(as_json, {"report": str(page)}, str(page))


@app.command()
def neuron(
    given: Annotated[str, typer.Argument(metavar="PRESET_OR_TOML", help="Preset or neuron file.")],
    current: Annotated[float | None, typer.Option(help="Constant current, I_u, in place of the stimulus.")] = None,
    duration: Duration = 2000.0,
    level: Level = "behavioural",
    technology: Technology = "generic",
    seed: ChipSeed = None,
    sample: Sample = 0,
    bits: Bits = None,
    size: Size = 4.0,
    trim: Annotated[
        Literal["none", "nominal", "chip"],
        typer.Option(help="Transistor level: whose DC sweeps set the codes, nobody's, the nominal chip's, its own."),
    ] = "nominal",
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Run one neuron in software and in the circuit.

    Example: mtc-hw neuron bursting --duration 8000 --level transistor
    """
    from mtc_hw.hardware.mapping import MappingOptions
    from mtc_hw.hardware.technology import load_technology
    from mtc_hw.neuron_file import load_neuron
    from mtc_hw.neuron_run import NeuronOptions, run_neuron, with_current, write_deck
    from mtc_hw.simulate.pool import Workers, open_workers

    loaded = with_current(load_neuron(given), current)
    mapping = MappingOptions(bits=bits)
    options = NeuronOptions(level, duration, size * 1e-6, size * 1e-6, mapping, trim, seed, sample)
    with open_workers(Workers(jobs=1)) as run:
        result = run_neuron(loaded, load_technology(technology), options, run)
    deck = write_deck(result.deck, out / f"{loaded.name}-{level}")
    circuit = f"{len(result.circuit_spikes)} spikes, {result.circuit_regime}"
    if result.circuit is None:
        circuit = f"{result.outcome.status}: {result.outcome.reason}"
    software = f"{len(result.software_spikes)} spikes, {result.software_regime}"
    _emit(as_json, result.to_json(deck), f"software {software}; circuit {circuit}; deck {deck}")


@app.command()
def run(
    out: Out = Path("demo"),
    quick: Annotated[bool, typer.Option("--quick", help="Every stage, small, in under a minute.")] = False,
    seed: Annotated[int, typer.Option(help="Root seed of training and chips.")] = 0,
    jobs: Jobs = 0,
    as_json: Json = False,
) -> None:
    """The main job: train, map, simulate, draw chips, calibrate, report.

    Example: mtc-hw run --out demo --quick
    """
    import dataclasses

    from mtc_hw.pipeline import QUICK, RunOptions, run_chain, summary, to_json

    options = dataclasses.replace(QUICK if quick else RunOptions(), seed=seed, jobs=jobs)
    findings = run_chain(options, out, progress=not as_json)
    _emit(as_json, to_json(findings, out / "report.html"), summary(findings, out / "report.html"))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Tell what is installed, what works, and what is missing.

    Example: mtc-hw doctor
    """
    from mtc_hw import doctor as checks

    found = checks.examine()
    print(checks.to_json(found) if as_json else checks.report(found))
    if not checks.healthy(found):
        raise typer.Exit(1)


def _outcome_row(outcome: "Outcome") -> dict[str, Any]:
    names = ("deck", "digest", "status", "reason", "seconds", "driver")
    return {name: getattr(outcome, name) for name in names}


def _with(text: str, failed: list[dict[str, Any]]) -> str:
    return "\n".join([text, *(f"  {row['deck']}: {row['status']}: {row['reason']}" for row in failed)])
