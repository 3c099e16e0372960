"""Gauss-Newton over coupled codes, with sensitivities that are measured and kept up to date by Broyden's rule."""

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import lsq_linear

from mtc_hw.calibration.search import Aim, Ask, Box, Found, Goal, Part, Path, Space, search
from mtc_hw.hardware.dac import Codes
from mtc_hw.rounding import Index, round_in_turn
from mtc_hw.spec import Array

FIRST_STEP = 0.125
"""Of a knob's span, by which it is moved to measure its sensitivity; more where noise hides what that does."""

RESERVE = 0.05
"""Tolerances that a knob's whole span costs: of changes that are equally good the smallest is taken."""

HALVINGS = 3
PATIENCE = 2
"""Steps in a row that may fail, each with sensitivities that the last one has corrected."""

CLEAR = 3.0
"""A sensitivity is known once the quantities move by this many times their noise."""


def gauss_newton(ask: Ask, space: Space, goal: Goal, budget: int = 40) -> Found:
    """Turns all knobs of each neuron together until all its quantities are on target.

    One knob after the other is moved to measure its sensitivities; one that does nothing beyond noise is left alone
    and named. Then Gauss-Newton steps within the codes' limits (Nocedal and Wright, Numerical Optimization, 2006,
    chapter 10), rounded to codes in turn. A step counts where the misses fall, else it is halved. Each measured step
    corrects the sensitivities (Broyden, Mathematics of Computation 19, 1965); they are measured anew where no step
    helps, and where none helps after that the search ends.
    """
    remarks: list[list[str]] = [[] for _ in range(space.count)]
    paths = [_newton(space.at(n), goal.at(n), remarks[n]) for n in range(space.count)]
    return search(ask, space, goal, paths, budget, remarks)


@dataclass
class _State:
    """One neuron's best codes, its sensitivities there, and what has been measured."""

    box: Box
    aim: Aim
    codes: Codes
    quantities: Array
    slopes: Array  # (wanted, movable) tolerances per code; 0 where a knob does nothing or is not known to
    reach: float = 1.0  # of each span, that the sensitivities are trusted for: twice the last step that helped
    tried: dict[bytes, Array] = field(default_factory=dict)

    def ask(self, codes: Codes) -> Generator[Codes, Array, Array]:
        """Measures codes unless they have been."""
        key = codes.tobytes()
        if key not in self.tried:
            self.tried[key] = yield codes
        return self.tried[key]

    def moved(self, change: Array) -> Codes:
        """The codes with the movable ones moved."""
        codes = self.codes.copy()
        codes[self.box.movable] += change
        return codes

    def better(self, quantities: Array) -> bool:
        return self.aim.merit(quantities) < self.aim.merit(self.quantities)


def _newton(box: Box, aim: Aim, remarks: list[str]) -> Path:
    """One neuron's search."""
    movable = box.movable
    start = yield box.start
    if not np.isfinite(aim.merit(start)):
        lost = [name for name, value in zip(aim.names, start, strict=True) if np.isnan(value)]
        return f"{', '.join(lost)} could not be measured at the codes to start from"
    if not len(movable):
        return "no knob can move"
    state = _State(box, aim, box.start, start, np.zeros((int(aim.wanted.sum()), len(movable))))
    state.tried[box.start.tobytes()] = start
    while True:
        before, failures = state.codes, 0
        yield from _sensitivities(state)
        remarks[:] = _idle(state)
        if not state.slopes.any():
            return "no knob has an effect beyond noise"
        while failures < PATIENCE:
            failures = 0 if (yield from _step(state)) else failures + 1
        if np.array_equal(before, state.codes, equal_nan=True):
            return "no step gets nearer"


def _idle(state: _State) -> list[str]:
    return [
        f"{state.box.names[k]} has no effect beyond noise"
        for column, k in enumerate(state.box.movable)
        if not state.slopes[:, column].any()
    ]


def _sensitivities(state: _State) -> Part:
    """Every knob moved by itself; the best of the measured points becomes the one to go on from."""
    best = state.codes, state.quantities
    for column, knob in enumerate(state.box.movable):
        state.slopes[:, column] = 0.0
        small, back, large = _steps(state.box, int(knob), float(state.codes[knob]))
        step = small
        while step:
            codes = state.codes.copy()
            codes[knob] += step
            quantities = yield from state.ask(codes)
            if state.aim.merit(quantities) < state.aim.merit(best[1]):
                best = codes, quantities
            measured, clear = _slope(state, column, step, quantities)
            # Where it cannot be measured the other way may do; where noise hides it a larger step.
            step = 0.0 if clear or step != small else large if measured else back
    state.codes, state.quantities = best


def _slope(state: _State, column: int, step: float, quantities: Array) -> tuple[bool, bool]:
    """Notes a knob's sensitivities from one step of it; whether it could be measured, and clearly."""
    if not np.isfinite(state.aim.merit(quantities)):
        return False, False
    change = state.aim.misses(quantities) - state.aim.misses(state.quantities)
    noise = state.aim.doubt(quantities) + state.aim.doubt(state.quantities)
    # A quantity that moved less than noise can move it says nothing: its slope stays zero.
    state.slopes[:, column] = np.where(np.abs(change) > noise, change / step, 0.0)
    return True, bool((np.abs(change) > CLEAR * noise).any())


def _steps(box: Box, knob: int, at: float) -> tuple[float, float, float]:
    """Changes of a code to measure its sensitivity with: small, back, and as large as may be; 0 where no room is."""
    up, down = float(box.high[knob]) - at, at - float(box.low[knob])
    sign, room = (1.0, up) if up >= down else (-1.0, down)
    small = min(max(1.0, float(np.rint(FIRST_STEP * box.span[knob]))), room)
    large = room if room > small else 0.0
    return sign * small, -sign * min(small, up, down), sign * large


def _step(state: _State) -> Generator[Codes, Array, bool]:
    """One Gauss-Newton step, halved until the misses fall; whether they did."""
    change = _change(state)
    for _ in range(HALVINGS + 1):
        codes = state.moved(change)
        if not change.any() or codes.tobytes() in state.tried:
            return False
        quantities = yield from state.ask(codes)
        if np.isfinite(state.aim.merit(quantities)):
            _broyden(state, change, quantities)
        state.reach = float(np.max(np.abs(change) / state.box.span[state.box.movable]))
        if state.better(quantities):
            state.codes, state.quantities, state.reach = codes, quantities, 2.0 * state.reach
            return True
        change = np.trunc(change / 2.0)
    return False


def _change(state: _State) -> Array:
    """Whole codes that undo most of the misses, as far as the sensitivities go. Knobs without effect stay."""
    movable = state.box.movable
    low, high = state.box.low[movable] - state.codes[movable], state.box.high[movable] - state.codes[movable]
    active = np.flatnonzero(state.slopes.any(axis=0))
    result = np.zeros(len(movable))
    if not len(active):
        return result
    span = state.box.span[movable][active]
    far = np.maximum(np.floor(state.reach * span), 1.0)
    low, high = np.maximum(low[active], -far), np.minimum(high[active], far)
    matrix = np.vstack([state.slopes[:, active], np.diag(RESERVE / span)])
    wanted = np.concatenate([-state.aim.misses(state.quantities), np.zeros(len(active))])
    # `lsq_linear` wants room between the limits; half a code beyond them is rounded back.
    found = lsq_linear(matrix, wanted, (low - 0.49, high + 0.49), method="bvls")
    inverse = np.asarray(np.linalg.inv(matrix.T @ matrix), dtype=np.float64)

    def nearest(index: Index, value: Array) -> Array:
        return np.clip(np.rint(value), low[index], high[index])

    order = np.argsort(-(matrix**2).sum(axis=0))
    whole = round_in_turn(np.asarray(found.x)[None], inverse[None], nearest, order[None])[0]
    for step in _nearby(matrix, wanted, whole, low, high):
        result[active] = step
        if state.moved(result).tobytes() not in state.tried:
            return result
    return np.zeros(len(movable))


def _nearby(matrix: Array, wanted: Array, whole: Array, low: Array, high: Array) -> Array:
    """Whole steps (steps, K) around one, the best first, that promise to be better than none.

    What rounding in turn leaves, a code more or less of one knob or two may still better.
    """
    single = np.vstack([np.eye(len(whole)), -np.eye(len(whole))])
    pairs = (single[:, None] + single[None]).reshape(-1, len(whole))
    around = np.unique(np.vstack([pairs[np.abs(pairs).max(axis=1) <= 1.0], single]), axis=0)
    while True:
        steps = whole + around  # itself among them: one up and the same one down
        steps = steps[((steps >= low) & (steps <= high)).all(axis=1)]
        left = ((steps @ matrix.T - wanted) ** 2).sum(axis=1)
        if left.min() >= ((matrix @ whole - wanted) ** 2).sum() * (1.0 - 1e-9):
            better = left < (wanted**2).sum() * (1.0 - 1e-9)
            return np.asarray(steps[better][np.argsort(left[better])])
        whole = steps[np.argmin(left)]


def _broyden(state: _State, change: Array, quantities: Array) -> None:
    """Corrects the sensitivities by what they did not foretell, beyond noise."""
    span = state.box.span[state.box.movable]
    scaled = change / span
    seen = state.aim.misses(quantities) - state.aim.misses(state.quantities)
    noise = state.aim.doubt(quantities) + state.aim.doubt(state.quantities)
    error = seen - state.slopes @ change
    error = np.sign(error) * np.maximum(np.abs(error) - noise, 0.0)
    state.slopes += np.outer(error, scaled / span) / (scaled @ scaled)
