"""Nested frozen dataclasses of numbers and arrays as JSON, and back, bit for bit."""

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any

import numpy as np

from mtc_hw.errors import DataError, MtcError
from mtc_hw.hardware.technology import Technology, technology_of


def save_fields(value: Any, path: Path, form: str, version: int) -> None:
    """One value in a file that names its format and version."""
    document = {"format": form, "version": version, "value": plain(value)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def load_fields(kind: type[Any], path: Path, form: str, version: int, remedy: str) -> Any:
    """The value of type `kind` in a file. Raises DataError for anything else in it, with the remedy."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = document["format"], document["version"]
        if found == (form, version):
            return read_fields(kind, document["value"])
    except (OSError, ValueError, KeyError, TypeError, MtcError) as error:
        raise DataError(f"{path} holds no {form}: {error}; {remedy}") from None
    raise DataError(f"{path} holds {found[0]} {found[1]}, expected {form} {version}; {remedy}")


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        # The nested lists of an array without elements do not tell its shape.
        return value.tolist() if value.size else {"shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Technology):
        return value.model_dump()
    if isinstance(value, tuple):
        return [plain(each) for each in value]
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
        hint = _alternative([each for each in typing.get_args(hint) if each is not type(None)], value)
    if hint is Technology:
        return technology_of(value)
    if dataclasses.is_dataclass(hint):
        return read_fields(typing.cast("type[Any]", hint), value)
    if typing.get_origin(hint) is tuple:
        (own, *_) = typing.get_args(hint)
        return tuple(_typed(own, each) for each in value)
    if typing.get_origin(hint) is np.ndarray:
        kind = bool if "bool" in str(hint) else np.float64
        array = np.empty(value["shape"], kind) if isinstance(value, dict) else np.array(value, dtype=kind)
        array.setflags(write=False)
        return array
    return value


def _alternative(kinds: list[Any], value: Any) -> Any:
    """Of several dataclasses the one with the value's keys."""
    fitting = (
        each
        for each in kinds
        if dataclasses.is_dataclass(each) and {field.name for field in dataclasses.fields(each)} == set(value)
    )
    return kinds[0] if len(kinds) == 1 else next(fitting)
