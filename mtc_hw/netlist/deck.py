"""A deck is data: text in memory with a digest. Running it is a separate step."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Deck:
    """A complete SPICE deck."""

    name: str
    text: str
    wanted: tuple[str, ...]  # vectors to save, as ngspice names them
    end: float | None  # s, last time of a transient; None for a DC sweep

    @property
    def digest(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()
