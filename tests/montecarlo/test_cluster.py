"""The same chips on a real Dask scheduler and workers, each a process: no result depends on where it was made."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chip_studies import SHEET, tonic_study

from mtc_hw.errors import DataError
from mtc_hw.montecarlo import cluster
from mtc_hw.montecarlo.engine import EngineOptions, run_study
from mtc_hw.montecarlo.table import read_table
from mtc_hw.simulate.pool import Workers

SAMPLES = 24
ROOT = Path(__file__).resolve().parents[2]
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def dask(*arguments):
    path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    command = [sys.executable, "-m", "dask", *map(str, arguments)]
    return subprocess.Popen(command, **QUIET, env=os.environ | {"PYTHONPATH": path})


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, folder):
        self.file = folder / "scheduler.json"
        self.processes = [
            dask("scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", self.file)
        ]

    def start_worker(self):
        options = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--scheduler-file", self.file)
        self.processes.append(dask("worker", *options))

    @property
    def address(self):
        import json

        until = time.monotonic() + 60.0
        while not (self.file.is_file() and self.file.read_text().endswith("}")):
            assert time.monotonic() < until, "no scheduler"
            time.sleep(0.1)
        return json.loads(self.file.read_text())["address"]


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("dask"))
    assert made.address
    made.start_worker()
    made.start_worker()
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


def untimed(finished):
    return read_table(finished.table).drop_columns(["seconds"])


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    options = EngineOptions(SAMPLES, workers=Workers(jobs=2))
    return run_study(tonic_study("behavioural"), options, tmp_path_factory.mktemp("here"), SHEET)


@pytest.mark.slow
def test_a_cluster_gives_the_same_table_though_its_workers_are_killed_on_the_way(
    two_workers, here, tmp_path, monkeypatch
):
    spread, killed = cluster._spread, []

    def watched(*arguments):
        for index, done in enumerate(spread(*arguments)):
            if index == SAMPLES // 4:
                for process in two_workers.processes[1:]:  # all that hold the study, and what they run
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                two_workers.start_worker()
                killed.append(index)
            yield done

    monkeypatch.setattr(cluster, "_spread", watched)
    options = EngineOptions(SAMPLES, scheduler=two_workers.address)
    found = run_study(tonic_study("behavioural"), options, tmp_path, SHEET)
    assert killed
    assert found.n_ok == SAMPLES
    assert found.digest == here.digest
    assert untimed(found).equals(untimed(here))


@pytest.mark.slow
def test_the_compiled_tiers_run_there_too(two_workers, tmp_path):
    options = EngineOptions(40, workers=Workers(jobs=1))
    there = run_study(tonic_study(), EngineOptions(40, scheduler=two_workers.address), tmp_path / "there", SHEET)
    assert there.digest == run_study(tonic_study(), options, tmp_path / "here", SHEET).digest


def test_a_scheduler_that_does_not_answer_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with pytest.raises(DataError, match=r"^no Dask scheduler answers at 'tcp://127.0.0.1:9': .*; start one with"):
        run_study(tonic_study(), EngineOptions(2, scheduler="tcp://127.0.0.1:9"), tmp_path, SHEET)
