"""Runs studies in children that are killed at random: `python killed_studies.py FOLDER TIER SAMPLES KILLS SEED`.

A child is a fork of this process, which has imported everything and started no thread. Prints how many chips the
ledger held after each kill.
"""

import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from chip_studies import SHEET, tonic_study

from mtc_hw.montecarlo import compiled
from mtc_hw.montecarlo.engine import EngineOptions, run_study
from mtc_hw.montecarlo.ledger import FILE, open_ledger
from mtc_hw.montecarlo.row import ChipRow
from mtc_hw.simulate.pool import Workers

LANES = 4  # chips in a block, so that a run is many blocks


def run(folder: Path, tier: str, samples: int) -> None:
    compiled.LANES = LANES
    run_study(tonic_study(tier), EngineOptions(samples, workers=Workers(jobs=2)), folder, SHEET)


def child(folder: Path, tier: str, samples: int) -> int:
    """A process group of its own that runs the study."""
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        code = 1
        try:
            run(folder, tier, samples)
            code = 0
        finally:
            os._exit(code)
    return pid


def held(folder: Path) -> int:
    """How many chips the ledger of a run has, while the run goes on."""
    try:
        with closing(sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True)) as connection:
            return int(connection.execute("select count(*) from results").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # there is none yet


def main() -> None:
    folder, tier, samples, kills, seed = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6])
    draw = random.Random(seed)
    if tier == "ode":
        run(folder / "warm", tier, LANES)  # compiled here once, not in every child
    assert os.waitpid(child(folder / "whole", tier, samples), 0)[1] == 0
    key = (study := tonic_study(tier)).run_key(study.places[0])
    before = 0
    for _ in range(kills):
        pid = child(folder / "broken", tier, samples)
        more = draw.randint(0, samples // kills)  # 0: while it starts
        while held(folder / "broken") < before + more:
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 0.05))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with open_ledger(folder / "broken", ChipRow.from_json) as ledger:
            before = samples - len(ledger.missing(key, samples))
        print(before, flush=True)
    assert os.waitpid(child(folder / "broken", tier, samples), 0)[1] == 0


if __name__ == "__main__":
    main()
