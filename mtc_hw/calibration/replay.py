"""Measurements in files: recorded as they are made, played back where the chip is no longer at hand.

A folder holds one chip: `recording.json` says what it is, and each file in `measurements/` is one part of a request
at one setting of the codes: curves, one stimulus, the readout, one series. What was measured again is kept beside
what it was before.
"""

import hashlib
import json
import os
import tempfile
import zlib
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from mtc_hw.calibration.observables import Instrument, Observables, Request
from mtc_hw.calibration.parts import blank, joined, names, packed, pieces, split, unpacked
from mtc_hw.calibration.settable import code_values, fixed_digest, settable
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.spec import Array

FORMAT, VERSION = "mtc_hw recording", 1
HEAD, FOLDER = "recording.json", "measurements"
MOST_CHIPS = 1 << 20  # side by side
LARGEST = 1 << 30  # bytes that one measurement may unpack to
NOTES = 1000  # kept; the latest
DAMAGED = OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, MemoryError, BadZipFile, zlib.error
"""What numpy and zipfile raise on files that are not as they were written."""


class Recorder:
    """Measures with another instrument and writes what it saw into a folder, adding to a recording of the same chip.

    `chips` is how many the instrument measures side by side. Raises DataError for a folder that cannot be written, or
    that holds another design or another chip.
    """

    def __init__(self, instrument: Instrument, folder: Path, design: MappedDesign, chips: int = 1) -> None:
        self._instrument, self._folder = instrument, folder
        self._fixed = fixed_digest(design)
        self._takes: Counter[str] = Counter()
        if (folder / HEAD).exists():
            found = _head(folder, self._fixed)["identity"]
            if found != self.identity:
                raise DataError(f"{folder} was recorded of {found}, not of {self.identity}; give another folder")
            return
        codes = [list(key) for key in settable(design)]
        head = {"design": self._fixed, "identity": self.identity, "chips": chips, "codes": codes}
        _write(folder / HEAD, json.dumps({"format": FORMAT, "version": VERSION} | head, indent=1).encode())

    @property
    def identity(self) -> str:
        return self._instrument.identity

    def measure(self, codes: MappedDesign, request: Request) -> Observables:
        """Raises DataError where it cannot be written, or where `codes` are another design's."""
        if fixed_digest(codes) != self._fixed:
            raise DataError(f"the codes are of another design than {self._folder} holds; give another folder")
        seen = self._instrument.measure(codes, request)
        for part, piece in zip(split(request), pieces(seen), strict=True):
            self._save(codes, part, packed(piece))
        return seen

    def _save(self, codes: MappedDesign, part: Request, arrays: Mapping[str, Array]) -> None:
        key = _key(codes, part)
        take = self._takes[key]
        while _path(self._folder, key, take).exists():
            take += 1
        self._takes[key] = take + 1
        about = json.dumps({"design": codes.digest, "request": described(part)})
        _write(_path(self._folder, key, take), {"about": about, "codes": code_values(codes), **arrays})


class Replay:
    """Plays a recording back: the same request at the same codes gives the same numbers, in the order of recording.

    Once all are played the last one stays. What was not recorded is NaN, and a line of `notes`. Raises DataError for
    a folder that is no recording, or one of another design.
    """

    def __init__(self, folder: Path, design: MappedDesign) -> None:
        self._folder, self._fixed = folder, fixed_digest(design)
        head = _head(folder, self._fixed)
        self._identity, self._chips = str(head["identity"]), int(head["chips"])
        self._takes: Counter[str] = Counter()
        self._notes: deque[str] = deque(maxlen=NOTES)

    @property
    def identity(self) -> str:
        """That of the instrument that was recorded."""
        return self._identity

    @property
    def notes(self) -> tuple[str, ...]:
        """What was asked for and is not there, or cannot be read."""
        return tuple(self._notes)

    def measure(self, codes: MappedDesign, request: Request) -> Observables:
        if fixed_digest(codes) != self._fixed:
            self._notes.append("the codes are of another design than the recording")
            return blank(codes, request, self._chips)
        return joined([self._play(codes, part) for part in split(request)])

    def _play(self, codes: MappedDesign, part: Request) -> Observables:
        key = _key(codes, part)
        path = _path(self._folder, key, self._takes[key])
        if path.exists():
            self._takes[key] += 1
        elif self._takes[key]:
            path = _path(self._folder, key, self._takes[key] - 1)
        try:
            return unpacked(codes, part, _read(path, names(part)), self._chips)
        except FileNotFoundError:
            self._notes.append(f"not recorded at codes {codes.digest[:12]}: {json.dumps(described(part))}")
        except DAMAGED as error:
            self._notes.append(f"{path.name} cannot be read ({error}): {json.dumps(described(part))}")
        return blank(codes, part, self._chips)


def described(part: Request) -> dict[str, Any]:
    """A request of one thing as plain values that name all of it."""
    if part.curves is not None:
        return {"curves": part.curves.model_dump(mode="json")}
    if part.driven is not None:
        inputs = np.ascontiguousarray(part.driven.inputs, np.float64)
        return {"driven": [*inputs.shape, hashlib.sha256(inputs.tobytes()).hexdigest()]}
    return {"firing": [_firing(each) for each in part.firing]} if part.firing else {"readout": True}


def _firing(firing: Any) -> dict[str, Any]:
    return {"steps": firing.stimulus.steps, "duration": firing.duration, "initial": vars(firing.initial)}


def _key(codes: MappedDesign, part: Request) -> str:
    text = json.dumps([codes.digest, described(part)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _path(folder: Path, key: str, take: int) -> Path:
    return folder / FOLDER / f"{key}-{take}.npz"


def _head(folder: Path, fixed: str) -> dict[str, Any]:
    path = folder / HEAD
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
        found = head["format"], head["version"]
        design, _ = head["design"], head["identity"]
        if head["chips"] not in range(1, MOST_CHIPS):
            raise ValueError(f"chips is {head['chips']!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no recording: {error}; give a folder that a Recorder wrote") from None
    if found != (FORMAT, VERSION):
        raise DataError(f"{path} holds {found}, expected {(FORMAT, VERSION)}; record again")
    if design != fixed:
        raise DataError(f"{folder} was recorded of design {str(design)[:12]}, not of {fixed[:12]}; give that one")
    return dict(head)


def _write(path: Path, content: bytes | Mapping[str, Any]) -> None:
    """Written beside and renamed: no half file ever has the name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                np.savez_compressed(file, allow_pickle=False, **content)
        os.replace(file.name, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; make room or give another folder") from None


def _read(path: Path, wanted: tuple[str, ...]) -> dict[str, Array]:
    with path.open("rb") as file:
        with ZipFile(file) as archive:
            if sum(each.file_size for each in archive.infolist()) > LARGEST:
                raise ValueError(f"more than {LARGEST} bytes")
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            found = {name: stored[name] for name in wanted}
    wrong = [name for name, values in found.items() if values.dtype != np.float64]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} holds no float64")
    return found
