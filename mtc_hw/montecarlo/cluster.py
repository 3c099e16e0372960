"""The same chips on a Dask cluster, whose scheduler and workers the user has started; nothing of it is ours.

A worker that is lost costs nothing but time: Dask gives its blocks to the others.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from typing import Any

from mtc_hw.errors import DataError
from mtc_hw.montecarlo.blocks import WAITING, Blocks, Done, Executor, lost, run_block
from mtc_hw.montecarlo.row import Result
from mtc_hw.montecarlo.study import Block, Study
from mtc_hw.simulate.outcome import Loss
from mtc_hw.simulate.pool import Workers, command_runner

PATIENCE = 30.0  # s until a scheduler that does not answer is an error


@contextmanager
def open_cluster(study: Study, workers: Workers, scheduler: str) -> Iterator[Executor]:
    """Raises DataError without `distributed`, and for a scheduler that cannot be reached."""
    try:
        dask: Any = import_module("distributed")
    except ImportError:
        raise DataError("a scheduler needs Dask: pip install 'mtc-hw[cluster]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a lost scheduler is told below, in a line
    try:
        client = dask.Client(scheduler, timeout=PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise DataError(
            f"no Dask scheduler answers at {scheduler!r}: {error}; start one with `dask scheduler`"
        ) from None
    with client:
        yield lambda given: _watched(client, study, workers, scheduler, given)


def _watched(client: Any, study: Study, workers: Workers, scheduler: str, given: Blocks) -> Iterator[Done]:
    """As `_spread`. A cluster that is lost on the way is an error; what was done stays."""
    dask: Any = import_module("distributed")
    gone = (OSError, TimeoutError, dask.client.FutureCancelledError)
    try:
        yield from _spread(client, study, workers, given)
    except gone as error:
        raise DataError(
            f"the Dask cluster of {scheduler} was lost, or has no worker ({error}); start it and run the same "
            "command again: what was done stays"
        ) from None


def _spread(client: Any, study: Study, workers: Workers, given: Blocks) -> Iterator[Done]:
    dask: Any = import_module("distributed")
    # A task's result, not scattered data: Dask makes it again for workers that come later, and when its holders go.
    shared = client.submit(_carried, study, pure=False)
    pending, waiting = iter(given), {}

    def next_ones(count: int) -> list[Any]:
        futures = []
        for block in islice(pending, count):
            future = client.submit(_remote, shared, block, workers, pure=False)
            waiting[future.key] = block
            futures.append(future)
        return futures

    running = dask.as_completed(next_ones(WAITING * max(1, sum(client.nthreads().values()))))
    for future in running:
        block = waiting.pop(future.key)
        try:
            found = future.result()
        except dask.scheduler.KilledWorker as error:
            found = lost(study, block, Loss("killed", f"it took several workers down: {error}", 0.0))
        running.update(next_ones(1))
        yield block, found


def _carried(study: Study) -> Study:
    return study


def _remote(study: Study, block: Block, workers: Workers) -> list[Result]:
    """On a Dask worker: ngspice runs as a process of its own."""
    return run_block(study, block, command_runner(workers))
