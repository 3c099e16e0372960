"""Element values for a wanted regime: built from the I-V curves, fitted to wishes, verified by simulation."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from mtc_hw.analysis.equilibria import rests
from mtc_hw.analysis.excitability import classify_excitability
from mtc_hw.analysis.fi_curve import spiking_starts, telling_span
from mtc_hw.analysis.firing import Firing, fire, repeat, showing_time, started
from mtc_hw.analysis.recipes import RECIPES, Figure, Recipe, rounded
from mtc_hw.analysis.regimes import classify
from mtc_hw.analysis.spikes import burst_statistics, spike_times
from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import NeuronFile
from mtc_hw.simulate.ensemble import Holds
from mtc_hw.simulate.ode import integrate
from mtc_hw.spec import Array, Neurons

TOLERANCE = 0.05  # relative, of an interval or a period
SPIKES = 0.5  # of spikes per burst
ROUNDS = 10
WIDTH = log(1.7)  # half the search's first grid, of the logarithm of a time constant
NARROWER = 0.6  # by this factor the search's grid shrinks each round
SLOW = (2.0, 2000.0)  # tau_m
ULTRASLOW = (20.0, 100_000.0)  # tau_m
LEVELS = 33  # currents at which the range of a regime is looked for
NEAR = "wish for figures nearer to these"
LARGEST: dict[Figure, float] = {"interval": 2000.0, "period": 20_000.0, "spikes": 100.0}
"""Beyond these a search would take minutes; intervals and periods in tau_m."""
FARTHEST = 2.4  # I_u that a wished current may lie from the recipe's: a spike's height above 0
PER_KNOB = {1: 9, 2: 5, 3: 5}  # points along each axis of the search's grid


@dataclass(frozen=True)
class Wish:
    """What the regime should look like; None: anything. Times in tau_m."""

    interval: float | None = None  # between spikes, once settled; within bursts
    period: float | None = None  # from burst to burst
    spikes: float | None = None  # per burst
    current: float | None = None  # I_u at which it happens: moves every delta by as much

    def figures(self) -> dict[Figure, float]:
        """The wished figures that a run can be measured against."""
        named: dict[Figure, float | None] = {"interval": self.interval, "period": self.period, "spikes": self.spikes}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Proposal:
    """A neuron that showed the wanted regime in an accurate simulation."""

    wanted: str
    neuron: NeuronFile
    currents: tuple[float, float]  # I_u of the last hold between which the regime stays
    figures: dict[Figure, float]  # measured in the accurate simulation
    reasons: tuple[str, ...]  # from the I-V curves
    verified: tuple[str, ...]


@dataclass(frozen=True)
class _Knobs:
    slow: float  # tau_m
    ultraslow: float  # tau_m
    current: float  # I_u


def shape(wanted: str, wish: Wish = Wish()) -> Proposal:
    """A neuron for a regime of `RECIPES`, near its recipe, with the wished figures within `TOLERANCE`.

    The time constants, and with three wishes the current, are searched; the elements stay the recipe's. Raises
    SpecError for an unknown regime, for a wish that this regime does not have, and for one that was not reached.
    """
    if wanted not in RECIPES:
        raise SpecError(f"{wanted!r} is no regime to shape; there are: {', '.join(RECIPES)}")
    recipe = RECIPES[wanted]
    _check(wanted, recipe, wish)
    knobs = _search(wanted, recipe, wish.figures())
    if wish.current is not None:
        recipe = recipe.moved(wish.current - knobs.current)
        knobs = dataclasses.replace(knobs, current=wish.current)
    return _verified(wanted, recipe, knobs, _range(recipe, knobs), wish)


def _check(wanted: str, recipe: Recipe, wish: Wish) -> None:
    for name, value in wish.figures().items():
        if name not in recipe.figures:
            known = ", ".join(recipe.figures) or "none"
            raise SpecError(f"a {wanted} neuron has no {name} to wish for; its figures: {known}")
        if not 0.0 < value <= LARGEST[name]:
            raise SpecError(f"the wished {name} is {value:g}; it must be > 0 and at most {LARGEST[name]:g}")
    if wish.current is not None and not abs(wish.current - recipe.current) <= FARTHEST:
        low, high = recipe.current - FARTHEST, recipe.current + FARTHEST
        raise SpecError(f"the wished current is {wish.current:g}; it must be from {low:g} to {high:g}, since the "
                        "voltages move with it and spikes must still pass 0")  # fmt: skip


def _neuron(recipe: Recipe, knobs: _Knobs) -> Neurons:
    alpha, delta = (np.array(column)[:, None] for column in zip(*recipe.elements, strict=True))
    return Neurons(alpha, delta, np.array([[0.0], [knobs.slow], [knobs.ultraslow]]))


def _together(recipe: Recipe, candidates: Sequence[_Knobs]) -> list[tuple[Firing, bool]]:
    """Each candidate's run, and whether it is of the regime. They share the times of the holds, the slowest's.

    A bistable neuron is not kicked, since a kick's length matters, but started in a spike where it could also rest.
    """
    neurons = _neuron(recipe, candidates[0])
    tau = np.array([[0.0, each.slow, each.ultraslow] for each in candidates]).T
    lanes = dataclasses.replace(repeat(neurons, len(candidates)), tau=tau)
    currents = np.array([each.current for each in candidates])
    if recipe.kind == "bistable":
        start = spiking_starts(neurons, np.zeros((4, len(candidates))))[0]
        firings = fire(lanes, Holds.constant(currents), showing_time(lanes), start)
        return [
            (each, _shows(recipe, each) and bool(r)) for each, r in zip(firings, rests(lanes, currents), strict=True)
        ]
    starts = tuple(start for start, _ in recipe.stimulus(0.0, max(each.slow for each in candidates)).steps)
    rises = np.array([beside for _, beside in recipe.before] + [0.0])
    start = np.concatenate([started(recipe.initial(each.current), 1) for each in candidates], axis=1)
    firings = fire(lanes, Holds(starts, rises[:, None] + currents), starts[-1] + showing_time(lanes), start)
    return [(each, _shows(recipe, each)) for each in firings]


def _shows(recipe: Recipe, firing: Firing, rested: float = 0.0) -> bool:
    """Whether a run is of the regime; of a bistable neuron also that it rested until it was kicked."""
    early = recipe.kind == "bistable" and bool((firing.spikes < rested).any())
    return firing.regime == recipe.regime and not early


def measured(firing: Firing) -> dict[Figure, float]:
    """The figures of a run that fires on; empty for any other."""
    bursts = burst_statistics(firing.spikes, firing.duration)
    if firing.regime == "bursting" and bursts.period and bursts.intra_interval and bursts.spikes_per_burst:
        return {"interval": bursts.intra_interval, "period": bursts.period, "spikes": bursts.spikes_per_burst}
    return {"interval": 1.0 / firing.rate} if firing.rate > 0.0 else {}


def _error(found: dict[Figure, float], wished: dict[Figure, float]) -> float:
    """The largest deviation, 1 at the tolerance; infinite where a figure is missing."""
    if not set(wished) <= set(found):
        return np.inf
    return max((_deviation(name, found[name], value) for name, value in wished.items()), default=0.0)


def _deviation(name: Figure, found: float, wished: float) -> float:
    relative = abs(log(found / wished)) / log(1.0 + TOLERANCE)
    return min(relative, abs(found - wished) / SPIKES) if name == "spikes" else relative


def _guess(recipe: Recipe, wished: dict[Figure, float]) -> _Knobs:
    """From how intervals follow tau_slow, periods tau_ultraslow and spikes their ratio in the recipe's own run."""
    slow = recipe.slow
    if "interval" in wished:
        slow *= wished["interval"] / 60.0
    elif "period" in wished and "spikes" not in wished:
        slow *= wished["period"] / 1900.0
    ultraslow = recipe.ratio * slow
    if "period" in wished:
        ultraslow = 1.3 * wished["period"]
        slow = slow if "interval" in wished or "spikes" not in wished else ultraslow / (5.5 * wished["spikes"])
    elif "spikes" in wished:
        slow = slow if "interval" in wished else 25.0
        ultraslow = 5.5 * wished["spikes"] * slow
    return _Knobs(float(np.clip(slow, *SLOW)), float(np.clip(ultraslow, *ULTRASLOW)), recipe.current)


def _grid(recipe: Recipe, centre: _Knobs, wished: dict[Figure, float], width: float) -> list[_Knobs]:
    """Candidates around a centre: along tau_slow, for bursts also tau_ultraslow, for all three wishes the current."""
    knobs = min(len(wished) + ("period" in recipe.figures and len(wished) == 1), 3)
    offsets = np.linspace(-1.0, 1.0, PER_KNOB[knobs]) * width
    candidates = []
    for step in itertools.product(offsets, repeat=knobs):
        slow = float(np.clip(centre.slow * np.exp(step[0]), *SLOW))
        ultraslow = centre.ultraslow * np.exp(step[1]) if knobs > 1 else recipe.ratio * slow
        current = centre.current + (0.3 * step[2] if knobs > 2 else 0.0)
        candidates.append(_Knobs(slow, float(np.clip(ultraslow, *ULTRASLOW)), float(current)))
    return candidates


def _search(wanted: str, recipe: Recipe, wished: dict[Figure, float]) -> _Knobs:
    best = _guess(recipe, wished)
    if not wished:
        return best
    error, nearest, width = np.inf, dict[Figure, float](), WIDTH
    for _ in range(ROUNDS):
        candidates = _grid(recipe, best, wished, width)
        for knobs, (firing, shows) in zip(candidates, _together(recipe, candidates), strict=True):
            found = measured(firing) if shows else {}
            if _error(found, wished) < error:
                error, nearest, best = _error(found, wished), found, knobs
        if error <= 0.5:
            break
        width *= NARROWER
    if error > 1.0:
        wishes = _listed(wished)
        got = f"the nearest has {_listed(nearest)}; {NEAR}" if nearest else "none is; wish for slower figures"
        raise SpecError(f"no {wanted} neuron was found with {wishes}: {got}")
    return _Knobs(rounded(best.slow), rounded(best.ultraslow), rounded(best.current))


def _listed(figures: dict[Figure, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def _range(recipe: Recipe, knobs: _Knobs) -> Array:
    """Currents without a gap around the chosen one that show the regime, looked for twice, finer at the ends."""
    low, high = telling_span(_neuron(recipe, knobs))
    levels = np.union1d(np.linspace(low, high, LEVELS), knobs.current)
    shown = _showing(recipe, knobs, levels)
    first, last = _run_around(levels, shown, knobs.current)
    ends = [np.linspace(levels[max(a, 0)], levels[min(b, levels.size - 1)], 9) for a, b in
            ((first - 1, first), (last, last + 1))]  # fmt: skip
    finer = np.union1d(np.concatenate(ends), levels[first : last + 1])
    shown = _showing(recipe, knobs, finer)
    first, last = _run_around(finer, shown, knobs.current)
    return np.asarray(finer[first : last + 1])


def _run_around(levels: Array, shown: Array, current: float) -> tuple[int, int]:
    """First and last index of the levels that show the regime without a gap around `current`; it counts itself."""
    first = last = int(np.searchsorted(levels, current))
    while first > 0 and shown[first - 1]:
        first -= 1
    while last < levels.size - 1 and shown[last + 1]:
        last += 1
    return first, last


def _showing(recipe: Recipe, knobs: _Knobs, levels: Array) -> Array:
    moved = [dataclasses.replace(knobs, current=float(level)) for level in levels]
    return np.array([shows for _, shows in _together(recipe, moved)])


def _verified(wanted: str, recipe: Recipe, knobs: _Knobs, levels: Array, wish: Wish) -> Proposal:
    """The proposal, once LSODA has shown the regime at the chosen current and at both ends of its range."""
    neurons = _neuron(recipe, knobs)
    excitability = classify_excitability(neurons)[0]
    stimulus = recipe.stimulus(knobs.current, knobs.slow)
    duration = stimulus.steps[-1][0] + showing_time(neurons)
    neuron = NeuronFile(wanted, neurons, stimulus, recipe.initial(knobs.current), duration)
    chosen = _accurate(neuron)
    if excitability.kind != recipe.kind or not _shows(recipe, chosen, recipe.rest_time(knobs.slow)):
        remedy = "wish for slower figures"
        if wish.current is not None:
            middle = knobs.current - recipe.shift
            remedy = f"voltages move with the current, and spikes must still pass 0; wish for one nearer {middle:.3g}"
        raise SpecError(
            f"no {wanted} neuron was found with tau_slow {knobs.slow:.4g} at {knobs.current:.4g} I_u: an accurate "
            f"simulation is {chosen.regime}, the I-V curves {excitability.kind}; {remedy}"
        )
    if _error(measured(chosen), wish.figures()) > 1.0:
        got = _listed(measured(chosen))
        raise SpecError(
            f"a {wanted} neuron with {_listed(wish.figures())} has {got} when simulated accurately; {NEAR}"
        )
    low = next(level for level in levels if _holds_at(recipe, knobs, neuron, float(level)))
    high = next(level for level in levels[::-1] if _holds_at(recipe, knobs, neuron, float(level)))
    verified = (
        f"I-V curves: {excitability.kind}",
        f"LSODA at {low:.4g}, {knobs.current:.4g} and {high:.4g} I_u: {wanted}",
    )
    figures = measured(chosen)
    return Proposal(wanted, neuron, (float(low), float(high)), figures, excitability.reasons, verified)


def _holds_at(recipe: Recipe, knobs: _Knobs, neuron: NeuronFile, level: float) -> bool:
    if level == knobs.current:
        return True
    moved = dataclasses.replace(neuron, stimulus=recipe.stimulus(level, knobs.slow), initial=recipe.initial(level))
    return _shows(recipe, _accurate(moved), recipe.rest_time(knobs.slow))


def _accurate(neuron: NeuronFile) -> Firing:
    duration = neuron.stimulus.steps[-1][0] + showing_time(neuron.neurons)
    trace = integrate(neuron.neurons, neuron.stimulus, duration, neuron.initial, spacing=0.25)
    spikes, final = spike_times(trace.time, trace.voltage[:, 0]), float(trace.voltage[-1, 0])
    return Firing(spikes, classify(spikes, duration, neuron.stimulus, final), final, duration)
