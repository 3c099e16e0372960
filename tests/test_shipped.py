"""What ships is what it says: the trained network through every level, the reference calibration made again."""

import numpy as np
import pytest

from mtc_hw.calibrate import apply, bench, calibrate, load_plan, load_record
from mtc_hw.checkpoint import load_training
from mtc_hw.exports import design_of, spec_of
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.metrics import r2
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.resources import folder
from mtc_hw.simulate.network import layer_prediction, run_layers
from mtc_hw.sources import load_source

BURN_IN, SAMPLES = 250, 1250
NETWORK = load_source("mackey-glass-fast")
TEST = mackey_glass_split().test
INPUTS, TARGETS = TEST.inputs[:, None], TEST.targets


@pytest.fixture(scope="module")
def design():
    return design_of(NETWORK, bits=8, technology="generic", size=4.0)


def score(answer):
    return r2(answer[BURN_IN:], TARGETS[BURN_IN : len(answer)])


def test_the_network_is_as_good_as_its_record_says():
    spec, said = NETWORK.spec, load_training(folder("models") / "networks" / "mackey-glass-fast")
    software = score(run_spec(spec, INPUTS).prediction[:, 0])
    refined = score(run_spec(spec, INPUTS, spec.step / 4).prediction[:, 0])
    assert spec.neurons.count == 64
    assert software == pytest.approx(said["r2"], abs=1e-3)
    assert software > 0.985
    assert refined == pytest.approx(software, abs=0.005)


@pytest.mark.slow
def test_the_behavioural_network_is_as_good_as_its_codes(design, runner):
    codes = score(run_spec(as_spec(design), INPUTS[:SAMPLES]).prediction[:, 0])
    layer = run_layers([design], "behavioural", INPUTS[:SAMPLES], runner)[0]
    assert layer.failed == ()
    assert score(layer_prediction(design, layer, as_spec(design).readout)[:, 0]) == pytest.approx(codes, abs=0.01)


@pytest.mark.slow
def test_the_trimmed_transistor_network_still_predicts(design, runner):
    plan = load_plan("dc")
    trimmed = apply(calibrate(design, NETWORK.spec, bench(design, "transistor", plan, runner), plan), design)
    layer = run_layers([trimmed], "transistor", INPUTS[:SAMPLES], runner)[0]
    assert layer.failed == ()
    assert score(layer_prediction(trimmed, layer, as_spec(trimmed).readout)[:, 0]) > 0.9


@pytest.mark.slow
def test_the_reference_calibration_can_be_made_again(runner):
    source = load_source("tonic")
    nominal, plan = design_of(source, bits=8, technology="generic", size=4.0), load_plan("dc")
    chip = perturb(nominal, seed=1, sample=0)
    record = calibrate(nominal, spec_of(source), bench(chip, "transistor", plan, runner), plan)
    shipped = load_record(folder("calibration") / "records" / "tonic-4x4um-seed-1-chip-0.json")
    for name in ("bias_code", "reference_code", "offset_code"):
        np.testing.assert_array_equal(getattr(record, name), getattr(shipped, name))
    assert apply(shipped, chip).deviations is chip.deviations
