"""Searches on real observables: chips of the presets in the cells tier, and instruments that fail."""

import dataclasses
import re

import numpy as np
import pytest
from faulty_instrument import Faulty

from mtc_hw.calibration.calibrate import calibrate, calibrate_chips
from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.firing_quantities import firing_quantities
from mtc_hw.calibration.noise import Noisy
from mtc_hw.calibration.observables import Firing, Observables, Request
from mtc_hw.calibration.plan import Plan, load_plan
from mtc_hw.calibration.purpose import Purpose
from mtc_hw.calibration.result import apply
from mtc_hw.courses import neuron_course
from mtc_hw.errors import DataError
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.population import population
from mtc_hw.neuron_file import load_neuron
from mtc_hw.neuron_run import with_current

CHIPS = 8
RATE = {"quantity": "rate", "current": 0.5, "tolerance": 0.01}
SEARCH = {"method": "bisection", "knobs": ("filter.slow",), "targets": (RATE,), "duration": 800.0}


def plan(*steps, **changed) -> Plan:
    return Plan.model_validate({"name": "test", "steps": [SEARCH | each for each in steps]} | changed)


@pytest.fixture(scope="module")
def subject(preset):
    """A preset's design, its purpose and some chips of it."""

    def build(name):
        file, spec, design = preset(name, bits=8)
        purpose = Purpose(spec, neuron_course(file), file.stimulus, file.initial)
        return design, purpose, [perturb(design, 1, k) for k in range(CHIPS)]

    return build


@pytest.fixture(scope="module")
def tonic(subject):
    return subject("tonic")


def calibrated(design, purpose, chips, what):
    single = [CompiledInstrument([chip], "cells") for chip in chips]
    return calibrate_chips(design, purpose, CompiledInstrument(chips, "cells"), single, what)


def judged(design, purpose, chips, results, names, current, duration):
    """Quantities of the model and of the chips with their results on, (Q, 1) and (Q, chips), measured afresh."""
    run = Firing(purpose.stimulus.shifted(current), duration, purpose.initial)
    codes = population([apply(each, design) for each in results])
    seen = CompiledInstrument(chips, "cells").measure(codes, Request(firing=(run,)))
    meant = purpose.firing(run.stimulus, duration)
    return firing_quantities(names, meant, run), firing_quantities(names, seen.spikes[0], run)


def test_f_i_points_are_brought_to_the_model_s(tonic):
    results = calibrated(*tonic, load_plan("fi"))
    assert all(each.succeeded for each in results), [each.reason for each in results]
    assert max(each.measurements.max() for each in results) <= 40
    for current, tolerance in ((0.5, 0.015), (-0.2, 0.02)):
        model, found = judged(*tonic, results, ("rate",), current, 1500.0)
        assert (np.abs(found / model - 1.0) <= tolerance).all()


def test_a_neuron_near_its_threshold_is_brought_to_the_model_s_rate(tonic):
    design, purpose, chips = tonic
    file = with_current(load_neuron("tonic"), -0.8)
    near = dataclasses.replace(purpose, course=neuron_course(file), stimulus=file.stimulus, initial=file.initial)
    results = calibrated(design, near, chips, load_plan("onset"))
    assert all(each.succeeded for each in results), [each.reason for each in results]
    assert max(each.measurements.max() for each in results) <= 40
    model, found = judged(design, near, chips, results, ("rate",), 0.0, 2500.0)
    assert (np.abs(found / model - 1.0) <= 0.03).all()


def test_bursts_are_brought_to_the_model_s(subject):
    burster = subject("bursting")
    results = calibrated(*burster, load_plan("bursts"))
    assert all(each.succeeded for each in results), [each.reason for each in results]
    assert max(each.measurements.max() for each in results) <= 40
    model, found = judged(*burster, results, ("period", "spikes_per_burst"), 0.0, 8000.0)
    assert (np.abs(found / model - 1.0) <= np.array([[0.03], [0.06]])).all()


def test_dear_runs_need_no_curves(tonic):
    design, purpose, chips = tonic
    results = calibrated(design, purpose, chips[:2], load_plan("dear"))
    assert all(each.succeeded for each in results), [each.reason for each in results]
    assert {each.step for result in results for each in result.history} == {"1 surrogate"}


def test_history_has_every_setting_and_what_came(tonic):
    design, purpose, chips = tonic
    (result,) = calibrated(design, purpose, chips[:1], plan({}))
    assert len(result.history) == result.measurements[0]
    looks = [(look.bias_trim[6, 0], float(look.observed[0, 0])) for look in result.history]
    assert {look.quantity for look in result.history} == {("rate at +0.5 I_u",)}
    best = dict(looks)[result.bias_trim[6, 0]]
    model, _ = judged(design, purpose, chips[:1], [result], ("rate",), 0.5, 800.0)
    assert result.succeeded and abs(best / model[0, 0] - 1.0) <= 0.01
    assert [code for code, _ in looks[:1]] == [0.0]


def test_a_search_that_turns_an_earlier_one_away_is_no_success(tonic):
    design, purpose, chips = tonic
    faster = {"targets": ({"quantity": "rate", "current": 0.5, "value": 0.0215, "tolerance": 0.01},)}
    (result,) = calibrated(design, purpose, chips[:1], plan({}, faster))
    assert re.fullmatch(
        r"turned away by later steps; rate at \+0\.5 I_u misses 0\.01983 by \+0\.001\d+, tolerance 0\.000198",
        result.reason[0],
    )
    assert result.history[-1].step == "1 bisection, once more"
    assert len(result.history) == result.measurements[0]


def test_two_searches_that_agree_are_confirmed(tonic):
    design, purpose, chips = tonic
    (result,) = calibrated(design, purpose, chips[:1], plan({}, {}))
    assert result.succeeded


def test_a_quantity_that_the_model_does_not_have_is_named(tonic):
    design, purpose, chips = tonic
    wanted = {"targets": ({"quantity": "period"},)}
    (result,) = calibrated(design, purpose, chips[:1], plan(wanted))
    assert result.reason == ("its model has no period",) and result.measurements[0] == 0


def test_a_target_of_one_s_own_need_not_be_the_model_s(tonic):
    design, purpose, chips = tonic
    wanted = {"targets": ({"quantity": "isi", "value": 60.0, "tolerance": 1.0, "relative": False},)}
    results = calibrated(design, purpose, chips, plan(wanted))
    _, found = judged(design, purpose, chips, results, ("isi",), 0.0, 800.0)
    hit = np.array([each.succeeded for each in results])
    assert hit.sum() >= CHIPS - 1
    assert (np.abs(found[0, hit] - 60.0) <= 1.0).all()


def test_the_plan_s_measurements_bound_all_searches_together(tonic):
    design, purpose, chips = tonic
    exact = {"targets": (RATE | {"tolerance": 1e-6},)}
    results = calibrated(design, purpose, chips, plan(exact, exact, measurements=9))
    assert max(each.measurements[0] for each in results) <= 9
    spent = calibrated(design, purpose, chips[:1], plan(exact, exact, measurements=2))[0]
    assert "no measurements are left for it" in spent.reason[0]


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ({"knobs": ("filter.slwo",)}, "'filter.slwo' is no knob, did you mean 'filter.slow'"),
        ({"targets": ({"quantity": "rat"},)}, "'rat' is no quantity of firing, did you mean 'rate'"),
    ],
)
def test_names_that_there_are_not_are_refused(tonic, step, text):
    design, purpose, chips = tonic
    with pytest.raises(DataError, match=text):
        calibrated(design, purpose, chips[:1], plan(step))


def test_a_percent_of_noise_still_converges(tonic):
    design, purpose, chips = tonic
    noisy = Noisy(CompiledInstrument(chips, "cells"), 0.01, 3)
    wanted = {"targets": (RATE | {"tolerance": 0.015, "noise": 0.005},)}
    codes = calibrate_chips(design, purpose, noisy, [noisy] * CHIPS, plan(wanted))
    assert all(each.succeeded for each in codes), [each.reason for each in codes]
    model, found = judged(design, purpose, chips, codes, ("rate",), 0.5, 800.0)
    assert (np.abs(found / model - 1.0) <= 0.02).all()


def test_a_stuck_code_and_a_lost_neuron_are_marked(tonic):
    design, purpose, chips = tonic
    chip = CompiledInstrument(chips[:1], "cells")
    stuck = calibrate(design, purpose, Faulty(chip, stuck=[("bias_trim", (6, 0), 0.0)]), plan({}))
    assert stuck.reason[0].startswith("the code is stuck: ") and not stuck.bias_trim.any()
    lost = calibrate(design, purpose, Faulty(chip, lost=[0]), plan({}))
    assert lost.reason == ("could not be measured at code 0",)


@dataclasses.dataclass
class Broken:
    """Fails at the given measurements, counted from zero."""

    chip: CompiledInstrument
    at: frozenset[int]
    count: int = 0

    @property
    def identity(self) -> str:
        return "broken"

    def measure(self, codes, request) -> Observables:
        self.count += 1
        if self.count - 1 in self.at:
            raise TimeoutError("no answer")
        return self.chip.measure(codes, request)


def test_an_instrument_that_raises_is_told_and_ends_nothing(tonic):
    design, purpose, chips = tonic
    chip = CompiledInstrument(chips[:1], "cells")
    dead = calibrate(design, purpose, Broken(chip, frozenset(range(99))), plan({}))
    assert dead.reason == ("could not be measured at code 0; the instrument failed: TimeoutError: no answer",)
    assert dead.measurements[0] == 1
    # A lost end is moved inwards, and the search goes on.
    assert calibrate(design, purpose, Broken(chip, frozenset({1})), plan({})).succeeded
