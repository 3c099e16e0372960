"""What a co-design leaves in a folder: the networks, every step's chips as JSON, a table, a picture."""

import dataclasses
import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mtc_hw import __version__
from mtc_hw.checkpoint import save_spec
from mtc_hw.codesign.loop import Codesigned, Step
from mtc_hw.codesign.paired import FEWEST, paired
from mtc_hw.codesign.plots import codesign_figure
from mtc_hw.hardware.budget import budget

RESULT, TABLE, PICTURE, NETWORK = "result.json", "steps.md", "codesign.png", "network"
FIGURES = ("area", "transistor area", "capacitor area", "converter area", "power")


def to_json(found: Codesigned) -> dict[str, Any]:
    """Every step with its chips, what each gained over the one before, and what is needed to do it again."""
    return {
        "steps": [_step(each) for each in found.steps],
        "gains": list(_gains(found)),
        "options": _options(found),
        "provenance": {
            "mtc_hw": __version__,
            **{name: metadata.version(name) for name in ("numpy", "scipy", "torch", "llvmlite")},
            "seed": found.options.seed,
            "series_digest": found.series,
            "cells_digest": found.cells.technology,
        },
    }


def _options(found: Codesigned) -> dict[str, Any]:
    o = found.options
    return {
        **{name: getattr(o, name) for name in ("technology", "chips", "looped", "share", "seed", "circuits")},
        "size": str(o.size),
        "variation": o.variation.to_json(),
        "mapping": dataclasses.asdict(o.mapping),
        "verify": dataclasses.asdict(o.verify),
        "tune": o.tune.to_json(),
    }


def _step(step: Step) -> dict[str, Any]:
    costs = budget(step.design)
    loop = step.loop
    return {
        "name": step.name,
        "network_digest": step.spec.digest(),
        "design_digest": step.design.digest,
        "chips": step.scores.to_json(),
        "circuits": None if step.circuits is None else step.circuits.to_json(),
        "costs": {name: costs[name] for name in FIGURES},
        "seconds": step.seconds,
        "history": [list(each) for each in step.history],
        "gap": None
        if loop is None
        else {name: dataclasses.asdict(getattr(loop, name)) for name in ("before", "after")},
        "interrupted": loop is not None and loop.interrupted,
    }


def _gains(found: Codesigned) -> Iterator[dict[str, Any]]:
    """Of each step over the one before, on the same chips, where enough of them ran."""
    for before, after in zip(found.steps, found.steps[1:], strict=False):
        for readout in ("raw", "refitted"):
            pair = getattr(before.scores, readout), getattr(after.scores, readout)
            if int(np.isfinite(pair[0] + pair[1]).sum()) >= FEWEST:
                gain = paired(*pair, seed=found.options.seed).to_json()
                yield {"before": before.name, "after": after.name, "readout": readout} | gain


def table(found: Codesigned) -> str:
    """Markdown: a row each step."""
    lines = [
        "| step | chips | R2 trained readout, median (5th percentile) | R2 refitted | area, mm2 | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for each in found.steps:
        told = each.scores.summary()
        ran = f"{told['chips'] - told['failed']} of {told['chips']}"
        figures = [f"{_four(told[f'{name}_median'])} ({_four(told[f'{name}_p5'])})" for name in ("raw", "refitted")]
        area = 1e6 * budget(each.design)["area"]
        lines.append(f"| {each.name} | {ran} | {figures[0]} | {figures[1]} | {area:.3f} | {each.seconds:.0f} |")
    return "\n".join(lines)


def _four(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def summary(found: Codesigned, out: Path) -> str:
    """A line."""
    parts = [
        f"{each.name} {_four(each.scores.summary()['raw_median'])}, "
        f"refitted {_four(each.scores.summary()['refitted_median'])}"
        for each in found.steps
    ]
    return f"median R2 of {found.options.chips} chips: {'; '.join(parts)}; network {out / NETWORK}.json"


def write_codesign(found: Codesigned, out: Path, command: str) -> dict[str, Any]:
    """Every file; what `to_json` gives, with their paths."""
    out.mkdir(parents=True, exist_ok=True)
    for each in found.steps:
        name = NETWORK if each is found.steps[-1] else each.name
        save_spec(each.spec, out / name, {"command": command, "step": each.name, "seed": found.options.seed})
    files = {"network": f"{out / NETWORK}.json", "table": str(out / TABLE), "picture": str(out / PICTURE)}
    values = to_json(found) | {"files": files}
    (out / TABLE).write_text(table(found) + "\n", encoding="utf-8")
    scores = {each.name: each.scores for each in found.steps}
    codesign_figure(scores, {each.name: each.history for each in found.steps}).savefig(out / PICTURE, dpi=150)
    (out / RESULT).write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return values
