"""The unit transistor's width and length from a mismatch budget, on the legal grid."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.cells import Cells
from mtc_hw.hardware.mismatch import spread_of
from mtc_hw.hardware.process import Grid, um
from mtc_hw.hardware.technology import Technology
from mtc_hw.spread import Spread

Measure = Callable[[float, float], Cells]
"""Cells characterised at a width and a length, m."""

ROUNDS = 6  # the sensitivities hardly depend on the size: two or three are usual
LARGEST_SIGMA = 1.0  # beyond it the first-order prediction means nothing
LARGEST_ASPECT = 100.0


@dataclass(frozen=True)
class MismatchBudget:
    """Standard deviations that a neuron's parameters may have from chip to chip.

    `sigma_alpha` bounds the relative gains (alpha, tau, leak), `sigma_delta` the voltages, in unit voltages (delta,
    rest and the offset of a filter's follower, which shifts delta for every element that listens to it).
    """

    sigma_alpha: float | None = None
    sigma_delta: float | None = None

    def __post_init__(self) -> None:
        wrong = [
            f"{name} is {value}; it must be above 0 and at most {LARGEST_SIGMA:g}"
            for name, value in vars(self).items()
            if value is not None and not 0.0 < value <= LARGEST_SIGMA
        ]
        if self.sigma_alpha is None and self.sigma_delta is None:
            wrong.append("a mismatch budget has neither sigma_alpha nor sigma_delta; give one of them")
        if wrong:
            raise UnmappableError(wrong)

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in vars(self).items() if value is not None)

    def excess(self, spread: Spread) -> tuple[float, str]:
        """The largest ratio of a predicted to an allowed sigma, and of which figure; at most 1 meets the budget."""
        allowed = {name: self.sigma_alpha for name in ("alpha", "tau", "leak")}
        allowed |= {name: self.sigma_delta for name in ("delta", "rest", "offset")}
        return max((getattr(spread, name) / most, name) for name, most in allowed.items() if most is not None)


@dataclass(frozen=True, eq=False)
class Size:
    """A unit transistor, the cells measured at it, and what they scatter."""

    width: float  # m
    length: float  # m
    cells: Cells
    spread: Spread
    limited_by: str  # the figure that decides


def spread_at(technology: Technology, cells: Cells, area: float) -> Spread:
    """What cells of another unit area, m^2, and the same shape would scatter: Pelgrom's one over the root of it."""
    return spread_of(technology, cells).scaled(math.sqrt(cells.width * cells.length / area))


def size_for(
    technology: Technology,
    budget: MismatchBudget,
    measure: Measure,
    aspect: float = 1.0,
    start: float = 1.6e-11,
) -> Size:
    """The smallest legal unit transistor whose cells, measured at that very size, meet a mismatch budget.

    The area is scaled from the cells at `start`, m^2, by Pelgrom's law, and measured again until it holds. `aspect`
    is length over width: it hardly moves the mismatch, but off-currents go with W / L, so a long transistor takes
    smaller biases and higher temperatures. Raises UnmappableError where the grid ends first.
    """
    _check_aspect(aspect)
    grid = technology.grid
    met: list[Size] = []
    tried: set[tuple[float, float]] = set()
    wanted = _legal(start, aspect, grid)
    while wanted not in tried and len(tried) < ROUNDS:
        tried.add(wanted)
        cells = measure(*wanted)
        spread = spread_of(technology, cells)
        ratio, name = budget.excess(spread)
        if ratio <= 1.0:
            met.append(Size(*wanted, cells, spread, name))
        wanted = _legal(cells.width * cells.length * ratio**2, aspect, grid)
        _refuse_beyond(wanted, budget, technology, cells)
    if not met:
        raise UnmappableError(
            [f"a mismatch of {budget} is not met after {ROUNDS} rounds, the last at {name}; allow a little more"]
        )
    return min(met, key=lambda size: size.width * size.length)


def length_of(width: float, aspect: float, grid: Grid) -> float:
    """The legal length, m, that is `aspect` times a width. Raises UnmappableError for an aspect without meaning."""
    _check_aspect(aspect)
    return grid.up(width * aspect)


def _check_aspect(aspect: float) -> None:
    if not 1.0 / LARGEST_ASPECT <= aspect <= LARGEST_ASPECT:
        limits = f"{1 / LARGEST_ASPECT:g} to {LARGEST_ASPECT:g}"
        raise UnmappableError([f"aspect is {aspect}; use {limits}, length over width"])


def _legal(area: float, aspect: float, grid: Grid) -> tuple[float, float]:
    """The smallest legal width and length of at least this area and about this shape."""
    width = max(grid.up(math.sqrt(area / aspect)), grid.width[0])
    return width, max(grid.up(area / width), grid.length[0])


def _refuse_beyond(size: tuple[float, float], budget: MismatchBudget, technology: Technology, cells: Cells) -> None:
    (width, length), widest, longest = size, technology.grid.width[1], technology.grid.length[1]
    if width <= widest and length <= longest:
        return
    best = spread_at(technology, cells, widest * longest)
    largest = f"{um(widest)}/{um(longest)} um"
    raise UnmappableError(
        [
            f"a mismatch of {budget} needs a unit transistor of {width * 1e6:.3g}/{length * 1e6:.3g} um, more than "
            f"the grid's {largest}, where sigma_alpha is {best.alpha:.2g} and sigma_delta {best.offset:.2g}; "
            "allow more mismatch or calibrate each chip"
        ]
    )
