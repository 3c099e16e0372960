"""Blocks of chips: how samples are parted, what a worker does with a part, and what is told of one that was lost."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from mtc_hw.montecarlo.circuits import run_circuits
from mtc_hw.montecarlo.compiled import block_size, run_compiled
from mtc_hw.montecarlo.figures import blank
from mtc_hw.montecarlo.row import Result
from mtc_hw.montecarlo.study import Block, Study
from mtc_hw.simulate.outcome import Loss
from mtc_hw.simulate.pool import Runner

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
