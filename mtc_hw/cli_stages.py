"""The commands between a network and its report: map, netlist, simulate, calibrate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mtc_hw.cli_options import (
    AnyDialect,
    ChipSeed,
    Converters,
    Corner,
    Duration,
    Given,
    Jobs,
    Json,
    Level,
    MappedBits,
    Out,
    Record,
    Sample,
    Size,
    Supply,
    Technology,
    Temperature,
    TrimBits,
    emit,
)
from mtc_hw.hardware.unit import SQUARE

if TYPE_CHECKING:
    from mtc_hw.simulate.outcome import Outcome


SigmaAlpha = Annotated[float | None, typer.Option(help="Spread of alpha, tau and leak that chips may have.")]
SigmaDelta = Annotated[float | None, typer.Option(help="Spread of delta, rest and follower offsets, unit voltages.")]


def map_(
    given: Given,
    out: Out = Path("design.json"),
    bits: MappedBits = 8,
    trim_bits: TrimBits = 6,
    exact: Annotated[bool, typer.Option("--exact", help="Ideal converters: no quantisation.")] = False,
    technology: Technology = "generic",
    size: Size = SQUARE,
    aspect: Annotated[float | None, typer.Option(help="Length over width of the unit transistor.")] = None,
    sigma_alpha: SigmaAlpha = None,
    sigma_delta: SigmaDelta = None,
    hottest: Annotated[float | None, typer.Option(help="Degrees Celsius that the filters must stand.")] = None,
    adapt: Annotated[bool, typer.Option("--adapt", help="Change options where a rule needs it, and say so.")] = False,
    budget: Annotated[bool, typer.Option("--budget", help="Print area, power and energy too.")] = False,
    as_json: Json = False,
) -> None:
    """Map a network or a neuron to bias codes, reference codes and capacitors.

    With a sigma the unit transistor is the smallest that meets it, and --size does not count.

    Example: mtc-hw map net/network.json --bits 6 --sigma-alpha 0.05 --out design.json
    """
    from mtc_hw.hardware.design_file import save_design
    from mtc_hw.hardware.mapping import MappingOptions
    from mtc_hw.hardware.sizing import MismatchBudget
    from mtc_hw.map_run import Wishes, budget_table, estimated, map_source, shape_of, to_json
    from mtc_hw.sources import load_source

    wanted = None if sigma_alpha is None and sigma_delta is None else MismatchBudget(sigma_alpha, sigma_delta)
    options = MappingOptions(bits=None if exact else bits, trim_bits=trim_bits)
    source = load_source(given)
    mapped = map_source(
        source, Wishes(technology, size.width, shape_of(size, aspect), wanted, options, adapt, hottest)
    )
    design = mapped.design
    save_design(design, out)
    otas = int(design.present.sum())
    values = {"design": str(out), "digest": design.digest, "neurons": design.count, "otas": otas} | to_json(mapped)
    lines = [f"{design.count} neurons, {otas} OTAs, tau_m {design.scale.second * 1e6:.3g} us, in {out}"]
    lines += mapped.notes()
    if budget:
        estimate = estimated(source, design)
        values["budget"] = estimate.to_json()
        lines.append(budget_table(estimate, None))
    emit(as_json, values, "\n".join(lines))


def budget_(
    given: Given,
    bits: MappedBits = 8,
    trim_bits: TrimBits = 6,
    technology: Technology = "generic",
    size: Size = SQUARE,
    design: Annotated[Path | None, typer.Option(help="A design of it that `map` wrote.")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Simulate the transistors too, and compare.")] = False,
    jobs: Jobs = 0,
    as_json: Json = False,
) -> None:
    """Tell what a design costs: area, power, energy per spike and per prediction, each with its formula.

    Example: mtc-hw budget bursting --measure
    """
    from mtc_hw.hardware.mapping import MappingOptions
    from mtc_hw.map_run import Wishes, budget_table, design_for, estimated, map_source, measured
    from mtc_hw.simulate.pool import Workers, open_workers
    from mtc_hw.sources import load_source

    source = load_source(given)
    wishes = Wishes(technology, size.width, size.aspect, mapping=MappingOptions(bits=bits, trim_bits=trim_bits))
    mapped = map_source(source, wishes).design if design is None else design_for(source, design)
    estimate, measurement = estimated(source, mapped), None
    if measure:
        with open_workers(Workers(jobs=jobs)) as run:
            measurement = measured(source, mapped, run)
    values = {
        "design_digest": mapped.digest,
        "estimate": estimate.to_json(),
        "measured": None if measurement is None else measurement.to_json(),
    }
    emit(as_json, values, budget_table(estimate, measurement))


def netlist(
    given: Given,
    out: Out = Path("deck"),
    level: Level = "transistor",
    dialect: AnyDialect = "ngspice",
    duration: Duration = 1250.0,
    bits: MappedBits = 8,
    trim_bits: TrimBits = 6,
    technology: Technology = "generic",
    corner: Corner = "tt",
    supply: Supply = None,
    temperature: Temperature = None,
    size: Size = SQUARE,
    whole: Annotated[bool, typer.Option("--whole", help="A network in one deck, with synapses and readout.")] = False,
    converters: Converters = "ideal",
    seed: ChipSeed = None,
    sample: Sample = 0,
    record: Record = None,
    as_json: Json = False,
) -> None:
    """Export decks for ngspice, Xyce or Spectre, with their codes as a table, a Verilog-A neuron and a README.

    The folder can be given to any command in place of a design: the codes are then those of its table.

    Example: mtc-hw netlist net/network.json --level transistor --dialect spectre --out deck
    """
    from mtc_hw.converters import chosen_converters
    from mtc_hw.exports import decks_of, design_of
    from mtc_hw.netlist.export_folder import write_export
    from mtc_hw.sources import load_source

    source = load_source(given)
    design = design_of(source, bits, technology, size, seed, sample, record, corner, supply, temperature, trim_bits)
    chosen = chosen_converters(converters, design, level)
    decks = decks_of(source, design, level, duration, whole, chosen)
    paths = write_export(decks, design, level, dialect, out, source.neuron)
    values = {"decks": [str(path) for path in paths], "design_digest": design.digest, "dialect": dialect}
    emit(as_json, values, f"{len(paths)} deck{'s' if len(paths) > 1 else ''} for {dialect} in {out}")


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
    emit(as_json, {"runs": rows, "n_ok": len(rows) - len(failed), "n_failed": len(failed)}, _with(text, failed))
    if failed:
        raise typer.Exit(1)


def _outcome_row(outcome: "Outcome") -> dict[str, Any]:
    names = ("deck", "digest", "status", "reason", "seconds", "driver")
    return {name: getattr(outcome, name) for name in names}


def _with(text: str, failed: list[dict[str, Any]]) -> str:
    return "\n".join([text, *(f"  {row['deck']}: {row['status']}: {row['reason']}" for row in failed)])
