"""Many decks or tasks in parallel: spawned, replaceable workers, each with limits, by pebble's process pool."""

import dataclasses
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import ModuleType
from typing import Any, Literal, Protocol, TypeVar

from pebble import ProcessExpired, ProcessPool
from pebble.pool.process import PoolManager

from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate import ngspice, pyspice
from mtc_hw.simulate.outcome import Loss, Outcome, out_of_memory
from mtc_hw.simulate.worker import (
    WORN,
    Limits,
    Note,
    perform,
    run_serially,
    settle,
    take_note,
)

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


class _Process(ForkServerProcess):
    """A process that does not import the caller's script: it needs no `if __name__ == "__main__"` there, and a script
    from standard input, which no file holds, works too."""

    @staticmethod
    def _Popen(process: Any) -> Any:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return ForkServerProcess._Popen(process)
        finally:
            sys.modules["__main__"] = script


class _Context(ForkServerContext):
    """Workers come from one spawned server that has imported what they need, so that a worker that takes a dead or a
    worn-out one's place costs next to nothing. No ngspice runs in the server, and none of this process is copied."""

    Process = _Process


class _Manager(PoolManager):
    """pebble's, but for the death of a worker: pebble may look before its last message is read, and then loses
    the task or gives up the pool. Here a dead worker counts a round later, when all messages are read."""

    def __init__(self, processes: ProcessPool) -> None:
        super().__init__(processes._context, _Context())
        self._seen: set[int] = set()

    def update_workers(self) -> None:
        workers = self.worker_manager.workers
        dead = {pid: worker for pid, worker in list(workers.items()) if not worker.is_alive()}
        channel = self.worker_manager.pool_channel
        told = channel is not None and not channel.poll(0)
        settled = {pid for pid, worker in dead.items() if told and (worker.exitcode == 0 or pid in self._seen)}
        for pid in settled:
            del workers[pid]
            if dead[pid].exitcode != 0:
                self.handle_worker_expiration((pid, dead[pid].exitcode))
        self._seen = dead.keys() - settled
        self.worker_manager.create_workers()  # type: ignore[no-untyped-call]

    def find_expired_task(self, worker_id: int) -> Any:
        """Raises LookupError for a worker that died without one."""
        found = [task for task in list(self.task_manager.tasks.values()) if task.worker_id == worker_id]
        if not found:
            raise LookupError(worker_id)
        return found[0]


class Pool:
    """Open workers: a Runner, and `each` for work that is more than a deck."""

    def __init__(self, processes: ProcessPool, workers: Workers, home: str) -> None:
        self._processes, self._workers, self._home = processes, workers, home
        self._died = False

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
        running: dict[Future[Result], Task] = {}
        while True:
            for task in islice(waiting, AHEAD * self._workers.count - len(running)):
                running[self._processes.schedule(perform, (function, task))] = task
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                found = self._result(future)
                if found is None:
                    running[self._processes.schedule(perform, (function, task))] = task
                else:
                    yield task, found

    def _result(self, future: "Future[Result]") -> Result | Loss | None:
        """None where the worker did not begin the task."""
        try:
            return future.result()
        except ProcessExpired as error:
            note = take_note(self._home, error.pid)
            self._died = True
            if error.exitcode == WORN:
                return None
            return _loss(error.exitcode, note, self._workers)

    def stand_by(self) -> None:
        """Waits for those that take a dead worker's place: closed while it starts, one would complain on stderr."""
        while self._died:
            self._died = False
            for future in [self._processes.schedule(os.getpid) for _ in range(self._workers.count)]:
                self._result(future)


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
    _Context().set_forkserver_preload(PRELOAD)
    with tempfile.TemporaryDirectory(prefix="mtc_hw_") as home:
        start = (home, dict(os.environ), library, workers.limits, context)
        with ProcessPool(workers.count, RECYCLE, initializer=settle, initargs=start, context=_Context()) as processes:
            processes._pool_manager = _Manager(processes)
            pool = Pool(processes, workers, home)
            try:
                yield pool
                pool.stand_by()
            except BaseException:
                processes.stop()  # type: ignore[no-untyped-call]
                raise


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
