"""Bisection of one code for one quantity. That the response is monotone is checked with every point, not assumed."""

from dataclasses import dataclass, field

import numpy as np

from mtc_hw.calibration.search import Aim, Ask, Box, Found, Goal, Part, Path, Space, search
from mtc_hw.errors import SpecError

WOBBLE = 2
"""Codes that a trim converter's own mismatch may swap: points so near one another may be in any order."""


def bisect(ask: Ask, space: Space, goal: Goal, budget: int = 24, wobble: int = WOBBLE) -> Found:
    """Finds each neuron's code of one knob at which one quantity is on its target.

    Measured are the start, both ends and, unless the start is it, the middle; the search goes on only where these are
    in order, beyond noise and beyond `wobble` codes, and ends where a later point is not. An end that cannot be
    measured is moved inwards. Once the bracket holds no code, up to `wobble` codes on both its sides are tried.
    Raises SpecError for more than one knob or quantity.
    """
    if len(space.names) != 1 or len(goal.names) != 1:
        raise SpecError(
            f"bisection turns one knob on one quantity, not {len(space.names)} on {len(goal.names)};"
            " use gauss_newton for coupled ones"
        )
    remarks: list[list[str]] = [[] for _ in range(space.count)]
    paths = [_bisected(space.at(n), goal.at(n), wobble) for n in range(space.count)]
    return search(ask, space, goal, paths, budget, remarks)


@dataclass
class _Response:
    """What is known of one neuron's response."""

    aim: Aim
    wobble: int
    points: dict[float, float] = field(default_factory=dict)  # by code; NaN where it could not be measured

    @property
    def known(self) -> list[float]:
        """Codes that could be measured, rising."""
        return sorted(code for code, value in self.points.items() if np.isfinite(value))

    def noise(self, *codes: float) -> float:
        """What the sum of these points' errors is at most."""
        aim = self.aim
        return float(sum(aim.noise[0] + aim.relative_noise[0] * abs(self.points[code]) for code in codes))

    def rise(self, low: float, high: float) -> float:
        """By how much the quantity surely rises from one code to the other; 0 where noise may have done it."""
        change = self.points[high] - self.points[low]
        return float(np.sign(change)) * max(abs(change) - self.noise(low, high), 0.0)

    def disorder(self) -> str:
        """The points that no monotone response has, or ""."""
        codes = self.known
        pairs = [(a, b) for i, a in enumerate(codes) for b in codes[i + 1 :] if b - a > self.wobble]
        rises = [(a, b) for a, b in pairs if self.rise(a, b) > 0.0]
        falls = [(a, b) for a, b in pairs if self.rise(a, b) < 0.0]
        if not (rises and falls):
            return ""
        shown = sorted({*max(rises, key=lambda p: self.rise(*p)), *min(falls, key=lambda p: self.rise(*p))})
        return "the response is not monotone: " + ", ".join(map(self.tell, shown))

    def stuck(self) -> str:
        """That the ends do not differ, or ""."""
        low, high = self.known[0], self.known[-1]
        if self.rise(low, high) != 0.0:
            return ""
        return f"the code is stuck: {self.tell(low)}, {self.tell(high)}"

    def out_of_reach(self) -> str:
        """That the target is beyond both ends, noise included, or ""."""
        target, ends = self.aim.target[0], (self.known[0], self.known[-1])
        below = max(self.points[code] + self.noise(code) for code in ends)
        above = min(self.points[code] - self.noise(code) for code in ends)
        if above <= target <= below:
            return ""
        return f"target {target:.4g} out of reach: {self.tell(self.nearest_end)}{self._unmeasured()}"

    @property
    def nearest_end(self) -> float:
        """The end of the measured codes that is nearer to the target."""
        return min((self.known[0], self.known[-1]), key=lambda code: abs(self.points[code] - self.aim.target[0]))

    def _unmeasured(self) -> str:
        lost = [f"{code:g}" for code, value in sorted(self.points.items()) if not np.isfinite(value)]
        return f"; not measurable at code {', '.join(lost)}" if lost else ""

    def bracket(self) -> tuple[float, float]:
        """Neighbouring known codes between which the target lies, or next to which where noise hides it."""
        codes, target = self.known, self.aim.target[0]
        rises = self.points[codes[-1]] > self.points[codes[0]]
        under = [(self.points[code] < target) == rises for code in codes]
        at = min(max(under.index(False) if False in under else len(codes) - 1, 1), len(codes) - 1)
        return codes[at - 1], codes[at]

    def tell(self, code: float) -> str:
        return f"{self.points[code]:.4g} at code {code:g}"


def _bisected(box: Box, aim: Aim, wobble: int) -> Path:
    """One neuron's search; it ends where the goal is out of reach, or the response no ground to search on."""
    if not len(box.movable):
        return f"{box.names[0]} cannot move" if np.isfinite(box.start[0]) else f"it has no {box.names[0]}"
    response = _Response(aim, wobble)
    low, start, high = float(box.low[0]), float(box.start[0]), float(box.high[0])
    yield from _measure(response, start)
    if not response.known:
        return f"could not be measured at code {start:g}"
    for end in (low, high):
        yield from _end(response, start, end)
    middle = float(np.floor((response.known[0] + response.known[-1]) / 2.0))
    yield from _measure(response, middle)
    if len(response.known) < 2:
        return f"could not be measured anywhere but at code {start:g}"
    if trouble := response.disorder() or response.stuck():
        return trouble
    if response.out_of_reach():
        # Near an end, too, the converter may have swapped codes.
        end = response.nearest_end
        yield from _scan(response, end, end, (low, high))
        return response.out_of_reach() or response.disorder()
    left, right = response.bracket()
    while right - left > 1.0:
        middle = float(np.floor((left + right) / 2.0))
        yield from _measure(response, middle)
        if not np.isfinite(response.points[middle]):
            return f"could not be measured at code {middle:g}"
        if trouble := response.disorder():
            return trouble
        left, right = response.bracket()
    yield from _scan(response, left, right, (low, high))
    return response.disorder() or _too_coarse(response, left, right)


def _measure(response: _Response, code: float) -> Part:
    """Asks for a code unless it is known."""
    if code not in response.points:
        quantities = yield np.array([code])
        response.points[code] = float(quantities[0])


def _end(response: _Response, start: float, end: float) -> Part:
    """The end, or what lies nearest to it where the quantity can be measured, by halves."""
    while end != start:
        yield from _measure(response, end)
        if np.isfinite(response.points[end]):
            break
        end = start + float(np.fix((end - start) / 2.0))


def _scan(response: _Response, left: float, right: float, limits: tuple[float, float]) -> Part:
    """Codes on both sides of a bracket without codes in it, the nearer first."""
    for step in range(1, response.wobble + 1):
        for code in (left - step, right + step):
            if limits[0] <= code <= limits[1]:
                yield from _measure(response, code)


def _too_coarse(response: _Response, left: float, right: float) -> str:
    """Where no code of a response in order is on the target."""
    around = f"{response.tell(left)}, {response.tell(right)}"
    target = response.aim.target[0]
    if (response.points[left] - target) * (response.points[right] - target) > 0.0:
        return f"target {target:.4g} out of reach: {around}"
    return f"a code is too coarse: {around}"
