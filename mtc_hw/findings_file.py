"""Findings on disk, so that a report can be written again: `findings.json` and `findings.npz` in a run's folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mtc_hw.analysis.yields import Yield
from mtc_hw.checkpoint import load_spec, save_spec
from mtc_hw.errors import DataError
from mtc_hw.findings import Findings, Stage

FORMAT, VERSION = "mtc_hw findings", 1
_ARRAYS = (
    "time",
    "target",
    "trace_time",
    "software_voltage",
    "circuit_voltage",
    "software_chips",
    "software_refitted",
    "chips_raw",
    "chips_calibrated",
)
_YIELDS = ("yield_", "yield_refitted")
_SCALARS = (
    "s_comp",
    "s_comm",
    "silent",
    "burn_in",
    "threshold",
    "neuron_power",
    "simulated",
    "seconds",
    "provenance",
)


def save_findings(findings: Findings, folder: Path) -> None:
    """The network itself goes to `network.safetensors` and `.json` unless it is there already."""
    if not (folder / "network.json").exists():
        save_spec(findings.spec, folder / "network")
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "spec_digest": findings.spec.digest(),
        "stages": [[stage.name, stage.meaning, list(stage.r2)] for stage in findings.stages],
        **{name: None if (y := getattr(findings, name)) is None else vars(y) for name in _YIELDS},
        "failures": list(findings.failures),
        "predictions": list(findings.predictions),
        **{name: getattr(findings, name) for name in _SCALARS},
    }
    (folder / "findings.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    arrays = {name: np.asarray(getattr(findings, name)) for name in _ARRAYS}
    predictions = np.array([findings.predictions[name] for name in findings.predictions])
    # Voltages for pictures: float32 is far below a line's width.
    small = {name: a.astype(np.float32) if "voltage" in name else a for name, a in arrays.items()}
    np.savez_compressed(folder / "findings.npz", allow_pickle=False, predictions=predictions, **small)


def load_findings(folder: Path) -> Findings:
    """Raises DataError when the folder holds no run, or one of another version or another network."""
    try:
        document = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
        if (document["format"], document["version"]) != (FORMAT, VERSION):
            raise DataError(f"{folder} holds {document['format']} {document['version']}, expected {FORMAT} {VERSION}")
        with np.load(folder / "findings.npz", allow_pickle=False) as stored:
            arrays: dict[str, Any] = {name: np.asarray(stored[name], dtype=np.float64) for name in _ARRAYS}
            predictions = dict(zip(document["predictions"], np.asarray(stored["predictions"]), strict=True))
        values: dict[str, Any] = {name: document[name] for name in _SCALARS} | arrays
        values |= {name: None if document[name] is None else Yield(**document[name]) for name in _YIELDS}
        stages = tuple(Stage(name, meaning, tuple(r2)) for name, meaning, r2 in document["stages"])
        found = Findings(
            spec=load_spec(folder / "network.json"),
            stages=stages,
            predictions=predictions,
            failures=tuple(document["failures"]),
            **values,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} holds no finished run ({error}); make one with `mtc-hw run --out {folder}`"
        ) from None
    if found.spec.digest() != document["spec_digest"]:
        raise DataError(f"{folder}: network.json is not the network of findings.json; run again")
    return found
