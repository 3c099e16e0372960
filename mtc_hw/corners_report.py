"""One HTML page about a study over corners: the figure, the operating window, and every condition."""

import json
from pathlib import Path

from markupsafe import Markup

from mtc_hw import __version__
from mtc_hw.corners import CornersStudy, Row, common_window, to_json, windows, write_rows
from mtc_hw.corners_plots import corners_figure
from mtc_hw.hardware.process import um
from mtc_hw.plots import NARROW, WIDE, inline_svg
from mtc_hw.report import LONGEST_REASON, Card, engineering, rendered
from mtc_hw.simulate.ngspice import version as ngspice_version
from mtc_hw.verdict import Verdict

COLUMNS = ("corner", "supply, V", "C", "regime", "spikes", "ISI", "in bursts", "per burst", "period", "power")
BIAS = {
    "ptat": "References and bias currents come from an ideal source that goes with the absolute temperature.",
    "fixed": "References and bias currents come from an ideal source that does not know the temperature.",
}


def write_study(study: CornersStudy, folder: Path) -> dict[str, str]:
    """The table, the study as JSON, the figure and the page; the path of each by name."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(study, folder / "corners.csv")
    text = json.dumps(to_json(study), indent=1, allow_nan=False)
    (folder / "corners.json").write_text(text + "\n", encoding="utf-8")
    corners_figure(study).savefig(folder / "corners.png", dpi=150)
    write_corners_report(study, folder / "corners.html")
    return {name: str(folder / name) for name in ("corners.csv", "corners.json", "corners.png", "corners.html")}


def write_corners_report(study: CornersStudy, path: Path) -> Path:
    """Writes the page, making its folder; the same study gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(corners_page(study), encoding="utf-8", newline="\n")
    return path


def corners_page(study: CornersStudy) -> str:
    """The page as text."""
    each_window = iter(windows(study))
    ranges = [(corner, [str(next(each_window)) for _ in study.supplies]) for corner in study.corners]
    return rendered(
        "corners.html.j2",
        neuron=study.neuron,
        subject=_subject(study),
        wanted=study.wanted,
        failures=_failures(study),
        verdict=corners_verdict(study),
        cards=_cards(study),
        source=BIAS[study.tracking],
        figures={
            kind: Markup(inline_svg(corners_figure(study, width), f"corners-{kind}"))
            for kind, width in (("wide", WIDE), ("narrow", NARROW))
        },
        supplies=[f"{supply:g} V" for supply in study.supplies],
        windows=ranges,
        common=str(common_window(study)),
        own_temperature=f"{study.design.technology.temperature:g} C",
        columns=COLUMNS,
        table=[_cells(row) for row in study.rows],
        provenance=_provenance(study),
    )


def _subject(study: CornersStudy) -> str:
    counts = (
        (len(study.corners), "corner"),
        (len(study.supplies), "supply"),
        (len(study.temperatures), "temperature"),
    )
    plurals = {"supply": "supplies"}
    told = (f"{count} {name if count == 1 else plurals.get(name, f'{name}s')}" for count, name in counts)
    return f"{study.neuron} · {study.design.technology.name}, transistor level · {', '.join(told)}"


def corners_verdict(study: CornersStudy) -> Verdict:
    """Good where it holds everywhere, mixed where some temperatures hold at every corner and supply."""
    common = common_window(study)
    line = f"It is {study.wanted} at {study.held} of {len(study.rows)} conditions."
    if study.held == len(study.rows):
        return Verdict("good", line, f"That is all of them, {common}.")
    if common.low is None:
        return Verdict("bad", line, "At no temperature does that hold at every corner and supply.")
    return Verdict("mixed", line, f"It holds at every corner and supply from {common}.")


def _failures(study: CornersStudy) -> list[str]:
    return [
        f"{row.corner}, {row.supply:g} V, {row.celsius:g} C: {row.outcome}: {row.reason[:LONGEST_REASON]}"
        for row in study.rows
        if row.regime is None
    ]


def _cards(study: CornersStudy) -> list[Card]:
    holding = [row for row in study.rows if row.holds]
    intervals = [_interval(row) for row in holding]
    known = [value for value in intervals if value is not None]
    powers = [row.power for row in holding if row.power is not None]
    note = "within bursts, tau_m, where it holds" if study.wanted == "bursting" else "tau_m, where it holds"
    return [
        Card("Window", str(common_window(study)), "at every corner and supply"),
        Card("Interval", f"{min(known):.3g} to {max(known):.3g}" if known else "none", note),
        Card(
            "Power",
            f"{engineering(min(powers), 'W')} to {engineering(max(powers), 'W')}" if powers else "none",
            "where it holds; bias generation not included",
        ),
    ]


def _interval(row: Row) -> float | None:
    return row.interval if row.intra_interval is None else row.intra_interval


def _cells(row: Row) -> list[str]:
    figures = (row.interval, row.intra_interval, row.spikes_per_burst, row.period)
    return [
        row.corner,
        f"{row.supply:g}",
        f"{row.celsius:g}",
        row.outcome if row.regime is None else row.regime.replace("_", " "),
        "" if row.spikes is None else str(row.spikes),
        *("" if value is None else f"{value:.4g}" for value in figures),
        "" if row.power is None else engineering(row.power, "W"),
    ]


def _provenance(study: CornersStudy) -> dict[str, str]:
    design, own = study.design, study.design.technology
    return {
        "mtc_hw": __version__,
        "ngspice": ngspice_version(),
        "transistors": f"{um(design.cells.width)}/{um(design.cells.length)} um, technology {own.name}",
        "codes from": f"{own.corner}, {own.supply:g} V, {own.temperature:g} C",
        "duration": f"{study.duration:g} tau_m",
        "design digest": design.digest,
    }
