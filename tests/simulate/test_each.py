import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_tasks import all_statuses, chip, rc_deck, refuse, sleep_then, square, stuck, worker

from mtc_hw.errors import UnmappableError
from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate import pool as module
from mtc_hw.simulate.outcome import Loss
from mtc_hw.simulate.pool import Workers, command_runner, open_workers


@pytest.fixture(scope="module")
def pool():
    with open_workers(Workers(jobs=2, timeout=20.0)) as opened:
        yield opened


def test_every_task_has_its_result_with_the_shared_context():
    with open_workers(Workers(jobs=2), 10) as opened:
        assert dict(opened.each(square, range(40))) == {k: 10 * k * k for k in range(40)}
        assert list(opened.each(square, [])) == []
        assert dict(opened.each(square, [7])) == {7: 490}


def test_results_come_in_order_of_completion(pool):
    assert [task for task, _ in pool.each(sleep_then, [1.0, 0.01, 0.02, 0.03])] == [0.01, 0.02, 0.03, 1.0]


def test_tasks_are_taken_as_they_are_needed(pool):
    taken = 0

    def endless() -> Iterator[float]:
        nonlocal taken
        while True:
            taken += 1
            yield 0.0

    results = pool.each(sleep_then, endless())
    for done in range(1, 30):
        next(results)
        assert taken <= done + module.AHEAD * 2


def test_an_error_of_the_user_s_is_raised_here_and_the_workers_live_on(pool):
    with pytest.raises(UnmappableError, match=r"^one thing; another$") as caught:
        list(pool.each(refuse, range(6)))
    assert caught.value.violations == ("one thing", "another")
    assert sorted(task for task, _ in pool.each(refuse, [1, 2])) == [1, 2]


def test_a_task_of_several_decks_goes_on_after_one_that_ends_the_library():
    undefined = rc_deck(1)
    undefined = Deck("undefined", undefined.text.replace("1001.0", "{nowhere}"), undefined.wanted, undefined.end)
    decks = [rc_deck(0), undefined, rc_deck(2), undefined, rc_deck(3)]
    with open_workers(Workers(jobs=1), decks) as opened:
        ((_, found),) = opened.each(all_statuses, [0])
    assert found == [("ok", 0), ("syntax", 0), ("ok", 0), ("syntax", 0), ("ok", 0)]


def test_a_worn_out_worker_is_replaced(monkeypatch):
    monkeypatch.setattr(module, "RECYCLE", 5)
    with open_workers(Workers(jobs=1)) as opened:
        assert len({process for _, process in opened.each(worker, range(20))}) == 4


def test_python_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    with open_workers(Workers(jobs=2, timeout=1.0)) as opened:
        found = dict(opened.each(stuck, range(4)))
    lost = found.pop(1)
    assert isinstance(lost, Loss)
    assert (lost.status, lost.reason) == ("timeout", "killed after 1.5 s in its own work")
    assert 1.4 < lost.seconds < 10.0
    assert found == {0: 0, 2: 2, 3: 3}


def test_the_command_line_s_runner_gives_the_workers_bits(pool):
    decks = [rc_deck(k) for k in range(3)]
    told = []
    serial, parallel = command_runner(Workers(timeout=20.0))(decks, told.append), pool(decks)
    assert told == serial
    for one, other in zip(serial, parallel, strict=True):
        assert one.ok and other.ok
        assert (one.waveforms["v(out)"] == other.waveforms["v(out)"]).all()


def test_the_command_line_s_runner_knows_its_limits():
    hanging = Deck("hanging", rc_deck(0).text.replace("1e-5 5e-3 0 1e-5", "10 5e3 0 1e-9"), ("v(out)",), None)
    timed_out = command_runner(Workers(timeout=0.5))([hanging])[0]
    assert (timed_out.status, timed_out.reason) == ("timeout", "killed after 0.5 s")
    starved = command_runner(Workers(timeout=20.0, memory=1 << 19))([rc_deck(0)])[0]
    assert starved.status == "killed"


def test_workers_that_die_at_once_or_idle_cost_no_more_than_their_tasks():
    with open_workers(Workers(jobs=2), {k: "shot" for k in range(40) if k % 3}) as opened:
        found = dict(opened.each(chip, range(40)))
        assert {k for k, result in found.items() if isinstance(result, Loss)} == {k for k in range(40) if k % 3}
        for process in {process for _, process in opened.each(worker, range(8))}:
            os.kill(process, signal.SIGKILL)
        assert dict(opened.each(chip, [0, 3])) == {0: found[0], 3: found[3]}


SCRIPT = """
from faulty_tasks import hang
from mtc_hw.simulate.pool import Workers, open_workers

with open_workers(Workers("{}", jobs=2)) as pool:
    for _ in pool.each(hang, range(9)):
        pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["pyspice", "ngspice"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_end_by_force_leaves_no_process(driver, sent, tmp_path):
    """Ctrl-C goes to the whole group, kill -9 to the parent alone."""
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCRIPT.format(driver)]
    parent = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True, text=True)
    deadline = time.monotonic() + 60.0
    while len(list(tmp_path.glob("*/begun_*"))) < 2:
        assert parent.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    assert len(processes_in(tmp_path)) >= 2
    start = time.monotonic()
    os.killpg(parent.pid, sent) if sent == signal.SIGINT else os.kill(parent.pid, sent)
    _, said = parent.communicate(timeout=20.0)
    assert parent.returncode == -sent
    assert ("KeyboardInterrupt" in said) == (sent == signal.SIGINT)
    while processes_in(tmp_path):
        assert time.monotonic() - start < 15.0
        time.sleep(0.05)
    if sent == signal.SIGINT:
        assert list(tmp_path.iterdir()) == []


def processes_in(folder: Path) -> list[int]:
    """Those that live in the folder or below."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(entry).startswith(str(folder)):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found
