"""What goes wrong on a chip or at its instrument ends in a result that says so: no exception, no false success."""

import dataclasses

import numpy as np
import pytest
from faulty_instrument import Faulty

from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.field import field_error
from mtc_hw.calibration.noise import Noisy
from mtc_hw.calibration.observables import Curves, Request
from mtc_hw.calibration.plan import load_plan
from mtc_hw.calibration.result import apply, load_result, save_result
from mtc_hw.calibration.surface import completed
from mtc_hw.exports import spec_of
from mtc_hw.hardware.design import BRANCHES
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.purposes import task_purpose
from mtc_hw.sources import load_source

SLOW = BRANCHES.index("slow_positive")
DC = load_plan("dc")
PLAN = DC.model_copy(update={"steps": DC.neuron_steps})
CURVES = Curves(outputs=(-2.0, 0.0, 2.0))


@pytest.fixture(scope="module")
def purpose():
    spec = spec_of(load_source("mackey-glass-circuit"))
    return task_purpose(spec, mackey_glass_split(task=spec.task))


@pytest.fixture(scope="module")
def design(mapped, purpose):
    return mapped(purpose.spec, bits=8)


@pytest.fixture(scope="module")
def chip(design):
    return perturb(design, 11, 4)


@pytest.fixture(scope="module")
def instrument(chip):
    return CompiledInstrument([chip], "cells")


@pytest.fixture(scope="module")
def sound(design, purpose, instrument):
    return calibrate(design, purpose, instrument, PLAN)


def true_error(result, design, purpose, instrument):
    """What an instrument without faults says of the result's codes, (N,)."""
    codes = apply(result, design)
    table = instrument.measure(codes, Request(curves=CURVES)).curves
    return field_error(codes, purpose.spec, completed(codes, table), purpose.course)


def assert_marked(result, sound, wrong) -> None:
    """Those that are wrong failed with a reason, all others came out as on the sound chip."""
    others = np.setdiff1d(np.arange(result.success.size), wrong)
    assert not result.success[wrong].any() and all(result.reason[n] for n in wrong)
    assert (result.success[others] == sound.success[others]).all()
    assert (result.bias_trim[:, others] == sound.bias_trim[:, others]).all()
    assert [bool(each) for each in result.reason] == (~result.success).tolist()
    assert not result.succeeded


def test_a_sound_chip_is_calibrated_within_its_measurements(sound, design, purpose, instrument):
    assert sound.success.mean() >= 0.99
    assert sound.measurements.max() <= 40
    assert (true_error(sound, design, purpose, instrument)[sound.success] < 0.1).all()


def test_a_dead_element_is_marked(design, purpose, instrument, sound):
    found = calibrate(design, purpose, Faulty(instrument, dead=[(SLOW, 7)]), PLAN)
    assert_marked(found, sound, [7])
    assert "slow_positive: no current" in found.reason[7]
    assert not found.bias_trim[:, 7].any()


def test_a_stuck_code_is_marked(design, purpose, instrument, sound):
    found = calibrate(design, purpose, Faulty(instrument, stuck=[("reference_trim", (SLOW, 9), 31.0)]), PLAN)
    assert_marked(found, sound, [9])
    assert "its current misses by" in found.reason[9]


def test_neurons_that_are_not_a_number_are_marked(design, purpose, instrument, sound, tmp_path):
    found = calibrate(design, purpose, Faulty(instrument, lost=[0, 100]), PLAN)
    assert_marked(found, sound, [0, 100])
    assert np.isnan(found.residual[[0, 100]]).all()
    save_result(found, tmp_path / "chip.json")
    assert load_result(tmp_path / "chip.json").reason == found.reason


@pytest.mark.parametrize("calls", [{0}, {1}, {2}, {0, 1, 2}])
def test_an_instrument_that_hangs_is_no_success(design, purpose, instrument, calls):
    found = calibrate(design, purpose, Faulty(instrument, hanging=calls), PLAN)
    assert not found.success.any()
    assert all("not measured" in each for each in found.reason)


@dataclasses.dataclass
class Raising:
    """An instrument that does not keep to the protocol."""

    instrument: CompiledInstrument
    error: Exception
    at: int
    calls: int = 0
    identity: str = "a bench"

    def measure(self, codes, request):
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return self.instrument.measure(codes, request)


@pytest.mark.parametrize("error", [TimeoutError("no answer"), ValueError("bad block"), KeyError("current")])
@pytest.mark.parametrize("at", [1, 3])
def test_an_instrument_that_raises_is_a_reason(design, purpose, instrument, error, at):
    found = calibrate(design, purpose, Raising(instrument, error, at), PLAN)
    assert not found.success.any()
    assert all(f"the instrument failed: {type(error).__name__}" in each for each in found.reason)


@pytest.mark.parametrize("seed", [3, 7])
@pytest.mark.parametrize("noise", [0.003, 0.01, 0.02, 0.05])
def test_a_noisy_instrument_converges_or_says_where_it_did_not(design, purpose, instrument, noise, seed):
    """Up to 1 % nearly all neurons converge, of most it is sure. Whatever the noise, a success is one."""
    found = calibrate(design, purpose, Noisy(instrument, noise, seed), PLAN)
    true = true_error(found, design, purpose, instrument)
    if noise <= 0.01:
        assert np.mean(true < 0.1) >= 0.98
        assert found.success.mean() >= (0.99 if noise < 0.01 else 0.6)
    assert (true[found.success] < 0.1).all()
    assert all("its current misses by" in found.reason[n] for n in np.flatnonzero(~found.success))


def test_the_same_instrument_gives_the_same_result(design, purpose, instrument, sound):
    assert calibrate(design, purpose, instrument, PLAN).digest() == sound.digest()
