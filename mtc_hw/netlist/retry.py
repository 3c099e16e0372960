"""A deck that ngspice did not converge on, changed so that it may: the rungs of a bounded ladder.

Rung 1 takes Gear's method, a quarter of the largest step and more iterations; rung 2 loosens the relative tolerance,
too, by ten and never beyond `LOOSEST`. Everything else stays as it is.
"""

import re
from dataclasses import replace

from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.templates import spice

RUNGS = (1, 2)
STEP_FACTOR = 0.25
TOLERANCE_FACTOR = 10.0
LOOSEST = 1e-3  # relative tolerance that no retry exceeds; ngspice's own default
MORE_ITERATIONS = {"itl1": "1000", "itl2": "1000", "itl4": "200"}
_OPTIONS = re.compile(r"^\.options?\b(.*(?:\n\+.*)*)", re.IGNORECASE | re.MULTILINE)
_TRAN = re.compile(r"^\.tran\b(.*)$", re.IGNORECASE | re.MULTILINE)
_RELTOL = re.compile(r"\breltol\s*=\s*(\S+)", re.IGNORECASE)


def on_rung(deck: Deck, rung: int) -> Deck:
    """The deck on a rung of `RUNGS`, under a name that says so. Raises DeckError for a deck that must not be run."""
    settings = {"method": "gear", "maxord": "2", **MORE_ITERATIONS}
    if rung > 1:
        settings["reltol"] = looser(deck.text)
    text = _with_options(_TRAN.sub(_shorter_step, deck.text), settings)
    lint(text)
    return replace(deck, name=f"{deck.name} at rung {rung}", text=text)


def looser(text: str) -> str:
    """Ten times the deck's relative tolerance, as far as `LOOSEST`; one that is looser, or no plain number, stays."""
    given = _RELTOL.findall(" ".join(found.group() for found in _OPTIONS.finditer(text))) or [repr(LOOSEST)]
    own = _number(given[-1])
    return given[-1] if own is None else f"{max(own, min(own * TOLERANCE_FACTOR, LOOSEST)):.6g}"


def _with_options(text: str, settings: dict[str, str]) -> str:
    """The settings in a line of their own after the title, and what the deck said of them taken out."""
    own = re.compile(rf"\s*\b(?:{'|'.join(settings)})\s*=\s*\S+", re.IGNORECASE)
    title, _, rest = text.partition("\n")
    rest = _OPTIONS.sub(lambda found: own.sub("", found.group()), rest)
    line = " ".join(f"{name}={value}" for name, value in settings.items())
    return f"{title}\n.options {line}\n{rest}"


def _shorter_step(found: "re.Match[str]") -> str:
    """The .tran line with its largest step, given or ngspice's own, cut; as it is where it is no plain numbers."""
    words = found.group(1).split()
    flags = [word for word in words if word.lower() == "uic"]
    numbers = [_number(word) for word in words if word.lower() != "uic"]
    if not 2 <= len(numbers) <= 4:
        return found.group()
    step, stop, start, largest = (*numbers, 0.0, 0.0)[:4]
    if step is None or stop is None or start is None or largest is None:
        return found.group()
    largest = (largest or min(step, (stop - start) / 50.0)) * STEP_FACTOR
    return " ".join([".tran", *(spice(number) for number in (step, stop, start, largest)), *flags])


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
