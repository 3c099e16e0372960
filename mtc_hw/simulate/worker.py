"""Inside a worker process: its life, its limits, its runner, and the note that it leaves should it die."""

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
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import FrameType
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
class Raised:
    """The answer to a task whose function raised an MtcError."""

    error: MtcError


@dataclass(frozen=True)
class _Setting:
    """What all tasks of a worker share."""

    limits: Limits
    context: Any
    note: int  # file descriptor


def serve(
    link: Connection, most: int, home: str, environment: dict[str, str], library: str, limits: Limits, context: Any
) -> None:
    """A worker's life: at most so many tasks, and none after one that ran out of memory, since it may lack it again.

    It says that it is ready, of each task that it has begun, and the answer. It ends when nobody listens.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _arm(limits.patience)
    setting = _settle(home, environment, library, limits, context)
    _arm(0.0)
    with suppress(EOFError, OSError):
        link.send_bytes(b"")
        for _ in range(most):
            job = link.recv_bytes()
            link.send_bytes(b"")
            run = WorkerRunner(setting, time.time())
            link.send_bytes(perform(job, run))
            if run.worn:
                break


def _settle(home: str, environment: dict[str, str], library: str, limits: Limits, context: Any) -> _Setting:
    """A worker lives in an empty directory: no .spiceinit is read, and a killed run's files go with the pool.

    Its environment is the parent's of now, and not that of when the server of workers started.
    """
    os.environ.clear()
    os.environ.update(environment)
    os.environ["HOME"] = home
    os.environ["NGSPICE_LIBRARY_PATH"] = library
    os.chdir(home)
    tempfile.tempdir = home
    # A handler in Python would wait until the library returns; ngspice's command line is ended on the way out.
    signal.signal(signal.SIGTERM, signal.SIG_DFL if limits.driver == "pyspice" else _leave)
    note, memory = (os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for path in _note_paths(home, os.getpid()))
    # A thread for which there is no memory would be waited for without end.
    threading.Thread(target=_watch, args=(memory,), daemon=True).start()
    ngspice.limit(limits.memory)
    return _Setting(limits, context, note)


def _leave(sent: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + sent)


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


def perform(job: bytes, run: "WorkerRunner") -> memoryview:
    """One task in this worker, a pickled function and its argument. The answer: a pickled result, Loss or Raised."""
    try:
        run.between_decks()
        function, task = ForkingPickler.loads(job)
        return ForkingPickler.dumps(function(run.setting.context, task, run))
    except MtcError as error:
        return ForkingPickler.dumps(Raised(error))
    except MemoryError:
        run.worn = True
        reason = out_of_memory(run.setting.limits.memory)
        return ForkingPickler.dumps(Loss("killed", reason, time.time() - run.began))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return ForkingPickler.dumps(Loss("crashed", reason, time.time() - run.began))
    finally:
        _arm(0.0)


@dataclass
class WorkerRunner:
    """Runs decks one after the other in this worker. The kernel ends the worker when one takes too long."""

    setting: _Setting
    began: float  # time.time()
    worn: bool = False  # the library ran out of memory

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
            self.worn = True
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
