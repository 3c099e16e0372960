"""What became of one run. A failed run is a value, so that it costs one sample and never the batch."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate.waveforms import Waveforms

Status = Literal[
    "ok",
    "syntax",  # ngspice does not take the deck
    "missing model",  # a model or subcircuit that the deck does not define
    "operating point",  # no solution before the first time step
    "timestep",  # the step went to nothing on the way
    "truncated",  # ended early without a word
    "missing vector",  # a wanted vector is not in the result
    "not finite",  # a wanted vector holds NaN or infinity
    "timeout",
    "killed",  # the process died: a crash, a signal, out of memory
    "crashed",  # Python code of a task raised
]

# ngspice's exit codes lie both ways and most lines that hold "error" are harmless, so only these count.
_MEMORY = re.compile(r"can't allocate|cannot allocate|out of memory", re.I)
_NO_MODEL = re.compile(
    r"unknown subckt|can't find model|unable to find definition of model|could not find a valid modelname", re.I
)
_BROKEN = re.compile(
    r"undefined|no such function|syntax error|error on line|there aren't any circuits|circuit not parsed|"
    r"unimplemented|mismatch of \.subckt|no job \(",
    re.I,
)
_NO_POINT = re.compile(
    r"timestep too small; initial timepoint|transient op failed|no convergence in (dc )?operating point|"
    r"iteration limit reached|no convergence",
    re.I,
)
_NO_STEP = re.compile(r"timestep too small|simulation\(s\) aborted", re.I)
_NODE = re.compile(r"""(?:trouble with node|check node|cause unrecorded.*node)\s+"?([^\s"]+)""", re.I)
_TIME = re.compile(r"\btime = ([-+.\de]+)", re.I)


@dataclass(frozen=True, eq=False)
class Outcome:
    """One run: its waveforms, or the reason why there are none."""

    deck: str  # name
    digest: str  # of the deck
    status: Status
    reason: str  # empty when ok
    waveforms: Waveforms | None
    seconds: float
    driver: str
    node: str | None = None  # where it failed, as ngspice names it
    time: float | None = None  # s of the circuit, when it failed
    rung: int = 0  # of the ladder of retries; 0: as the deck is

    @property
    def ok(self) -> bool:
        return self.status == "ok"


@dataclass(frozen=True)
class Loss:
    """A task without a result: its worker died, or its code raised."""

    status: Status
    reason: str
    seconds: float

    def of(self, deck: Deck, driver: str) -> Outcome:
        """The outcome of a task that is one deck."""
        return Outcome(deck.name, deck.digest, self.status, self.reason, None, self.seconds, driver)


def out_of_memory(limit: int, said: str = "") -> str:
    """The reason of a run that asked for more than its limit, bytes."""
    return f"out of memory, the limit is {limit / 2**30:.3g} GiB" + (f": {said}" if said else "")


def judge(deck: Deck, waveforms: Waveforms | None, log: str, seconds: float, driver: str, memory: int) -> Outcome:
    """A run counts only if every wanted vector is there, finite, and reaches the end, whatever the exit code says."""
    waveforms = waveforms if waveforms is not None and waveforms.axis.size else None
    status, reason = _verdict(deck, waveforms, log, memory)
    kept = waveforms if status == "ok" else None
    node, moment = None, None
    if status in ("operating point", "timestep", "truncated"):
        node, moment = _match(_NODE, log), _moment(waveforms if status != "operating point" else None, log)
    return Outcome(deck.name, deck.digest, status, reason, kept, seconds, driver, node, moment)


def _verdict(deck: Deck, waveforms: Waveforms | None, log: str, memory: int) -> tuple[Status, str]:
    short = deck.end is not None and waveforms is not None and waveforms.axis[-1] < deck.end * (1.0 - 1e-9)
    if waveforms is None or short:
        found = _said(log, memory)
        if found is not None or waveforms is None:
            return found or ("syntax", _last_line(log) or "ngspice gave no data")
    assert waveforms is not None
    missing = [name for name in deck.wanted if name.lower() not in waveforms.values]
    if missing:
        return "missing vector", f"no {', '.join(missing)} in the result"
    for name in deck.wanted:
        bad = np.flatnonzero(~np.isfinite(waveforms[name]))
        if bad.size:
            return "not finite", f"{name} is not finite at {waveforms.axis[bad[0]]:.6g}"
    if short:
        return "truncated", f"stopped at {waveforms.axis[-1]:.6g} of {deck.end:.6g}"
    return "ok", ""


def _said(log: str, memory: int) -> tuple[Status, str] | None:
    """What ngspice itself says of a run without a whole result; the first that applies."""
    patterns: tuple[tuple[Status, re.Pattern[str]], ...] = (
        ("killed", _MEMORY),
        ("missing model", _NO_MODEL),
        ("syntax", _BROKEN),
        ("operating point", _NO_POINT),
        ("timestep", _NO_STEP),
    )
    for status, pattern in patterns:
        line = _first_line(pattern, log)
        if line:
            return status, out_of_memory(memory, line) if status == "killed" else line
    return None


def _moment(waveforms: Waveforms | None, log: str) -> float | None:
    """Time of the failure, s: by the log, else the last point there is; 0 without any."""
    said = _match(_TIME, log)
    if said is not None:
        return float(said)
    return 0.0 if waveforms is None else float(waveforms.axis[-1])


def _match(pattern: re.Pattern[str], log: str) -> str | None:
    found = pattern.search(log)
    return found.group(1) if found else None


def _first_line(pattern: re.Pattern[str], log: str) -> str:
    return next((line.strip() for line in log.splitlines() if pattern.search(line)), "")


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else ""
