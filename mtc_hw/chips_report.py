"""Pages and pictures of what Monte Carlo found, with the figures that a command prints."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtc_hw.analysis.datasheet import datasheet as as_datasheet
from mtc_hw.analysis.datasheet import load_datasheet
from mtc_hw.analysis.draw_names import Level
from mtc_hw.analysis.sensitivity import Sensitivity
from mtc_hw.analysis.sobol import SobolIndices
from mtc_hw.analysis.verdicts import Verdicts, WorstChip, verdicts, worst
from mtc_hw.chips_analysis import explained, load_chips
from mtc_hw.errors import DataError
from mtc_hw.montecarlo_report import MontecarloStudy, write_montecarlo_report
from mtc_hw.montecarlo_run import RESULT, shown
from mtc_hw.sensitivity_plots import sensitivity_figure


@dataclass(frozen=True, eq=False)
class Analysed:
    """A finished run, judged."""

    page: Path
    verdicts: Verdicts
    worst: tuple[WorstChip, ...]
    sensitivities: list[list[Sensitivity]]

    def to_json(self) -> dict[str, Any]:
        return {
            "yield": shown(self.verdicts.overall),
            "yield_by_quantity": {name: shown(each) for name, each in self.verdicts.by_quantity.items()},
            "worst": [dataclasses.asdict(each) | {"condition": str(each.condition)} for each in self.worst],
            "sensitivity": [dataclasses.asdict(each) for group in self.sensitivities for each in group],
            "report": str(self.page),
        }

    def summary(self) -> str:
        y = self.verdicts.overall
        lines = [f"yield {y.value:.3g} ({y.low:.3g} to {y.high:.3g}) of {y.total} chips, page {self.page}"]
        lines += [_told(each) for group in self.sensitivities for each in group]
        return "\n".join(lines)


def _told(found: Sensitivity) -> str:
    first = ", ".join(f"{each.name} {each.value:.2f}" for each in found.shares[:5])
    return f"{found.quantity}, {found.method}: {first}"


def analysed(
    folder: Path, out: Path, sheet_path: Path | None, quantities: Sequence[str], by: Level, count: int
) -> Analysed:
    """Judges the run in `folder` and writes its page to `out`. Raises DataError."""
    chips = load_chips(folder)
    result = _result(folder)
    sheet = load_datasheet(sheet_path) if sheet_path else as_datasheet("the run's own limits", result["limits"])
    judged = verdicts(chips.table, sheet)
    found = explained(chips, quantities, by) if quantities else []
    study = MontecarloStudy(
        title=f"{result['subject']} on the {result['tier']} tier",
        table=chips.table,
        sheet=sheet,
        sensitivities=found,
        provenance={name: _text(value) for name, value in result["provenance"].items()},
        worst=count,
    )
    return Analysed(write_montecarlo_report(study, out), judged, worst(chips.table, sheet, count), found)


def _result(folder: Path) -> dict[str, Any]:
    try:
        document = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        return {name: document[name] for name in ("limits", "subject", "tier", "provenance")}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder / RESULT} cannot be read: {error}; run the chips again") from None


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, eq=False)
class SobolFound:
    """Indices and their picture."""

    indices: SobolIndices
    picture: Path

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self.indices) | {"picture": str(self.picture)}

    def summary(self) -> str:
        parts = (self.indices.first, self.indices.total)
        return "\n".join([*map(_told, parts), f"{self.indices.runs} chips, picture {self.picture}"])


def write_sobol(found: SobolIndices, out: Path) -> SobolFound:
    """The indices as a picture and as JSON, in a folder."""
    out.mkdir(parents=True, exist_ok=True)
    picture = out / "sobol.png"
    sensitivity_figure([found.first, found.total]).savefig(picture, dpi=160)
    told = SobolFound(found, picture)
    _write(told.to_json(), out / "sobol.json")
    return told


def _write(values: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
