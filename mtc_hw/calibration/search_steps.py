"""A plan's step that turns trims by name until what neurons do is on target: the searches on real observables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration.bisection import bisect
from mtc_hw.calibration.firing_quantities import firing_quantities
from mtc_hw.calibration.knobs import Trim, resolve, space, write
from mtc_hw.calibration.measured import measured
from mtc_hw.calibration.newton import gauss_newton
from mtc_hw.calibration.observables import Firing, Instrument, Observables, Request
from mtc_hw.calibration.plan import SearchStep, Target
from mtc_hw.calibration.purpose import Purpose
from mtc_hw.calibration.result import TRIMS, Look
from mtc_hw.calibration.search import Box, Found, Goal, Path, Space, search
from mtc_hw.calibration.surrogate import explore
from mtc_hw.hardware.dac import Codes
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.spec import Array

EXACT = 1e-9
"""Least tolerance, for a share of a value that is zero."""


@dataclass(frozen=True, eq=False)
class Sought:
    """What a search did to all neurons."""

    codes: MappedDesign
    reasons: tuple[str, ...]  # (N,) why a neuron is not on target; "" where it is
    spent: Array  # (N,) measurements
    looks: tuple[Look, ...]


@dataclass(eq=False)
class _Bench:
    """Codes of some trims in, quantities of firing out."""

    codes: MappedDesign
    trims: tuple[Trim, ...]
    runs: tuple[Firing, ...]  # one for each current
    places: tuple[tuple[int, str], ...]  # run and quantity of each target
    instrument: Instrument
    failure: str = ""  # of the instrument, the last one

    @property
    def request(self) -> Request:
        return Request(firing=self.runs)

    def __call__(self, codes: Codes) -> Array:
        seen, wrong = measured(self.instrument, write(self.codes, self.trims, codes), self.request)
        self.failure = wrong or self.failure
        return self.quantities(seen)

    def quantities(self, seen: Observables) -> Array:
        """Of every target, (Q, N)."""
        rows = [firing_quantities([name], seen.spikes[run], self.runs[run])[0] for run, name in self.places]
        return np.array(rows)


def seek(
    step: SearchStep,
    codes: MappedDesign,
    purpose: Purpose,
    instrument: Instrument,
    alive: NDArray[np.bool_],
    allowed: int,
    label: str,
) -> Sought:
    """Turns the step's knobs in every neuron that is `alive`, by at most so many measurements. Others stay.

    Raises DataError for knobs and quantities that there are not.
    """
    bench = _bench(step, codes, purpose, instrument)
    goal = _goal(step.targets, bench, purpose, alive)
    budget = min(step.budget, allowed) // len(bench.runs)
    if budget < (2 if step.method == "surrogate" else 1):
        return Sought(codes, ("no measurements are left for it",) * codes.count, np.zeros(codes.count), ())
    found = _found(step, bench, space(codes, bench.trims, step.reach), goal, budget)
    return Sought(
        codes=write(codes, bench.trims, found.codes, alive),
        reasons=_reasons(found.reason, bench, goal),
        spent=np.asarray(found.measurements * len(bench.runs), dtype=np.float64),
        looks=tuple(_look(label, bench, goal, *each) for each in found.history),
    )


def confirm(
    step: SearchStep,
    codes: MappedDesign,
    purpose: Purpose,
    instrument: Instrument,
    alive: NDArray[np.bool_],
    label: str,
) -> Sought:
    """Whether neurons are still on the step's targets, now that later steps have turned their knobs. One look."""
    bench = _bench(step, codes, purpose, instrument)
    goal = _goal(step.targets, bench, purpose, alive)
    where = space(codes, bench.trims, step.reach)
    still = Space(where.names, where.start, where.start, where.start)
    found = search(bench, still, goal, [_once(still.at(n)) for n in range(still.count)], 1, [[]] * still.count)
    looks = tuple(_look(label, bench, goal, *each) for each in found.history)
    return Sought(codes, _reasons(found.reason, bench, goal), bench.request.cost(codes) * alive, looks)


def _once(box: Box) -> Path:
    yield box.start
    return "turned away by later steps"


def _bench(step: SearchStep, codes: MappedDesign, purpose: Purpose, instrument: Instrument) -> _Bench:
    currents = tuple(dict.fromkeys(target.current for target in step.targets))
    runs = tuple(Firing(purpose.stimulus.shifted(current), step.duration, purpose.initial) for current in currents)
    places = tuple((currents.index(target.current), target.quantity) for target in step.targets)
    return _Bench(codes, resolve(codes, step.knobs), runs, places, instrument)


def _found(step: SearchStep, bench: _Bench, where: Space, goal: Goal, budget: int) -> Found:
    if step.method == "bisection":
        return bisect(bench, where, goal, budget)
    if step.method == "gauss-newton":
        return gauss_newton(bench, where, goal, budget)
    return explore(bench, where, goal, budget, step.seed)


def _goal(targets: Sequence[Target], bench: _Bench, purpose: Purpose, alive: NDArray[np.bool_]) -> Goal:
    model = Observables(spikes=tuple(purpose.firing(run.stimulus, run.duration) for run in bench.runs))
    meant = bench.quantities(model)
    values = [
        row if each.value == "model" else np.full_like(row, each.value)
        for each, row in zip(targets, meant, strict=True)
    ]
    value = np.where(alive, np.array(values), np.nan)
    share = np.array([[target.relative] for target in targets])
    width = np.array([[target.tolerance] for target in targets])
    tolerance = np.where(share, width * np.nan_to_num(np.abs(value)), width)
    noise = np.array([[target.noise] for target in targets])
    return Goal(tuple(map(_name, targets)), value, np.maximum(tolerance, EXACT), 0.0, noise)


def _name(target: Target) -> str:
    return f"{target.quantity} at {target.current:+g} I_u" if target.current else target.quantity


def _reasons(reasons: Sequence[str], bench: _Bench, goal: Goal) -> tuple[str, ...]:
    """Why neurons are not on target: the search's own, and what was wrong with the model or the instrument."""
    free = np.atleast_1d(np.isnan(goal.target).all(axis=0))
    told = [f"its model has no {', '.join(goal.names)}" if free[n] else each for n, each in enumerate(reasons)]
    return tuple(f"{each}; {bench.failure}" if each and bench.failure else each for each in told)


def _look(label: str, bench: _Bench, goal: Goal, codes: Codes, quantities: Array) -> Look:
    asked = write(bench.codes, bench.trims, codes)
    trims = {name: getattr(asked, name) for name in TRIMS}
    return Look(label, **trims, quantity=goal.names, observed=quantities)
