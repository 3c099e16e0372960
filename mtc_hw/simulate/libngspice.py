"""PySpice's NgSpiceShared, hardened. Import it once, in a worker: PySpice declares its C API globally."""

from typing import Any

import numpy as np
from PySpice.Spice.NgSpice.Shared import FFI, NgSpiceShared, ffi, ffi_string_utf8

SCALES = ("time", "v-sweep", "i-sweep")
"""Names of what a transient or a DC sweep runs over."""


class Simulator(NgSpiceShared):  # type: ignore[misc]
    """NgSpiceShared that leaves the verdict to `judge`: PySpice takes any note on stderr for an error."""

    declared = False  # whether this process has PySpice's declarations of the C API

    def __init__(self) -> None:
        self.ended = False
        super().__init__()
        self.command("set num_threads=1")
        self.command("set noaskquit")

    def _load_library(self, verbose: bool) -> None:
        """PySpice declares its C API every time, which cffi takes but once in a process."""
        if Simulator.declared:
            self._ngspice_shared = ffi.dlopen(self.library_path)
        else:
            super()._load_library(verbose)
            Simulator.declared = True

    def unload(self) -> None:
        """A library that has ended answers no more; out of memory and loaded again it is as new."""
        ffi.dlclose(self._ngspice_shared)

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

    scales = SCALES

    def command(self, text: str) -> bool:
        return not self._ngspice_shared.ngSpice_Command(text.encode("ascii"))

    def load(self, text: str) -> bool:
        lines = [ffi.new("char[]", line.encode("ascii")) for line in text.splitlines() if line]
        return not self._ngspice_shared.ngSpice_Circ(ffi.new("char *[]", [*lines, ffi.new("char[]", b""), FFI.NULL]))

    def vectors(self, plot: str) -> dict[str, Any]:
        """Vectors by the names that a raw file has: v(node), i(source)."""
        found = {}
        for vector in self.plot(None, plot).values():
            name = vector._name.lower()
            if name.endswith("#branch"):
                name = f"i({name.removesuffix('#branch')})"
            elif name not in SCALES and "(" not in name:
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
