import glob
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mtc_hw.errors import SimulatorMissingError
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.render import neuron_deck
from mtc_hw.netlist.solver import NETWORK, TRANSISTOR
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.simulate.pool import Workers, open_workers, simulate

DRIVERS = ["pyspice", "ngspice"]
END, TAU = 5e-3, 1e-3  # s
RC = """* a resistor charges a capacitor
Vin in 0 dc 1
R1 in out 1000
C1 out 0 1e-6
.ic v(out)=0
.options method=trap reltol=1e-6
.save v(out)
.tran 1e-5 5e-3 0 1e-5
.end
"""


def rc(old: str = "", new: str = "", end: float = END, wanted: tuple[str, ...] = ("v(out)",)) -> Deck:
    assert old in RC
    return Deck("rc", RC.replace(old, new), wanted, end)


GOOD = rc()
JUMP = "B1 0 x i=1e3*exp(v(x)*100)+1\nR9 x 0 1\nC1 out"
# Ten million resistors.
NESTED = ".subckt s0 p\nR1 p 0 1e9\n.ends\n" + "".join(
    f".subckt s{i + 1} p\n" + "".join(f"X{k} p s{i}\n" for k in range(10)) + ".ends\n" for i in range(7)
)
NESTED += "X1 out s7\n"
FAULTS = {
    "subcircuit": (rc("C1 out", "X1 out 0 nothing\nC1 out"), "missing model", "unknown subckt: x1 out 0 nothing"),
    "model": (rc("C1 out", "D1 out 0 nothing\nC1 out"), "missing model", "can't find model 'nothing' from line"),
    "parameter": (rc("1000", "{nowhere}"), "syntax", "ndefined parameter"),
    "expression": (rc("C1 out", "B1 0 out i=v(out)*(\nC1 out"), "syntax", "syntax error"),
    "function": (rc("C1 out", "B1 0 out i=gone(v(out))\nC1 out"), "syntax", "no such function 'gone'"),
    "device": (rc("C1 out", "N1 out 0 5\nC1 out"), "syntax", "Error on line 4"),
    "ends": (rc("C1 out", ".subckt a p q\nR1 p q 1\nC1 out"), "syntax", "Mismatch of .subckt"),
    "no analysis": (rc(".tran 1e-5 5e-3 0 1e-5\n"), "syntax", ""),
    "operating point": (rc("C1 out", JUMP), "operating point", "Transient op failed"),
    "loop": (rc("C1 out", "V2 in 0 dc 2\nC1 out"), "operating point", "Transient op failed"),
    "timestep": (rc("C1 out", "B1 0 out i=v(out)^3\nC1 out"), "timestep", "Timestep too small"),
    "truncated": (rc(end=6e-3), "truncated", "stopped at 0.005 of 0.006"),
    "missing": (rc(wanted=("v(out)", "v(gone)")), "missing vector", "no v(gone) in the result"),
    "memory": (rc("C1 out", f"{NESTED}C1 out"), "killed", "out of memory, the limit is 0.5 GiB: "),
    "text": (rc("* a", "* ä"), "crashed", "UnicodeEncodeError: "),
}
PLACES = {
    "operating point": ("x", 0.0),
    "loop": ("vin#branch", 0.0),
    "timestep": ("out", pytest.approx(1.25e-4, rel=0.01)),
    "truncated": (None, pytest.approx(END)),
}
HANGING = Deck("hanging", RC.replace(".tran 1e-5 5e-3 0 1e-5", ".tran 10 5e3 0 1e-9"), ("v(out)",), 5e3)
# An external source without its second value takes the library down with it.
CRASHING = rc("C1 out", "Iin 0 out 0 external\nC1 out")


def assert_right(outcome) -> None:
    """The closed form of the RC deck."""
    assert outcome.ok, outcome.reason
    w = outcome.waveforms
    assert w.axis[-1] == pytest.approx(END)
    assert w["v(out)"] == pytest.approx(1.0 - np.exp(-w.axis / TAU), abs=2e-5)


@pytest.fixture(scope="module", params=DRIVERS)
def one_worker(request):
    """A single worker, so that what a deck leaves behind meets the next."""
    with open_workers(Workers(driver=request.param, jobs=1, timeout=20.0, memory=1 << 29)) as run:
        yield run


def test_a_capacitor_charges_as_its_closed_form_says(one_worker):
    assert_right(one_worker([GOOD])[0])


def test_an_empty_batch_has_no_outcomes(one_worker):
    assert one_worker([]) == []
    assert simulate([]) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_a_class_and_a_reason_and_spoils_no_other_run(one_worker, fault):
    deck, status, reason = FAULTS[fault]
    before, failed, *after = one_worker([GOOD, deck, GOOD, GOOD])
    assert failed.status == status
    assert reason in failed.reason
    assert failed.waveforms is None
    assert failed.digest == deck.digest
    assert (failed.node, failed.time) == PLACES.get(fault, (None, None))
    for outcome in (before, *after):
        assert_right(outcome)
        assert np.array_equal(outcome.waveforms["v(out)"], before.waveforms["v(out)"])


def test_every_fault_in_one_batch_keeps_the_order_of_the_decks(one_worker):
    decks = [deck for deck, _, _ in FAULTS.values() for deck in (GOOD, deck)]
    outcomes = one_worker(decks)
    assert [o.status for o in outcomes[1::2]] == [status for _, status, _ in FAULTS.values()]
    for outcome in outcomes[::2]:
        assert_right(outcome)


@pytest.mark.slow
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_hanging_deck_is_killed_and_the_rest_is_right(driver):
    start = time.monotonic()
    outcomes = simulate([GOOD, HANGING, GOOD, GOOD], Workers(driver=driver, jobs=2, timeout=3.0))
    assert time.monotonic() - start < 15.0
    assert (outcomes[1].status, outcomes[1].reason[:16]) == ("timeout", "killed after 3 s")
    for outcome in (outcomes[0], *outcomes[2:]):
        assert_right(outcome)


def test_a_deck_that_crashes_the_library_costs_one_run():
    first, crashed, *after = simulate([GOOD, CRASHING, GOOD, GOOD], Workers(jobs=1, timeout=20.0))
    assert (crashed.status, crashed.reason) == ("killed", "the worker was ended by SIGSEGV in deck rc")
    for outcome in (first, *after):
        assert_right(outcome)


def children_in(folder: str) -> list[int]:
    """Our processes, by their working directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(entry).startswith(folder):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("driver", "reason"),
    [("pyspice", "the worker was ended by SIGKILL in deck hanging"), ("ngspice", "ended by SIGKILL")],
)
def test_a_killed_simulator_costs_one_run(driver, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stop = threading.Event()

    def kill_one() -> None:
        """Once the hanging run is under way: the worker itself, or the ngspice that it started in a folder below."""
        while not stop.wait(0.2):
            depth = 1 if driver == "pyspice" else 2
            at_work = [p for p in children_in(str(tmp_path)) if busy(p, tmp_path, depth)]
            if at_work:
                os.kill(at_work[0], signal.SIGKILL)
                return

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        killed, *others = simulate([HANGING, GOOD, GOOD], Workers(driver=driver, jobs=1, timeout=25.0))
    finally:
        stop.set()
        killer.join()
    assert (killed.status, killed.reason) == ("killed", reason)
    for outcome in others:
        assert_right(outcome)


def busy(process: int, root: Path, depth: int) -> bool:
    """Whether a process that lives `depth` folders below `root` has computed for a while."""
    try:
        where = Path(os.readlink(f"/proc/{process}/cwd"))
        ticks = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11])
    except OSError:
        return False
    spent = ticks / os.sysconf("SC_CLK_TCK")
    return len(where.relative_to(root).parts) == depth and spent > (2.0 if depth == 1 else 0.3)


@pytest.mark.parametrize("driver", DRIVERS)
def test_nothing_stays_on_the_disk(driver, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    outcomes = simulate([GOOD, FAULTS["parameter"][0]], Workers(driver=driver, jobs=1, timeout=20.0))
    assert_right(outcomes[0])
    assert glob.glob(f"{tmp_path}/*") == []


def test_outcomes_are_told_one_by_one_in_order(one_worker):
    told = []
    outcomes = one_worker([GOOD, FAULTS["missing"][0], GOOD], told.append)
    assert told == outcomes


@pytest.mark.parametrize("level", ["behavioural", "transistor"])
def test_one_worker_and_two_give_the_same_bits(mapped, network, runner, level):
    design = mapped(network, bits=8)
    solver = NETWORK if level == "behavioural" else TRANSISTOR
    hold = Stimulus(((0.0, 0.3),))
    decks = [neuron_deck(design, i, level, hold, 100.0, Initial(), solver) for i in range(design.count)]
    with open_workers(Workers(jobs=1, timeout=60.0)) as alone:
        one, two = alone(decks), runner(decks[::-1])[::-1]
    for a, b in zip(one, two, strict=True):
        assert a.ok and b.ok
        assert np.array_equal(a.waveforms.axis, b.waveforms.axis)
        for name in a.waveforms.values:
            assert np.array_equal(a.waveforms[name], b.waveforms[name]), name


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("place", ["home", "cwd"])
def test_a_stray_spiceinit_is_not_read(driver, place, tmp_path, monkeypatch):
    """This one would leave a mark and end the simulator."""
    (tmp_path / ".spiceinit").write_text(f"shell touch {tmp_path}/was_read\nquit\n")
    monkeypatch.chdir(tmp_path) if place == "cwd" else monkeypatch.setenv("HOME", str(tmp_path))
    assert_right(simulate([GOOD], Workers(driver=driver, jobs=1, timeout=20.0))[0])
    assert not (tmp_path / "was_read").exists()


def test_without_ngspice_on_the_path_the_remedy_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        SimulatorMissingError, match=r"^ngspice is not on PATH; install ngspice: Debian `apt install "
    ):
        simulate([GOOD], Workers(driver="ngspice"))


def test_a_library_path_to_nowhere_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setenv("NGSPICE_LIBRARY_PATH", "/nowhere/libngspice.so")
    text = (
        r"^libngspice cannot be loaded: /nowhere/libngspice\.so: .*; NGSPICE_LIBRARY_PATH is "
        r"'/nowhere/libngspice\.so'; unset it or install ngspice: Debian `apt install ngspice libngspice0`"
    )
    with pytest.raises(SimulatorMissingError, match=text):
        simulate([GOOD])


def test_as_many_workers_as_processors_unless_told_otherwise():
    assert Workers().count == len(os.sched_getaffinity(0))
    assert Workers(jobs=3).count == 3


SCRIPT = """
from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate.pool import Workers, simulate

text = "* rc\\nR1 a 0 1k\\nC1 a 0 1u\\n.ic v(a)=1\\n.save v(a)\\n.tran 1e-5 1e-3\\n.end\\n"
print(simulate([Deck("rc", text, ("v(a)",), 1e-3)], Workers(jobs=1))[0].status)
"""


@pytest.mark.parametrize("way", ["file", "standard input"])
def test_a_script_needs_no_guard_against_being_imported_by_the_workers(way, tmp_path):
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    command, text = ([sys.executable, str(file)], "") if way == "file" else ([sys.executable, "-"], SCRIPT)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr
