"""One HTML page about a Monte Carlo run: yield, quantities, regimes, worst chips, what explains the spread."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
from markupsafe import Markup
from matplotlib.figure import Figure

from mtc_hw.analysis.chip_table import finished, places, quantities
from mtc_hw.analysis.datasheet import Datasheet, Limits
from mtc_hw.analysis.sensitivity import Sensitivity
from mtc_hw.analysis.verdicts import Verdicts, measured, verdicts, worst
from mtc_hw.analysis.yields import CONFIDENCE
from mtc_hw.montecarlo_plots import (
    PREFIXED,
    UNITS,
    conditions_figure,
    quantities_figure,
    rate_texts,
    regimes_figure,
    running_figure,
    words,
)
from mtc_hw.plots import NARROW, WIDE, inline_svg
from mtc_hw.report import LONGEST_REASON, SHOWN_FAILURES, Card, engineering, rendered
from mtc_hw.sensitivity_plots import sensitivity_figure
from mtc_hw.verdict import Tone, Verdict

PAGE = "montecarlo.html"
NOTHING = "none"


@dataclass(frozen=True, eq=False)
class MontecarloStudy:
    """What the page is about. Without a datasheet it shows what was measured and no yield."""

    title: str
    table: pa.Table
    sheet: Datasheet | None = None
    sensitivities: Sequence[Sequence[Sensitivity]] = ()  # a figure each; the results of one are shown together
    provenance: Mapping[str, object] = field(default_factory=dict)
    confidence: float = CONFIDENCE
    worst: int = 12  # chips to list


def write_montecarlo_report(study: MontecarloStudy, folder: Path) -> Path:
    """Writes the page, making its folder; the same study gives the same bytes. Raises DataError."""
    page = montecarlo_page(study)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PAGE
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def montecarlo_page(study: MontecarloStudy) -> str:
    """The page as text. Raises DataError for a table or a datasheet that does not fit."""
    where = places(study.table)
    found = None if study.sheet is None else verdicts(study.table, study.sheet, study.confidence)
    return rendered(
        "montecarlo.html.j2",
        title=study.title,
        subject=_subject(study),
        failures=_failures(study.table),
        verdict=montecarlo_verdict(study, found),
        cards=_cards(study, found),
        confidence=f"{100.0 * study.confidence:g} %",
        several=len(where.conditions) > 1,
        quantities=_quantity_rows(study, found),
        worst=_worst_rows(study),
        sheet=study.sheet,
        figures=_figures(study, found),
        sensitivities=[
            _both_widths(f"sensitivity-{index}", partial(sensitivity_figure, own))
            for index, own in enumerate(study.sensitivities)
        ],
        provenance=study.provenance,
    )


def _figures(study: MontecarloStudy, found: Verdicts | None) -> dict[str, dict[str, Markup]]:
    """By name, only those that there is something to show of."""
    drawn: dict[str, Callable[..., Figure]] = {
        "regimes": partial(regimes_figure, study.table),
        "quantities": partial(quantities_figure, study.table, study.sheet),
    }
    if found is not None:
        drawn["running"] = partial(running_figure, found)
        if len(found.conditions) > 1:
            drawn["conditions"] = partial(conditions_figure, found)
    return {name: _both_widths(name, draw) for name, draw in drawn.items()}


def _both_widths(name: str, draw: Callable[..., Figure]) -> dict[str, Markup]:
    """For a desktop and for a phone. `inline_svg` escapes the text inside, so its markup is safe here."""
    widths = (("wide", WIDE), ("narrow", NARROW))
    return {kind: Markup(inline_svg(draw(width=width), f"{name}-{kind}")) for kind, width in widths}


def montecarlo_verdict(study: MontecarloStudy, found: Verdicts | None) -> Verdict:
    """Good where every chip keeps the datasheet, bad where none does; without one it goes by the runs that failed."""
    ok = finished(study.table)
    if found is None:
        tone: Tone = "good" if ok.all() else "mixed" if ok.any() else "bad"
        line = f"{int(ok.sum())} of {ok.size} runs gave a result."
        return Verdict(tone, line, "Without a datasheet there is no yield, only what was measured.")
    rate, whole = found.overall, len(found.conditions)
    at_all = f" at all {whole} conditions" if whole > 1 else ""
    line = f"{rate.good} of {rate.total} chips keep the datasheet{at_all}: a yield of {100.0 * rate.value:.1f} %."
    ends = f"{100.0 * rate.low:.1f} to {100.0 * rate.high:.1f} %"
    detail = f"{100.0 * study.confidence:g} % Clopper-Pearson interval {ends}. A failed run fails its chip."
    if found.incomplete:
        detail += f" Not run at every condition yet, and left out: {_count(found.incomplete, 'chip')}."
    tone = "good" if rate.good == rate.total else "mixed" if rate.good else "bad"
    return Verdict(tone, line, f"{detail} {_weakest(found)}".strip())


def _weakest(found: Verdicts) -> str:
    """The quantity that fails most chips, failed runs aside."""
    lost = {name: int((found.finished & ~kept).any(axis=1).sum()) for name, kept in found.passes.items()}
    name = max(lost, key=lambda each: lost[each])
    return f"Most are lost to {words(name)}: {_count(lost[name], 'chip')}." if lost[name] and len(lost) > 1 else ""


def _subject(study: MontecarloStudy) -> str:
    where = places(study.table)
    told = [_count(where.samples.size, "chip")]
    if len(where.conditions) > 1:
        told.append(f"{len(where.conditions)} conditions")
    else:
        told.append(str(where.conditions[0]))
    return " · ".join([*told, *([f"datasheet {study.sheet.name}"] if study.sheet else [])])


def _failures(table: pa.Table) -> list[str]:
    """Every class of failure with its count, and some reasons."""
    lost = table.filter(pa.array(~finished(table)))
    if lost.num_rows == 0:
        return []
    reasons = lost["reason"].to_pylist() if "reason" in lost.column_names else [""] * lost.num_rows
    counts = Counter(zip(lost["outcome"].to_pylist(), reasons, strict=True)).most_common()
    lines = [
        f"{count} x {outcome}" + (f": {reason[:LONGEST_REASON]}" if reason else "")
        for (outcome, reason), count in counts[:SHOWN_FAILURES]
    ]
    hidden = sum(count for _, count in counts[SHOWN_FAILURES:])
    return [
        f"{lost.num_rows} of {table.num_rows} runs failed.",
        *lines,
        *([f"... and {hidden} more."] if hidden else []),
    ]


def _cards(study: MontecarloStudy, found: Verdicts | None) -> list[Card]:
    ok = finished(study.table)
    cards = []
    if found is not None:
        cards.append(Card("Yield", *rate_texts(found.overall)))
    cards.append(Card("Runs that failed", str(int((~ok).sum())), f"of {ok.size}"))
    named = [*(study.sheet.limits if study.sheet else ()), *quantities(study.table)]
    for name in dict.fromkeys(named):
        limits = study.sheet.limits.get(name) if study.sheet else None
        if len(cards) == 6 or name not in quantities(study.table):
            continue
        seen = measured(study.table, name, limits)
        if seen is not None:
            note = f"mean; standard deviation {_amount(name, seen.sd, limits, 3)}"
            cards.append(Card(_capital(words(name)), _amount(name, seen.mean, limits), note))
    return cards


def _quantity_rows(study: MontecarloStudy, found: Verdicts | None) -> list[list[str]]:
    """Quantity, limits, measured ends, mean and spread, the middle nine tenths, capability, and yield."""
    limits = dict(study.sheet.limits) if study.sheet else {}
    rates = found.by_quantity if found is not None else {}
    rows = []
    for name in limits or dict.fromkeys(quantities(study.table)):
        own = limits.get(name)
        rate = rate_texts(rates[name]) if name in rates else ("", "")
        rows.append([words(name), *_limit_cells(name, own), *_measured_cells(study.table, name, own), *rate])
    return rows


def _limit_cells(name: str, limits: Limits | None) -> list[str]:
    if limits is None:
        return ["", "", ""]
    if limits.wanted is not None:
        return ["", " or ".join(map(words, limits.wanted)), ""]
    return ["" if end is None else _amount(name, end, limits) for end in (limits.min, limits.typ, limits.max)]


def _measured_cells(table: pa.Table, name: str, limits: Limits | None) -> list[str]:
    if limits is not None and limits.wanted is not None:
        return [""] * 6
    seen = measured(table, name, limits)
    if seen is None:
        return [NOTHING, *[""] * 5]
    figures = (seen.low, seen.mean, seen.sd, seen.high)
    middle = f"{_amount(name, seen.quantiles[0.05], limits)} to {_amount(name, seen.quantiles[0.95], limits)}"
    capability = "" if seen.capability is None else f"{seen.capability:.2f}"
    return [*(_amount(name, value, limits) for value in figures), middle, capability]


def _worst_rows(study: MontecarloStudy) -> list[list[str]]:
    if study.sheet is None:
        return []
    return [
        [
            str(chip.sample),
            str(chip.condition),
            "yes" if chip.good else "no",
            "" if chip.margin is None else f"{chip.margin:.2f}".replace("-", "\u2212"),
            chip.why[:LONGEST_REASON],
        ]
        for chip in worst(study.table, study.sheet, study.worst)
    ]


def _amount(name: str, value: float, limits: Limits | None, digits: int = 4) -> str:
    """A figure with its unit; a prefix where the unit takes one."""
    if value != value:
        return NOTHING
    unit = limits.unit if limits is not None and limits.unit else UNITS.get(name, "")
    return engineering(value, unit) if unit in PREFIXED else f"{value:.{digits}g}".replace("-", "\u2212")


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
