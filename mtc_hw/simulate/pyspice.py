"""The library driver: PySpice's NgSpiceShared, hardened. Only worker processes run it.

PySpice is GPL-3 and libngspice can take its process down with it, so both live in replaceable processes.
"""

import ctypes
import ctypes.util
import logging
import os
import time
from functools import cache
from typing import Any

import numpy as np

from mtc_hw.errors import SimulatorMissingError
from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate.ngspice import INSTALL
from mtc_hw.simulate.outcome import Outcome, judge
from mtc_hw.simulate.waveforms import Waveforms

DRIVER = "pyspice"


def library() -> str:
    """Name of libngspice for the loader. Raises SimulatorMissingError that says how to install it."""
    chosen = os.environ.get("NGSPICE_LIBRARY_PATH")
    found = chosen or ctypes.util.find_library("ngspice")
    try:
        if found:
            ctypes.CDLL(found)
            return found
    except OSError as error:
        where = f"NGSPICE_LIBRARY_PATH is {chosen!r}; unset it or " if chosen else ""
        raise SimulatorMissingError(f"libngspice cannot be loaded: {error}; {where}{INSTALL}") from None
    raise SimulatorMissingError(f"libngspice was not found; {INSTALL}")


def run(deck: Deck, memory: int) -> Outcome:
    """Runs a deck in this process, which may use `memory` bytes. Call it in a worker only: nothing here can stop a
    hanging library."""
    start = time.perf_counter()
    simulator = _simulator()
    waveforms = _waveforms(simulator, deck)
    log = simulator.take_log()
    simulator.tidy()
    if simulator.ended:
        simulator.unload()
        _simulator.cache_clear()
    return judge(deck, waveforms, log, time.perf_counter() - start, DRIVER, memory)


def _waveforms(simulator: Any, deck: Deck) -> Waveforms | None:
    if not simulator.load(deck.text) or not simulator.command("run"):
        return None
    plot = simulator.last_plot
    values = {} if plot == "const" else simulator.vectors(plot)
    axis = next((values[name] for name in simulator.scales if name in values), np.empty(0))
    return Waveforms(axis, values) if axis.size else None


@cache
def _simulator() -> Any:
    """The one instance of this process, from where NGSPICE_LIBRARY_PATH says. It reads any .spiceinit of the home and
    the working directory: the pool makes both an empty one."""
    logging.getLogger("PySpice").setLevel(logging.CRITICAL)
    from mtc_hw.simulate.libngspice import Simulator

    # PySpice reads the variable but once, when it is imported.
    Simulator.LIBRARY_PATH = os.environ["NGSPICE_LIBRARY_PATH"]
    return Simulator()
