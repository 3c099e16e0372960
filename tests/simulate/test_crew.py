import multiprocessing.forkserver
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from faulty_tasks import idle, once, sleep_then, square, unreadable

from mtc_hw.errors import WorkersError
from mtc_hw.simulate.crew import Crew
from mtc_hw.simulate.outcome import Loss
from mtc_hw.simulate.pool import Workers, open_workers

LARGE = 300_000  # bytes, more than a pipe holds


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What takes longer fails here, and does not wait for ever."""

    def late(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def server() -> int:
    found = multiprocessing.forkserver._forkserver._forkserver_pid
    assert found is not None
    return found


def workers() -> list[int]:
    return [int(word) for word in Path(f"/proc/{server()}/task/{server()}/children").read_text().split()]


@pytest.mark.parametrize("padding", [0, LARGE])
@pytest.mark.parametrize("seed", [1, 2])
def test_whenever_workers_are_killed_no_task_is_lost_or_done_twice(padding, seed):
    """Starting, idle, in the middle of a message or of a task, as it happens."""
    chance, kills, found = random.Random(seed), 0, {}
    with within(60.0), open_workers(Workers(jobs=3)) as pool:
        for task, result in pool.each(once, ((k, bytes(padding)) for k in range(150))):
            assert task[0] not in found
            found[task[0]] = result
            time.sleep(chance.uniform(0.0, 4e-3))
            alive = workers()
            if alive and chance.random() < 0.5:
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(alive), signal.SIGKILL)
                    kills += 1
    lost = {k: result for k, result in found.items() if isinstance(result, Loss)}
    assert {result.reason for result in lost.values()} <= {"the worker was ended by SIGKILL in its own work"}
    assert kills > 30 and len(lost) <= kills
    assert found == {k: (k, bytes(padding)) for k in range(150)} | lost


def test_idle_workers_that_are_killed_cost_no_task():
    with within(60.0), open_workers(Workers(jobs=2), 3) as pool:
        for round_ in range(60):
            for process in workers():
                os.kill(process, signal.SIGKILL)
            assert sorted(pool.each(square, [round_, -1])) == sorted([(round_, 3 * round_**2), (-1, 3)])


def test_a_killed_server_of_workers_costs_what_runs_and_is_replaced():
    with within(60.0), open_workers(Workers(jobs=2), 3) as pool:
        results = pool.each(sleep_then, [0.0, 30.0])
        assert next(results) == (0.0, 0.0)
        os.kill(server(), signal.SIGKILL)
        ((task, lost),) = results
        assert task == 30.0 and isinstance(lost, Loss)
        assert list(pool.each(square, [2])) == [(2, 12)]


def test_an_end_that_is_noticed_before_it_is_rung_in_is_no_error():
    crew = Crew(1, idle, (), [])
    rung = crew._rope.send_bytes

    def late(content):
        os.kill(server(), signal.SIGKILL)  # wakes the thread, which finds that this is the end
        time.sleep(0.5)
        rung(content)

    with within(20.0):
        answer = crew.submit(b"")
        while not crew._workers:
            time.sleep(0.01)
        crew._rope.send_bytes = late
        crew.close()
    assert isinstance(answer.exception(), RuntimeError)


def test_a_task_or_a_result_that_does_not_cross_is_an_error_of_its_own():
    with within(60.0), open_workers(Workers(jobs=1)) as pool:
        found = dict(pool.each(unreadable, ["result", "none"]))
        assert isinstance(found["result"], Loss) and found["result"].status == "crashed"
        assert "pickle" in found["result"].reason and found["none"] == "none"
        with pytest.raises(Exception, match="pickle"):
            list(pool.each(unreadable, [lambda: 0]))
        assert list(pool.each(unreadable, ["none"])) == [("none", "none")]


def test_workers_that_do_not_start_are_an_error():
    """This context ends whoever reads it."""
    with within(60.0), open_workers(Workers(jobs=2), Fatal()) as pool:
        with pytest.raises(WorkersError, match=r"^10 workers in a row did not start, the last one: exit code 7; "):
            list(pool.each(square, range(4)))
        with pytest.raises(WorkersError):
            list(pool.each(square, range(4)))


class Fatal:
    def __reduce__(self):
        return os._exit, (7,)


def test_sleeping_workers_cost_this_process_no_time():
    with open_workers(Workers(jobs=2), 3) as pool:
        list(pool.each(square, range(4)))
        before = time.process_time()
        time.sleep(1.0)
        assert time.process_time() - before < 2e-3


def test_tasks_of_an_abandoned_iteration_are_dropped():
    with within(20.0), open_workers(Workers(jobs=1), 3) as pool:
        results = pool.each(sleep_then, [0.0, 0.2, 30.0, 30.0])
        next(results)
        results.close()
        assert list(pool.each(square, [2])) == [(2, 12)]
