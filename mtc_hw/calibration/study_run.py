"""Calibrates a study's chips: those that its folder lacks, in workers; then the table."""

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtc_hw.analysis.datasheet import Datasheet
from mtc_hw.calibration.block import calibrate_block
from mtc_hw.calibration.chip_row import SCHEMA, Calibrated, CalibratedChip
from mtc_hw.calibration.result import save_result
from mtc_hw.calibration.study import CalibrationStudy
from mtc_hw.errors import DataError, MtcError
from mtc_hw.montecarlo.engine import MOST, EngineOptions, good
from mtc_hw.montecarlo.figures import blank
from mtc_hw.montecarlo.ledger import Ledger, kept_path, open_ledger
from mtc_hw.montecarlo.progress import Tally, watching
from mtc_hw.montecarlo.table import write_table
from mtc_hw.simulate.outcome import Loss
from mtc_hw.simulate.pool import Pool, Runner, open_workers
from mtc_hw.simulate.progress import watched
from mtc_hw.spec import Array

TABLE = "table.parquet"
RECORDS = "records"
KEPT = "spikes"


@dataclass(frozen=True, eq=False)
class Finished:
    """What a run of a study gave."""

    folder: Path
    key: str  # of the study
    rows: tuple[CalibratedChip, ...]
    table: Path
    digest: str  # of the table but for the seconds
    calibrated: int  # chips that this run calibrated; the others were there
    seconds: float  # wall time of this run

    def arrays(self, sample: int) -> dict[str, Array]:
        """What is kept of a chip beside its row, see `block.calibrate_block`."""
        with np.load(kept_path(self.folder / KEPT, self.key, sample), allow_pickle=False) as stored:
            return dict(stored)


def run_study(study: CalibrationStudy, options: EngineOptions, out: Path, sheet: Datasheet) -> Finished:
    """Calibrates the chips that the folder `out` lacks, and writes its table anew.

    The datasheet is for the progress alone. Raises DataError for a folder that cannot be used, see `open_ledger`.
    Interrupted, what was done stays.
    """
    if not 1 <= options.samples <= MOST:
        raise DataError(f"the last chip is {options.samples - 1}; it must be from 0 to {MOST - 1}")
    start = time.perf_counter()
    with open_ledger(out, CalibratedChip.from_json, KEPT) as ledger:
        calibrated = _run_missing(study, options, ledger, sheet)
        rows = tuple(row for row in ledger.rows(study.key, options.samples) if options.wants(row.sample))
        digest = write_table(rows, out / TABLE, csv=True, schema=SCHEMA)
    return Finished(out, study.key, rows, out / TABLE, digest, calibrated, time.perf_counter() - start)


def _run_missing(
    study: CalibrationStudy, options: EngineOptions, ledger: Ledger[CalibratedChip], sheet: Datasheet
) -> int:
    if not options.resume or options.retry_failed:
        ledger.forget(study.key, failed_only=options.resume)
    lost = set(ledger.missing(study.key, options.samples, waveforms=True))
    lost |= {row.sample for row in ledger.rows(study.key, options.samples) if _gone(row, ledger.folder)}
    missing = [sample for sample in sorted(lost) if options.wants(sample)]
    if not missing:
        return 0
    tally = Tally(options.chips, options.chips - len(missing))
    alone = options.chips == 1
    with watching(tally, options.shown and not alone) as watcher, open_workers(options.workers, study) as pool:
        # Of few chips in ngspice the decks are shared among the workers, else the chips.
        few = not study.chips.compiled and len(missing) < options.workers.count
        run = watched(pool, "decks", options.shown and alone)
        for block in _here(study, run, missing) if few else _calibrated(study, pool, missing):
            ledger.add(study.key, [_stored(study, ledger.folder, each) for each in block])
            for each in block:
                tally.add(not each.row.ok, good(sheet, each.row.after))
            watcher.show()
    return len(missing)


def _gone(row: CalibratedChip, folder: Path) -> bool:
    """Whether the file with its codes is missing."""
    return bool(row.record) and not (folder / row.record).is_file()


def _calibrated(study: CalibrationStudy, pool: Pool, samples: Sequence[int]) -> Iterator[list[Calibrated]]:
    """Blocks as they are done. One whose worker died is tried again chip by chip: one of them did it."""
    again: list[int] = []
    for block, found in pool.each(calibrate_block, study.blocks(samples)):
        if isinstance(found, Loss) and len(block) > 1:
            again += block
        else:
            yield _lost(study, block, found) if isinstance(found, Loss) else found
    for block, found in pool.each(calibrate_block, [(sample,) for sample in again]):
        yield _lost(study, block, found) if isinstance(found, Loss) else found


def _here(study: CalibrationStudy, run: Runner, samples: Sequence[int]) -> Iterator[list[Calibrated]]:
    """Chip by chip in this process; an exception costs the chip alone, as in a worker."""
    for sample in samples:
        start = time.perf_counter()
        try:
            yield calibrate_block(study, (sample,), run)
        except MtcError:
            raise
        except Exception as error:
            loss = Loss("crashed", f"{type(error).__name__}: {error}", time.perf_counter() - start)
            yield _lost(study, (sample,), loss)


def _lost(study: CalibrationStudy, block: Sequence[int], loss: Loss) -> list[Calibrated]:
    """The rows of chips whose worker died."""
    place = study.chips.places[0]
    rows = [blank(place, sample, loss.status, loss.reason) for sample in block]
    return [Calibrated(CalibratedChip(row.sample, row, row, seconds=loss.seconds)) for row in rows]


def _stored(study: CalibrationStudy, folder: Path, chip: Calibrated) -> Calibrated:
    """The chip with its record in a file, which stands before the ledger says so."""
    if chip.result is None:
        return chip
    path = Path(RECORDS, f"chip-{chip.row.sample}-{study.key[:8]}.json")
    part = folder / path.with_suffix(".part")
    save_result(chip.result, part)
    os.replace(part, folder / path)
    return dataclasses.replace(chip, row=dataclasses.replace(chip.row, record=str(path)))
