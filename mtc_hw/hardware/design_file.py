"""A MappedDesign in one JSON file, and back, bit for bit."""

import json
from pathlib import Path
from typing import Any

from mtc_hw.errors import DataError, MtcError
from mtc_hw.hardware.design import LATER, MappedDesign
from mtc_hw.hardware.fields import plain, read_fields

FORMAT = "mtc_hw design"
VERSION = 3
NOMINAL = {name: {"shape": [0]} for name in LATER}


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
        design: MappedDesign = read_fields(MappedDesign, _current(document["design"]))
    except (KeyError, TypeError, ValueError, MtcError) as error:
        raise DataError(f"{path} is incomplete: {error}; map the network again") from None
    if design.digest != document.get("digest"):
        raise DataError(f"{path} was changed after it was saved: its digest differs; map the network again")
    return design


def _current(fields: Any) -> Any:
    """A file's fields as they are today: older chips have no process spread."""
    deviations = fields.get("deviations") if isinstance(fields, dict) else None
    return fields | {"deviations": NOMINAL | deviations} if deviations else fields
