"""A study of calibrations: only what is missing runs, a dead chip is a row, the table is the same however it went."""

import dataclasses
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from calibration_studies import LANES, SHEET, deadly_fourth, options, tonic_study

from mtc_hw.calibration import study as study_module
from mtc_hw.calibration import study_run
from mtc_hw.calibration.chip_row import SCHEMA
from mtc_hw.calibration.result import apply, load_result
from mtc_hw.calibration.study_run import KEPT, run_study
from mtc_hw.errors import DataError
from mtc_hw.montecarlo.ledger import FILE
from mtc_hw.montecarlo.table import read_table
from mtc_hw.simulate.pool import Workers

CHIPS = 8


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(study_module, "LANES", LANES)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(study_module, "LANES", LANES)
        return run_study(tonic_study(), options(CHIPS), folder, SHEET)


def test_every_chip_has_its_figures_before_and_after_and_its_calibration(whole):
    assert [row.sample for row in whole.rows] == list(range(CHIPS))
    assert all(row.ok and row.succeeded == row.neurons == 1 and not row.marked for row in whole.rows)
    assert all(0.0 < row.measurements <= 40.0 and row.knobs > 5 and row.residual < 0.1 for row in whole.rows)
    before, after = (np.array([getattr(row, state).isi_mean for row in whole.rows]) for state in ("before", "after"))
    assert after.std() < 0.3 * before.std()


def test_the_table_has_every_row_and_no_column_twice(whole):
    table = read_table(whole.table)
    assert table.schema.names == SCHEMA.names
    assert len(set(SCHEMA.names)) == len(SCHEMA.names)
    assert table.to_pylist() == [row.cells() for row in whole.rows]
    assert table["before_spikes"].to_pylist() == [row.before.spikes for row in whole.rows]
    assert whole.table.with_suffix(".csv").is_file()


def test_a_record_holds_the_codes_that_the_chip_ran_with(whole):
    study, folder = tonic_study(), whole.table.parent
    for row in whole.rows[:3]:
        result = load_result(folder / row.record)
        codes = apply(result, study.design)
        with np.load(folder / KEPT / f"{study.key[:16]}-{row.sample}.npz", allow_pickle=False) as kept:
            np.testing.assert_array_equal(kept["code_bias"], codes.bias_trim[codes.present])
            assert kept["after"].size == row.after.spikes
            assert kept["before"].size == row.before.spikes
        assert result.plan_digest == study.plan.digest()


def test_again_nothing_runs_and_more_chips_run_only_the_new_blocks(whole, tmp_path):
    first = run_study(tonic_study(), options(3), tmp_path, SHEET)
    again = run_study(tonic_study(), options(3), tmp_path, SHEET)
    assert (first.calibrated, again.calibrated, again.digest) == (3, 0, first.digest)
    more = run_study(tonic_study(), options(CHIPS), tmp_path, SHEET)
    assert (more.calibrated, more.digest) == (CHIPS - 3, whole.digest)


def test_no_resume_runs_everything_again(tmp_path):
    run_study(tonic_study(), options(2), tmp_path, SHEET)
    assert run_study(tonic_study(), options(2, resume=False), tmp_path, SHEET).calibrated == 2


def test_a_chip_whose_files_are_gone_is_calibrated_again(tmp_path):
    first = run_study(tonic_study(), options(2), tmp_path, SHEET)
    (tmp_path / first.rows[1].record).unlink()
    (tmp_path / KEPT / f"{tonic_study().key[:16]}-0.npz").unlink()
    assert run_study(tonic_study(), options(2), tmp_path, SHEET).calibrated == 2


def test_chips_of_a_range_have_their_own_numbers(whole, tmp_path):
    found = run_study(tonic_study(), options(5, only=frozenset({3, 4})), tmp_path, SHEET)
    assert [row.sample for row in found.rows] == [3, 4]
    assert [row.after.isi_mean for row in found.rows] == [row.after.isi_mean for row in whole.rows[3:5]]


@pytest.mark.parametrize("change", [{"seed": 2}, {"duration": 599.0}, {"noise": 0.01}, {"size": "4"}])
def test_another_study_in_the_same_folder_is_not_mistaken_for_it(change):
    assert tonic_study(**change).key != tonic_study().key


def test_another_plan_and_another_purpose_are_another_study():
    study = tonic_study()
    plan = study.plan.model_copy(update={"measurements": 41})
    purpose = dataclasses.replace(study.purpose, stimulus=study.purpose.stimulus.shifted(0.1))
    others = [dataclasses.replace(study, plan=plan), dataclasses.replace(study, purpose=purpose)]
    assert len({study.key, *(each.key for each in others)}) == 3


def test_the_same_chips_stand_together_whichever_are_missing():
    study = tonic_study()
    assert list(study.blocks([0, 1, 2, 3, 4])) == [(0, 1, 2), (3, 4)]
    assert list(study.blocks([1, 5, 6])) == [(1,), (5,), (6,)]
    assert list(tonic_study(noise=0.01).blocks([0, 1])) == [(0,), (1,)]
    assert list(tonic_study("behavioural").blocks([0, 1])) == [(0,), (1,)]


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(whole, tmp_path):
    script = Path(__file__).parents[1] / "calibration_studies.py"
    command = [sys.executable, str(script), str(tmp_path), "1000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as child:
        while held(tmp_path) < CHIPS:
            assert child.poll() is None, child.stderr.read().decode()
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    had = held(tmp_path)
    assert CHIPS <= had < 1000
    found = run_study(tonic_study(), options(had + 1), tmp_path, SHEET)
    assert (
        found.calibrated <= 1 + LANES * 4
    )  # blocks come in any order: those that the first chips lack, and one more
    assert run_study(tonic_study(), options(CHIPS), tmp_path, SHEET).digest == whole.digest


def held(folder):
    """How many chips the ledger of a run has, while the run goes on."""
    try:
        with closing(sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True)) as connection:
            return int(connection.execute("select count(*) from results").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # there is none yet


def test_an_interrupted_run_keeps_what_was_done(tmp_path, monkeypatch):
    def interrupt(sheet, row):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(study_run, "good", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_study(tonic_study(), options(CHIPS), tmp_path, SHEET)
    done = held(tmp_path)
    assert 1 <= done < CHIPS
    assert run_study(tonic_study(), options(CHIPS), tmp_path, SHEET).calibrated == CHIPS - done


@pytest.mark.slow
def test_a_chip_that_kills_its_worker_is_a_row_and_the_others_of_its_block_go_on(whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(study_run, "calibrate_block", deadly_fourth)
        found = run_study(tonic_study(), options(CHIPS), tmp_path, SHEET)
    dead = found.rows[4]
    assert (dead.ok, dead.after.outcome, dead.record, dead.neurons) == (False, "killed", "", 0)
    assert dead.after.reason == "the worker was ended by SIGKILL in its own work"
    kept = [row.after.isi_mean for row in found.rows if row.sample != 4]
    np.testing.assert_allclose(kept, [row.after.isi_mean for row in whole.rows if row.sample != 4], rtol=1e-9)
    again = run_study(tonic_study(), options(CHIPS, retry_failed=True), tmp_path, SHEET)
    assert again.calibrated == 1
    assert again.rows[4].ok


def test_a_chip_whose_decks_take_too_long_is_a_row_with_the_reason(tmp_path):
    study = tonic_study("transistor", duration=1e6)
    [row] = run_study(study, options(1, workers=Workers(jobs=1, timeout=0.05)), tmp_path, SHEET).rows
    assert not row.ok
    assert row.after.outcome == "timeout"
    assert row.after.reason


def test_of_few_chips_the_decks_are_shared_and_one_that_raises_is_a_row(tmp_path, monkeypatch):
    study = tonic_study("behavioural")
    shared = run_study(study, options(1), tmp_path / "few", SHEET)
    own = run_study(study, options(1, workers=Workers(jobs=1)), tmp_path / "one", SHEET)
    assert shared.digest == own.digest
    with monkeypatch.context() as patched:
        patched.setattr(study_run, "calibrate_block", raises)
        [row] = run_study(study, options(1), tmp_path / "bad", SHEET).rows
    assert (row.after.outcome, row.after.reason) == ("crashed", "ZeroDivisionError: division by zero")


def raises(study, samples, run):
    return 1 / 0


@pytest.mark.parametrize("noise", [-0.1, 1.0, float("nan")])
def test_an_impossible_noise_is_refused(noise):
    with pytest.raises(DataError, match=r"^noise is .*; it must be from 0 to below 1, such as 0.01$"):
        tonic_study(noise=noise)


def test_an_impossible_number_of_chips_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"^the last chip is 99999999; it must be from 0 to 9999999$"):
        run_study(tonic_study(), options(10**8), tmp_path, SHEET)
