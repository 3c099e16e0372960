"""Frozen cards: a PDK's transistor of one size as one plain .model, checked against the PDK's own.

ngspice loads the PDK's library once and resolves every expression for the size; the numbers of the bin that the size
falls into are kept. Such a card loads in milliseconds where the library takes seconds.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtc_hw.card_bench import Sweep, Transistor, card_sweep, library_sweep, worst_difference
from mtc_hw.errors import TechnologyError
from mtc_hw.hardware import pdk
from mtc_hw.hardware.process import KINDS
from mtc_hw.hardware.technology import Technology, card_name
from mtc_hw.netlist.templates import checked_name, spice

TOLERANCE = 1e-3
"""Largest relative difference of the drain current between a card and the PDK, from 1 pA to 1 uA."""
FORMAT = 1  # of the cards; another number, and all are made anew
_LINE = re.compile(r"^\s*\d+\s+\d+\s\s(.*)$", re.MULTILINE)
_VALUE = re.compile(r"([A-Za-z]\w*)\s*=\s*(\S+)")
_GEOMETRY = {"w", "l", "ad", "as", "pd", "ps", "nrd", "nrs"}
_NEUTRAL = {"nf": 1.0, "m": 1.0, "delvto": 0.0, "sa": 0.0, "sb": 0.0, "sd": 0.0, "dtemp": 0.0}
_BIN = ("lmin", "lmax", "wmin", "wmax")
_DROPPED = {"rbodymod": 0.0, "rsh": 0.0}
"""Body network and sheet resistance: ohms, at currents up to microamperes; with them some sweeps do not converge."""
_EDGE = 1e-9  # m: as close as ngspice takes a size to be on a bin's edge


def unit_sized(technology: Technology, width: float, length: float) -> Technology:
    """The technology with the cards of the unit transistor and of the one twice as wide, m."""
    return sized(technology, [(width, length), (2.0 * width, length)])


def sized(technology: Technology, sizes: Iterable[tuple[float, float]]) -> Technology:
    """The technology with cards for these widths and lengths, m, besides those it has.

    A technology with cards of its own comes back as it is. A PDK's are taken from the cache, or frozen and checked.
    Raises TechnologyError for a size off the legal grid, a missing PDK, and a card that the PDK does not bear out.
    """
    wanted = list(dict.fromkeys(sizes))
    wrong = list(dict.fromkeys(fault for size in wanted for fault in technology.grid.violations(*size)))
    if wrong:
        raise TechnologyError(f"technology {technology.name}: {'; '.join(wrong)}")
    have = {card_name("", *size) for size in technology.sizes}
    new = [size for size in wanted if card_name("", *size) not in have]
    if technology.library is None or not new:
        return technology
    every = (*technology.sizes, *new)
    transistors = [Transistor(kind, *size) for size in every for kind in KINDS]
    cards = "\n".join(_cards(technology, transistors))
    return technology.model_copy(update={"sizes": every, "cards": cards})


def _cards(technology: Technology, transistors: Sequence[Transistor]) -> list[str]:
    found = {each: _load(_path(technology, each)) for each in transistors}
    missing = [each for each, card in found.items() if card is None]
    if missing:
        for each, card in zip(missing, freeze(technology, missing), strict=True):
            _store(_path(technology, each), card)
            found[each] = card
    return [card for card in found.values() if card is not None]


def freeze(technology: Technology, transistors: Sequence[Transistor]) -> list[str]:
    """The card of each transistor, made anew in one load of the PDK and checked at the technology's temperature."""
    reference = library_sweep(technology, transistors, [technology.temperature])
    cards, worst = _best(technology, transistors, reference)
    off = zip(transistors, worst, strict=True)
    wrong = [f"{each} is off by {difference:.2g}" for each, difference in off if not difference <= TOLERANCE]
    if wrong:
        raise TechnologyError(
            f"frozen cards of {technology.name} {technology.corner} are not as the PDK's transistors (drain current "
            f"from 1 pA to 1 uA, {TOLERANCE:g} allowed): {'; '.join(wrong)}"
        )
    return cards


def _best(
    technology: Technology, transistors: Sequence[Transistor], reference: Sweep
) -> tuple[list[str], list[float]]:
    """Of each transistor's candidate cards the one that agrees best, and its worst relative difference.

    On the edge between two bins the rounding of a decimal number decides which ngspice takes: so the sweep does here.
    """
    candidates = resolved(technology, transistors, reference.listing)
    tried = [(each, index, card) for index, each in enumerate(transistors) for card in candidates[index]]
    names = [f"try{number}" for number in range(len(tried))]
    renamed = [
        card.replace(f".model {_name(technology, each)} ", f".model {name} ")
        for name, (each, _, card) in zip(names, tried, strict=True)
    ]
    [temperature] = reference.currents
    found = card_sweep(technology, "\n".join(renamed), names, [each for each, _, _ in tried], [temperature])
    off: list[list[tuple[float, str]]] = [[] for _ in transistors]
    for (_, index, card), current in zip(tried, found.currents[temperature], strict=True):
        off[index].append((worst_difference(reference.currents[temperature][index], current), card))
    best = [min(each) for each in off]
    return [card for _, card in best], [worst for worst, _ in best]


@dataclass(frozen=True)
class Agreement:
    """How well a frozen card stands for the PDK's transistor at one temperature, degrees Celsius."""

    transistor: Transistor
    temperature: float
    worst: float  # largest relative difference of the drain current from 1 pA to 1 uA


def check(
    technology: Technology, transistors: Sequence[Transistor], temperatures: Sequence[float]
) -> list[Agreement]:
    """The technology's cards against the PDK's transistors at several temperatures, in one load of the PDK."""
    names = [technology.card(each.kind, each.width, each.length) for each in transistors]
    reference = library_sweep(technology, transistors, temperatures)
    found = card_sweep(technology, technology.cards, names, transistors, temperatures)
    return [
        Agreement(each, at, worst_difference(reference.currents[at][index], found.currents[at][index]))
        for at in temperatures
        for index, each in enumerate(transistors)
    ]


def _name(technology: Technology, each: Transistor) -> str:
    return card_name(technology.device(each.kind).model, each.width, each.length)


def resolved(technology: Technology, transistors: Sequence[Transistor], listing: str) -> list[list[str]]:
    """Each transistor's candidate cards out of ngspice's resolved circuit, in which numbers have sixteen digits."""
    if not listing:
        raise TechnologyError("this ngspice does not write the resolved circuit; use version 39 or newer")
    lines = list(dict.fromkeys(_LINE.findall(listing)))
    instances = [line for line in lines if line[:1].isalpha()]
    models = [line for line in lines if line.lower().startswith(".model ")]
    return [_candidates(technology, each, index, instances, models) for index, each in enumerate(transistors)]


def _candidates(
    technology: Technology, each: Transistor, index: int, instances: list[str], models: list[str]
) -> list[str]:
    inside = re.compile(rf"(mt{index}\s|[a-z]\.xt{index}\.)", re.IGNORECASE)
    elements = [line for line in instances if inside.match(line)]
    if len(elements) != 1 or elements[0][0].lower() != "m":
        raise TechnologyError(
            f"{each} of {technology.name} consists of {len(elements)} elements; only a plain transistor can be frozen"
        )
    model = elements[0].split()[5].lower()
    _check_instance(technology, each, elements[0])
    bins = [line for line in models if re.sub(r"\.\d+$", "", line.split()[1].lower()) == model]
    chosen = [line for line in bins if _holds(dict(_VALUE.findall(line.lower())), each)]
    if not chosen:
        raise TechnologyError(f"no model of {technology.name} holds {each}: it is outside every bin of {model}")
    return [_plain(_name(technology, each), line) for line in chosen]


def _check_instance(technology: Technology, each: Transistor, line: str) -> None:
    """A card can only stand for a subcircuit that adds nothing to its transistor."""
    library = technology.library
    assert library is not None
    values = {name: float(value) for name, value in _VALUE.findall(line.lower())}
    expected = _NEUTRAL | {"w": each.width / library.unit, "l": each.length / library.unit}
    wrong = [
        f"{name}={value:g}"
        for name, value in values.items()
        if name not in expected.keys() | _GEOMETRY or (name in expected and abs(value - expected[name]) > 1e-9)
    ]
    if wrong:
        raise TechnologyError(
            f"the PDK's subcircuit makes {', '.join(wrong)} of {each}, which a card cannot hold; set the statistics "
            "switches in the technology's record"
        )


def _holds(values: dict[str, str], each: Transistor) -> bool:
    """Whether a bin may be meant, its edges included."""
    if not set(_BIN) <= set(values):
        return True
    lmin, lmax, wmin, wmax = (float(values[name]) for name in _BIN)
    sides = ((each.length, lmin, lmax), (each.width, wmin, wmax))
    return all(low - _EDGE < side < high + _EDGE for side, low, high in sides)


def _plain(name: str, line: str) -> str:
    """One .model of numbers only, four to a line."""
    kind = line.split()[2].lower()
    if kind not in KINDS:
        raise TechnologyError(f"{name} is a model of {kind!r}, not of a transistor")
    values = []
    for key, text in _VALUE.findall(line):
        try:
            number = float(text)
        except ValueError:
            raise TechnologyError(f"ngspice did not resolve {key}={text} of {name}") from None
        if key.lower() not in _BIN:
            values.append(f"{checked_name(key.lower())}={spice(_DROPPED.get(key.lower(), number))}")
    rows = [" ".join(values[i : i + 6]) for i in range(0, len(values), 6)]
    return "\n+ ".join([f".model {checked_name(name)} {kind}", *rows])


def _path(technology: Technology, each: Transistor) -> Path:
    """Where the card is kept: a name made of all that decides it."""
    library = technology.library
    assert library is not None
    deciding = {
        "format": FORMAT,
        "digest": pdk.digest(pdk.located(library), library.section),
        "section": library.section,
        "switches": library.switches,
        "unit": library.unit,
        "model": technology.device(each.kind).model,
        "width": each.width,
        "length": each.length,
    }
    key = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
    return cache_folder() / f"{_name(technology, each)}-{technology.corner}-{key[:32]}.cir"


def cache_folder() -> Path:
    """Folder of the frozen cards; what is in it can be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mtc_hw" / "cards"


def _load(path: Path) -> str | None:
    """The card in a cache file; None where there is none, or a damaged one."""
    try:
        head, _, card = path.read_text(encoding="ascii").partition("\n")
    except (OSError, ValueError):
        return None
    return card if head == _seal(card) else None


def _store(path: Path, card: str) -> None:
    """Written beside and renamed, so that no other process sees half a card."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="ascii", delete=False) as file:
        file.write(f"{_seal(card)}\n{card}")
    os.replace(file.name, path)


def _seal(card: str) -> str:
    return f"* SHA-256 of what follows: {hashlib.sha256(card.encode()).hexdigest()}"
