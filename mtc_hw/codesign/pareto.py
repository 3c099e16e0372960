"""What sizes, currents, capacitors and bits cost and give: the best points of a grid, and the one to build."""

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from scipy.stats import binomtest, quantile_test

from mtc_hw.errors import DataError
from mtc_hw.hardware.unit import SQUARE, UnitSize
from mtc_hw.spec import Array

CONFIDENCE = 0.95
Cost = Literal["area", "power"]
COSTS: tuple[Cost, ...] = ("area", "power")
QUALITIES = ("r2", "r2_refitted", "yield", "nominal_r2", "nominal_r2_refitted", "nominal_yield")
"""Median R2 of the chips with the trained readout and with a refitted one, and the share of good chips.

First of calibrated chips, then of the same with the codes of the one without mismatch.
"""


@dataclass(frozen=True)
class Setting:
    """One way to map a model."""

    size: UnitSize = SQUARE  # of the unit transistor
    unit_current: float = 1e-9  # A
    capacitor: float = 5e-12  # F, of a membrane
    bits: int = 8  # of the converters
    trim_bits: int = 6  # of the trim converters, sign included

    def told(self, names: Sequence[str]) -> str:
        """Some of it, for people."""
        return ", ".join(TELL[name](getattr(self, name)) for name in names)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"size": str(self.size)}


TELL: Mapping[str, Callable[[Any], str]] = {
    "size": lambda size: f"{size} um",
    "unit_current": lambda amp: f"{1e9 * amp:g} nA",
    "capacitor": lambda farad: f"{1e12 * farad:g} pF",
    "bits": lambda bits: f"{bits} bits",
    "trim_bits": lambda bits: f"{bits}-bit trims",
}
AXES = tuple(TELL)


@dataclass(frozen=True)
class Grid:
    """What is swept: all combinations. Raises DataError for an axis that is empty or has a value twice."""

    size: tuple[UnitSize, ...] = (SQUARE,)
    unit_current: tuple[float, ...] = (1e-9,)
    capacitor: tuple[float, ...] = (5e-12,)
    bits: tuple[int, ...] = (8,)
    trim_bits: tuple[int, ...] = (6,)

    def __post_init__(self) -> None:
        wrong = [
            f"{each.name} is {', '.join(map(str, values)) or 'empty'}; give one value or more, each once"
            for each in fields(self)
            if not (values := getattr(self, each.name)) or len(set(values)) < len(values)
        ]
        if wrong:
            raise DataError("; ".join(wrong))

    @property
    def swept(self) -> tuple[str, ...]:
        """The size, and other axes with more than one value."""
        return tuple(name for name in AXES if name == "size" or len(getattr(self, name)) > 1)

    @property
    def settings(self) -> tuple[Setting, ...]:
        return tuple(Setting(*each) for each in itertools.product(*(getattr(self, name) for name in AXES)))


@dataclass(frozen=True)
class Estimate:
    """A figure of chips with its 95 % interval; None where the chips do not tell it."""

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        return f"{_three(self.value)} [{_three(self.low)}, {_three(self.high)}]"


def _three(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def share(good: int, chips: int) -> Estimate:
    """Of good chips, with Wilson's score interval (JASA 22(158), 1927). Raises DataError without chips."""
    if chips < 1 or not 0 <= good <= chips:
        raise DataError(f"{good} good of {chips} chips give no yield; run at least one")
    ends = binomtest(good, chips).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(good / chips, float(ends.low), float(ends.high))


def median(values: Array) -> Estimate:
    """Of chips (K,) with its exact interval, between two of the chips. A NaN is a chip that failed: below all others.

    Five chips or fewer have no such interval.
    """
    ranked = np.sort(np.where(np.isnan(values), -np.inf, values))
    if not ranked.size:
        return Estimate(None, None, None)
    value = (ranked[(ranked.size - 1) // 2] + ranked[ranked.size // 2]) / 2.0
    ends: Any = quantile_test(ranked, p=0.5).confidence_interval(CONFIDENCE)
    return Estimate(_known(value), _known(ends.low), _known(ends.high))


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True)
class Point:
    """A setting with what it costs and gives."""

    setting: Setting
    unmapped: str = ""  # why there is no such design
    costs: Mapping[str, float] | None = None  # m2 and W by name
    quality: Mapping[str, Estimate] | None = None
    chips: int = 0
    failed: int = 0  # chips that could not be measured
    marked: int = 0  # chips of which the calibration left a neuron or the readout off target
    design: str = ""  # digests
    study: str = ""
    table: str = ""  # of the chips

    @property
    def mapped(self) -> bool:
        return self.costs is not None

    def cost(self, name: str) -> float:
        assert self.costs is not None
        return self.costs[name]

    def figure(self, name: str) -> Estimate:
        assert self.quality is not None
        return self.quality[name]

    def to_json(self) -> dict[str, Any]:
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        quality = None if self.quality is None else {name: asdict(each) for name, each in self.quality.items()}
        return own | {"setting": self.setting.to_json(), "quality": quality}


@dataclass(frozen=True)
class Requirement:
    """A figure and the least that its interval's lower end may be."""

    name: str
    least: float

    def holds(self, point: Point) -> bool:
        low = point.figure(self.name).low
        return low is not None and low >= self.least

    def __str__(self) -> str:
        return f"{self.name} >= {self.least:g}"


def parse_requirement(text: "str | Requirement") -> Requirement:
    """`r2>=0.97`. A requirement comes back as it is. Raises DataError."""
    if isinstance(text, Requirement):
        return text
    found = re.fullmatch(r"\s*([a-z0-9_]+)\s*>=\s*([0-9.eE+-]+)\s*", text)
    try:
        least = float(found[2]) if found else math.nan
    except ValueError:
        least = math.nan
    if not found or found[1] not in QUALITIES or not 0.0 <= least <= 1.0:
        known = ", ".join(QUALITIES)
        raise DataError(f"requirement is {text!a}; give one of {known}, >= and a number from 0 to 1: r2>=0.97")
    return Requirement(found[1], least)


def front(points: Sequence[Point], quality: str) -> tuple[bool, ...]:
    """Which points no other one beats: none has at most the area and power and at least the quality, and one better.

    A point that is not mapped, or whose chips do not tell the quality, is on no front.
    """
    known = [each.mapped and each.figure(quality).value is not None for each in points]
    rows = np.array([_row(each, quality) for each, here in zip(points, known, strict=True) if here])
    beaten = [
        bool(((rows <= own).all(axis=1) & (rows < own).any(axis=1)).any()) for own in rows.reshape(-1, len(COSTS) + 1)
    ]
    left = iter(beaten)
    return tuple(here and not next(left) for here in known)


def _row(point: Point, quality: str) -> tuple[float, ...]:
    value = point.figure(quality).value
    return (*(point.cost(name) for name in COSTS), math.inf if value is None else -value)


@dataclass(frozen=True)
class Choice:
    """The point to build, None where none will do; and why."""

    index: int | None
    reason: str


def choose(points: Sequence[Point], requirements: Sequence[Requirement], least: Cost, swept: Sequence[str]) -> Choice:
    """The cheapest point whose intervals' lower ends keep every requirement. Of equals the other cost decides."""
    other = next(name for name in COSTS if name != least)
    order = sorted(
        (index for index, each in enumerate(points) if each.mapped),
        key=lambda index: (points[index].cost(least), points[index].cost(other)),
    )
    wanted = " and ".join(map(str, requirements))
    if not order:
        return Choice(None, f"none of {len(points)} points can be mapped")
    fit = [index for index in order if all(each.holds(points[index]) for each in requirements)]
    if not fit:
        return Choice(None, _nearest(points, order, requirements, wanted, swept))
    chosen = fit[0]
    count = f"of {len(fit)} points that have" if len(fit) > 1 else "and the only point that has"
    text = f"{_told(points[chosen], least, swept)}: the smallest {least} {count} {wanted}"
    text += f" at the lower end of the {100 * CONFIDENCE:g} % interval ({_figures(points[chosen], requirements)})"
    place = order.index(chosen)
    if not place:
        return Choice(chosen, f"{text}; no point that was mapped has a smaller {least}")
    smaller = points[order[place - 1]]
    missed = [each for each in requirements if not each.holds(smaller)]
    why = " and ".join(f"{each}: {smaller.figure(each.name)}" for each in missed)
    return Choice(chosen, f"{text}; the next smaller, {_told(smaller, least, swept)}, misses {why}")


def _nearest(
    points: Sequence[Point],
    order: Sequence[int],
    requirements: Sequence[Requirement],
    wanted: str,
    swept: Sequence[str],
) -> str:
    """Why none will do, with the point that lacks least."""

    def lacking(index: int) -> float:
        lows = [points[index].figure(each.name).low for each in requirements]
        return max(
            each.least + 1.0 if low is None else each.least - low
            for each, low in zip(requirements, lows, strict=True)
        )

    text = f"no point of {len(order)} that were mapped has {wanted} at the lower end of the {100 * CONFIDENCE:g} % "
    best = points[min(order, key=lacking)]
    text += f"interval; nearest is {best.setting.told(swept)} with {_figures(best, requirements)}"
    values = [(each.least, best.figure(each.name).value) for each in requirements]
    reached = all(value is not None and value >= least for least, value in values)
    return f"{text}: more chips would make the interval narrower" if reached else text


def _figures(point: Point, requirements: Sequence[Requirement]) -> str:
    return ", ".join(f"{each.name} {point.figure(each.name)}" for each in requirements)


def _told(point: Point, least: Cost, swept: Sequence[str]) -> str:
    return f"{point.setting.told(swept)} ({cost_text(least, point.cost(least))})"


def cost_text(name: str, value: float) -> str:
    """m2 or W, for people."""
    return f"{1e6 * value:.4g} mm2" if name == "area" else f"{1e6 * value:.4g} uW"
