"""A technology at one corner, supply and temperature: what a netlist is rendered from."""

import hashlib
import warnings
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mtc_hw.errors import TechnologyError
from mtc_hw.hardware import pdk
from mtc_hw.hardware.process import (
    STRICT,
    Celsius,
    Device,
    Finite,
    Grid,
    Kind,
    Name,
    Positive,
    ProcessSpread,
    Text,
    um,
    validated,
)
from mtc_hw.hardware.record import LibraryRecord, Record, own_cards, read_record
from mtc_hw.resources import folder


class Library(BaseModel):
    """Where a PDK's models of one corner are. Lengths there are in units of `unit` m."""

    model_config = STRICT
    pdk: Name  # folder under PDK_ROOT
    path: Text  # of the library file in that folder
    package: Name | None = None  # Python package that holds the models as well
    package_path: Text | None = None
    remedy: Text
    section: Name
    switches: dict[Name, Finite]
    unit: Positive
    digest: str  # of the files that the section reads
    version: Text


class Technology(BaseModel):
    """What a netlist needs to know of a process. Lengths in m, voltages in V, temperatures in degrees Celsius."""

    model_config = STRICT
    name: Name
    corner: str = "tt"
    corners: tuple[str, ...]  # that the technology has
    supply: Positive
    supply_range: tuple[Positive, Positive]
    analog_ground: Positive  # stands for U = 0
    temperature: Celsius
    temperature_range: tuple[Celsius, Celsius]
    diffusion: Positive  # length of a source or drain area
    grid: Grid
    nmos: Device
    pmos: Device
    library: Library | None = None  # None: the cards are the technology's own and hold at every size
    sizes: tuple[tuple[Positive, Positive], ...] = ()  # of the frozen cards: width and length
    cards: str = ""  # SPICE text

    def digest(self) -> str:
        """SHA-256 of every figure and of the technology's own cards, hexadecimal.

        Frozen cards are not in it: they follow from the PDK's digest and the rest, so sizing changes no digest.
        """
        derived = {"cards", "sizes"} if self.library else set()
        return hashlib.sha256(self.model_dump_json(exclude=derived).encode()).hexdigest()

    def device(self, kind: Kind) -> Device:
        return self.nmos if kind == "nmos" else self.pmos

    def card(self, kind: Kind, width: float, length: float) -> str:
        """Name of the .model for a transistor of this size, m.

        Raises TechnologyError when a PDK's technology holds no card of this size.
        """
        model = self.device(kind).model
        if self.library is None:
            return model
        name = card_name(model, width, length)
        if name not in {card_name(model, *size) for size in self.sizes}:
            there = ", ".join(f"{um(w)}/{um(le)}" for w, le in self.sizes) or "none"
            raise TechnologyError(
                f"technology {self.name} has no card for W/L {um(width)}/{um(length)} um, only for: {there}; "
                "freeze it with mtc_hw.freeze.sized"
            )
        return name


def card_name(model: str, width: float, length: float) -> str:
    """Name of a frozen card: the device's with the size in nm, `nfet_4000x150`."""
    sides = (f"{round(1e9 * side, 3):g}".replace(".", "p") for side in (width, length))
    return f"{model}_{'x'.join(sides)}"


def technology_of(fields: dict[str, Any]) -> Technology:
    """A technology from its fields. Raises TechnologyError with every violation in one line."""
    return validated(Technology, fields)


class PdkVersionWarning(UserWarning):
    """The PDK that was found is not one that the technology's record was made with."""


def technology_names() -> list[str]:
    return sorted(path.stem for path in (folder("models") / "devices").glob("*.toml"))


def load_technology(
    name: str, corner: str = "tt", supply: float | None = None, temperature: float | None = None
) -> Technology:
    """A shipped technology by name, or a user's by the path of its TOML file; supply in V, temperature in Celsius.

    A PDK's technology comes without cards: `mtc_hw.freeze.sized` adds them. Raises TechnologyError for what is not
    there, for a file that does not hold together, and for a corner, supply or temperature outside the technology's.
    Warns with PdkVersionWarning of a PDK that its record does not know.
    """
    return read_technology(_record_path(name), corner, supply, temperature)


def process_spread(name: str) -> ProcessSpread:
    """How far chips of a technology, by name or by the path of its TOML file, differ as a whole.

    Raises TechnologyError where its record has no figures.
    """
    found = _record(name).process
    if found is None:
        raise TechnologyError(f"technology {name} has no process spread; give its file a section [process]")
    return found.spread()


def mismatch_switch(name: str) -> str:
    """The PDK's parameter that turns on the mismatch of its models, for a technology by name or TOML file.

    Raises TechnologyError where there is none.
    """
    library = _record(name).library
    if library is None or library.mismatch_switch is None:
        remedy = "draw from its Pelgrom figures" if library is None else "name it in library.mismatch_switch"
        raise TechnologyError(f"technology {name} has no mismatch models of a PDK; {remedy}")
    return library.mismatch_switch


def _record(name: str) -> Record:
    path = _record_path(name)
    try:
        return read_record(path)
    except TechnologyError as error:
        raise TechnologyError(f"technology {path}: {error}") from None


def _record_path(name: str) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    if name not in technology_names():
        raise TechnologyError(
            f"no technology {name!r}; there are: {', '.join(technology_names())}; or give your own as a .toml file"
        )
    return folder("models") / "devices" / f"{name}.toml"


def read_technology(
    path: Path, corner: str = "tt", supply: float | None = None, temperature: float | None = None
) -> Technology:
    """A technology from its TOML file and the card file beside it; see `load_technology`."""
    try:
        record = read_record(path)
        chosen = _chosen(record, corner, supply, temperature)
        shared = record.model_dump(exclude={"models", "library", "corners", "nmos", "pmos", "process"})
        library = record.library and _library(record.library, corner)
        cards = own_cards(record, path.parent, corner)
        return technology_of(shared | _devices(record, corner) | chosen | {"library": library, "cards": cards})
    except TechnologyError as error:
        raise TechnologyError(f"technology {path}: {error}") from None


def _chosen(record: Record, corner: str, supply: float | None, temperature: float | None) -> dict[str, Any]:
    """Corner, supply and temperature, with every violation told."""
    wrong = []
    if corner not in record.corner_names:
        wrong.append(f"there is no corner {corner!r}; there are: {', '.join(record.corner_names)}")
    supply = record.supply if supply is None else supply
    temperature = record.temperature if temperature is None else temperature
    for what, value, (low, high), unit in (
        ("supply", supply, record.supply_range, "V"),
        ("temperature", temperature, record.temperature_range, "degrees Celsius"),
    ):
        if not low <= value <= high:
            wrong.append(f"{what} {value:g} is outside {low:g} to {high:g} {unit}")
    if wrong:
        raise TechnologyError("; ".join(wrong))
    return {"corner": corner, "corners": record.corner_names, "supply": supply, "temperature": temperature}


def _devices(record: Record, corner: str) -> dict[str, Device]:
    """Both devices, by the names that the installed PDK has for them."""
    devices = {"nmos": record.nmos, "pmos": record.pmos}
    found = record.library and pdk.find(record.library)
    if record.library is None or found is None:
        return devices
    there = pdk.contents(found, record.library.sections[corner])
    for kind, device in devices.items():
        alias = record.library.aliases.get(device.model, device.model)
        if not there.holds(device.model) and there.holds(alias):
            devices[kind] = device.model_copy(update={"model": alias})
    return devices


def _library(record: LibraryRecord, corner: str) -> dict[str, Any]:
    """Where one corner's models are, with the digest of the PDK that is installed, or the record's where none is."""
    section = record.sections[corner]
    found = pdk.find(record)
    digest = next(iter(record.digests.values()))[corner] if found is None else pdk.digest(found, section)
    version = record.version(corner, digest)
    if version is None:
        known = ", ".join(f"{name} ({digests[corner][:16]})" for name, digests in record.digests.items())
        warnings.warn(
            f"the PDK in {found} is another version: its {corner} models have the digest {digest[:16]}, the record "
            f"was made with {known}; cells are measured anew, and cards checked against your PDK",
            PdkVersionWarning,
            stacklevel=4,
        )
    fields = record.model_dump(exclude={"sections", "digests", "aliases", "mismatch_switch"})
    return fields | {"section": section, "digest": digest, "version": version or "unknown"}
