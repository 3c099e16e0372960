"""The whole loop, small."""

import dataclasses
import json

import numpy as np
import pytest
from test_cli import call, call_json

from mtc_hw.calibration.plan import load_plan
from mtc_hw.checkpoint import load_spec
from mtc_hw.codesign.loop import CodesignOptions, codesign, in_its_cells
from mtc_hw.codesign.start import load_start, quickened, series_of, with_seed
from mtc_hw.codesign.trimming import ByPlan, Trimmed
from mtc_hw.codesign.verify import verify, verify_circuits
from mtc_hw.errors import DataError
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.unit import parse_size
from mtc_hw.model.options import TrainOptions

SMALL = parse_size("2")


@pytest.fixture(scope="module")
def options(small_network):
    _, few = quickened(small_network, CodesignOptions(size=SMALL, chips=4, looped=2))
    return dataclasses.replace(few, tune=dataclasses.replace(few.tune, iterations=3))


@pytest.fixture(scope="module")
def split(small_network):
    return series_of(small_network, quick=True)


@pytest.fixture(scope="module")
def found(small_network, options, split):
    return codesign(small_network, split, options, progress=False)


def test_a_network_is_judged_as_given_and_fine_tuned(found, small_network):
    assert [each.name for each in found.steps] == ["given", "fine-tuned"]
    assert found.steps[0].spec is small_network
    assert all(each.scores.raw.shape == (4,) and np.isfinite(each.scores.refitted).all() for each in found.steps)
    assert found.spec.digest() != small_network.digest()
    assert found.steps[1].loop.iterations == 3


def test_the_fine_tuned_network_has_the_effects_at_its_own_biases(found):
    given, tuned = found.steps
    own = as_cells(given.design).neurons.cells
    assert np.array_equal(tuned.spec.neurons.cells.lag, own.lag)
    assert in_its_cells(given.spec, given.design).neurons.cells is not None
    assert given.spec.neurons.cells is None


def test_the_same_seed_gives_the_same_and_another_one_other_chips(found, small_network, options, split):
    again = codesign(small_network, split, options, progress=False)
    assert again.spec.digest() == found.spec.digest()
    assert np.array_equal(again.steps[1].scores.raw, found.steps[1].scores.raw)
    other = dataclasses.replace(options, seed=5)
    assert not np.array_equal(codesign(small_network, split, other, progress=False).steps[0].scores.raw,
                              found.steps[0].scores.raw)  # fmt: skip


def test_chips_in_the_loop_are_trimmed_and_no_judged_ones(small_network, options, split):
    asked = []

    def calibrate(target, chips, series):
        asked.append([(each.deviations.seed, each.deviations.sample) for each in chips])
        assert series is split and target.neurons.count == 4
        return Trimmed(tuple(dataclasses.replace(each, offset_trim=each.offset_trim + 3.0) for each in chips))

    trimmed = codesign(small_network, split, options, calibrate, progress=False)
    judged, looped, fresh, again = map(set, asked)
    assert judged == again
    assert not judged & (looped | fresh) and not looped & fresh
    plain = codesign(small_network, split, options, progress=False)
    assert not np.array_equal(trimmed.steps[0].scores.raw, plain.steps[0].scores.raw)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"chips": 0}, "^chips is 0; give 1 or more$"),
        ({"chips": 2, "circuits": 3}, "^circuits is 3; there are 2 chips"),
    ],
)
def test_numbers_of_chips_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(DataError, match=said):
        CodesignOptions(**wrong)


def test_one_seed_goes_everywhere():
    start, options = with_seed(load_start("circuit"), CodesignOptions(), 7)
    assert (start.seed, options.seed, options.tune.seed) == (7, 7, 7)
    assert isinstance(start, TrainOptions)


def test_the_command_trains_in_the_cells_and_leaves_every_file(capsys, tmp_path):
    out = tmp_path / "design"
    few = ["--iterations", 5, "--tune", 2, "--size", 2, "--chips", 3, "--plan", "none"]
    asked = ["codesign", "fast", "--quick", *few, "--out", out]
    values = call_json(capsys, *asked)
    assert [each["name"] for each in values["steps"]] == ["trained", "fine-tuned"]
    assert json.loads((out / "result.json").read_text()) == values
    assert load_spec(out / "network.json").digest() == values["steps"][1]["network_digest"]
    assert load_spec(out / "trained.json").neurons.cells is not None
    assert (out / "codesign.png").stat().st_size > 10_000
    assert (out / "steps.md").read_text().count("\n") == 4
    assert {gain["readout"] for gain in values["gains"]} == {"raw", "refitted"}
    gain = values["gains"][0]
    assert gain["mean"]["low"] <= gain["mean"]["value"] <= gain["mean"]["high"] and gain["chips"] == 3
    code, said, err = call(capsys, *asked, "--resume")
    assert (code, err, said.count("\n")) == (0, "", 1)
    again = json.loads((out / "result.json").read_text())
    assert again["steps"][1]["network_digest"] == values["steps"][1]["network_digest"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mackey-glass-circuit", "--iterations", "5"], "--iterations is of the training, and a network is given"),
        (["nothing"], "'nothing' is no preset"),
        (["tonic"], "'tonic' is no trained network"),
    ],
)
def test_what_cannot_be_co_designed_is_one_line(capsys, tmp_path, arguments, said):
    code, out, err = call(capsys, "codesign", *arguments, "--quick", "--out", tmp_path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_a_recipe_without_a_circuit_is_refused(tmp_path):
    (tmp_path / "deep.toml").write_text("layers = 2\n")
    with pytest.raises(DataError, match=r"deep\.toml has no circuit; only one layer"):
        load_start(str(tmp_path / "deep.toml"))


def test_chips_are_trimmed_by_a_plan_with_readouts_of_their_own(found, small_network, options, split):
    trimmed = codesign(small_network, split, options, ByPlan(load_plan("dc")), progress=False)
    before, after = found.steps[0].scores, trimmed.steps[0].scores
    assert (after.raw > before.raw).mean() >= 0.75
    assert np.isfinite(after.refitted).all()


def test_a_plan_tells_how_many_neurons_are_on_target(found, split, options, small_network):
    design = found.steps[0].design
    chips = [options.variation.draw(design, 3, sample) for sample in range(2)]
    trimmed = ByPlan(load_plan("dc"))(small_network, chips, split)
    assert (
        [each.deviations.sample for each in trimmed.chips]
        == [0, 1]
        == [each.deviations.sample for each in trimmed.refitted]
    )
    assert not np.array_equal(trimmed.chips[0].readout_code, trimmed.refitted[0].readout_code)
    assert np.array_equal(trimmed.chips[0].bias_trim, trimmed.refitted[0].bias_trim)
    assert all(0.0 <= each <= 1.0 for each in trimmed.success) and len(trimmed.success) == 2


def test_some_chips_are_judged_by_their_transistors_too(found, split, options, runner):
    chips = [options.variation.draw(found.steps[0].design, 0, sample) for sample in range(1)]
    short = dataclasses.replace(options.verify, test=30)
    seen = verify_circuits(chips, split, short, runner)
    cells = verify(Trimmed(tuple(chips)), split, short)
    assert seen.raw.shape == (1,) and np.isnan(seen.refitted).all()
    assert seen.raw[0] == pytest.approx(cells.raw[0], abs=0.3 * abs(1.0 - cells.raw[0]))
