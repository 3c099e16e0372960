"""A deck is data: text in memory with a digest. Running it is a separate step."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtc_hw.errors import DeckError
from mtc_hw.netlist.lint import lint

_SAVE = re.compile(r"^\.save\s+(.+)$", re.IGNORECASE | re.MULTILINE)
_FOREIGN = re.compile(r"^\* Xyce dialect of ", re.MULTILINE)
_TRAN = re.compile(r"^\.tran\s+(\S+)\s+(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Deck:
    """A complete SPICE deck."""

    name: str
    text: str
    wanted: tuple[str, ...]  # vectors to save, as ngspice names them
    end: float | None  # what a run must reach: time, s, or swept voltage, V; None for an AC analysis

    @property
    def digest(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


INITIALISATION = "* read by ngspice when it starts in this folder\nset num_threads=1\n"


def write_decks(decks: Sequence[Deck], folder: Path) -> list[Path]:
    """One file a deck, that plain `ngspice -b` runs unchanged.

    The .spiceinit beside them keeps ngspice's BSIM4 code to one thread, which for circuits this small is faster.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".spiceinit").write_text(INITIALISATION, encoding="ascii")
    paths = [folder / f"{deck.name}.cir" for deck in decks]
    for deck, path in zip(decks, paths, strict=True):
        path.write_text(deck.text, encoding="ascii")
    return paths


def read_deck(path: Path) -> Deck:
    """A deck from disk, linted: what it saves and how long it runs are its own .save and .tran lines.

    Raises DeckError when it cannot be read, is for another simulator, holds what a deck must not hold, or lacks one
    of these lines.
    """
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise DeckError(f"deck {path} cannot be read: {error}") from None
    if _FOREIGN.search(text):
        raise DeckError(f"deck {path} is for Xyce; run it there, or export it again with --dialect ngspice")
    lint(text)
    save, tran = _SAVE.search(text), _TRAN.search(text)
    if save is None or tran is None:
        raise DeckError(f"deck {path} has no {'.save' if save is None else '.tran'} line; add one")
    try:
        end = float(tran.group(2))
    except ValueError:
        raise DeckError(f"deck {path} runs to {tran.group(2)!r}; write the time as a plain number") from None
    return Deck(path.stem, text, tuple(save.group(1).split()), end)


def deck_paths(given: Sequence[Path]) -> list[Path]:
    """Deck files as given, and those in given folders by name. Raises DeckError for a folder without any."""
    found: list[Path] = []
    for path in given:
        inside = sorted(path.glob("*.cir")) if path.is_dir() else [path]
        if not inside:
            raise DeckError(f"{path} holds no .cir file; write decks there with `mtc-hw netlist`")
        found += inside
    names = [path.stem for path in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DeckError(f"several decks are called {', '.join(twice)}; simulate them one folder at a time")
    return found
