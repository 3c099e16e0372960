"""Which instrument an address means: a bench behind a socket, or a recording."""

import re
from pathlib import Path

from mtc_hw.calibration.observables import Instrument
from mtc_hw.calibration.remote import RemoteInstrument
from mtc_hw.calibration.replay import Replay
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import MappedDesign

REPLAY = "replay:"


def instrument_of(text: str, design: MappedDesign, timeout: float = 10.0, measuring: float = 600.0) -> Instrument:
    """`tcp://host:port` is a bench, `replay:folder` what was recorded; the limits are a bench's, s.

    Raises DataError for other texts, for a bench that is not there and for a chip of another design.
    """
    if text.startswith(REPLAY):
        return Replay(Path(text.removeprefix(REPLAY)), design)
    found = re.fullmatch(r"tcp://(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):(\d{1,5})", text)
    if found is None:
        raise DataError(f"{text[:100]!r} names no instrument; give tcp://host:port or replay:folder")
    return RemoteInstrument(found[1].strip("[]"), int(found[2]), design, timeout=timeout, measuring=measuring)
