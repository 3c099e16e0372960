"""What was done, chip by chip, in a SQLite file: a run that is killed at any moment begins again where it was.

Results are addressed by their content, the digest of everything that decides them and the sample's number: other
options in the same folder are other results, and more samples are only the missing ones.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from errno import ENOSPC
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from filelock import FileLock, Timeout

from mtc_hw.errors import DataError
from mtc_hw.montecarlo.row import Kept

FILE = "ledger.sqlite"
WAVEFORMS = "waveforms"
MOMENT = 2.0  # s; a killed run's lock outlives it where it was just starting a process, until that one has closed it
_SCHEMA = """
create table if not exists results (
    run text not null,
    sample integer not null,
    ok integer not null,
    row text not null,
    primary key (run, sample)
) without rowid
"""


class Entry(Protocol):
    """What is told of one chip."""

    @property
    def sample(self) -> int: ...

    @property
    def ok(self) -> bool: ...

    def to_json(self) -> str: ...


Row = TypeVar("Row", bound=Entry)
RowOut = TypeVar("RowOut", bound=Entry, covariant=True)


class Entered(Protocol[RowOut]):
    """A chip's row, and the arrays that are to be kept beside it."""

    @property
    def row(self) -> RowOut: ...

    @property
    def kept(self) -> Kept | None: ...


def kept_path(folder: Path, run: str, sample: int) -> Path:
    """Where a result's arrays are."""
    return folder / f"{run[:16]}-{sample}.npz"


class Ledger(Generic[Row]):
    """The results of a folder. One process at a time writes to it."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, read: Callable[[str], Row], kept: str) -> None:
        self.folder = folder
        self._kept = kept
        self._connection = connection
        self._read = read

    def missing(self, run: str, samples: int, waveforms: bool = False) -> list[int]:
        """Samples below `samples` without a result, or without waveforms where those are wanted."""
        there = np.zeros(samples, bool)
        for (sample,) in self._connection.execute(
            "select sample from results where run = ? and sample < ?", (run, samples)
        ):
            there[sample] = not waveforms or self.waveform_path(run, sample).is_file()
        if waveforms:
            query = "select sample from results where run = ? and sample < ? and not ok"
            for (sample,) in self._connection.execute(query, (run, samples)):
                there[sample] = True
        return [int(k) for k in np.flatnonzero(~there)]

    def add(self, run: str, results: Sequence[Entered[Row]]) -> None:
        """Results as one transaction; waveforms first, so that a row's are always there."""
        for each in results:
            if each.kept is not None:
                self._keep(run, each.row.sample, each.kept)
        values = [(run, each.row.sample, int(each.row.ok), each.row.to_json()) for each in results]
        with self._connection:
            self._connection.executemany("insert or replace into results values (?, ?, ?, ?)", values)

    def rows(self, run: str, samples: int) -> Iterator[Row]:
        """The rows of samples below `samples`, in order."""
        query = "select row from results where run = ? and sample < ? order by sample"
        for (text,) in self._connection.execute(query, (run, samples)):
            yield self._read(text)

    def forget(self, run: str, failed_only: bool = False) -> None:
        """Drops a run's results, or those that failed, so that they are tried again."""
        with self._connection:
            self._connection.execute(
                f"delete from results where run = ?{' and not ok' if failed_only else ''}", (run,)
            )

    def waveform_path(self, run: str, sample: int) -> Path:
        return kept_path(self.folder / self._kept, run, sample)

    def _keep(self, run: str, sample: int, kept: Kept) -> None:
        """Written beside and renamed: no half file ever has the name."""
        path = self.waveform_path(run, sample)
        path.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            np.savez_compressed(
                file, allow_pickle=False, **{name: np.asarray(values) for name, values in kept.items()}
            )
        os.replace(file.name, path)


@contextmanager
def open_ledger(folder: Path, read: Callable[[str], Row], kept: str = WAVEFORMS) -> Iterator[Ledger[Row]]:
    """The ledger of a folder, made when there is none. `read` makes a row of its JSON; arrays go to folder `kept`.

    Raises DataError for a folder that cannot be written or that another process works in, for a ledger that is
    damaged, and inside the block for a full disk: what was done stays.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire(timeout=MOMENT)
    except Timeout:
        raise DataError(f"another process is running chips in {folder}; wait for it, or give another --out") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror}; give another --out") from None
    try:
        with closing(_connected(folder)) as connection:
            yield Ledger(folder, connection, read, kept)
    except sqlite3.Error as error:
        raise DataError(_explained(folder, error)) from None
    except OSError as error:
        if error.errno != ENOSPC:
            raise
        raise DataError(_full(folder)) from None
    finally:
        lock.release()


def _connected(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / FILE)
    # A commit survives the process in this mode, and the machine's failure but for the last ones.
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute(_SCHEMA)
    return connection


def _explained(folder: Path, error: sqlite3.Error) -> str:
    text = str(error)
    if "full" in text:
        return _full(folder)
    if "readonly" in text or "unable to open" in text:
        return f"{folder / FILE} cannot be written: {text}; give another --out"
    return f"{folder / FILE} is no ledger of chips ({text}); move it away, or give another --out"


def _full(folder: Path) -> str:
    return f"the disk of {folder} is full; make room and run the same command again: what was done stays"
