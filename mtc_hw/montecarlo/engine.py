"""Runs a study: what is missing in its folder, on whatever executes it; then the table."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from mtc_hw.analysis.datasheet import Datasheet
from mtc_hw.errors import DataError
from mtc_hw.montecarlo.blocks import blocks
from mtc_hw.montecarlo.draws import DRAWS, write_draws
from mtc_hw.montecarlo.executors import open_executor
from mtc_hw.montecarlo.ledger import Ledger, open_ledger
from mtc_hw.montecarlo.progress import Tally, watching
from mtc_hw.montecarlo.row import ChipRow
from mtc_hw.montecarlo.study import Study
from mtc_hw.montecarlo.table import write_table
from mtc_hw.simulate.pool import Workers

TABLE = "chips.parquet"

MOST = 10_000_000  # samples


@dataclass(frozen=True)
class EngineOptions:
    """How a study is run. None of it changes a result."""

    samples: int = 100
    only: frozenset[int] | None = None  # of these samples; None: all
    workers: Workers = Workers()
    scheduler: str | None = None  # address of a Dask scheduler
    resume: bool = True  # False: what is in the folder is run again
    retry_failed: bool = False  # runs that failed are tried again
    draws: bool = False  # writes a table of the chips' draws too
    csv: bool = False  # writes the tables as CSV too
    shown: bool = False  # progress on standard error

    @property
    def chips(self) -> int:
        """How many there are at each condition."""
        return self.samples if self.only is None else len(self.only)

    def wants(self, sample: int) -> bool:
        return self.only is None or sample in self.only


@dataclass(frozen=True)
class Finished:
    """What a run of a study gave."""

    table: Path
    digest: str  # of the table but for the seconds
    n_ok: int
    n_failed: int
    outcomes: dict[str, int]
    regimes: dict[str, int]
    seconds: float  # wall time of this run
    simulated: int  # chips that this run simulated; the others were there


def run_study(study: Study, options: EngineOptions, out: Path, sheet: Datasheet) -> Finished:
    """Runs the chips that the folder `out` lacks, and writes its table anew. The datasheet is for the progress alone.

    Raises DataError for a folder that cannot be used, see `open_ledger`. Interrupted, what was done stays.
    """
    if not 1 <= options.samples <= MOST:
        raise DataError(f"samples is {options.samples}; it must be from 1 to {MOST}")
    start = time.perf_counter()
    with open_ledger(out, ChipRow.from_json) as ledger:
        simulated = _run_missing(study, options, ledger, sheet)
        count = _Count()
        keys = [study.run_key(place) for place in study.places]
        rows = chain.from_iterable(ledger.rows(key, options.samples) for key in keys)
        wanted = (row for row in rows if options.wants(row.sample))
        digest = write_table(count.through(wanted), out / TABLE, options.csv)
        if options.draws:
            write_draws(study, options.samples, out / DRAWS, options.csv)
    total = options.chips * len(study.places)
    return Finished(
        table=out / TABLE,
        digest=digest,
        n_ok=count.outcomes["ok"],
        n_failed=total - count.outcomes["ok"],
        outcomes=dict(count.outcomes),
        regimes=dict(count.regimes),
        seconds=time.perf_counter() - start,
        simulated=simulated,
    )


def _run_missing(study: Study, options: EngineOptions, ledger: Ledger[ChipRow], sheet: Datasheet) -> int:
    keys = [study.run_key(place) for place in study.places]
    for key in keys:
        if not options.resume or options.retry_failed:
            ledger.forget(key, failed_only=options.resume)
    missing = [
        [k for k in ledger.missing(key, options.samples, study.keep_waveforms) if options.wants(k)] for key in keys
    ]
    left, total = sum(map(len, missing)), options.chips * len(keys)
    if not left:
        return 0
    tally = Tally(total, total - left)
    given = chain.from_iterable(blocks(study, place, samples) for place, samples in enumerate(missing))
    with (
        watching(tally, options.shown) as watcher,
        open_executor(study, options.workers, options.scheduler) as execute,
    ):
        for block, results in execute(given):
            ledger.add(keys[block.place], results)
            for each in results:
                tally.add(not each.row.ok, good(sheet, each.row))
            watcher.show()
    return left


def good(sheet: Datasheet, row: ChipRow) -> bool:
    """Whether a chip keeps the datasheet."""
    return row.ok and all(limits.holds(getattr(row, name)) for name, limits in sheet.limits.items())


class _Count:
    """Outcomes and regimes among the rows that pass."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.regimes: Counter[str] = Counter()

    def through(self, rows: Iterator[ChipRow]) -> Iterator[ChipRow]:
        for row in rows:
            self.outcomes[row.outcome] += 1
            if row.regime is not None:
                self.regimes[row.regime] += 1
            yield row
