"""A chip's readout: gain, zero and new weights, set and measured; what could not be measured keeps its codes."""

import dataclasses
import re

import numpy as np
import pytest
from faulty_instrument import Faulty

from mtc_hw.calibration.calibrate import LOST, calibrate
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.observables import PREDICTIONS, Driven, Request
from mtc_hw.calibration.plan import Plan, ReadoutStep, RefitStep, load_plan
from mtc_hw.calibration.purpose import Lesson, Purpose
from mtc_hw.calibration.readout_steps import GAIN, ZERO, calibrate_readout, refitted, trim_readout
from mtc_hw.course import POINTS, Course
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.metrics import r2
from mtc_hw.readout import predict
from mtc_hw.spec import Readout, RectifiedTanh

STEP = RefitStep(method="refit", samples=220, burn_in=30)


def instrument_of(chip, runner, level="behavioural"):
    held = np.zeros((POINTS, chip.count))
    course = Course(held, np.stack([held] * 3), np.zeros((POINTS, chip.input_code.shape[1], chip.count)))
    return NgspiceInstrument(chip, level, runner, course)


@pytest.fixture(scope="module")
def single(network):
    """One neuron with two inputs and two outputs."""
    readout = dataclasses.replace(network.readout, weights=network.readout.weights[:, :1])
    return dataclasses.replace(
        network, neurons=network.neurons.take(0), weights=network.weights[:1], bias=network.bias[:1], readout=readout
    )


@pytest.mark.parametrize("bits", [None, 10])
def test_a_trimmed_transistor_readout_answers_what_it_is_asked(mapped, single, runner, bits):
    design = mapped(single, bits=bits)
    instrument = instrument_of(design, runner, "transistor")
    codes, wrong = trim_readout(design, single.readout, instrument)
    assert wrong == ""
    gain, zero = np.polyfit(PREDICTIONS, instrument.measure(codes, Request(readout=True)).readout.T, 1)
    assert gain == pytest.approx(np.ones(2), abs=0.01)
    assert codes.readout_offset + zero == pytest.approx(single.readout.offset, abs=0.005)
    assert not np.array_equal(codes.pole_code, design.pole_code)
    assert (codes.readout_offset != design.readout_offset).all()


def test_a_readout_that_cannot_be_measured_keeps_its_codes_and_says_so(mapped, single, runner):
    design = mapped(single, bits=8)
    silent = Faulty(instrument_of(design, runner), hanging=range(10))
    codes, wrong = trim_readout(design, single.readout, silent)
    assert codes is design and wrong == "the readout could not be measured"


def test_a_readout_whose_gain_is_beyond_its_range_is_no_success(mapped, single, runner):
    design = mapped(single, bits=8)
    chip = instrument_of(design, runner)

    class Weak:
        identity = "weak"

        def measure(self, codes, request):
            seen = chip.measure(codes, request)
            return dataclasses.replace(seen, readout=0.001 * seen.readout)

    assert "the readout's gain is" in trim_readout(design, single.readout, Weak())[1]


@pytest.fixture(scope="module")
def wave():
    series = np.cumsum(np.random.default_rng(3).normal(size=(250, 2)), axis=0)
    return 0.5 * series / series.std(axis=0)


@pytest.fixture(scope="module")
def taught(mapped, network, runner, wave):
    """A chip on its instrument, its features, and targets that other weights than its own make of them."""
    spec = dataclasses.replace(network, synapse=RectifiedTanh(0.1))
    design = mapped(spec, bits=12)
    instrument = instrument_of(perturb(design, 3, 0), runner)
    features = instrument.measure(design, Request(driven=Driven(wave))).driven.features
    other = Readout(spec.readout.weights * np.array([[-0.5], [2.0]]), np.array([0.7, -0.4]), spec.readout.tau)
    return spec, design, instrument, features, predict(features, other)


def test_refitted_weights_are_in_the_codes_and_do_what_they_were_fitted_to(taught):
    spec, design, _, features, targets = taught
    share = np.ones_like(design.readout_code)
    codes, readout, lost, wrong = refitted(design, spec.readout, features[30:], targets[30:], share)
    assert wrong == "" and not lost.any()
    assert r2(predict(features, readout)[30:, 0], targets[30:, 0]) > 0.999
    assert as_spec(codes).readout.weights == pytest.approx(readout.weights, abs=2e-3 * np.abs(readout.weights).max())
    # The largest weight is at the converter's end, or beyond a smaller full scale that loses less.
    assert np.abs(codes.readout_code).max() == codes.readout_dac.limits[1]
    for name in ("bias_trim", "reference_trim", "pole_code", "readout_offset"):
        assert np.array_equal(getattr(codes, name), getattr(design, name))


def test_what_a_trim_found_out_of_each_synapse_stays(taught):
    """Twice the bias for a synapse that takes twice the nominal one for the same output."""
    spec, design, _, features, targets = taught
    share = np.ones_like(design.readout_code)
    doubled = share.copy()
    doubled[:, 1] = 2.0
    plain, other = (refitted(design, spec.readout, features[30:], targets[30:], each)[0] for each in (share, doubled))
    ratio = other.readout_dac.decode(other.readout_code) / plain.readout_dac.decode(plain.readout_code)
    assert ratio[:, 1] == pytest.approx([2.0, 2.0], rel=0.03)
    assert np.delete(ratio, 1, axis=1) == pytest.approx(np.ones((2, 3)), rel=0.03)


def test_a_neuron_that_is_lost_gets_no_weight_and_the_others_are_fitted(taught):
    spec, design, _, features, targets = taught
    share, lossy = np.ones_like(design.readout_code), features[30:].copy()
    lossy[:, 2] = np.nan
    codes, readout, lost, wrong = refitted(design, spec.readout, lossy, targets[30:], share)
    assert lost.tolist() == [False, False, True, False]
    assert wrong == "" and not codes.readout_code[:, 2].any() and not readout.weights[:, 2].any()
    others = [0, 1, 3]
    assert np.isfinite(codes.readout_code).all() and codes.readout_code[:, others].any(axis=0).all()


def test_a_network_that_cannot_be_measured_keeps_its_weights(taught):
    spec, design, _, features, targets = taught
    nothing, share = np.full_like(features[30:], np.nan), np.ones_like(design.readout_code)
    codes, readout, lost, wrong = refitted(design, spec.readout, nothing, targets[30:], share)
    assert lost.all() and codes is design and readout is spec.readout
    assert wrong == "no neuron's features could be measured"


class Shifted:
    """Its answers in use are off by a gain, and by a zero of each run's own, that no sweep at rest shows."""

    identity = "shifted"

    def __init__(self, instrument, gain, zeros):
        self.instrument, self.gain, self.zeros, self.runs = instrument, gain, zeros, 0

    def measure(self, codes, request):
        seen = self.instrument.measure(codes, request)
        if seen.driven is None:
            return seen
        answer = self.gain * seen.driven.prediction + self.zeros[min(self.runs, len(self.zeros) - 1)]
        self.runs += 1
        return dataclasses.replace(seen, driven=dataclasses.replace(seen.driven, prediction=answer))


def set_on(taught, wave, instrument, look=150):
    """What the steps of a readout find on an instrument."""
    spec, design, own, _, targets = taught
    purpose = Purpose(spec, own.course, lesson=Lesson(wave, targets))
    steps = (ReadoutStep(method="readout"), STEP.model_copy(update={"samples": 150, "burn_in": 100, "look": look}))
    return calibrate_readout(design, purpose, steps, instrument, np.ones_like(design.readout_code))


def line_in_use(instrument, codes, wanted, wave):
    """Gain and zero of both outputs' answers, after the start."""
    answer = instrument.measure(codes, Request(driven=Driven(wave))).driven.prediction
    return np.transpose([np.polyfit(*each, 1) for each in zip(wanted[100:].T, answer[100:].T, strict=True)])


def test_a_gain_and_a_zero_that_only_a_run_shows_are_turned_away_and_looked_at_again(taught, wave):
    spec, _, chip, features, targets = taught
    instrument = Shifted(chip, 1.1, [0.3])
    found = set_on(taught, wave, instrument)
    assert (found.wrong, found.runs) == ("", 3)
    for codes, wanted in ((found.codes, targets), (found.trained, predict(features, spec.readout))):
        gain, zero = line_in_use(instrument, codes, wanted, wave)
        assert gain == pytest.approx([1.0, 1.0], abs=GAIN) and zero == pytest.approx([0.0, 0.0], abs=ZERO)
    unseen = set_on(taught, wave, Shifted(chip, 1.1, [0.3]), look=0)
    gain, zero = line_in_use(Shifted(chip, 1.1, [0.3]), unseen.codes, targets, wave)
    assert unseen.runs == 1
    assert gain.min() > 1.05 and np.abs(zero).min() > 0.2


def test_outputs_of_unlike_gains_are_both_turned(taught, wave):
    """The low-passes share one gain; the rest goes into each output's weights."""
    instrument = Shifted(taught[2], np.array([1.07, 0.93]), [0.0])
    found = set_on(taught, wave, instrument)
    assert found.runs == 3
    gain, _ = line_in_use(instrument, found.codes, taught[4], wave)
    assert gain == pytest.approx([1.0, 1.0], abs=GAIN)


def test_a_refit_s_run_and_looks_count_among_a_plan_s_measurements(taught, wave):
    spec, design, instrument, _, targets = taught
    purpose = Purpose(spec, instrument.course, lesson=Lesson(wave, targets))
    plan = load_plan("dc").model_copy(update={"measurements": 50})
    with pytest.raises(DataError, match=r"^plan dc takes 51 measurements of neuron 1 and allows 50; "):
        calibrate(design, purpose, instrument, plan)


def test_a_readout_that_is_on_target_is_looked_at_once(taught, wave, runner):
    found = set_on(taught, wave, instrument_of(taught[1], runner))
    assert (found.wrong, found.runs) == ("", 2)


def test_a_zero_that_moves_from_run_to_run_is_no_success(taught, wave):
    found = set_on(taught, wave, Shifted(taught[2], 1.0, [0.0, 0.3, -0.3]))
    assert re.match(r"the readout's gain is (0\.99|1\.0)\d+ and its zero -0\.6\d+ after its trim$", found.wrong)
    assert found.runs == 3


def test_an_answer_that_falls_where_it_should_rise_is_no_success(taught, wave):
    found = set_on(taught, wave, Shifted(taught[2], -1.0, [0.0]))
    assert re.match(r"the readout's gain is -(0\.9|1\.0)\d+; it must be above 0$", found.wrong)
    assert found.runs == 2


def test_a_neuron_that_is_lost_in_the_refit_s_run_is_no_success(taught, wave):
    spec, design, instrument, _features, targets = taught
    plan = load_plan("dc").with_refit(STEP.samples)
    plan = plan.model_copy(update={"steps": plan.readout_steps})
    purpose = Purpose(spec, instrument.course, lesson=Lesson(wave, targets))
    found = calibrate(design, purpose, Faulty(instrument, lost=[2]), plan)
    assert found.success.tolist() == [True, True, False, True] and not found.succeeded
    assert found.reason[2] == LOST and not found.readout_reason


def test_without_curves_each_synapse_counts_as_nominal(mapped, network, runner, wave):
    """The rounding of the weights' own codes, much of a small one, says nothing of a synapse."""
    spec = dataclasses.replace(network, synapse=RectifiedTanh(0.1))
    design = mapped(spec, bits=4)
    instrument = instrument_of(design, runner)
    features = instrument.measure(design, Request(driven=Driven(wave))).driven.features
    lesson = Lesson(wave, predict(features, spec.readout))
    steps = (ReadoutStep(method="readout"), STEP)
    purpose = Purpose(spec, instrument.course, lesson=lesson)
    found = calibrate(design, purpose, instrument, Plan(name="readout", steps=steps))
    expected = calibrate_readout(design, purpose, steps, instrument, np.ones_like(design.readout_code))
    assert np.array_equal(found.readout.code, expected.codes.readout_code)
    assert found.readout.lsb == expected.codes.readout_dac.lsb
