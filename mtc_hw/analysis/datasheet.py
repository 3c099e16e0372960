"""What a chip must do, as a TOML file: a section a quantity, with `min`, `typ` and `max`, or the `wanted` texts.

    [isi_mean]
    min = 48.0
    max = 58.0
    unit = "tau_m"

    [regime]
    wanted = "tonic"

A limit itself is still good. `typ` is what the datasheet promises of the middle and fails no chip.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from mtc_hw.analysis.chip_table import is_number
from mtc_hw.errors import DataError
from mtc_hw.resources import folder
from mtc_hw.violations import plain

LARGEST_FILE = 1 << 20  # bytes


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^\P{C}+$")]  # no control characters
Texts = Annotated[list[Text], Field(min_length=1), BeforeValidator(_listed)]


class Limits(BaseModel):
    """Of one quantity, in its column's unit. At least one of `min`, `max` and `wanted` is given."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
    min: Number | None = None
    typ: Number | None = None
    max: Number | None = None
    wanted: Texts | None = None
    unit: Annotated[str, Field(max_length=40, pattern=r"^\P{C}*$")] = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ends = {name: value for name in ("min", "typ", "max") if (value := getattr(self, name)) is not None}
        if self.wanted is not None and ends:
            raise ValueError(f"has both wanted and {', '.join(ends)}; give texts or numbers, not both")
        if self.wanted is None and self.min is None and self.max is None:
            raise ValueError("has no limit; give min or max, or wanted for a text")
        order = list(ends.items())
        for (first, low), (second, high) in pairwise(order):
            if low > high:
                raise ValueError(f"has {first} = {low:g} above {second} = {high:g}; put the smaller first")
        return self

    def holds(self, value: float | str | None) -> bool:
        """Whether one chip's figure keeps them; a missing one does not."""
        if value is None:
            return False
        if self.wanted is not None:
            return value in self.wanted
        assert not isinstance(value, str), "checked against the table's columns"
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    def __str__(self) -> str:
        if self.wanted is not None:
            return " or ".join(self.wanted)
        unit = f" {self.unit}" if self.unit else ""
        if self.min is None or self.max is None:
            return f"at least {self.min:g}{unit}" if self.max is None else f"at most {self.max:g}{unit}"
        return f"{self.min:g} to {self.max:g}{unit}"


@dataclass(frozen=True)
class Datasheet:
    """Limits by quantity, in the file's order."""

    name: str
    limits: Mapping[str, Limits]


def load_datasheet(name_or_path: str | Path) -> Datasheet:
    """A shipped datasheet by name, or a user's file, named after the file.

    Raises DataError with every violation in one line.
    """
    shipped = {path.stem: path for path in sorted((folder("models") / "datasheets").glob("*.toml"))}
    path = shipped.get(str(name_or_path), Path(name_or_path))
    shown = ascii(str(path))[1:-1]
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DataError(f"datasheet {shown} holds more than {LARGEST_FILE} bytes; it is a section a quantity")
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        remedy = f"give a path, or a shipped one: {', '.join(shipped)}"
        raise DataError(f"datasheet {shown} cannot be read: {error.strerror}; {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"datasheet {shown} is not TOML: {ascii(str(error))[1:-1]}; mend it") from None
    return datasheet(path.stem, tables)


def datasheet(name: str, tables: Mapping[str, object]) -> Datasheet:
    """From the file's tables. Raises DataError with every violation in one line."""
    limits: dict[str, Limits] = {}
    wrong = [] if tables else ["no quantity; give a section such as [isi_mean] with min or max"]
    for quantity, section in tables.items():
        if not isinstance(section, dict):
            wrong.append(f"{plain(quantity)} is {plain(section)}; give a section [{plain(quantity)}] with limits")
            continue
        try:
            limits[quantity] = Limits.model_validate(section)
        except ValidationError as error:
            wrong += [_told(quantity, dict(found)) for found in error.errors(include_url=False)]
    if wrong:
        raise DataError(f"datasheet {plain(name)}: " + "; ".join(wrong))
    return Datasheet(name, limits)


def check(sheet: Datasheet, schema: pa.Schema) -> None:
    """Raises DataError where the table cannot have what the datasheet asks for, before anything is run."""
    wrong = []
    for quantity, limits in sheet.limits.items():
        try:
            number = is_number(schema, quantity)
        except DataError as error:
            wrong.append(str(error))
            continue
        kind = schema.field(quantity).type
        if limits.wanted is not None and number and not pa.types.is_null(kind):
            wrong.append(f"{quantity} holds numbers ({kind}); give min or max instead of wanted")
        if limits.wanted is None and not number:
            wrong.append(f"{quantity} holds {kind}; give wanted instead of min, typ and max")
    if wrong:
        raise DataError(f"datasheet {plain(sheet.name)}: " + "; ".join(wrong))


def _told(quantity: str, found: dict[str, Any]) -> str:
    """One fault that pydantic found: where, the value, the remedy."""
    where = ".".join([plain(quantity), *(plain(part) for part in found["loc"])])
    kind = found["type"]
    if kind == "value_error":
        return f"{where} {found['ctx']['error']}"
    if kind == "extra_forbidden":
        return f"{where} is no known key; there are: {', '.join(Limits.model_fields)}"
    remedies = {
        "float_type": "it must be a finite number",
        "finite_number": "it must be a finite number",
        "string_type": "it must be a text in quotes",
        "list_type": "it must be a text, or a list of texts",
        "too_short": "name at least one text",
    }
    return f"{where} is {plain(found['input'])}; {remedies.get(kind, 'it must be a short text on one line')}"
