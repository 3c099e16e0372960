"""A `ModelSpec` on disk: `<path>.safetensors` holds the arrays, `<path>.json` everything else. No torch needed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mtc_hw.errors import DataError, SpecError
from mtc_hw.spec import (
    EFFECT_ROWS,
    AnySynapse,
    CellEffects,
    Curve,
    ModelSpec,
    Neurons,
    Readout,
    RectifiedTanh,
    Synapse,
    Task,
)

FORMAT = "mtc_hw.model"
VERSION = 1


def _parts(path: Path | str) -> tuple[Path, Path]:
    """Arrays' and header's file of a checkpoint, named with or without either suffix."""
    stem = Path(path)
    stem = stem.with_suffix("") if stem.suffix in (".json", ".safetensors") else stem
    return stem.with_name(stem.name + ".safetensors"), stem.with_name(stem.name + ".json")


def save_spec(spec: ModelSpec, path: Path | str, training: dict[str, object] | None = None) -> tuple[Path, Path]:
    """Write both files and return their paths. `training` is any JSON value about how the network came to be."""
    arrays, header = _parts(path)
    arrays.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(array) for name, array in spec.arrays().items()}, arrays)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "digest": spec.digest(),
        "header": spec.header(),
        "training": training or {},
    }
    header.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return arrays, header


def load_spec(path: Path | str) -> ModelSpec:
    """The network of a checkpoint, bit for bit.

    Raises DataError when a file is missing, damaged, of another format or version, or does not belong to the other.
    """
    arrays_file, header_file = _parts(path)
    document = _document(header_file)
    try:
        arrays = load_file(arrays_file)
    except FileNotFoundError:
        raise DataError(f"checkpoint {arrays_file} does not exist; it must lie beside {header_file.name}") from None
    except (SafetensorError, OSError) as error:
        raise DataError(f"checkpoint {arrays_file} cannot be read ({error}); save the network again") from None
    try:
        spec = _spec(document["header"], arrays)
    except (KeyError, TypeError, ValueError, SpecError) as error:
        raise DataError(
            f"checkpoint {header_file} describes no network ({error!r}); save the network again"
        ) from None
    if spec.digest() != document.get("digest"):
        raise DataError(
            f"checkpoint {arrays_file} does not belong to {header_file.name}: digest {spec.digest()[:12]} is not "
            f"{str(document.get('digest'))[:12]}; restore both files from one save"
        )
    return spec


def load_training(path: Path | str) -> dict[str, Any]:
    """What `save_spec` was told about the training. Raises DataError as `load_spec` does."""
    return dict(_document(_parts(path)[1]).get("training", {}))


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"checkpoint {file} does not exist; train a network first or correct the path") from None
    except (OSError, ValueError) as error:
        raise DataError(f"checkpoint {file} cannot be read ({error}); save the network again") from None
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise DataError(f"checkpoint {file} has format {found!r}, expected {FORMAT!r}; it was not written by mtc_hw")
    if document.get("version") != VERSION:
        raise DataError(
            f"checkpoint {file} has version {document.get('version')!r}, this program reads {VERSION}; "
            f"use the mtc_hw that wrote it, or train again"
        )
    return dict(document)


def _spec(header: dict[str, Any], arrays: dict[str, Any]) -> ModelSpec:
    curves = {name: None if curve is None else Curve(**curve) for name, curve in header["curves"].items()}
    fields = {name: arrays[name] for name in ("alpha", "delta", "tau", "leak", "rest", "offset")}
    cells = None
    if "cells.sharpness" in arrays:
        cells = CellEffects(**{name: arrays[f"cells.{name}"] for name in EFFECT_ROWS})
    readout = None
    if header["readout_tau"] is not None:
        readout = Readout(arrays["readout.weights"], arrays["readout.offset"], header["readout_tau"])
    return ModelSpec(
        neurons=Neurons(**fields, leak_curve=curves["leak"], filter_curve=curves["filter"], cells=cells),
        weights=arrays["weights"],
        bias=arrays["bias"],
        synapse=_synapse(header["synapse"]),
        readout=readout,
        input_curve=curves.get("input"),
        task=None if header["task"] is None else Task(**header["task"]),
        step=header["step"],
        integrator=header["integrator"],
    )


def _synapse(fields: dict[str, Any]) -> AnySynapse:
    """Of the two laws only the saturated ReLU has a saturation."""
    return Synapse(**fields) if "saturation" in fields else RectifiedTanh(**fields)
