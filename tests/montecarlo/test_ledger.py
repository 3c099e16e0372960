"""The ledger: what was done is found again, whatever happened to the process or the disk."""

import subprocess
import sys

import numpy as np
import pytest

from mtc_hw.errors import DataError
from mtc_hw.montecarlo.ledger import FILE, WAVEFORMS, open_ledger
from mtc_hw.montecarlo.row import ChipRow, Result

RUN = "a" * 64
read = ChipRow.from_json


def row(sample, **more):
    values = {"sample": sample, "corner": "tt", "supply": 1.8, "temperature": 27.0, "outcome": "ok"}
    return ChipRow(**(values | more))


def results(*samples, **more):
    return [Result(row(sample, **more)) for sample in samples]


def test_rows_come_back_exactly_and_in_order(tmp_path):
    values = {"isi_mean": 0.1 + 0.2, "spikes": 7, "regime": "tonic", "reason": "a 'quoted' \n text", "rung": 2}
    with open_ledger(tmp_path, read) as ledger:
        ledger.add(RUN, results(3, 1, **values))
        ledger.add(RUN, results(0, **values))
        assert list(ledger.rows(RUN, 4)) == [row(0, **values), row(1, **values), row(3, **values)]
        assert [each.sample for each in ledger.rows(RUN, 2)] == [0, 1]
        assert list(ledger.rows("b" * 64, 4)) == []


def test_only_what_is_missing_is_missing(tmp_path):
    with open_ledger(tmp_path, read) as ledger:
        ledger.add(RUN, results(0, 2))
    with open_ledger(tmp_path, read) as ledger:
        assert ledger.missing(RUN, 5) == [1, 3, 4]
        assert ledger.missing("b" * 64, 2) == [0, 1]


def test_waveforms_stand_beside_and_a_row_without_them_is_missing_where_they_are_wanted(tmp_path):
    with open_ledger(tmp_path, read) as ledger:
        ledger.add(RUN, [Result(row(0), {"time": np.arange(3.0)}), *results(1), *results(2, outcome="timeout")])
        assert ledger.missing(RUN, 3, waveforms=True) == [1]
        with np.load(ledger.waveform_path(RUN, 0), allow_pickle=False) as stored:
            np.testing.assert_array_equal(stored["time"], [0.0, 1.0, 2.0])
    assert not list((tmp_path / WAVEFORMS).glob("*.part"))


def test_failed_runs_can_be_forgotten_alone(tmp_path):
    with open_ledger(tmp_path, read) as ledger:
        ledger.add(RUN, [*results(0), *results(1, outcome="timeout")])
        ledger.forget(RUN, failed_only=True)
        assert ledger.missing(RUN, 2) == [1]
        ledger.forget(RUN)
        assert ledger.missing(RUN, 2) == [0, 1]


def test_a_number_that_is_not_finite_becomes_an_empty_cell(tmp_path):
    with open_ledger(tmp_path, read) as ledger:
        ledger.add(RUN, results(0, r2=float("nan"), power=float("inf")))
        [found] = ledger.rows(RUN, 1)
    assert (found.r2, found.power) == (None, None)


def test_a_second_process_is_told_of_the_first(tmp_path):
    code = (
        "import sys; from pathlib import Path; from mtc_hw.montecarlo.ledger import open_ledger\n"
        "with open_ledger(Path(sys.argv[1]), str): print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        with (
            pytest.raises(DataError, match=r"^another process is running chips in .*; wait for it"),
            open_ledger(tmp_path, read),
        ):
            pass
        other.kill()
    with open_ledger(tmp_path, read) as ledger:  # a killed process leaves no lock
        assert ledger.missing(RUN, 1) == [0]


def test_a_lock_that_a_killed_process_leaves_to_a_child_for_a_moment_is_waited_for(tmp_path):
    code = (
        "import os, subprocess, sys; from pathlib import Path; from mtc_hw.montecarlo.ledger import open_ledger\n"
        "with open_ledger(Path(sys.argv[1]), str):\n"
        "    [fd] = [int(k) for k in os.listdir('/dev/fd') if os.path.realpath(f'/dev/fd/{k}').endswith('/lock')]\n"
        "    subprocess.Popen(['sleep', '0.5'], pass_fds=[fd], stdout=subprocess.DEVNULL)\n"
        "    print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        other.kill()
        other.wait()
        with open_ledger(tmp_path, read) as ledger:
            assert ledger.missing(RUN, 1) == [0]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match=r"file cannot be written: .*; give another --out$"),
        open_ledger(tmp_path / "file", read),
    ):
        pass


def test_a_read_only_folder_is_told():
    from pathlib import Path

    with (
        pytest.raises(DataError, match=r"cannot be written: .*; give another --out$"),
        open_ledger(Path("/proc/chips"), read),
    ):
        pass


def test_a_full_disk_is_told_and_loses_nothing(tmp_path):
    with open_ledger(tmp_path, read) as ledger:
        ledger.add(RUN, results(0))
    with pytest.raises(DataError, match=r"^the disk of .* is full; make room"), open_ledger(tmp_path, read) as ledger:
        pages = ledger._connection.execute("pragma page_count").fetchone()[0]
        ledger._connection.execute(f"pragma max_page_count = {pages}")
        ledger.add(RUN, results(*range(1, 1000)))
    with open_ledger(tmp_path, read) as ledger:
        assert ledger.missing(RUN, 3) == [1, 2]


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path):
    (tmp_path / FILE).write_bytes(b"something else" * 1000)
    with pytest.raises(DataError, match=r"is no ledger of chips \(.*\); move it away"), open_ledger(tmp_path, read):
        pass
    assert (tmp_path / FILE).read_bytes().startswith(b"something else")
