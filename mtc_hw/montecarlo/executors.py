"""Where blocks of chips run: threads for the compiled tiers, ngspice's workers for circuits, or a Dask cluster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice

from mtc_hw.montecarlo.circuits import run_circuits
from mtc_hw.montecarlo.compiled import block_size, run_compiled
from mtc_hw.montecarlo.figures import blank
from mtc_hw.montecarlo.row import Result
from mtc_hw.montecarlo.study import Block, Study
from mtc_hw.simulate.outcome import Loss
from mtc_hw.simulate.pool import Runner, Workers, open_workers

Blocks = Iterable[Block]
Done = tuple[Block, Sequence[Result]]
Executor = Callable[[Blocks], Iterator[Done]]
"""Runs blocks, and gives each one's results when it is done, in whatever order."""

WAITING = 2
"""Blocks that wait for each worker: enough to keep it busy, few enough that memory does not grow with the run."""


def run_block(study: Study, block: Block, run: Runner) -> list[Result]:
    """What a worker does with a block."""
    return run_compiled(study, block) if study.compiled else run_circuits(study, block, run)


def blocks(study: Study, place: int, samples: Sequence[int]) -> Iterator[Block]:
    """Samples of one place in blocks: a chip each in ngspice, so that a kill costs no more; many together else."""
    size = block_size(study) if study.compiled else 1
    for first in range(0, len(samples), size):
        yield Block(place, tuple(samples[first : first + size]))


def lost(study: Study, block: Block, loss: Loss) -> list[Result]:
    """The rows of a block whose worker died."""
    place = study.places[block.place]
    return [Result(blank(place, sample, loss.status, loss.reason)) for sample in block.samples]


@contextmanager
def open_executor(study: Study, workers: Workers, scheduler: str | None) -> Iterator[Executor]:
    """The executor of a study: here, or on the Dask cluster of `scheduler`, an address such as tcp://host:8786."""
    if scheduler is not None:
        from mtc_hw.montecarlo.cluster import open_cluster

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
