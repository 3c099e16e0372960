"""A PDK's own mismatch: its models drawn many times in ngspice, told as thresholds and gains, and kept."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mtc_hw.card_bench import Transistor, drawn_sweep, shifted_sweep
from mtc_hw.errors import DataError, TechnologyError
from mtc_hw.freeze import cache_folder, unit_sized
from mtc_hw.hardware import pdk
from mtc_hw.hardware.bank import WIDTHS, Bank
from mtc_hw.hardware.fields import load_fields, save_fields
from mtc_hw.hardware.process import KINDS
from mtc_hw.hardware.technology import Technology, mismatch_switch
from mtc_hw.spec import Array

DRAWS = 1000  # of each kind and width
ABREAST = 10
"""Transistors of a kind and width in a deck: fewer, and the redraws' fixed cost counts; more, and the load's."""
SEED = 1
WEAK = 1e-9  # A in a square transistor: where a threshold is read, as the cells carry
STRONG = 5.0  # 1/V: a threshold's effect on ln(current), less of which is strong inversion, where a gain is read
SHIFT, WIDER = 1e-3, 1e-2  # V, and a share: steps of the derivatives
FORM, VERSION = "mtc_hw bank of PDK draws", 1


def bank_for(name: str, technology: Technology, width: float, length: float, draws: int = DRAWS) -> Bank:
    """The PDK's draws of transistors of this unit size, m; from the cache, or drawn.

    `name` is that of the technology, or its TOML file. Raises TechnologyError for a technology without a PDK's
    mismatch, and for a PDK that is missing or that ngspice cannot run.
    """
    switch = mismatch_switch(name)
    path = _path(technology, width, length, switch, draws)
    try:
        return _load(path)
    except DataError:
        bank = measured(technology, width, length, switch, draws)
        save_fields(bank, path, FORM, VERSION)
        return _load(path)


def measured(technology: Technology, width: float, length: float, switch: str, draws: int, seed: int = SEED) -> Bank:
    """Drawn anew, in one load of the PDK."""
    groups = [Transistor(kind, width * wide, length) for kind in KINDS for wide in WIDTHS]
    crowd = [each for each in groups for _ in range(ABREAST)]
    currents = drawn_sweep(technology, crowd, switch, -(-draws // ABREAST), seed)
    currents = currents.reshape(len(currents), len(groups), ABREAST, -1)
    responses = _responses(unit_sized(technology, width, length), groups)
    found = np.empty((2, len(groups), draws))
    for index, each in enumerate(groups):
        nominal = currents[0, index, 0]
        drawn = currents[1:, index].reshape(-1, len(nominal))[:draws]
        found[:, index] = deviations(nominal, drawn, responses[:, index], WEAK * each.width / each.length)
    threshold, gain = found.reshape(2, len(KINDS), len(WIDTHS), draws)
    return Bank(technology.digest(), width, length, threshold, gain)


def _responses(technology: Technology, transistors: Sequence[Transistor]) -> Array:
    """What a shift of the threshold, per V, and a wider gate do to ln(current), (2, transistors, P)."""
    names = [technology.card(each.kind, each.width, each.length) for each in transistors]
    shifts = [(SHIFT, 0.0), (-SHIFT, 0.0), (0.0, WIDER), (0.0, -WIDER)]
    up, down, wide, narrow = np.log(shifted_sweep(technology, names, transistors, shifts))
    return np.array([(up - down) / (2.0 * SHIFT), (wide - narrow) / (2.0 * WIDER)])


def deviations(nominal: Array, drawn: Array, response: Array, weak: float) -> Array:
    """Threshold, V, and relative width, (2, M), that make a card carry what drawn transistors carry, (M, P) A.

    The nominal one carries (P,) A, and `response` (2, P) is what both do to ln(current). The width is fitted in
    strong inversion, together with a threshold; the threshold that counts is what is left at the current `weak`, so
    that both together are right where the cells work.
    """
    off = np.log(drawn / nominal)
    effect = np.abs(response[0])
    # Below its maximum it falls as well: where the leakage takes over.
    strong = (effect < STRONG) & (np.arange(len(effect)) > np.argmax(effect))
    if strong.sum() < 3 or not nominal[0] < weak < nominal[-1]:
        raise TechnologyError("the transistors' sweep shows no strong inversion or no weak one")
    _, width = np.linalg.lstsq(response[:, strong].T, off[:, strong].T)[0]
    at = int(np.argmin(np.abs(np.log(nominal / weak))))
    threshold = (off[:, at] - response[1, at] * width) / response[0, at]
    return np.array([threshold, width])


def _load(path: Path) -> Bank:
    bank: Bank = load_fields(Bank, path, FORM, VERSION, "delete it, and it is drawn anew")
    return bank


def _path(technology: Technology, width: float, length: float, switch: str, draws: int) -> Path:
    """Where the bank is kept: a name made of all that decides it."""
    library = technology.library
    assert library is not None, "a record with a mismatch switch has a library"
    deciding = {
        "version": VERSION,
        "technology": technology.digest(),
        "pdk": pdk.digest(pdk.located(library), library.section),
        "switch": switch,
        "size": (width, length),
        "draws": (draws, ABREAST, SEED),
        "inversion": (WEAK, STRONG),
    }
    key = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
    return cache_folder().parent / "banks" / f"{technology.name}-{technology.corner}-{key[:32]}.json"
