"""Where blocks of chips run: threads for the compiled tiers, ngspice's workers for circuits, or a Dask cluster."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice

from mtc_hw.montecarlo.blocks import WAITING, Blocks, Done, Executor, lost, run_block
from mtc_hw.montecarlo.cluster import open_cluster
from mtc_hw.montecarlo.compiled import run_compiled
from mtc_hw.montecarlo.row import Result
from mtc_hw.montecarlo.study import Block, Study
from mtc_hw.simulate.outcome import Loss
from mtc_hw.simulate.pool import Workers, open_workers


@contextmanager
def open_executor(study: Study, workers: Workers, scheduler: str | None) -> Iterator[Executor]:
    """The executor of a study: here, or on the Dask cluster of `scheduler`, an address such as tcp://host:8786."""
    if scheduler is not None:
        with open_cluster(study, workers, scheduler) as executor:
            yield executor
    elif study.compiled:
        with ThreadPoolExecutor(workers.count) as threads:
            yield lambda given: _threaded(study, threads, workers.count, given)
    else:
        with open_workers(workers, study) as pool:

            def spread(given: Blocks) -> Iterator[Done]:
                for block, found in pool.each(run_block, given):
                    yield block, lost(study, block, found) if isinstance(found, Loss) else found

            yield spread


def _threaded(study: Study, threads: ThreadPoolExecutor, count: int, given: Blocks) -> Iterator[Done]:
    """The compiled code and numpy's let go of the interpreter's lock."""
    pending, waiting = iter(given), dict[Future[list[Result]], Block]()
    try:
        while True:
            for block in islice(pending, count * WAITING - len(waiting)):
                waiting[threads.submit(run_compiled, study, block)] = block
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
    finally:
        for future in waiting:
            future.cancel()
