"""Many decks or tasks in parallel: spawned, replaceable workers, each with limits."""

import dataclasses
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.reduction import ForkingPickler
from typing import Any, Literal, Protocol, TypeVar

from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate import ngspice, pyspice
from mtc_hw.simulate.crew import Crew, Died
from mtc_hw.simulate.outcome import Loss, Outcome, out_of_memory
from mtc_hw.simulate.worker import Limits, Note, Raised, run_serially, serve, take_note

RECYCLE = 2000  # tasks after which a worker is replaced, whatever ngspice may leak
AHEAD = 3  # tasks for each worker that wait or run: enough to keep it busy, few enough to keep this process small
PATIENCE = 60.0  # s that a task may compute between decks, on top of a deck's time limit
NEARLY_ALL = 0.6  # of the memory in use shortly before a worker died: it died of that
Driver = Literal["pyspice", "ngspice"]
Done = Callable[[Outcome], None]
PRELOAD = [
    "mtc_hw.simulate.quiet",
    "mtc_hw.simulate.libngspice",
    "mtc_hw.simulate.worker",
    "mtc_hw.montecarlo.blocks",
]
"""What a chip's worker needs; the server of workers imports it once."""

Context = TypeVar("Context")
Task = TypeVar("Task")
Result = TypeVar("Result")


def processors() -> int:
    """How many processors this process may use."""
    # macOS has no affinity.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Workers:
    """How decks are run."""

    driver: Driver = "pyspice"
    jobs: int = 0  # 0: one per processor this process may use
    timeout: float = 300.0  # s, each run of a deck
    memory: int = ngspice.MEMORY  # bytes, each process

    @property
    def count(self) -> int:
        return self.jobs or processors()

    @property
    def limits(self) -> Limits:
        return Limits(self.driver, self.timeout, self.memory, PATIENCE)


class Runner(Protocol):
    """Runs decks: outcomes in the order of the decks, a run that hangs or crashes being one failed outcome."""

    def __call__(self, decks: Sequence[Deck], done: Done | None = None) -> list[Outcome]: ...


class Pool:
    """Open workers: a Runner, and `each` for work that is more than a deck."""

    def __init__(self, crew: Crew, workers: Workers, home: str) -> None:
        self._crew, self._workers, self._home = crew, workers, home

    def __call__(self, decks: Sequence[Deck], done: Done | None = None) -> list[Outcome]:
        """Each deck is a task of its own."""
        outcomes: list[Outcome] = []
        early: dict[int, Outcome] = {}
        for (index, deck), found in self.each(_run_deck, enumerate(decks)):
            early[index] = found.of(deck, self._workers.driver) if isinstance(found, Loss) else found
            while len(outcomes) in early:
                outcomes.append(early.pop(len(outcomes)))
                if done is not None:
                    done(outcomes[-1])
        return outcomes

    def each(
        self, function: Callable[[Context, Task, Runner], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Result | Loss]]:
        """function(context, task, run) in a worker, for every task: pairs of task and result in order of completion.

        `function` stands in a module; `run` runs decks in that worker. Tasks are taken as they are needed. A worker
        that dies costs one task, which is a Loss; so is an exception, but for an MtcError, which is raised here.
        """
        waiting = iter(tasks)
        running: dict[Future[bytes], Task] = {}
        try:
            while True:
                for task in islice(waiting, AHEAD * self._workers.count - len(running)):
                    running[self._crew.submit(ForkingPickler.dumps((function, task)))] = task
                if not running:
                    break
                for answer in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(answer), self._result(answer)
        finally:
            for answer in running:
                answer.cancel()

    def _result(self, answer: Future[bytes]) -> Any:
        """What the function returned, or a Loss. Raises the MtcError that it raised."""
        try:
            found = ForkingPickler.loads(answer.result())
        except Died as death:
            return _loss(death.code, take_note(self._home, death.process), self._workers)
        if isinstance(found, Raised):
            raise found.error
        return found


def _loss(exitcode: int, note: Note, workers: Workers) -> Loss:
    """Why a worker died."""
    seconds = max(time.time() - note.began, 0.0)
    at = f"deck {note.deck}" if note.deck else "its own work"
    if exitcode == -signal.SIGALRM:
        limit = workers.timeout if note.deck else workers.timeout + PATIENCE
        return Loss("timeout", f"killed after {limit:g} s in {at}", seconds)
    how = f"was ended by {signal.Signals(-exitcode).name}" if exitcode < 0 else f"ended with exit code {exitcode}"
    said = f"the worker {how} in {at}"
    exhausted = note.memory > NEARLY_ALL * workers.memory
    return Loss("killed", out_of_memory(workers.memory, said) if exhausted else said, seconds)


def _run_deck(_context: Any, task: tuple[int, Deck], run: Runner) -> Outcome:
    return run([task[1]])[0]


@contextmanager
def open_workers(workers: Workers, context: Any = None) -> Iterator[Pool]:
    """Worker processes for several batches; each gets `context` once. Raises SimulatorMissingError without ngspice.

    Leaving the block by an exception, Ctrl-C included, kills the runs that are under way.
    """
    library = require(workers.driver)
    with tempfile.TemporaryDirectory(prefix="mtc_hw_") as home:
        shared = (RECYCLE, home, dict(os.environ), library, workers.limits, context)
        crew = Crew(workers.count, serve, shared, PRELOAD)
        try:
            yield Pool(crew, workers, home)
        finally:
            crew.close()


def command_runner(workers: Workers) -> Runner:
    """Runs decks one after the other from this very process, by the command-line driver whatever `workers.driver` is.

    For a process that must not hold libngspice, such as a Dask worker. Raises SimulatorMissingError.
    """
    ngspice.executable()
    return partial(run_serially, run=partial(ngspice.run, timeout=workers.timeout, memory=workers.memory))


def simulate(decks: Sequence[Deck], workers: Workers = Workers(), done: Done | None = None) -> list[Outcome]:
    """One batch in workers of its own."""
    with open_workers(dataclasses.replace(workers, jobs=min(workers.count, max(len(decks), 1)))) as run:
        return run(decks, done)


def require(driver: Driver) -> str:
    """The driver's library or program. Raises SimulatorMissingError unless it is there."""
    return pyspice.library() if driver == "pyspice" else ngspice.executable()
