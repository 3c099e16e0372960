"""Worker processes, each with a pipe of its own and one job at a time: whichever dies, and whenever, it is known what
it was at. Jobs and answers are bytes.

What a worker says is in order: that it is ready; then, of each job, that it has begun; then the answer.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import ModuleType
from typing import Any

from mtc_hw.errors import WorkersError

TRIES = 10  # starts in a row that may fail, and workers that may die of a job that they have not begun
PAUSE = 0.02  # s
GRACE = 3.0  # s from SIGTERM to SIGKILL
_REAPING = threading.Lock()
"""A start looks after all children, and of two threads that look after a dead one only one learns its exit code."""

Serve = Callable[..., None]
"""What a worker does: its arguments are its end of the pipe and those that all workers share."""


class Died(Exception):
    """The worker of a job died in the middle of it."""

    def __init__(self, process: int, code: int) -> None:
        super().__init__(f"worker {process} ended with exit code {code}")
        self.process, self.code = process, code


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


@dataclass(eq=False)
class _Job:
    content: bytes | memoryview
    answer: Future[bytes]
    tries: int = 0

    def wanted(self) -> bool:
        """Whether nobody has cancelled it; from now on nobody can."""
        return self.answer.running() or self.answer.set_running_or_notify_cancel()


@dataclass(eq=False)
class _Worker:
    process: _Process
    link: Connection
    ready: bool = False
    job: _Job | None = None
    begun: bool = False


class Crew:
    """Up to `count` workers, started as jobs come and replaced as they die, by a thread that sleeps between events.

    A job whose worker died before it had begun goes to another. Workers come from one spawned server that has
    imported `preload`, so that one that takes a dead or a worn-out one's place costs next to nothing. No ngspice runs
    in the server, and none of this process is copied.
    """

    def __init__(self, count: int, serve: Serve, shared: tuple[Any, ...], preload: list[str]) -> None:
        ForkServerContext().set_forkserver_preload(preload)
        self._count, self._serve, self._shared = count, serve, shared
        self._jobs: deque[_Job] = deque()
        self._workers: list[_Worker] = []
        self._failed = 0  # starts in a row
        self._end: Exception | None = None  # why no job is taken any more
        self._lock = threading.Lock()  # of the end: no job comes after it
        self._bell, self._rope = Pipe(duplex=False)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def submit(self, content: bytes | memoryview) -> Future[bytes]:
        """The answer to come, or Died, or WorkersError. Raises what ended the crew."""
        job = _Job(content, Future())
        with self._lock:
            if self._end is not None:
                raise self._end
            self._jobs.append(job)
            self._rope.send_bytes(b"")
        return job.answer

    def close(self) -> None:
        """Ends the workers, whatever they are at."""
        with self._lock:
            if self._end is None:
                self._end = RuntimeError("the workers are closed")
                self._rope.send_bytes(b"")
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._end is None:
                self._give()
                self._listen()
        except Exception as error:
            with self._lock:
                self._end = error
        finally:
            self._dismiss()

    def _give(self) -> None:
        """Waiting jobs to workers that are ready; starts workers for the others."""
        for worker in self._workers:
            if worker.ready and worker.job is None and (job := self._next()) is not None:
                worker.job, worker.begun = job, False
                # That a worker has died is told where it is listened to.
                with suppress(OSError):
                    worker.link.send_bytes(job.content)
        starting = sum(not worker.ready for worker in self._workers)
        needed = min(len(self._workers) + len(self._jobs) - starting, self._count)
        while len(self._workers) < needed:
            self._start()

    def _next(self) -> _Job | None:
        while self._jobs:
            job = self._jobs.popleft()
            if job.wanted():
                return job
        return None

    def _start(self) -> None:
        near, far = Pipe()
        process = _Process(target=self._serve, args=(far, *self._shared), daemon=True)
        try:
            with _REAPING:
                process.start()
        except (OSError, EOFError) as error:
            near.close()
            self._start_failed(str(error))
        else:
            self._workers.append(_Worker(process, near))
        finally:
            far.close()

    def _start_failed(self, how: str) -> None:
        """Waits a little longer each time: a server that was killed may not be gone yet."""
        self._failed += 1
        if self._failed == TRIES:
            raise WorkersError(f"{TRIES} workers in a row did not start, the last one: {how}; stderr tells more")
        time.sleep(PAUSE * self._failed)

    def _listen(self) -> None:
        """Sleeps until a job comes, a worker says something, or one dies."""
        links = [worker.link for worker in self._workers]
        heard = set(wait([self._bell, *links, *(worker.process.sentinel for worker in self._workers)]))
        if self._bell in heard:
            self._bell.recv_bytes()
        for worker in list(self._workers):
            dead = worker.process.sentinel in heard
            # The last words of a dead worker come first.
            if worker.link in heard or (dead and worker.link.poll()):
                try:
                    said = worker.link.recv_bytes()
                except (EOFError, OSError):
                    self._bury(worker)
                else:
                    self._hear(worker, said)
            elif dead:
                self._bury(worker)

    def _hear(self, worker: _Worker, said: bytes) -> None:
        if not worker.ready:
            worker.ready, self._failed = True, 0
        elif not worker.begun:
            worker.begun = True
        elif worker.job is not None:
            worker.job.answer.set_result(said)
            worker.job = None

    def _bury(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        code = _end(worker, 0.0)
        if not worker.ready:
            self._start_failed(f"exit code {code}")
        if (job := worker.job) is not None:
            job.tries += 1
            if worker.begun or job.tries == TRIES:
                job.answer.set_exception(Died(worker.process.pid or 0, code))
            else:
                self._jobs.appendleft(job)

    def _dismiss(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            _end(worker, GRACE)
        for job in [*(worker.job for worker in self._workers if worker.job is not None), *self._jobs]:
            if job.wanted():
                job.answer.set_exception(self._end)
        with self._lock:  # whoever said that this is the end may still be at the rope
            self._bell.close()
            self._rope.close()


def _end(worker: _Worker, grace: float) -> int:
    """Exit code of a worker that ends or is dead; killed if it does not within `grace` s."""
    worker.link.close()
    wait([worker.process.sentinel], grace)
    with _REAPING:
        worker.process.join(0.0)
        worker.process.kill()
        worker.process.join()
    return worker.process.exitcode or 0
