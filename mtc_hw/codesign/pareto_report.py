"""What a sweep leaves in its folder: every point as JSON and as a table, and a picture."""

import csv
import json
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from mtc_hw import __version__
from mtc_hw.codesign.pareto import CONFIDENCE, COSTS, TELL, Point
from mtc_hw.codesign.pareto_plots import pareto_figure
from mtc_hw.codesign.pareto_run import Swept
from mtc_hw.hardware.variation import Variation

RESULT, TABLE, PICTURE = "pareto.json", "pareto.csv", "pareto.png"


def to_json(found: Swept) -> dict[str, Any]:
    """Every point, the choice with its reason, and what is needed to do it again."""
    index = found.choice.index
    return {
        "chosen": None if index is None else found.points[index].setting.to_json(),
        "reason": found.choice.reason,
        "points": [
            each.to_json() | {"on_front": best, "chosen": number == index}
            for number, (each, best) in enumerate(zip(found.points, found.on_front, strict=True))
        ],
        "quality": found.quality,
        "confidence": CONFIDENCE,
        "options": _options(found),
        "provenance": {
            "mtc_hw": __version__,
            **{name: metadata.version(name) for name in ("numpy", "scipy", "llvmlite")},
            "seed": found.options.seed,
            "model_digest": found.model,
            "plan_digest": found.options.plan.digest(),
            "variation": Variation().to_json(),
        },
        "chips_run": found.chips,
        "seconds": found.seconds,
    }


def _options(found: Swept) -> dict[str, Any]:
    o = found.options
    return {
        "swept": {name: [TELL[name](each) for each in getattr(found.grid, name)] for name in found.grid.swept},
        "requirements": [str(each) for each in found.requirements],
        "limits": {name: each.model_dump(exclude_none=True) for name, each in found.sheet.limits.items()},
        "plan": o.plan.name,
        **{name: getattr(o, name) for name in ("least", "technology", "tier", "chips", "seed", "duration")},
    }


def rows(found: Swept) -> Iterator[dict[str, object]]:
    """A point each: its setting, costs in m2 and W, figures with the ends of their intervals."""
    names = list(dict.fromkeys(name for each in found.points for name in each.quality or {}))
    for number, (each, best) in enumerate(zip(found.points, found.on_front, strict=True)):
        row: dict[str, object] = each.setting.to_json()
        row |= {name: each.cost(name) if each.mapped else None for name in COSTS}
        for name in names:
            figure = each.figure(name) if each.mapped else None
            for end in ("value", "low", "high"):
                row[name if end == "value" else f"{name}_{end}"] = figure and getattr(figure, end)
        row |= {"chips": each.chips, "failed": each.failed, "marked": each.marked, "on_front": best}
        yield row | {"chosen": number == found.choice.index, "unmapped": each.unmapped, "study": each.study}


def summary(found: Swept, out: Path) -> str:
    """The choice, and how many points there are."""
    points, best = len(found.points), sum(found.on_front)
    unmapped = [each for each in found.points if not each.mapped]
    counted = f"{points} point{'s' if points > 1 else ''}, {best} on the front"
    lines = [found.choice.reason, f"{counted}, {len(unmapped)} that cannot be mapped; {out / PICTURE}"]
    lines += [f"  {_short(each, found)}" for each in unmapped]
    return "\n".join(lines)


def _short(point: Point, found: Swept) -> str:
    first, _, others = point.unmapped.partition("; ")
    more = f" (and {others.count('; ') + 1} more)" if others else ""
    return f"{point.setting.told(found.grid.swept)}: {first}{more}"


def write_pareto(found: Swept, out: Path, command: str) -> dict[str, Any]:
    """Every file; what `to_json` gives, with their paths and the command."""
    out.mkdir(parents=True, exist_ok=True)
    files = {"result": str(out / RESULT), "table": str(out / TABLE)}
    told = list(rows(found))
    with _whole(out / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(told[0]))
        writer.writeheader()
        writer.writerows(told)
    os.replace(_whole(out / TABLE), out / TABLE)
    figure = pareto_figure(found)
    if figure is not None:
        files["picture"] = str(out / PICTURE)
        figure.savefig(out / PICTURE, dpi=160)
    values = to_json(found) | {"command": command, "files": files}
    _whole(out / RESULT).write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(_whole(out / RESULT), out / RESULT)
    return values


def _whole(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_suffix(path.suffix + ".part")
