"""The steps of a plan that turn the trims of single neurons, all neurons of one or several chips at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration.doubt import doubt
from mtc_hw.calibration.elements import match
from mtc_hw.calibration.field import Prior, field_error, trim_field
from mtc_hw.calibration.knobs import at_bounds
from mtc_hw.calibration.measured import measured
from mtc_hw.calibration.observables import Curves, Instrument, Observables, Request, Table
from mtc_hw.calibration.plan import CheckStep, CurvesStep, Plan, SearchStep
from mtc_hw.calibration.purpose import Purpose
from mtc_hw.calibration.result import TRIMS, Look
from mtc_hw.calibration.search_steps import confirm, seek
from mtc_hw.calibration.surface import completed
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import MappedDesign


class Neurons:
    """Neurons on their way through a plan."""

    def __init__(self, codes: MappedDesign, purpose: Purpose, instrument: Instrument, plan: Plan) -> None:
        self.codes, self.purpose, self.instrument, self.plan = codes, purpose, instrument, plan
        self.marks = [""] * codes.count  # why a neuron is given up; its trims stay as they were then
        self.missed = [""] * codes.count  # what the last step to look at it found off target
        self.residual = np.full(codes.count, np.nan)
        self.spent = np.zeros(codes.count)
        self._free = np.zeros(codes.count)  # measurements that are left for searches
        self.history: list[Look] = []
        self.synapses = np.full(codes.readout_code.shape, np.nan)  # A, unrounded; NaN unmeasured
        self._seen: tuple[Table, MappedDesign] | None = None

    def run(self) -> None:
        """All steps of single neurons. Raises DataError for a plan that takes more than it allows, or cannot fit."""
        self._check_cost()
        for number, step in enumerate(self.plan.neuron_steps, 1):
            label = f"{number} {step.method}"
            if isinstance(step, CurvesStep):
                self._trim(step, label)
            elif isinstance(step, CheckStep):
                self._look_again(step, label)
            else:
                self._search(step, label)
        self._confirm()

    @property
    def reasons(self) -> list[str]:
        """Why each neuron is no success; "" for one that is."""
        bounds = at_bounds(self.codes)
        told = []
        for mark, missed, ends in zip(self.marks, self.missed, bounds, strict=True):
            wrong = [each for each in (mark, missed) if each]
            told.append("; ".join([*wrong, *(ends if wrong else ())]))
        return told

    def _check_cost(self) -> None:
        allowed = self.plan.measurements
        curves = [Request(curves=each.curves) for each in self.plan.neuron_steps if not isinstance(each, SearchStep)]
        needed = np.asarray(sum((each.cost(self.codes) for each in curves), np.zeros(self.codes.count)))
        if self.plan.refit is not None and self.purpose.lesson is not None:
            needed += self.plan.refit.runs
        needed += sum(step.runs for _, step in self._searches[:-1])  # to confirm them
        if needed.max() > allowed:
            worst = int(np.argmax(needed))
            raise DataError(
                f"plan {self.plan.name} takes {needed[worst]:g} measurements of neuron {worst} and allows {allowed}; "
                "look at fewer output voltages, or allow more"
            )
        self._free = allowed - needed

    @property
    def _alive(self) -> NDArray[np.bool_]:
        return np.array([not each for each in self.marks])

    def _mark(self, reasons: Sequence[str]) -> None:
        """Gives up the neurons with a reason, unless they are given up."""
        self.marks = [old or new for old, new in zip(self.marks, reasons, strict=True)]

    def _measure(self, request: Request, codes: MappedDesign) -> Observables:
        seen, wrong = measured(self.instrument, codes, request)
        self.spent += request.cost(codes)
        if wrong:
            self._mark([wrong] * self.codes.count)
        return seen

    def _table(self, curves: Curves) -> tuple[Table, Table]:
        """The look, with what an earlier one knows of other output voltages; and as it was measured."""
        seen = self._measure(Request(curves=curves), self.codes).curves
        assert seen is not None, "asked for"
        table = completed(self.codes, seen, *(self._seen or (None, None)))
        if self._seen is None or len(seen.output) >= len(self._seen[0].output):
            self._seen = seen, self.codes
        return table, seen

    def _trim(self, step: CurvesStep, label: str) -> None:
        (table, _), knobs = self._table(step.curves), frozenset(step.knobs)
        spec, course = self.purpose.spec, self.purpose.course
        matched = match(self.codes, spec, table, knobs)
        self._mark(matched.marks)
        self._note(label, ("current error",), field_error(self.codes, spec, table, course)[None])
        usable = self._alive
        self.synapses = np.where(usable, matched.setting.synapses, self.synapses)
        prior = Prior(step.bias, step.reference, step.constant, step.accuracy)
        self.codes = trim_field(self.codes, spec, table, course, matched.setting, usable, prior, knobs)

    def _look_again(self, step: CheckStep, label: str) -> None:
        earlier = None if self._seen is None else self._seen[0]
        table, seen = self._table(step.curves)
        hidden = doubt(self.codes, seen, self.purpose.course, earlier)
        self._mark(match(self.codes, self.purpose.spec, table).marks)
        self.residual = field_error(self.codes, self.purpose.spec, table, self.purpose.course)
        self._note(label, ("current error",), self.residual[None])
        for neuron, (error, unseen) in enumerate(zip(self.residual, hidden, strict=True)):
            if not np.hypot(error, unseen) <= step.tolerance:
                noise = f", noise of its curves may hide {unseen:.2g}" if error <= step.tolerance else ""
                self.missed[neuron] = f"its current misses by {error:.3g} I_u, tolerance {step.tolerance:g}{noise}"

    def _search(self, step: SearchStep, label: str) -> None:
        alive = self._alive
        allowed = int(self._free[alive].min(initial=step.budget))
        found = seek(step, self.codes, self.purpose, self.instrument, alive, allowed, label)
        self.codes, self.spent, self._free = found.codes, self.spent + found.spent, self._free - found.spent
        self.history += found.looks
        for neuron in np.flatnonzero(alive):
            self.missed[neuron] = found.reasons[neuron]

    @property
    def _searches(self) -> list[tuple[int, SearchStep]]:
        return [(n, each) for n, each in enumerate(self.plan.neuron_steps, 1) if isinstance(each, SearchStep)]

    def _confirm(self) -> None:
        """What an earlier search brought on target a later one may have turned away."""
        for number, step in self._searches[:-1]:
            found = confirm(
                step, self.codes, self.purpose, self.instrument, self._alive, f"{number} {step.method}, once more"
            )
            self.spent, self.history = self.spent + found.spent, [*self.history, *found.looks]
            for neuron in np.flatnonzero(self._alive):
                self.missed[neuron] = "; ".join(each for each in (found.reasons[neuron], self.missed[neuron]) if each)

    def _note(
        self, label: str, quantity: tuple[str, ...], observed: NDArray[np.float64], codes: MappedDesign | None = None
    ) -> None:
        trims = {name: getattr(self.codes if codes is None else codes, name) for name in TRIMS}
        self.history.append(Look(label, **trims, quantity=quantity, observed=observed))
