"""One HTML page about one run: no scripts, no links, nothing to load."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from mtc_hw.analysis.excitability import falling
from mtc_hw.findings import Findings, Stage
from mtc_hw.plots import (
    NARROW,
    SHOWN_SAMPLES,
    STAGES,
    WIDE,
    error_budget,
    inline_svg,
    iv,
    monte_carlo,
    prediction,
    raster,
    traces,
)
from mtc_hw.verdict import figure, median, percent, share, stage_median, steepest_fall, verdict

SHOWN_FAILURES = 12
LONGEST_REASON = 400  # characters
PREFIXES = {1e-15: "f", 1e-12: "p", 1e-9: "n", 1e-6: "µ", 1e-3: "m", 1.0: ""}


def write_report(findings: Findings, path: Path) -> Path:
    """Writes the page, making its folder; the same findings give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(findings), encoding="utf-8", newline="\n")
    return path


def page(findings: Findings) -> str:
    """The page as text."""
    return rendered(
        "report.html.j2",
        verdict=verdict(findings),
        subject=subject(findings),
        cards=cards(findings),
        warnings=warnings(findings),
        budget=[_row(findings, index) for index in range(len(findings.stages))],
        steepest_fall=steepest_fall(findings),
        threshold=f"{findings.threshold:g}",
        shown_samples=SHOWN_SAMPLES if findings.time.size > SHOWN_SAMPLES else None,
        test_samples=max(0, findings.time.size - findings.burn_in),
        shapes=shapes(findings),
        chips=_chip_rows(findings),
        yield_text=_yield_text(findings),
        provenance=findings.provenance,
        seconds=_seconds(findings),
        command=findings.provenance.get("command"),
        figures={name: _both_widths(name, draw, findings) for name, draw in FIGURES.items()},
    )


def rendered(template: str, **values: object) -> str:
    """A page from one of the templates beside this module."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)


def _draw_budget(findings: Findings, width: float) -> Figure:
    return error_budget(findings.stages, findings.threshold, width)


FIGURES: dict[str, Callable[[Findings, float], Figure]] = {
    "budget": _draw_budget,
    "prediction": prediction,
    "iv": iv,
    "traces": traces,
    "raster": raster,
    "chips": monte_carlo,
}


def _both_widths(name: str, draw: Callable[[Findings, float], Figure], findings: Findings) -> dict[str, Markup]:
    """For a desktop and for a phone. `inline_svg` escapes the text inside, so its markup is safe here."""
    return {
        kind: Markup(inline_svg(draw(findings, width), f"{name}-{kind}"))
        for kind, width in (("wide", WIDE), ("narrow", NARROW))
    }


@dataclass(frozen=True)
class Card:
    """One number of the headline."""

    label: str
    value: str
    note: str


def cards(findings: Findings) -> list[Card]:
    """The key numbers, in the order of the chain."""
    software = median(findings.stages[0].r2) if findings.stages else float("nan")
    transistor = stage_median(findings, "transistor")
    calibrated = share(findings.chips_calibrated, findings.threshold)
    reached = "" if calibrated is None else f"median; {calibrated.good} of {calibrated.total} chips good"
    rate = findings.yield_
    return [
        Card("R², software", figure(software), "the trained network"),
        Card("R², transistors", figure(transistor), "nominal circuit, after trims"),
        Card("R², calibrated chips", figure(median(findings.chips_calibrated)), reached or "none tried"),
        Card(
            "Yield before calibration",
            "none" if rate is None else percent(rate.value),
            "no chips" if rate is None else f"{percent(rate.low)} to {percent(rate.high)} (95 %); software twin",
        ),
        Card("Sparsity S_comp", f"{findings.s_comp:.3f}", f"S_comm {findings.s_comm:.4f}"),
        Card("Power a neuron", engineering(findings.neuron_power, "W"), "mean, transistor level"),
    ]


def subject(findings: Findings) -> str:
    """What was run, in one line."""
    task = findings.spec.task
    aim = "no task" if task is None else f"{task.name}, {task.horizon:g} time units ahead"
    decks = f"{findings.simulated} decks simulated, {len(findings.failures)} failed"
    return f"{findings.spec.neurons.count} neurons · {aim} · {decks}"


def warnings(findings: Findings) -> list[str]:
    """What the reader must know before any number."""
    found = []
    hidden = len(findings.failures) - SHOWN_FAILURES
    if findings.failures:
        found.append(
            f"{len(findings.failures)} of {findings.simulated} decks did not run. Their neurons stay at the initial"
            " voltage, so every circuit figure below includes that damage."
        )
        found += [reason[:LONGEST_REASON] for reason in findings.failures[:SHOWN_FAILURES]]
    if hidden > 0:
        found.append(f"... and {hidden} more.")
    lost = [stage.name for stage in findings.stages if not np.isfinite(stage.r2).all() or not stage.r2]
    if lost:
        found.append(f"No R² came out of part or all of: {', '.join(lost)}.")
    if findings.silent > 0.1:
        found.append(f"{percent(findings.silent)} of the neurons are never active on the test part.")
    return found


@dataclass(frozen=True)
class Row:
    """One line of the error budget's table."""

    name: str
    meaning: str
    r2: str
    spread: str
    change: str
    colour: str


def _row(findings: Findings, index: int) -> Row:
    stage = findings.stages[index]
    before = median(findings.stages[index - 1].r2) if index else float("nan")
    change = median(stage.r2) - before
    text = "" if np.isnan(change) else ("+" if change >= 0.0 else "") + figure(change)
    return Row(stage.name, stage.meaning, figure(median(stage.r2)), _spread(stage), text,
               STAGES.get(stage.name, "currentColor"))  # fmt: skip


def _spread(stage: Stage) -> str:
    known = [value for value in stage.r2 if np.isfinite(value)]
    if len(stage.r2) < 2:
        return ""
    lost = len(stage.r2) - len(known)
    ends = f"{figure(min(known))} to {figure(max(known))}" if known else "none"
    return f"{ends}, {len(stage.r2)} chips" + (f", {lost} failed" if lost else "")


def shapes(findings: Findings) -> list[tuple[str, int]]:
    """How many neurons have I-V curves of each shape."""
    fast, slow, ultraslow = falling(findings.spec.neurons)
    counts = {
        "spiking: only the fast curve falls": fast & ~slow & ~ultraslow,
        "bursting: fast and slow fall, ultra-slow does not": fast & slow & ~ultraslow,
        "bistable: all three fall": fast & slow & ultraslow,
        "not excitable: none falls": ~fast & ~slow & ~ultraslow,
        "other shapes": ~fast & (slow | ultraslow) | fast & ~slow & ultraslow,
    }
    return [(name, int(which.sum())) for name, which in counts.items() if which.any()]


def _chip_rows(findings: Findings) -> list[tuple[str, str, str, str]]:
    groups = {
        "software twin, as drawn": findings.software_chips,
        "software twin, readout refitted": findings.software_refitted,
        "transistors, raw": findings.chips_raw,
        "transistors, calibrated": findings.chips_calibrated,
    }
    rows = []
    for name, values in groups.items():
        rate = share(values, findings.threshold)
        good = "no chips" if rate is None else f"{rate.good} of {rate.total}"
        interval = "" if rate is None else f"{percent(rate.low)} to {percent(rate.high)}"
        rows.append((name, figure(median(values)), good, interval))
    return rows


def _yield_text(findings: Findings) -> str:
    if findings.yield_ is None or findings.yield_refitted is None:
        return "No chips were drawn for the software twin, so there is no yield."
    sentences = [
        f"{rate.good} of {rate.total} chips reach {findings.threshold:g} {how}: a yield of {percent(rate.value)},"
        f" 95 % Clopper-Pearson interval {percent(rate.low)} to {percent(rate.high)}."
        for rate, how in ((findings.yield_, "as drawn"), (findings.yield_refitted, "with a refitted readout"))
    ]
    return " ".join(sentences)


def _seconds(findings: Findings) -> list[tuple[str, str, int]]:
    """Stage, time, and its share of the whole in percent."""
    whole = sum(findings.seconds.values()) or 1.0
    return [(name, duration(value), round(100.0 * value / whole)) for name, value in findings.seconds.items()]


def duration(seconds: float) -> str:
    """A wall time as a person says it."""
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def engineering(value: float, unit: str) -> str:
    """Three digits with a prefix from femto on: 4.32e-8 W is 43.2 nW."""
    if not np.isfinite(value):
        return "none"
    size = max((size for size in PREFIXES if size <= abs(value) * 1.0005), default=1.0)
    return f"{value / size:.3g} {PREFIXES[size]}{unit}"
