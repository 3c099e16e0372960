"""Bayesian search for dear measurements: a Gaussian process of the quantities says which codes to measure next."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize
from scipy.stats import norm, qmc
from threadpoolctl import threadpool_limits

from mtc_hw.calibration.search import Aim, Ask, Box, Found, Goal, Part, Path, Space, search
from mtc_hw.errors import SpecError
from mtc_hw.hardware.dac import Codes
from mtc_hw.spec import Array

FIRST = 2
"""Points of the Latin hypercube a knob, besides the start."""

CANDIDATES = 2048
NEARBY = 256
"""Candidates that are a few codes from the best one."""

DRAWS = 64
FEW = 3
"""Points that say too little of a process's parameters: the usual ones are taken."""

ITERATIONS = 8
"""Of a process's parameters after each measurement."""

PRIOR = 0.25
"""Measurements that the even chance counts for that codes far from all others can be measured."""

REACH = 0.1
"""Of a knob's span either way: as far as a failed measurement speaks against its surroundings."""


def explore(ask: Ask, space: Space, goal: Goal, budget: int = 30, seed: int = 0, first: int | None = None) -> Found:
    """Searches all knobs of each neuron with as few measurements as may be; the best measured codes are returned.

    Measured are the start and `first` points of a Latin hypercube (2 a knob), more of them where none of these could
    be measured, but no more than half the budget. Then always the codes with the greatest expected improvement of the
    summed squares of the misses. A Gaussian process holds each quantity, not its square, so that the sign of a miss
    is not lost (Uhrenholt and Jensen, AISTATS 2019); the expectation is over draws from it. Codes near failed
    measurements are avoided. The same seed makes the same choices. Raises SpecError for a budget below 2.
    """
    if budget < 2:
        raise SpecError(f"the budget is {budget} measurements; a surrogate needs at least 2")
    remarks: list[list[str]] = [[] for _ in range(space.count)]
    numbers = range(space.count)
    paths = [_explored(space.at(n), goal.at(n), budget, np.random.default_rng([seed, n]), first) for n in numbers]
    return search(ask, space, goal, paths, budget, remarks)


@dataclass
class _Known:
    """What one neuron's measurements were."""

    box: Box
    aim: Aim
    codes: list[Codes] = field(default_factory=list)
    quantities: list[Array] = field(default_factory=list)
    kernels: dict[int, Any] = field(default_factory=dict)  # of each wanted quantity, as last fitted

    def scaled(self, codes: Codes) -> Array:
        """Codes (..., K) of the movable knobs, from -1 to 1."""
        movable = self.box.movable
        return np.asarray(2.0 * (codes[..., movable] - self.box.low[movable]) / self.box.span[movable] - 1.0)

    @property
    def misses(self) -> Array:
        """(points, wanted), NaN where they could not be measured."""
        return np.array([self.aim.misses(each) for each in self.quantities])

    @property
    def sound(self) -> NDArray[np.bool_]:
        """Points that could be measured altogether, (points,)."""
        return np.asarray(np.isfinite(self.misses).all(axis=1))


def _explored(box: Box, aim: Aim, budget: int, rng: np.random.Generator, first: int | None) -> Path:
    """One neuron's search."""
    if not len(box.movable):
        return "no knob can move"
    known = _Known(box, aim)
    count = FIRST * len(box.movable) if first is None else first
    for codes in [box.start, *_hypercube(box, min(count, budget // 2 - 1), rng)]:
        yield from _measure(known, codes)
    while not known.sound.any():
        before, left = len(known.codes), budget // 2 - len(known.codes)
        for codes in _hypercube(box, min(max(count, 1), left), rng):
            yield from _measure(known, codes)
        if len(known.codes) == before:
            return f"could not be measured at any of {before} codes"
    while True:
        candidates = _candidates(known, rng)
        if not len(candidates):
            return f"all {len(known.codes)} codes were measured"
        yield from _measure(known, candidates[_most_promising(known, candidates, rng)])


def _measure(known: _Known, codes: Codes) -> Part:
    if any(np.array_equal(codes, each, equal_nan=True) for each in known.codes):
        return
    quantities = yield codes
    known.codes.append(codes)
    known.quantities.append(quantities)


def _hypercube(box: Box, count: int, rng: np.random.Generator) -> list[Codes]:
    movable = box.movable
    if count < 1:
        return []
    share = qmc.LatinHypercube(len(movable), rng=rng).random(count)
    return _filled(box, box.low[movable] + np.floor(share * (box.high - box.low + 1.0)[movable]))


def _filled(box: Box, moved: Array) -> list[Codes]:
    """Whole code vectors from those of the movable knobs (points, movable)."""
    result = np.tile(box.start, (len(moved), 1))
    result[:, box.movable] = moved
    return list(result)


def _candidates(known: _Known, rng: np.random.Generator) -> Codes:
    """Codes that have not been measured, (candidates, K): all of them where they are few."""
    box, movable = known.box, known.box.movable
    low, high = box.low[movable], box.high[movable]
    if np.prod(high - low + 1.0) <= CANDIDATES:
        grid = np.meshgrid(*(np.arange(a, b + 1.0) for a, b in zip(low, high, strict=True)), indexing="ij")
        moved = np.stack(grid, axis=-1).reshape(-1, len(movable))
    else:
        anywhere = low + np.floor(rng.random((CANDIDATES - NEARBY, len(movable))) * (high - low + 1.0))
        best = known.codes[int(np.nanargmin((known.misses**2).sum(axis=1)))][movable]
        near = np.rint(best + rng.normal(0.0, 0.03, (NEARBY, len(movable))) * box.span[movable])
        moved = np.vstack([anywhere, np.clip(near, low, high)])
    measured = {codes[movable].tobytes() for codes in known.codes}
    fresh = np.array([row for row in moved if row.tobytes() not in measured]).reshape(-1, len(movable))
    return np.array(_filled(box, fresh)).reshape(-1, len(box.names))


def _most_promising(known: _Known, candidates: Codes, rng: np.random.Generator) -> int:
    """The candidate with the greatest expected improvement; where none is foreseen, the nearest to the goal."""
    sound = known.sound
    misses = known.misses[sound]
    at = known.scaled(candidates)
    mean, spread = _predicted(known, sound, at)
    best = float((misses**2).sum(axis=1).min())
    draws = norm.ppf(qmc.LatinHypercube(misses.shape[1], rng=rng).random(DRAWS))
    drawn = mean[:, None] + spread[:, None] * draws  # (candidates, draws, wanted)
    gain = np.maximum(best - (drawn**2).sum(axis=2), 0.0).mean(axis=1) * _measurable(known, at)
    return int(np.argmax(gain) if gain.any() else np.argmin((mean**2).sum(axis=1)))


def _measurable(known: _Known, at: Array) -> Array:
    """Chance that codes (candidates, movable), scaled, can be measured, from the failures around them."""
    distance = ((at[:, None] - known.scaled(np.array(known.codes))[None]) ** 2).sum(axis=2)
    weight = np.exp(-0.5 * distance / (2.0 * REACH) ** 2)
    return np.asarray((PRIOR + weight @ known.sound) / (2.0 * PRIOR + weight.sum(axis=1)))


def _predicted(known: _Known, sound: NDArray[np.bool_], at: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of the misses at scaled codes, each (candidates, wanted)."""
    codes = known.scaled(np.array(known.codes)[sound])
    means, spreads = [], []
    for quantity, misses in enumerate(known.misses[sound].T):
        centre = misses.mean()
        unit = misses.std() or max(abs(centre), 1.0)  # a single point is as far off as others may be
        mean, spread, noise = _fitted(known, quantity, codes, (misses - centre) / unit, at)
        means.append(centre + unit * mean)
        spreads.append(unit * np.sqrt(np.maximum(spread**2 - noise, 0.0)))
    return np.stack(means, axis=1), np.stack(spreads, axis=1)


def _fitted(known: _Known, quantity: int, codes: Array, values: Array, at: Array) -> tuple[Array, Array, float]:
    """A process fitted to values (points,) near 1: its mean and deviation at other codes, and the noise within it."""
    from sklearn.exceptions import ConvergenceWarning  # half a second, for each worker process
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

    if quantity not in known.kernels:
        # Trims are small, so a quantity is a plane first, and what it bends is smooth.
        bend = ConstantKernel(0.1, (1e-3, 1e2)) * RBF([1.0] * codes.shape[1], (0.1, 20.0))
        plane = ConstantKernel(1.0, (1e-2, 1e2)) * DotProduct(0.0, "fixed")
        known.kernels[quantity] = bend + plane + WhiteKernel(1e-3, (1e-6, 1.0))
    process = GaussianProcessRegressor(known.kernels[quantity], optimizer=_improved if len(codes) > FEW else None)
    with warnings.catch_warnings(), threadpool_limits(1):
        # A length at its bound is a knob that does little, which is no news. Threads are slower on small matrices.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(codes, values)
        mean, spread = process.predict(at, return_std=True)
    known.kernels[quantity] = process.kernel_
    return mean, spread, float(process.kernel_.k2.noise_level)


def _improved(loss: Any, theta: Array, bounds: Array) -> tuple[Array, float]:
    """A few steps on: the last measurement's parameters are near, and there will be a next one."""
    found = minimize(
        loss, theta, method="L-BFGS-B", jac=True, bounds=Bounds(*bounds.T), options={"maxiter": ITERATIONS}
    )
    return found.x, float(found.fun)
