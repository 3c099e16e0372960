"""What every search over trim codes shares: the black box, its codes, the goal, the budget and what was found.

Each neuron is a problem by itself, but one measurement takes all of them at once. So a method is one generator for
each neuron (`Path`): it yields the codes that it wants measured, is sent what came, and returns why it gives up.
`search` runs all paths in step. It alone judges success, and only from what was measured.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtc_hw.errors import DataError, SpecError
from mtc_hw.hardware.dac import Codes
from mtc_hw.spec import Array

Ask = Callable[[Codes], Array]
"""Codes (K, N), NaN where a neuron has no such knob, to quantities (Q, N), NaN where they could not be measured."""

Path = Generator[Codes, Array, str]
"""One neuron's search: yields codes (K,), is sent quantities (Q,), returns why it found nothing."""

Part = Generator[Codes, Array, None]
"""A stretch of a path."""


@dataclass(frozen=True, eq=False)
class Space:
    """The codes among which is searched: integers from `low` to `high`, first of all `start`. All (K, N).

    A knob that a neuron does not have is NaN in all three. Raises SpecError with every violation.
    """

    names: tuple[str, ...]  # (K,)
    low: Codes
    high: Codes
    start: Codes

    def __post_init__(self) -> None:
        shape = np.shape(self.start)
        for name in ("low", "high", "start"):
            value = np.array(getattr(self, name), dtype=np.float64)
            if value.ndim != 2 or value.shape != shape or len(value) != len(self.names):
                raise SpecError(f"a space of {len(self.names)} knobs has {name} of shape {value.shape}")
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        wrong = [
            f"{self.names[k]} of neuron {n} starts at {self.start[k, n]:g} and may be {self.low[k, n]:g} to"
            f" {self.high[k, n]:g}; all three must be whole, and the start between the two"
            for k, n in np.argwhere(~self._sound()).tolist()
        ]
        if wrong:
            raise SpecError("; ".join(wrong))

    def _sound(self) -> NDArray[np.bool_]:
        all_three = np.stack([self.low, self.start, self.high])
        absent = np.isnan(all_three).all(axis=0)
        whole = np.isfinite(all_three).all(axis=0) & (np.rint(all_three) == all_three).all(axis=0)
        return np.asarray(absent | (whole & (self.low <= self.start) & (self.start <= self.high)))

    @property
    def count(self) -> int:
        return int(self.start.shape[1])

    def at(self, neuron: int) -> "Box":
        return Box(self.names, self.low[:, neuron], self.high[:, neuron], self.start[:, neuron])


class Box(NamedTuple):
    """One neuron's part of a `Space`, each (K,)."""

    names: tuple[str, ...]
    low: Codes
    high: Codes
    start: Codes

    @property
    def movable(self) -> NDArray[np.intp]:
        """Knobs that the neuron has and that have more than one code."""
        return np.flatnonzero(self.high > self.low)

    @property
    def span(self) -> Codes:
        """Codes from the lowest to the highest, at least 1."""
        return np.fmax(self.high - self.low, 1.0)


@dataclass(frozen=True, eq=False)
class Goal:
    """What is wanted: every quantity within `tolerance` of `target`, NaN where a neuron is free of it.

    A measurement is off by at most noise + relative_noise * |quantity|: a bound, such as three standard deviations.
    `tolerance` and both noises may be one number, one a quantity (Q, 1), or one each (Q, N). Raises SpecError.
    """

    names: tuple[str, ...]  # (Q,)
    target: Array  # (Q, N)
    tolerance: Array
    noise: Array | float = 0.0
    relative_noise: Array | float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", _frozen(self.target, np.shape(self.target), "target"))
        if self.target.ndim != 2 or len(self.target) != len(self.names):
            raise SpecError(f"a goal of {len(self.names)} quantities has a target of shape {self.target.shape}")
        for name in ("tolerance", "noise", "relative_noise"):
            object.__setattr__(self, name, _frozen(getattr(self, name), self.target.shape, name))
        if not (np.isfinite(self.tolerance).all() and (self.tolerance > 0.0).all()):
            raise SpecError(f"tolerance is {np.min(self.tolerance):g}; it must be finite and > 0")
        for name, end in (("noise", np.inf), ("relative_noise", 1.0)):
            values = np.asarray(getattr(self, name))
            if not ((values >= 0.0) & (values < end)).all():
                worst = values[~((values >= 0.0) & (values < end))][0]
                raise SpecError(f"{name} is {worst:g}; it must be >= 0 and < {end:g}")

    def at(self, neuron: int) -> "Aim":
        return Aim(
            self.names,
            self.target[:, neuron],
            np.asarray(self.tolerance)[:, neuron],
            np.asarray(self.noise)[:, neuron],
            np.asarray(self.relative_noise)[:, neuron],
        )


def _frozen(values: ArrayLike, shape: tuple[int, ...], name: str) -> Array:
    given = np.array(values, dtype=np.float64)
    try:
        array = np.broadcast_to(given, shape).copy()
    except ValueError:
        raise SpecError(f"{name} has shape {given.shape}, which does not fit {shape}") from None
    array.setflags(write=False)
    return array


class Aim(NamedTuple):
    """One neuron's part of a `Goal`, each (Q,)."""

    names: tuple[str, ...]
    target: Array
    tolerance: Array
    noise: Array
    relative_noise: Array

    @property
    def wanted(self) -> NDArray[np.bool_]:
        return np.isfinite(self.target)

    def misses(self, quantities: Array) -> Array:
        """Distance to each wanted target in tolerances, (wanted,)."""
        at = self.wanted
        return np.asarray((quantities[at] - self.target[at]) / self.tolerance[at])

    def doubt(self, quantities: Array) -> Array:
        """By how much each wanted quantity may be off its truth, in tolerances, (wanted,)."""
        at = self.wanted
        return np.asarray((self.noise + self.relative_noise * np.abs(quantities))[at] / self.tolerance[at])

    def met(self, quantities: Array) -> bool:
        """Whether all that is wanted was measured within its tolerance."""
        return bool(self.wanted.any() and (np.abs(self.misses(quantities)) <= 1.0).all())

    def merit(self, quantities: Array) -> float:
        """Mean square of the misses; infinite where one could not be measured."""
        mean = float(np.mean(self.misses(quantities) ** 2))
        return mean if np.isfinite(mean) else np.inf


@dataclass(frozen=True, eq=False)
class Found:
    """The best of what was measured. `success`: its quantities are within tolerance, as measured."""

    codes: Codes  # (K, N), NaN where there is no such knob; the start where nothing could be measured
    residual: Array  # (Q, N) quantity minus target; NaN where free of it or not measured
    success: NDArray[np.bool_]  # (N,)
    reason: tuple[str, ...]  # (N,), "" with success
    measurements: NDArray[np.int_]  # (N,) until the neuron was done
    history: tuple[tuple[Codes, Array], ...]  # all codes asked and all quantities that came


class _Lane:
    """One neuron on its way: what it asks next, and the best that it has had."""

    def __init__(self, path: Path, remarks: list[str], box: Box, aim: Aim) -> None:
        self.path, self.remarks, self.aim = path, remarks, aim
        self.codes, self.best, self.best_codes = box.start, np.full(len(aim.names), np.nan), box.start
        self.rank = (True, np.inf)  # (not met, merit), the smaller the better
        self.measurements, self.end = 0, "" if aim.wanted.any() else "nothing is wanted of it"
        self.begun = self.done = not aim.wanted.any()

    def want(self) -> Codes:
        """Codes that are to be measured: the path's next, or the best once it is done."""
        if not self.begun:
            self.begun = True
            self._advance(None)
        return self.best_codes if self.done else self.codes

    def take(self, quantities: Array) -> None:
        self.measurements += 1
        met = self.aim.met(quantities)
        rank = (not met, self.aim.merit(quantities))
        if rank < self.rank:
            self.rank, self.best, self.best_codes = rank, quantities, self.codes
        if met:
            self.path.close()
            self.done = True
        else:
            self._advance(quantities)

    def _advance(self, quantities: Array | None) -> None:
        try:
            self.codes = next(self.path) if quantities is None else self.path.send(quantities)
        except StopIteration as stop:
            self.done, self.end = True, str(stop.value)

    @property
    def met(self) -> bool:
        return not self.rank[0]

    def reason(self, budget: int) -> str:
        """Why there is no success: the path's end or the budget's, the quantities that miss, and remarks."""
        if self.met:
            return ""
        parts = [self.end if self.done else f"{budget} measurements used up", *self._missing(), *self.remarks]
        return "; ".join(parts)

    def _missing(self) -> list[str]:
        if not np.isfinite(self.rank[1]):
            return []
        aim, off = self.aim, self.best - self.aim.target
        return [
            f"{name} misses {aim.target[q]:.4g} by {off[q]:+.3g}, tolerance {aim.tolerance[q]:.3g}"
            for q, name in enumerate(aim.names)
            if abs(off[q]) > aim.tolerance[q]
        ]


def search(
    ask: Ask, space: Space, goal: Goal, paths: Sequence[Path], budget: int, remarks: Sequence[list[str]]
) -> Found:
    """Runs each neuron's path until its goal is met, it gives up, or it has had `budget` measurements.

    `remarks` (N,): what a path noted on its way, told where the goal was not met. A neuron that is done stays at its
    best codes while others go on. Raises SpecError for shapes that do not belong together, DataError for an answer of
    another shape.
    """
    if goal.target.shape[1] != space.count:
        raise SpecError(f"the goal has {goal.target.shape[1]} neurons, the space {space.count}")
    if budget < 1:
        raise SpecError(f"the budget is {budget} measurements; it must be at least 1")
    numbers = range(space.count)
    lanes = [_Lane(paths[n], remarks[n], space.at(n), goal.at(n)) for n in numbers]
    history: list[tuple[Codes, Array]] = []
    while len(history) < budget:
        codes = np.stack([lane.want() for lane in lanes], axis=1) if lanes else np.empty_like(space.start)
        if all(lane.done for lane in lanes):
            break
        quantities = np.array(ask(codes.copy()), dtype=np.float64)
        if quantities.shape != goal.target.shape:
            raise DataError(
                f"an instrument answered with shape {quantities.shape}; asked was {len(goal.names)} quantities of"
                f" {space.count} neurons, {goal.target.shape}"
            )
        quantities = np.where(np.isfinite(quantities), quantities, np.nan)
        history.append((codes, quantities))
        for n in numbers:
            if not lanes[n].done:
                lanes[n].take(quantities[:, n])
    return _found(space, goal, lanes, budget, history)


def _found(
    space: Space, goal: Goal, lanes: Sequence[_Lane], budget: int, history: Sequence[tuple[Codes, Array]]
) -> Found:
    best = np.stack([lane.best for lane in lanes], axis=1) if lanes else np.empty_like(goal.target)
    return Found(
        codes=np.stack([lane.best_codes for lane in lanes], axis=1) if lanes else np.empty_like(space.start),
        residual=best - goal.target,
        success=np.array([lane.met for lane in lanes], dtype=np.bool_),
        reason=tuple(lane.reason(budget) for lane in lanes),
        measurements=np.array([lane.measurements for lane in lanes], dtype=np.int_),
        history=tuple(history),
    )
