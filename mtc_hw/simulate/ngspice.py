"""The command-line driver: `ngspice -n -b` in a private directory. It cross-checks the library."""

import ctypes
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtc_hw.errors import DataError, SimulatorMissingError
from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate.outcome import Loss, Outcome, judge
from mtc_hw.simulate.waveforms import Waveforms

INSTALL = (
    "install ngspice: Debian `apt install ngspice libngspice0`, Fedora `dnf install ngspice libngspice`, "
    "macOS `brew install ngspice libngspice`, conda `conda install -c conda-forge ngspice ngspice-lib`"
)
# OpenMP in the BSIM4 code makes a small circuit up to a hundred times slower on a busy machine.
INITIALISATION = "set num_threads=1\n"
LARGEST_FILE = 2 << 30  # bytes
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)
LONGEST_POLL = 2**31 - 1  # ms
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, see prctl(2)
MEMORY = 4 << 30  # bytes
DRIVER = "ngspice"


def executable() -> str:
    """Path of ngspice. Raises SimulatorMissingError that says how to install it."""
    found = shutil.which("ngspice")
    if found is None:
        raise SimulatorMissingError(f"ngspice is not on PATH; {INSTALL}")
    return found


def version() -> str:
    """Version of the installed ngspice, such as "39"; empty when it does not say."""
    shown = subprocess.run([executable(), "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"ngspice-(\S+)", shown)
    return found.group(1) if found else ""


def run(deck: Deck, timeout: float, memory: int = MEMORY) -> Outcome:
    """Runs a deck in a process group of its own and kills the group when `timeout` seconds have passed.

    The process may use `memory` bytes.
    """
    program, start = executable(), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mtc_hw_") as name:
        folder = Path(name)
        code = _run_in(folder, program, deck, timeout, memory)
        seconds = time.perf_counter() - start
        if code is None:
            return Loss("timeout", f"killed after {timeout:g} s", seconds).of(deck, DRIVER)
        if code < 0:
            return Loss("killed", f"ended by {signal.Signals(-code).name}", seconds).of(deck, DRIVER)
        log = "\n".join(p.read_text(errors="replace") for p in (folder / "log", folder / "console") if p.exists())
        waveforms = read_raw(folder / "out.raw") if (folder / "out.raw").exists() else None
    return judge(deck, waveforms, log, time.perf_counter() - start, DRIVER, memory)


def _run_in(folder: Path, program: str, deck: Deck, timeout: float, memory: int) -> int | None:
    """Exit code of ngspice; None when it took longer than `timeout`."""
    (folder / "deck.cir").write_text(deck.text, encoding="ascii")
    (folder / "spinit").write_text(INITIALISATION)
    with (folder / "console").open("w") as console:
        process = subprocess.Popen(
            [program, "-n", "-b", "-o", "log", "-r", "out.raw", "deck.cir"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            env=os.environ | {"HOME": str(folder), "SPICE_SCRIPTS": str(folder)},
            start_new_session=True,
            preexec_fn=partial(_bind, memory, timeout),
        )
        try:
            return _wait(process, timeout)
        finally:
            _kill(process)


def _wait(process: "subprocess.Popen[bytes]", timeout: float) -> int | None:
    """Exit code, or None after `timeout` s. On Linux at once, where Popen.wait may look but every 50 ms."""
    if hasattr(os, "pidfd_open"):
        ended = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            return process.wait() if poll.poll(min(1e3 * timeout, LONGEST_POLL)) else None
        finally:
            os.close(ended)
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None


def read_raw(path: Path) -> Waveforms | None:
    """The first plot of a binary or ASCII raw file; None when it holds no points. An AC result x adds imag(x).

    Raises DataError for a header without names and sizes, and for fewer numbers than it says.
    """
    content = path.read_bytes()
    marker = re.search(rb"^(Binary|Values):[ \t]*\r?\n", content, re.MULTILINE)
    if marker is None:
        return None
    lines = content[: marker.start()].decode("ascii", errors="replace").splitlines()
    header = dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("\t"))
    try:
        variables, points = int(header["No. Variables"]), int(header["No. Points"])
        names = [line.split()[1].lower() for line in lines[lines.index("Variables:") + 1 :] if line.strip()]
        complex_valued = "complex" in header["Flags"]
        read = _binary_numbers if marker[1] == b"Binary" else _ascii_numbers
        table = read(content[marker.end() :], points, variables, complex_valued)
        columns = list(zip(names, table.T, strict=True))
    except (KeyError, IndexError, ValueError) as error:
        raise DataError(f"{path} is no raw file of ngspice, or was cut short: {error}") from None
    values = {name: np.ascontiguousarray(column.real) for name, column in columns}
    if complex_valued:
        # ngspice 39 writes what happens to lie in memory for the frequency's imaginary part.
        values |= {f"imag({name})": np.ascontiguousarray(column.imag) for name, column in columns[1:]}
    return Waveforms(values[names[0]], values) if points else None


def limit(memory: int, seconds: float | None = None) -> None:
    """Bounds this process: bytes of memory, bytes of a file, and s of processor time, should nobody live to kill it.

    A system that knows no limit on memory, such as macOS, runs without.
    """
    bounds = [(resource.RLIMIT_FSIZE, LARGEST_FILE), (resource.RLIMIT_DATA, memory)]
    if seconds is not None:
        bounds.append((resource.RLIMIT_CPU, ceil(seconds) + 1))
    for which, most in bounds:
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(which, (most, most))


def _binary_numbers(content: bytes, points: int, variables: int, complex_valued: bool) -> NDArray[np.number]:
    dtype = np.dtype("<c16" if complex_valued else "<f8")
    whole = content[: points * variables * dtype.itemsize]
    return np.frombuffer(whole, dtype).reshape(points, variables)


def _ascii_numbers(content: bytes, points: int, variables: int, complex_valued: bool) -> NDArray[np.number]:
    """Each point is its index and then its values, a complex one as two numbers with a comma."""
    width = 1 + variables * (2 if complex_valued else 1)
    words = content.replace(b",", b" ").split(maxsplit=points * width)[: points * width]
    numbers = np.array(words, dtype=np.bytes_).astype(np.float64).reshape(points, width)[:, 1:]
    return np.ascontiguousarray(numbers).view(np.complex128) if complex_valued else numbers


def _bind(memory: int, seconds: float) -> None:
    """Limits ngspice and, on Linux, ends it with the thread that started it, however that ends."""
    limit(memory, seconds)
    if _PRCTL is not None:
        _PRCTL(_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
