"""The engine: only what is missing runs, and the table is the same however the run went."""

import subprocess
import sys
from pathlib import Path

import pytest
from chip_studies import SHEET, tonic_study

from mtc_hw.errors import DataError
from mtc_hw.montecarlo import compiled, executors
from mtc_hw.montecarlo.engine import EngineOptions, run_study
from mtc_hw.montecarlo.table import read_table, rows_of
from mtc_hw.simulate.pool import Workers


def options(samples, **more):
    return EngineOptions(samples, **({"workers": Workers(jobs=2)} | more))


def untimed(path):
    return read_table(path).drop_columns(["seconds"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run_study(tonic_study(), options(12), tmp_path_factory.mktemp("whole"), SHEET)


def test_a_row_says_what_the_chip_did(whole):
    rows = rows_of(read_table(whole.table))
    assert [row.sample for row in rows] == list(range(12))
    assert (whole.n_ok, whole.n_failed, whole.simulated) == (12, 0, 12)
    assert sum(whole.regimes.values()) == 12
    assert all(row.ok and row.spikes > 0 and 30.0 < row.isi_mean < 120.0 for row in rows)
    assert len({row.isi_mean for row in rows}) == 12


def test_again_nothing_runs_and_more_samples_run_only_the_new_ones(whole, tmp_path):
    first = run_study(tonic_study(), options(5), tmp_path, SHEET)
    again = run_study(tonic_study(), options(5), tmp_path, SHEET)
    assert (again.simulated, again.digest) == (0, first.digest)
    more = run_study(tonic_study(), options(12), tmp_path, SHEET)
    assert (more.simulated, more.digest) == (7, whole.digest)
    fewer = run_study(tonic_study(), options(5), tmp_path, SHEET)
    assert (fewer.simulated, fewer.digest) == (0, first.digest)


def test_no_resume_runs_everything_again(tmp_path):
    run_study(tonic_study(), options(3), tmp_path, SHEET)
    assert run_study(tonic_study(), options(3, resume=False), tmp_path, SHEET).simulated == 3


@pytest.mark.parametrize("change", [{"seed": 2}, {"duration": 299.0}, {"precision": "float32"}])
def test_another_study_in_the_same_folder_is_not_mistaken_for_it(change, tmp_path):
    run_study(tonic_study(), options(3), tmp_path, SHEET)
    assert run_study(tonic_study(**change), options(3), tmp_path, SHEET).simulated == 3


def test_blocks_and_jobs_change_no_bit(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "LANES", 5)
    found = run_study(tonic_study(), options(12, workers=Workers(jobs=1)), tmp_path, SHEET)
    assert found.digest == whole.digest
    assert untimed(found.table).equals(untimed(whole.table))


def test_a_subset_is_the_same_chips(whole, tmp_path):
    found = run_study(tonic_study(), options(12, only=frozenset({3, 7})), tmp_path, SHEET)
    assert untimed(found.table).to_pylist() == [untimed(whole.table).to_pylist()[k] for k in (3, 7)]


def test_an_interrupted_run_goes_on_where_it_was(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "LANES", 2)
    done = executors.run_compiled

    def fails_later(study, block, threads=1):
        if 7 in block.samples:
            raise KeyboardInterrupt
        return done(study, block, threads)

    with monkeypatch.context() as broken:
        broken.setattr(executors, "run_compiled", fails_later)
        with pytest.raises(KeyboardInterrupt):
            run_study(tonic_study(), options(12, workers=Workers(jobs=1)), tmp_path, SHEET)
    found = run_study(tonic_study(), options(12), tmp_path, SHEET)
    assert 2 <= found.simulated < 12
    assert found.digest == whole.digest


@pytest.mark.parametrize("samples", [0, -1, 10**9])
def test_impossible_numbers_of_samples_are_refused(samples, tmp_path):
    with pytest.raises(DataError, match=r"^samples is -?\d+; it must be from 1 to 10000000$"):
        run_study(tonic_study(), options(samples), tmp_path, SHEET)


@pytest.mark.slow
@pytest.mark.parametrize(("tier", "samples", "kills"), [("ode", 600, 15), ("behavioural", 40, 5)])
def test_kills_at_random_moments_change_no_bit_of_the_table(tier, samples, kills, tmp_path):
    script = Path(__file__).parents[1] / "killed_studies.py"
    command = [sys.executable, str(script), str(tmp_path), tier, str(samples), str(kills), "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    held = list(map(int, done.stdout.split()))
    assert held == sorted(held)
    assert len(set(held)) > 3, "the kills came too early or too late to show anything"
    first, second = (untimed(tmp_path / name / "chips.parquet") for name in ("whole", "broken"))
    assert first.num_rows == samples
    assert first.equals(second)
