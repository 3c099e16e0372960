"""Where a PDK is on this machine, and which of its files a library section reads."""

import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from mtc_hw.errors import TechnologyError

ROOTS = ("~/.ciel", "~/.volare", "/usr/local/share/pdk", "/usr/share/pdk")
"""Where PDK installers put them; looked through when PDK_ROOT is not set."""
_COMMAND = re.compile(
    rb"^[ \t]*\.(include|inc|lib|endl|subckt|model|control|exec)\b[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
_WORD = re.compile(r"\"([^\"]*)\"|'([^']*)'|(\S+)")


class Place(Protocol):
    """What tells where a library is."""

    @property
    def pdk(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def package(self) -> str | None: ...
    @property
    def package_path(self) -> str | None: ...
    @property
    def remedy(self) -> str: ...


def find(place: Place) -> Path | None:
    """The library file: in $PDK_ROOT/$PDK where it holds one, in $PDK_ROOT/<name>, or in the Python package."""
    return next((path for path in _candidates(place) if path.is_file()), None)


def located(place: Place) -> Path:
    """The library file. Raises TechnologyError that says where it was looked for and how to get it."""
    found = find(place)
    if found is None:
        unset = "" if os.environ.get("PDK_ROOT") else " (PDK_ROOT is not set)"
        looked = ", ".join(map(str, _candidates(place)))
        raise TechnologyError(f"PDK {place.pdk} is not there: looked for {looked}{unset}; {place.remedy}")
    return found


def _candidates(place: Place) -> Iterator[Path]:
    root = os.environ.get("PDK_ROOT", "")
    roots = [Path(root)] if root else [Path(each).expanduser() for each in ROOTS]
    # The variants of one PDK differ in their metals, not in their transistors.
    names = dict.fromkeys(filter(None, (os.environ.get("PDK", ""), place.pdk)))
    yield from (each / name / place.path for each in roots for name in names)
    if place.package and place.package_path:
        package = importlib.util.find_spec(place.package)  # its location: the package itself is not imported
        for each in (package and package.submodule_search_locations) or ():
            yield Path(each) / place.package_path


@dataclass(frozen=True)
class Contents:
    """What one section of a library reads and defines."""

    files: tuple[Path, ...]  # in the order in which they are first read
    subcircuits: frozenset[str]  # lower case
    models: frozenset[str]  # lower case, without the number of a bin
    digest: str  # SHA-256 over the files, hexadecimal

    def holds(self, device: str) -> bool:
        return device.lower() in self.subcircuits | self.models


def digest(library: Path, section: str) -> str:
    return contents(library, section).digest


@lru_cache(maxsize=32)
def contents(library: Path, section: str) -> Contents:
    """Follows every .include and .lib of a section, as ngspice does.

    Raises TechnologyError for a section or file that is missing and for a file that holds .control or .exec.
    """
    files: dict[Path, bytes] = {}
    subcircuits: set[str] = set()
    models: set[str] = set()
    todo: list[tuple[Path, str | None]] = [(library, section.lower())]
    done: set[tuple[Path, str | None]] = set()
    while todo:
        path, part = todo.pop(0)
        if (path, part) in done:
            continue
        done.add((path, part))
        if path not in files:
            files[path] = _read(path)
        for command, words in _commands(files[path], path, part):
            if command in ("include", "inc"):
                todo.append((_beside(path, words[0]), None))
            elif command == "lib":
                todo.append((_beside(path, words[0]), words[1].lower()))
            elif command == "subckt":
                subcircuits.add(words[0].lower())
            else:
                models.add(re.sub(r"\.\d+$", "", words[0].lower()))
    sha = hashlib.sha256()
    for content in files.values():
        sha.update(hashlib.sha256(content).digest())
    return Contents(tuple(files), frozenset(subcircuits), frozenset(models), sha.hexdigest())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TechnologyError(f"the PDK's file {path} cannot be read: {error.strerror}") from None


def _commands(content: bytes, path: Path, section: str | None) -> Iterator[tuple[str, list[str]]]:
    """The commands of a section, or of a file without sections: name in lower case, and its words."""
    inside: str | None = None
    seen = section is None
    for match in _COMMAND.finditer(content):
        command = match.group(1).decode().lower()
        words = ["".join(each) for each in _WORD.findall(match.group(2).decode("latin-1"))]
        if command in ("control", "exec"):
            raise TechnologyError(f"the PDK's file {path} holds .{command}, which runs commands; it is not read")
        if command == "lib" and len(words) == 1:
            inside = words[0].lower()
            seen = seen or inside == section
        elif command == "endl":
            inside = None
        elif inside == section and words:
            yield command, words
    if not seen:
        raise TechnologyError(f"the PDK's file {path} has no section {section!r}")


def _beside(path: Path, name: str) -> Path:
    return Path(os.path.normpath(path.parent / name))
