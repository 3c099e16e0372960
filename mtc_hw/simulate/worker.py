"""Inside a worker process: its limits, its runner, and the note that it leaves for the parent should it die."""

import json
import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from mtc_hw.errors import MtcError
from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate import ngspice, pyspice
from mtc_hw.simulate.ladder import climb
from mtc_hw.simulate.outcome import Loss, Outcome, out_of_memory

SAMPLING = 0.1  # s between two looks at the memory in use


@dataclass(frozen=True)
class Limits:
    """What one run and one process may use."""

    driver: str
    timeout: float  # s, each run of a deck
    memory: int  # bytes, each process
    patience: float  # s that a task may compute between decks, on top of a deck's time limit


@dataclass(frozen=True)
class Note:
    """What a worker is at, on disk: read when it has died."""

    began: float  # time.time() at the start of the task
    deck: str  # name of the deck that runs; empty between decks
    memory: int  # bytes in use a moment ago; 0 where the system does not tell


@dataclass(frozen=True)
class _Setting:
    """What all tasks of a worker share."""

    limits: Limits
    context: Any
    note: int  # file descriptor


_SETTINGS: list[_Setting] = []
"""One in a worker, from its initializer; none in any other process."""


WORN = 75
"""Exit code of a worker that once ran out of memory and may lack it for another task: the task goes to another."""

_WORN: list[str] = []
"""Why this worker is to begin no other task; empty while it may."""


def settle(home: str, environment: dict[str, str], library: str, limits: Limits, context: Any) -> None:
    """A worker lives in an empty directory: no .spiceinit is read, and a killed run's files go with the pool.

    Its environment is the parent's of now, and not that of when the server of workers started.
    """
    os.environ.clear()
    os.environ.update(environment)
    os.environ["HOME"] = home
    os.environ["NGSPICE_LIBRARY_PATH"] = library
    os.chdir(home)
    tempfile.tempdir = home
    ngspice.limit(limits.memory)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    if limits.driver == "pyspice":
        # A handler in Python would wait until the library returns.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    note, memory = (os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for path in _note_paths(home, os.getpid()))
    threading.Thread(target=_watch, args=(memory,), daemon=True).start()
    _SETTINGS.append(_Setting(limits, context, note))


def _watch(memory: int) -> None:
    """Notes the memory in use, since a library that runs out of it may die without a word, and ends this process with
    its parent."""
    parent, usage = parent_process(), Path("/proc/self/statm")
    assert parent is not None
    while not wait([parent.sentinel], SAMPLING):
        with suppress(OSError, MemoryError):
            pages = usage.read_text().split()[5]
            os.pwrite(memory, f"{int(pages) * resource.getpagesize():<20}".encode(), 0)
    os.kill(os.getpid(), signal.SIGTERM)


def perform(function: Callable[..., Any], task: Any) -> Any:
    """One task in this worker: what `function` returns, or a Loss. Raises the MtcError that the function raises."""
    if _WORN:
        os._exit(WORN)
    run = WorkerRunner(_SETTINGS[0], time.time())
    run.between_decks()
    try:
        return function(run.setting.context, task, run)
    except MtcError:
        raise
    except MemoryError:
        _WORN.append("out of memory")
        return Loss("killed", out_of_memory(run.setting.limits.memory), time.time() - run.began)
    except Exception as error:
        return Loss("crashed", f"{type(error).__name__}: {error}", time.time() - run.began)
    finally:
        _arm(0.0)


@dataclass(frozen=True)
class WorkerRunner:
    """Runs decks one after the other in this worker. The kernel ends the worker when one takes too long."""

    setting: _Setting
    began: float

    def __call__(self, decks: Sequence[Deck], done: Callable[[Outcome], None] | None = None) -> list[Outcome]:
        return run_serially(decks, done, run=self._run)

    def _run(self, deck: Deck) -> Outcome:
        limits = self.setting.limits
        if limits.driver == "ngspice":
            self.between_decks()
            return ngspice.run(deck, limits.timeout, limits.memory)
        self._leave_note(deck.name)
        _arm(limits.timeout)
        outcome = pyspice.run(deck, limits.memory)
        self.between_decks()
        if outcome.status == "killed":
            _WORN.append(outcome.reason)
        return outcome

    def between_decks(self) -> None:
        """A task that neither ends nor runs a deck is ended, too."""
        _arm(self.setting.limits.timeout + self.setting.limits.patience)
        self._leave_note("")

    def _leave_note(self, deck: str) -> None:
        text = json.dumps({"began": self.began, "deck": deck}).encode()
        os.ftruncate(self.setting.note, 0)
        os.pwrite(self.setting.note, text, 0)


def run_serially(
    decks: Sequence[Deck], done: Callable[[Outcome], None] | None = None, *, run: Callable[[Deck], Outcome]
) -> list[Outcome]:
    """One deck after the other, each up the ladder of retries."""
    outcomes = []
    for deck in decks:
        outcomes.append(climb(deck, run))
        if done is not None:
            done(outcomes[-1])
    return outcomes


def take_note(home: str, pid: int) -> Note:
    """What a dead worker was at."""
    note, memory = _note_paths(home, pid)
    try:
        read = json.loads(note.read_text())
        found = Note(read["began"], read["deck"], int(memory.read_text() or 0))
    except (OSError, ValueError):
        return Note(time.time(), "", 0)
    note.unlink()
    memory.unlink()
    return found


def _note_paths(home: str, pid: int) -> tuple[Path, Path]:
    return Path(home, f"note_{pid}"), Path(home, f"memory_{pid}")


def _arm(seconds: float) -> None:
    """The kernel ends this process in so many seconds; 0 disarms it."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
