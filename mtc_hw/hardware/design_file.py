"""A MappedDesign in one JSON file, and back, bit for bit."""

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any

import numpy as np

from mtc_hw.errors import DataError, MtcError
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.technology import Technology, technology_of

FORMAT = "mtc_hw design"
VERSION = 1


def save_design(design: MappedDesign, path: Path) -> None:
    document = {"format": FORMAT, "version": VERSION, "digest": design.digest, "design": plain(design)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")


def load_design(path: Path) -> MappedDesign:
    """Raises DataError for a file that is missing, no design, of another version, or changed since it was saved."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a design: {error}") from None
    found = (document.get("format"), document.get("version")) if isinstance(document, dict) else None
    if found != (FORMAT, VERSION):
        raise DataError(f"{path} holds {found}, expected {(FORMAT, VERSION)}; map the network again")
    try:
        design: MappedDesign = read_fields(MappedDesign, document["design"])
    except (KeyError, TypeError, ValueError, MtcError) as error:
        raise DataError(f"{path} is incomplete: {error}; map the network again") from None
    if design.digest != document.get("digest"):
        raise DataError(f"{path} was changed after it was saved: its digest differs; map the network again")
    return design


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        # The nested lists of an array without elements do not tell its shape.
        return value.tolist() if value.size else {"shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Technology):
        return value.model_dump()
    if dataclasses.is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    return value


def read_fields(kind: type[Any], value: Any) -> Any:
    """A dataclass of arrays, numbers and further dataclasses from its JSON value."""
    hints = typing.get_type_hints(kind)
    values = {each.name: _typed(hints[each.name], value[each.name]) for each in dataclasses.fields(kind)}
    return kind(**values)


def _typed(hint: Any, value: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        if value is None:
            return None
        hint = next(each for each in typing.get_args(hint) if each is not type(None))
    if hint is Technology:
        return technology_of(value)
    if dataclasses.is_dataclass(hint):
        return read_fields(typing.cast("type[Any]", hint), value)
    if typing.get_origin(hint) is np.ndarray:
        kind = bool if "bool" in str(hint) else np.float64
        array = np.empty(value["shape"], kind) if isinstance(value, dict) else np.array(value, dtype=kind)
        array.setflags(write=False)
        return array
    return value
