"""What ships is what it says: the trained network through every level, the reference calibration made again."""

from dataclasses import replace

import numpy as np
import pytest

from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.plan import load_plan
from mtc_hw.calibration.result import TRIMS, apply, load_result
from mtc_hw.checkpoint import load_training
from mtc_hw.exports import design_of
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.unit import SQUARE
from mtc_hw.metrics import r2
from mtc_hw.model.export import from_spec
from mtc_hw.model.options import load_recipe, options_from
from mtc_hw.model.robustness import robustness
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.purposes import neuron_purpose, task_purpose, without_refit
from mtc_hw.resources import folder
from mtc_hw.simulate.network import run_networks
from mtc_hw.sources import load_source

BURN_IN, SAMPLES = 250, 1250
NETWORK = load_source("mackey-glass-fast")
TEST = mackey_glass_split().test
INPUTS, TARGETS = TEST.inputs[:, None], TEST.targets


@pytest.fixture(scope="module")
def design():
    return design_of(NETWORK, bits=8, technology="generic", size=SQUARE)


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


RECIPES = {"circuit": 0.996, "fast": 0.985, "paper": 0.98, "robust": 0.95, "sparse": 0.9965}
"""Least R2 of each recipe's network."""


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_s_network_is_what_its_record_says(recipe):
    name = f"mackey-glass-{recipe}"
    spec, said = load_source(name).spec, load_training(folder("models") / "networks" / name)
    burn_in = said["options"]["burn_in"]
    answer = run_spec(spec, INPUTS).prediction[burn_in:, 0]
    assert r2(answer, TARGETS[burn_in:]) == pytest.approx(said["r2"], abs=1e-3) and said["r2"] > RECIPES[recipe]
    assert options_from(said["options"], name) == replace(load_recipe(recipe), seed=0)
    assert said["command"].startswith(f"mtc-hw train --recipe {recipe} --seed 0 ")
    assert said["series_digest"] == mackey_glass_split().digest()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_s_network_maps_and_its_codes_mean_it(recipe):
    source = load_source(f"mackey-glass-{recipe}")
    spec, design = source.spec, design_of(source, bits=8, technology="generic", size=SQUARE)
    meant = as_spec(design)
    for got, wanted in ((meant.weights, spec.weights), (meant.readout.weights, spec.readout.weights)):
        assert (
            np.abs(got - wanted).max() <= 0.0045 * np.abs(wanted).max()
        )  # half of one part in 127, and a gain's fall
    assert meant.readout.tau == pytest.approx(spec.readout.tau, rel=0.005)
    assert meant.neurons.alpha == pytest.approx(spec.neurons.alpha, abs=0.01)


def test_the_sparse_network_is_sparse_and_uses_its_neurons():
    said = load_training(folder("models") / "networks" / "mackey-glass-sparse")
    assert said["s_comp"] > 0.95 and said["silent"] < 0.15 * 128
    assert said["r2_refined"] == pytest.approx(said["r2"], abs=0.002)


@pytest.mark.slow
def test_the_robust_network_stands_mismatch():
    source, split = load_source("mackey-glass-robust"), mackey_glass_split()
    spread = load_recipe("robust").spread
    found = robustness(from_spec(source.spec), source.spec.readout, split, spread, chips=50, seed=10_000).summary()
    assert found["refitted_median"] >= 0.98 and found["refitted_p5"] >= 0.97
    assert found["raw_median"] >= 0.93


@pytest.mark.slow
def test_the_behavioural_network_is_as_good_as_its_codes(design, runner):
    codes = score(run_spec(as_spec(design), INPUTS[:SAMPLES]).prediction[:, 0])
    found = run_networks([design], "behavioural", INPUTS[:SAMPLES], runner)[0]
    assert found.failed == ()
    assert score(found.prediction[:, 0]) == pytest.approx(codes, abs=0.01)


@pytest.mark.slow
def test_the_trimmed_transistor_network_still_predicts(design, runner):
    purpose = without_refit(task_purpose(NETWORK.spec, mackey_glass_split()))
    instrument = NgspiceInstrument(design, "transistor", runner, purpose.course)
    result = calibrate(design, purpose, instrument, load_plan("dc"))
    assert result.succeeded
    trimmed = apply(result, design)
    found = run_networks([trimmed], "transistor", INPUTS[:SAMPLES], runner)[0]
    assert found.failed == ()
    assert score(found.prediction[:, 0]) > 0.97


@pytest.mark.slow
def test_the_reference_calibration_can_be_made_again(runner):
    source = load_source("tonic")
    nominal = design_of(source, bits=8, technology="generic", size=SQUARE)
    chip, purpose = perturb(nominal, seed=1, sample=0), neuron_purpose(source.neuron)
    instrument = NgspiceInstrument(chip, "transistor", runner, purpose.course)
    result = calibrate(nominal, purpose, instrument, load_plan("dc"))
    shipped = load_result(folder("calibration") / "records" / "tonic-4x4um-seed-1-chip-0.json")
    assert result.succeeded and shipped.succeeded
    assert result.identity == shipped.identity and result.plan_digest == shipped.plan_digest
    for name in TRIMS:
        np.testing.assert_array_equal(getattr(result, name), getattr(shipped, name))
    assert apply(shipped, chip).deviations is chip.deviations
