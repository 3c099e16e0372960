"""A technology: device names, supply, mismatch figures and the SPICE cards that go with them."""

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mtc_hw.errors import TechnologyError
from mtc_hw.resources import folder

# Rust's regular expressions, which pydantic uses: `$` is the end of the text, never before a newline.
_Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Device(BaseModel):
    """One kind of transistor, with its Pelgrom coefficients: sigma = A / sqrt(W L) (IEEE JSSC 24(5), 1989)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: _Name
    threshold_mismatch: _Positive  # V m
    gain_mismatch: _Positive  # m


class Technology(BaseModel):
    """What a netlist needs to know of a process. Lengths in m, voltages in V, temperature in degrees Celsius."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: _Name
    models: str
    supply: _Positive
    analog_ground: _Positive
    temperature: Annotated[float, Field(gt=-100, lt=250)]
    diffusion: _Positive
    nmos: Device
    pmos: Device
    cards: str = ""  # the text of the file that `models` names

    def digest(self) -> str:
        """SHA-256 of every figure and card, hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def technology_names() -> list[str]:
    return sorted(path.stem for path in (folder("models") / "devices").glob("*.toml"))


def load_technology(name: str) -> Technology:
    """A shipped technology by name.

    Raises TechnologyError for a name that is not shipped and for a file that does not hold together.
    """
    if name not in technology_names():
        raise TechnologyError(f"no technology {name!r}; there are: {', '.join(technology_names())}")
    return read_technology(folder("models") / "devices" / f"{name}.toml")


def read_technology(path: Path) -> Technology:
    """A technology from its TOML file and the card file beside it."""
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        cards = (path.parent / str(fields.get("models", ""))).read_text(encoding="utf-8")
        return technology_of(fields | {"cards": cards})
    except (OSError, ValueError, TechnologyError) as error:
        raise TechnologyError(f"technology {path}: {error}") from None


def technology_of(fields: dict[str, Any]) -> Technology:
    """A technology from its fields. Raises TechnologyError with every violation in one line."""
    try:
        return Technology.model_validate(fields)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))} is {e['input']!r}: {e['msg']}" for e in error.errors()]
        raise TechnologyError("; ".join(wrong)) from None
