"""Many decks in parallel: spawned, replaceable workers with a time limit, by pebble's process pool."""

import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, TimeoutError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any, Literal, Protocol

from pebble import ProcessExpired, ProcessPool

from mtc_hw.errors import MtcError
from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate import ngspice, pyspice
from mtc_hw.simulate.outcome import Outcome

Driver = Literal["pyspice", "ngspice"]
RECYCLE = 500  # runs after which a worker is replaced, whatever ngspice may leak
Done = Callable[[Outcome], None]


def processors() -> int:
    """How many processors this process may use."""
    # macOS has no affinity.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Workers:
    """How decks are run."""

    driver: Driver = "pyspice"
    jobs: int = 0  # 0: one per processor this process may use
    timeout: float = 300.0  # s, each deck

    @property
    def count(self) -> int:
        return self.jobs or processors()


class Runner(Protocol):
    """Runs decks: outcomes in the order of the decks, a run that hangs or crashes being one failed outcome."""

    def __call__(self, decks: Sequence[Deck], done: Done | None = None) -> list[Outcome]: ...


class _Process(SpawnProcess):
    """A spawned process that does not import the caller's script: it needs no `if __name__ == "__main__"` there, and
    a script from standard input, which no file holds, works too."""

    @staticmethod
    def _Popen(process: Any) -> Any:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return SpawnProcess._Popen(process)
        finally:
            sys.modules["__main__"] = script


class _Context(SpawnContext):
    Process = _Process


@contextmanager
def open_workers(workers: Workers) -> Iterator[Runner]:
    """Worker processes for several batches. Raises SimulatorMissingError when ngspice is not installed.

    Leaving the block by an exception, Ctrl-C included, kills the runs that are under way.
    """
    require(workers.driver)
    with (
        tempfile.TemporaryDirectory(prefix="mtc_hw_") as home,
        ProcessPool(workers.count, RECYCLE, initializer=_settle, initargs=(home,), context=_Context()) as pool,
    ):

        def run(decks: Sequence[Deck], done: Done | None = None) -> list[Outcome]:
            futures = [pool.schedule(run_one, (deck, workers), timeout=_limit(workers)) for deck in decks]
            outcomes = list(_collect(pool, futures, decks, workers, done))
            if any(outcome.status in ("crashed", "timeout") for outcome in outcomes):
                _stand_by(pool, workers.count)
            return outcomes

        try:
            yield run
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]
            raise


def simulate(decks: Sequence[Deck], workers: Workers = Workers(), done: Done | None = None) -> list[Outcome]:
    """One batch in workers of its own."""
    with open_workers(dataclasses.replace(workers, jobs=min(workers.count, max(len(decks), 1)))) as run:
        return run(decks, done)


def require(driver: Driver) -> None:
    """Raises SimulatorMissingError unless the driver's program or library is there."""
    if driver == "pyspice":
        pyspice.library()
    else:
        ngspice.executable()


def run_one(deck: Deck, workers: Workers) -> Outcome:
    return pyspice.run(deck) if workers.driver == "pyspice" else ngspice.run(deck, workers.timeout)


def _stand_by(pool: ProcessPool, count: int) -> None:
    """Waits for the workers that take a dead one's place: closed while it starts, one would complain on stderr."""
    for future in [pool.schedule(os.getpid) for _ in range(count)]:
        with suppress(ProcessExpired):
            future.result()


def _settle(home: str) -> None:
    """A worker lives in an empty directory: no .spiceinit is read, and a killed run's files go with the pool."""
    os.environ["HOME"] = home
    os.chdir(home)
    tempfile.tempdir = home


def _limit(workers: Workers) -> float:
    """The command-line driver keeps its own, to tell a timeout from a slow exit."""
    return workers.timeout if workers.driver == "pyspice" else workers.timeout + 30.0


def _collect(
    pool: ProcessPool,
    futures: "Sequence[Future[Outcome]]",
    decks: Sequence[Deck],
    workers: Workers,
    done: Done | None,
) -> Iterator[Outcome]:
    for future, deck in zip(futures, decks, strict=True):
        outcome = _result(future, deck, workers)
        while outcome is None:
            retried = pool.schedule(run_one, (deck, workers), timeout=_limit(workers))
            outcome = _result(retried, deck, workers)
        if done is not None:
            done(outcome)
        yield outcome


def _result(future: "Future[Outcome]", deck: Deck, workers: Workers) -> Outcome | None:
    """The outcome, or None when the worker could not begin."""
    try:
        return future.result()
    except TimeoutError:
        reason = f"killed after {workers.timeout:g} s"
        return Outcome(deck.name, deck.digest, "timeout", reason, None, workers.timeout, workers.driver)
    except ProcessExpired as error:
        if error.exitcode == pyspice.EXHAUSTED:
            return None
        reason = f"the worker died with exit code {error.exitcode}"
    except MtcError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    return Outcome(deck.name, deck.digest, "crashed", reason, None, 0.0, workers.driver)
