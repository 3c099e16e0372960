"""One HTML page about the calibration of many chips, and its pictures as files."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from mtc_hw.analysis.datasheet import Datasheet
from mtc_hw.calibration.chip_row import CalibratedChip, State
from mtc_hw.calibration.judged import Judged, judged
from mtc_hw.calibration_network_plots import Networks, answers_figure, network_rasters_figure
from mtc_hw.calibration_plots import (
    QUANTITIES,
    STATES,
    Codes,
    Spread,
    Trains,
    codes_figure,
    percent,
    r2_figure,
    raster_figure,
    spread_figure,
    yield_figure,
)
from mtc_hw.montecarlo.row import ChipRow
from mtc_hw.montecarlo_plots import rate_texts, words
from mtc_hw.plots import NARROW, WIDE, inline_svg
from mtc_hw.report import LONGEST_REASON, SHOWN_FAILURES, Card, duration, engineering, rendered
from mtc_hw.verdict import Tone, Verdict

PAGE = "report.html"
DOTS = 160  # per inch of a picture
SHOWN_UNSAVED = 40
ALT = {
    "yield": "Share of good chips before and after calibration, with its interval",
    "rasters": "Spikes of some chips before and after calibration",
    "spread": "Histograms of the chips' spike intervals before and after calibration",
    "r2": "R2 of every chip before and after calibration",
    "neurons": "Spikes of every neuron of some chips, before and after calibration, and of the chip without mismatch",
    "answers": "What some chips answer before and after calibration, and the target",
    "codes": "Histograms of the converters' codes, their bounds marked",
}


@dataclass(frozen=True, eq=False)
class CalibrationPage:
    """What the page is about."""

    title: str
    subject: str  # how many chips of what on which level
    rows: Sequence[CalibratedChip]
    sheet: Datasheet  # what a good chip does
    codes: Sequence[Codes] = ()
    spikes: Mapping[int, Mapping[str, np.ndarray]] = field(default_factory=dict)  # by sample: before and after, tau_m
    duration: float = 0.0  # tau_m of the spikes
    networks: Networks | None = None
    nominal: ChipRow | None = None  # of the chip without mismatch, its own codes
    provenance: Mapping[str, object] = field(default_factory=dict)


def write_calibration_report(page: CalibrationPage, folder: Path) -> Path:
    """Writes the page and its pictures; the same study gives the same page. Raises DataError."""
    found = judged(page.rows, page.sheet)
    text = calibration_page(page, found)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PAGE
    path.write_text(text, encoding="utf-8", newline="\n")
    for name, draw in _drawn(page, found).items():
        draw(width=WIDE).savefig(folder / f"{name}.png", dpi=DOTS, facecolor="white")
    return path


def calibration_page(page: CalibrationPage, found: Judged) -> str:
    """The page as text."""
    return rendered(
        "calibration.html.j2",
        title=page.title,
        subject=page.subject,
        failures=_failures(found),
        verdict=calibration_verdict(found),
        cards=_cards(found),
        states=[STATES[state] for state in found.tables],
        quantities=_quantity_rows(found),
        limits=", ".join(f"{words(name)} {limits}" for name, limits in page.sheet.limits.items()),
        unsaved=[
            [str(each.sample), "yes" if each.was_good else "no", each.why, _bounded(each.at_bounds), each.marked]
            for each in found.unsaved[:SHOWN_UNSAVED]
        ],
        hidden=len(found.unsaved[SHOWN_UNSAVED:]),
        longest=LONGEST_REASON,
        figures={name: _both_widths(name, draw) for name, draw in _drawn(page, found).items()},
        alt=ALT,
        provenance=page.provenance,
    )


def _drawn(page: CalibrationPage, found: Judged) -> dict[str, Callable[..., Figure]]:
    """By name, only those that there is something to show of."""
    drawn: dict[str, Callable[..., Figure]] = {"yield": partial(yield_figure, found.yields)}
    if page.spikes:
        drawn["rasters"] = partial(raster_figure, _trains(page, found), page.duration)
    spreads = _spreads(page, found)
    if spreads:
        drawn["spread"] = partial(spread_figure, spreads)
    if "r2" in found.quantities:
        limits = page.sheet.limits.get("r2")
        threshold = limits.min if limits is not None and limits.min is not None else 0.0
        scores = {state: found.values(state, "r2") for state in found.tables}
        drawn["r2"] = partial(r2_figure, scores, threshold)
    if page.networks is not None and page.networks.chips:
        drawn["neurons"] = partial(network_rasters_figure, page.networks)
        drawn["answers"] = partial(answers_figure, page.networks)
    if page.codes:
        drawn["codes"] = partial(codes_figure, page.codes)
    return drawn


def _trains(page: CalibrationPage, found: Judged) -> list[Trains]:
    trains = []
    for k, row in enumerate(found.rows):
        spikes = page.spikes.get(row.sample, {})
        good = (bool(found.good[state][k]) for state in ("before", "after"))
        trains.append(Trains(row.sample, spikes.get("before"), spikes.get("after"), *good))
    return trains


def _spreads(page: CalibrationPage, found: Judged) -> list[Spread]:
    """Of a burster what its bursts are like, of another free neuron its intervals; of a network nothing."""
    if not page.spikes:
        return []
    regimes = Counter(row.after.regime for row in found.rows if row.after.regime is not None)
    bursting = page.nominal.regime == "bursting" if page.nominal else regimes["bursting"] > len(found.rows) / 2
    wanted = ("intra_interval", "burst_period", "spikes_per_burst") if bursting else ("isi_mean",)
    return [
        Spread(
            name,
            found.values("before", name),
            found.values("after", name),
            found.good["before"],
            found.good["after"],
            None if page.nominal is None else getattr(page.nominal, name),
        )
        for name in wanted
        if name in found.quantities
    ]


def _both_widths(name: str, draw: Callable[..., Figure]) -> dict[str, Markup]:
    """For a desktop and for a phone. `inline_svg` escapes the text inside, so its markup is safe here."""
    widths = (("wide", WIDE), ("narrow", NARROW))
    return {kind: Markup(inline_svg(draw(width=width), f"{name}-{kind}")) for kind, width in widths}


def calibration_verdict(found: Judged) -> Verdict:
    """Good where every chip is, bad where calibration saves none of those that need it."""
    states: list[State] = list(found.tables)
    before, after = found.yields["before"], found.yields[states[-1]]
    refitted = " and its readout's refit" if len(states) > 2 else ""
    line = f"{after.good} of {after.total} chips are good after calibration{refitted}; {before.good} were before."
    ends = " to ".join(f"{100.0 * end:.1f}" for end in (after.low, after.high))
    detail = f"95 % Clopper-Pearson interval {ends} %. A failed run fails its chip."
    spoiled = sum(each.was_good for each in found.unsaved)
    if spoiled:
        detail += f" Calibration spoiled {_count(spoiled, 'chip')} that had been good."
    good = after.good == after.total
    tone: Tone = "good" if good else "bad" if after.good <= before.good else "mixed"
    return Verdict(tone, line, detail)


def _failures(found: Judged) -> list[str]:
    """Every class of failure after calibration with its count, and some reasons."""
    lost = [row.after for row in found.rows if not row.ok]
    counts = Counter((row.outcome, row.reason) for row in lost).most_common()
    lines = [
        f"{count} x {outcome}" + (f": {reason[:LONGEST_REASON]}" if reason else "")
        for (outcome, reason), count in counts[:SHOWN_FAILURES]
    ]
    hidden = sum(count for _, count in counts[SHOWN_FAILURES:])
    told = [f"{len(lost)} of {len(found.rows)} chips gave no result after calibration."] if lost else []
    return [*told, *lines, *([f"... and {hidden} more."] if hidden else [])]


def _cards(found: Judged) -> list[Card]:
    states: list[State] = list(found.tables)
    names = {states[0]: "Yield before", states[-1]: STATES[states[-1]].replace("calibrated", "Yield after")}
    cards = [Card(name, *rate_texts(found.yields[state])) for state, name in names.items()]
    cards += _spread_cards(found, states[0], states[-1])
    measured = [row.measurements for row in found.rows if row.measurements is not None]
    if measured:
        cards.append(Card("Measurements a neuron", f"{max(measured):g}", "of the neuron that took the most"))
    seconds = [row.calibrating for row in found.rows if row.ok]
    if seconds:
        whole = _seconds([row.seconds for row in found.rows if row.ok])
        cards.append(Card("Calibration, median chip", _seconds(seconds), f"{whole} with its runs"))
    knobs, bounded = (sum(getattr(row, name) for row in found.rows) for name in ("knobs", "at_bounds"))
    if knobs:
        cards.append(Card("Converters at a bound", percent(bounded / knobs), f"{bounded} of {knobs}"))
    return cards


def _spread_cards(found: Judged, first: State, last: State) -> list[Card]:
    """Of a network its R2, of a neuron how far its intervals are spread; of one that bursts those within bursts."""
    regimes = Counter(row.after.regime for row in found.rows)
    name = (
        "r2"
        if "r2" in found.quantities
        else "intra_interval"
        if regimes.most_common(1)[0][0] == "bursting"
        else "isi_mean"
    )
    before, after = (found.spread(state, name) for state in (first, last))
    if after is None or after.sd is None:
        return []
    if name == "r2":
        note = f"5th percentile {after.low:.4f}" + ("" if before is None else f"; before: median {before.median:.4f}")
        return [Card("R², median", f"{after.median:.4f}", note)]
    note = f"of a mean of {after.mean:.4g} tau_m"
    if before is not None and before.sd is not None:
        note += f"; before: {percent(before.sd / before.mean)}"
    label = "ISI within bursts, sd" if name == "intra_interval" else "ISI, standard deviation"
    return [Card(label, percent(after.sd / after.mean), note)]


def _seconds(values: Sequence[float]) -> str:
    middle = float(np.median(values))
    return f"{middle:.2g} s" if middle < 1.0 else duration(middle)


def _quantity_rows(found: Judged) -> list[tuple[str, list[list[str]]]]:
    """Quantity, and for each state its name, chips, mean, standard deviation, median and percentiles."""
    rows = []
    for name in found.quantities:
        cells = []
        for state in found.tables:
            own = found.spread(state, name)
            if own is None or (name != "r2" and state.endswith("refit")):
                continue
            sd = "" if own.sd is None else _figure(name, own.sd, 3)
            share = "" if own.sd is None or not own.mean else percent(own.sd / abs(own.mean))
            figures = [_figure(name, value, 4) for value in (own.mean, own.low, own.median, own.high)]
            cells.append([STATES[state], str(own.count), figures[0], sd, share, *figures[1:]])
        rows.append((QUANTITIES.get(name, words(name)), cells))
    return rows


def _figure(name: str, value: float, digits: int) -> str:
    return engineering(value, "W") if name == "power" else f"{value:.{digits}g}".replace("-", "\u2212")


def _bounded(count: int) -> str:
    return _count(count, "converter") if count else "none"


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
