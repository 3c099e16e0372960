"""A technology's TOML file: one process at all its corners, with cards of its own or with a PDK's library."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, model_validator

from mtc_hw.errors import TechnologyError
from mtc_hw.hardware.card_file import check_cards
from mtc_hw.hardware.process import (
    CORNERS,
    STRICT,
    Celsius,
    Device,
    Finite,
    Grid,
    Name,
    Positive,
    ProcessRecord,
    Text,
    validated,
)


class LibraryRecord(BaseModel):
    """A PDK's model library, below PDK_ROOT or in a Python package. Lengths there are in units of `unit` m."""

    model_config = STRICT
    pdk: Name
    path: Text
    package: Name | None = None
    package_path: Text | None = None
    remedy: Text  # how to get the PDK
    unit: Positive
    switches: dict[Name, Finite]  # every statistics switch, set for each run
    mismatch_switch: Name | None = None  # which of them turns the PDK's own mismatch on
    sections: dict[str, Name]  # by corner
    aliases: dict[Name, Name] = {}  # what other versions call the devices
    digests: dict[Text, dict[str, str]] = Field(min_length=1)  # by version and corner, of the files that are read

    def version(self, corner: str, digest: str) -> str | None:
        """Which known version of the PDK has these files; None for another one."""
        return next((version for version, digests in self.digests.items() if digests[corner] == digest), None)


class Record(BaseModel):
    """What the file says, before a corner is chosen. Lengths in m, voltages in V, temperatures in degrees Celsius."""

    model_config = STRICT
    name: Name
    supply: Positive
    supply_range: tuple[Positive, Positive]
    analog_ground: Positive
    temperature: Celsius
    temperature_range: tuple[Celsius, Celsius]
    diffusion: Positive
    grid: Grid
    nmos: Device
    pmos: Device
    models: Text | None = None  # file of SPICE cards, beside the TOML file
    corners: dict[str, dict[Name, Finite]] = {}  # of the card file: what each sets its parameters to
    library: LibraryRecord | None = None
    process: ProcessRecord | None = None  # not of `Technology`: what varies from chip to chip changes no cell

    @property
    def corner_names(self) -> tuple[str, ...]:
        found = self.corners if self.library is None else self.library.sections
        return tuple(each for each in CORNERS if each in found)

    @model_validator(mode="after")
    def _hold_together(self) -> "Record":
        wrong = [*self._range_faults(), *self._corner_faults()]
        if (self.models is None) == (self.library is None):
            wrong.append("give either `models`, a card file, or a [library] of a PDK")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _range_faults(self) -> list[str]:
        wrong = []
        for what, value, (low, high) in (
            ("supply", self.supply, self.supply_range),
            ("temperature", self.temperature, self.temperature_range),
            ("analog_ground", self.analog_ground, (0.0, self.supply)),
        ):
            if not low <= value <= high:
                wrong.append(f"{what} is {value:g}, outside {low:g} to {high:g}")
        for what, (low, high) in (("grid.width", self.grid.width), ("grid.length", self.grid.length)):
            if low > high:
                wrong.append(f"{what} runs from {low:g} to {high:g}; put the smaller first")
        return wrong

    def _corner_faults(self) -> list[str]:
        wrong = []
        given: dict[str, Any] = dict(self.corners)
        if self.library is not None:
            if self.corners:
                wrong.append("[corners] belongs to a card file; a library has sections")
            given = dict(self.library.sections)
            switch = self.library.mismatch_switch
            if switch is not None and switch not in self.library.switches:
                wrong.append(f"library.mismatch_switch {switch!r} is not among library.switches")
            for version, digests in self.library.digests.items():
                if set(digests) != set(given):
                    wrong.append(f"library.digests.{version!r} has not the corners of library.sections")
        unknown = sorted(set(given) - set(CORNERS))
        if unknown:
            wrong.append(f"corners {', '.join(map(repr, unknown))} are not among {', '.join(CORNERS)}")
        if "tt" not in given:
            wrong.append("there is no corner 'tt'")
        elif any(set(values) != set(self.corners["tt"]) for values in self.corners.values()):
            wrong.append("every corner sets the same parameters")
        return wrong


def read_record(path: Path) -> Record:
    """Raises TechnologyError with everything that is wrong with the file."""
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TechnologyError(str(error)) from None
    return validated(Record, fields)


def own_cards(record: Record, folder: Path, corner: str) -> str:
    """The card file's text behind the corner's parameters; empty for a PDK's technology.

    Raises TechnologyError for a file that cannot be read or holds anything but transistor models.
    """
    if record.models is None:
        return ""
    try:
        text = (folder / record.models).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TechnologyError(str(error)) from None
    values = record.corners[corner]
    check_cards(text, {"nmos": record.nmos.model, "pmos": record.pmos.model}, set(values))
    parameters = "".join(f".param {name}={value!r}\n" for name, value in values.items())
    return parameters + text
