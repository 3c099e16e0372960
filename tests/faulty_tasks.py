"""Tasks for the tests of the workers, which import functions by name."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from mtc_hw.errors import UnmappableError
from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate.pool import Runner

END = 5e-3  # s
RC = """* a resistor charges a capacitor
Vin in 0 dc 1
R1 in out {resistance!r}
C1 out 0 1e-6
.ic v(out)=0
.options method=trap reltol=1e-6
.save v(out)
.tran 1e-5 5e-3 0 1e-5
.end
"""
EDITS = {
    "syntax": ("C1 out", "R2 out 0 {undefined}\nC1 out"),
    "missing model": ("C1 out", "D1 out 0 undefined\nC1 out"),
    "operating point": ("C1 out", "V2 in 0 dc 2\nC1 out"),
    "timestep": ("C1 out", "B1 0 out i=v(out)^3\nC1 out"),
    "timeout": (".tran 1e-5 5e-3 0 1e-5", ".tran 10 5e3 0 1e-9"),
    # A library's crash: an external source without its second value.
    "killed": ("C1 out", "Iin 0 out 0 external\nC1 out"),
}


def rc_deck(sample: int) -> Deck:
    """A chip of its own for every sample."""
    return Deck(f"chip_{sample}", RC.format(resistance=1000.0 + sample), ("v(out)",), END)


def chip(faults: dict[int, str], sample: int, run: Runner) -> tuple[str, str, float]:
    """Class, reason, and the voltage in the middle of the run; some samples have a fault."""
    fault, deck = faults.get(sample), rc_deck(sample)
    if fault in EDITS:
        old, new = EDITS[fault]
        deck = replace(deck, text=deck.text.replace(old, new), end=None if fault == "timeout" else END)
    elif fault == "truncated":
        deck = replace(deck, end=2 * END)
    elif fault == "missing vector":
        deck = replace(deck, wanted=("v(out)", "v(gone)"))
    elif fault == "shot":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "memory":
        np.ones(1 << 31)
    elif fault == "crashed":
        raise ValueError(f"sample {sample}")
    outcome = run([deck])[0]
    if outcome.waveforms is None:
        return outcome.status, outcome.reason, np.nan
    return outcome.status, "", float(np.interp(END / 2, outcome.waveforms.axis, outcome.waveforms["v(out)"]))


def square(context: int, task: int, _run: Runner) -> int:
    return context * task * task


def worker(_context: None, _task: int, _run: Runner) -> int:
    return os.getpid()


def sleep_then(_context: None, task: float, _run: Runner) -> float:
    time.sleep(task)
    return task


def refuse(_context: None, task: int, _run: Runner) -> int:
    if task == 3:
        raise UnmappableError(["one thing", "another"])
    return task


def all_statuses(decks: list[Deck], _task: int, run: Runner) -> list[tuple[str, int]]:
    """Several decks in one task."""
    told: list[str] = []
    outcomes = run(decks, lambda outcome: told.append(outcome.deck))
    assert told == [deck.name for deck in decks]
    return [(outcome.status, outcome.rung) for outcome in outcomes]


def hang(_context: None, task: int, run: Runner) -> str:
    """Says that it has begun, by an empty file, then runs a deck that does not end."""
    Path(f"begun_{task}").touch()
    old, new = EDITS["timeout"]
    return run([replace(rc_deck(task), text=rc_deck(task).text.replace(old, new))])[0].status


def stuck(_context: None, task: int, _run: Runner) -> int:
    """Python that does not end."""
    while task == 1:
        time.sleep(0.01)
    return task


def once(_context: None, task: tuple[int, bytes], _run: Runner) -> tuple[int, bytes]:
    """Fails where it has been before."""
    Path(f"ran_{task[0]}").touch(exist_ok=False)
    return task


def unreadable(_context: None, task: str, _run: Runner) -> object:
    """Perhaps a result that cannot be pickled."""
    return (lambda: task) if task == "result" else task


def idle(_link):
    """A worker that says nothing."""
    time.sleep(60.0)
