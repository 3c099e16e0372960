"""The command line: parse, load, one library call, save, one line. Heavy imports wait until a command needs them."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TextIO

import typer

from mtc_hw import __version__
from mtc_hw.cli_calibrate import calibrate
from mtc_hw.cli_characterise import characterise
from mtc_hw.cli_chips import analyse, sobol
from mtc_hw.cli_codesign import codesign
from mtc_hw.cli_compare import compare
from mtc_hw.cli_corners import corners
from mtc_hw.cli_excitability import excitability
from mtc_hw.cli_montecarlo import montecarlo
from mtc_hw.cli_options import (
    AnyLevel,
    Bits,
    ChipSeed,
    Converters,
    Corner,
    Duration,
    Jobs,
    Json,
    MappedBits,
    NeuronLevel,
    Out,
    Sample,
    Size,
    Supply,
    Technology,
    Temperature,
    TrimBits,
    emit,
)
from mtc_hw.cli_pareto import pareto
from mtc_hw.cli_stages import budget_, map_, netlist, simulate
from mtc_hw.cli_train import train
from mtc_hw.errors import MtcError
from mtc_hw.hardware.unit import SQUARE

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
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = app(args=arguments, standalone_mode=False)
    except MtcError as error:
        code = _fail(str(error))
    except typer.TyperException as error:
        code = _fail(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        code = 1
    except OSError as error:
        code = _fail(f"{error.filename or ''}: {error.strerror or error}")
    if code == INTERRUPTED:
        print("interrupted; what was written so far stays", file=sys.stderr)
    sys.exit(code or 0)


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print("warning: " + " ".join(str(message).split()), file=sys.stderr)


def _fail(message: str) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2


def _version(shown: bool) -> None:
    if shown:
        print(f"mtc-hw {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


app.command(name="train")(train)


@app.command()
def predict(
    checkpoint: Annotated[str, typer.Argument(help="A trained network.")],
    series: Annotated[Path, typer.Option(help="CSV with columns time and value.")],
    out: Out = Path("predictions.csv"),
    level: AnyLevel = "software",
    bits: MappedBits = 8,
    trim_bits: TrimBits = 6,
    technology: Technology = "generic",
    size: Size = SQUARE,
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
            spec,
            time,
            value,
            level,
            load_technology(technology),
            MappingOptions(bits=bits, trim_bits=trim_bits),
            size,
            run,
        )
    write_prediction(prediction, out)
    values = {"predictions": str(out), "rows": len(prediction.time), "level": level}
    emit(as_json, values, f"{len(prediction.time)} predictions, {level}, in {out}")


app.command(name="map")(map_)
app.command(name="budget")(budget_)
app.command(name="netlist")(netlist)
app.command(name="simulate")(simulate)
app.command(name="montecarlo")(montecarlo)
app.command(name="analyse")(analyse)
app.command(name="sobol")(sobol)
app.command(name="compare")(compare)
app.command(name="calibrate")(calibrate)
app.command(name="excitability")(excitability)
app.command(name="corners")(corners)
app.command(name="characterise")(characterise)
app.command(name="codesign")(codesign)
app.command(name="pareto")(pareto)


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
    emit(as_json, {"report": str(page)}, str(page))


@app.command()
def neuron(
    given: Annotated[str, typer.Argument(metavar="PRESET_OR_TOML", help="Preset or neuron file.")],
    current: Annotated[float | None, typer.Option(help="Constant current, I_u, in place of the stimulus.")] = None,
    duration: Duration = 2000.0,
    level: NeuronLevel = "behavioural",
    technology: Technology = "generic",
    corner: Corner = "tt",
    supply: Supply = None,
    temperature: Temperature = None,
    seed: ChipSeed = None,
    sample: Sample = 0,
    bits: Bits = None,
    trim_bits: TrimBits = 6,
    size: Size = SQUARE,
    trim: Annotated[
        Literal["none", "nominal", "chip"],
        typer.Option(help="Transistor level: whose DC sweeps set the trims, nobody's, the nominal chip's, its own."),
    ] = "nominal",
    converters: Converters = "ideal",
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
    mapping = MappingOptions(bits=bits, trim_bits=trim_bits)
    options = NeuronOptions(level, duration, size.width, size.length, mapping, trim, seed, sample, converters)
    with open_workers(Workers(jobs=1)) as run:
        result = run_neuron(loaded, load_technology(technology, corner, supply, temperature), options, run)
    deck = None if result.deck is None else write_deck(result.deck, out / f"{loaded.name}-{level}")
    said = [f"software {len(result.software_spikes)} spikes, {result.software_regime}"]
    if result.cells is not None:
        said.append(f"cells {len(result.cells_spikes)} spikes, {result.cells_regime}")
    if result.circuit is not None:
        said.append(f"circuit {len(result.circuit_spikes)} spikes, {result.circuit_regime}; deck {deck}")
    elif result.outcome is not None:
        said.append(f"circuit {result.outcome.status}: {result.outcome.reason}; deck {deck}")
    emit(as_json, result.to_json(deck), "; ".join(said))


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
    emit(as_json, to_json(findings, out / "report.html"), summary(findings, out / "report.html"))


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
