"""What became of one run. A failed run is a value, so that it costs one sample and never the batch."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate.waveforms import Waveforms

Status = Literal["ok", "netlist", "convergence", "truncated", "missing", "not finite", "timeout", "crashed"]

# ngspice's exit codes lie both ways and most lines that hold "error" are harmless, so only these count.
_ABORTED = re.compile(
    r"(timestep too small|simulation\(s\) aborted|iteration limit|no convergence|gmin stepping failed)", re.I
)
_BROKEN = re.compile(
    r"(unknown subckt|undefined|unknown model|unable to find definition|could not find a valid modelname|"
    r"no such function|syntax error|error on line|there aren't any circuits|circuit not parsed|unimplemented)",
    re.I,
)


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

    @property
    def ok(self) -> bool:
        return self.status == "ok"


def judge(deck: Deck, waveforms: Waveforms | None, log: str, seconds: float, driver: str) -> Outcome:
    """A run counts only if every wanted vector is there, finite, and reaches the end, whatever the exit code says."""
    status, reason = _verdict(deck, waveforms, log)
    kept = waveforms if status == "ok" else None
    return Outcome(deck.name, deck.digest, status, reason, kept, seconds, driver)


def _verdict(deck: Deck, waveforms: Waveforms | None, log: str) -> tuple[Status, str]:
    aborted, broken = _first_line(_ABORTED, log), _first_line(_BROKEN, log)
    if waveforms is None or waveforms.axis.size == 0:
        if broken or not aborted:
            return "netlist", broken or _last_line(log) or "ngspice gave no data"
        return "convergence", aborted
    missing = [name for name in deck.wanted if name.lower() not in waveforms.values]
    if missing:
        return "missing", f"no {', '.join(missing)} in the result"
    for name in deck.wanted:
        bad = np.flatnonzero(~np.isfinite(waveforms[name]))
        if bad.size:
            return "not finite", f"{name} is not finite at {waveforms.axis[bad[0]]:.6g}"
    if deck.end is not None and waveforms.axis[-1] < deck.end * (1.0 - 1e-9):
        reached = f"stopped at {waveforms.axis[-1]:.6g} of {deck.end:.6g}"
        return ("convergence", f"{reached}: {aborted}") if aborted else ("truncated", reached)
    return "ok", ""


def _first_line(pattern: re.Pattern[str], log: str) -> str:
    return next((line.strip() for line in log.splitlines() if pattern.search(line)), "")


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else ""
