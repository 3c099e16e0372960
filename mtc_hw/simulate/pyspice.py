"""The library driver: PySpice's NgSpiceShared, hardened. Only worker processes import this module's PySpice.

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
EXHAUSTED = 75
"""Exit code of a worker whose library is dead: its task was not tried and goes to another worker."""


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


def run(deck: Deck) -> Outcome:
    """Runs a deck in this process. Call it in a worker only: nothing here can stop a hanging library."""
    start = time.perf_counter()
    simulator = _simulator()
    if simulator.ended:
        os._exit(EXHAUSTED)
    waveforms = _waveforms(simulator, deck)
    log = simulator.take_log()
    simulator.tidy()
    return judge(deck, waveforms, log, time.perf_counter() - start, DRIVER)


def _waveforms(simulator: Any, deck: Deck) -> Waveforms | None:
    if not simulator.load(deck.text) or not simulator.command("run"):
        return None
    plot = simulator.last_plot
    values = {} if plot == "const" else simulator.vectors(plot)
    axis = next((values[name] for name in ("time", "v-sweep") if name in values), np.empty(0))
    return Waveforms(axis, values) if axis.size else None


@cache
def _simulator() -> Any:
    """The one instance of this process. It reads any .spiceinit of the home and the working directory: the pool makes
    both an empty one."""
    os.environ["NGSPICE_LIBRARY_PATH"] = library()
    logging.getLogger("PySpice").setLevel(logging.CRITICAL)
    return _hardened_class()()


def _hardened_class() -> type[Any]:
    from PySpice.Spice.NgSpice.Shared import FFI, NgSpiceShared, ffi, ffi_string_utf8

    class Simulator(NgSpiceShared):  # type: ignore[misc]
        """NgSpiceShared that leaves the verdict to `judge`: PySpice takes any note on stderr for an error."""

        def __init__(self) -> None:
            self.ended = False
            super().__init__()
            self.command("set num_threads=1")
            self.command("set noaskquit")

        @staticmethod
        def _send_char(message_c: Any, _id: int, user_data: Any) -> int:
            own = ffi.from_handle(user_data)
            prefix, _, content = ffi_string_utf8(message_c).partition(" ")
            (own._stderr if prefix == "stderr" else own._stdout).append(content)
            return 0

        @staticmethod
        def _exit(status: int, _immediate: bool, _quit: bool, _id: int, user_data: Any) -> int:
            ffi.from_handle(user_data).ended = True
            return status

        def command(self, text: str) -> bool:
            return not self._ngspice_shared.ngSpice_Command(text.encode("ascii"))

        def load(self, text: str) -> bool:
            lines = [ffi.new("char[]", line.encode("ascii")) for line in text.splitlines() if line]
            return not self._ngspice_shared.ngSpice_Circ(
                ffi.new("char *[]", [*lines, ffi.new("char[]", b""), FFI.NULL])
            )

        def vectors(self, plot: str) -> dict[str, Any]:
            """Vectors by the names that a raw file has: v(node), i(source)."""
            found = {}
            for vector in self.plot(None, plot).values():
                name = vector._name.lower()
                if name.endswith("#branch"):
                    name = f"i({name.removesuffix('#branch')})"
                elif name not in ("time", "v-sweep") and "(" not in name:
                    name = f"v({name})"
                found[name] = np.array(vector._data, dtype=np.float64)
            return found

        def tidy(self) -> None:
            """Without it a run leaks 0.2 MB, the next is slower, and one without a plot would find this one's."""
            if not self.ended:
                self.command("destroy all")
                self.command("remcirc")
                self.clear_output()

        def take_log(self) -> str:
            lines = [*self._stdout, *self._stderr]
            self.clear_output()
            return "\n".join(lines)

    return Simulator
