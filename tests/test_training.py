"""Training with a technology's converters and mismatch, as the command line offers it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mtc_hw.checkpoint import load_spec, load_training
from mtc_hw.cli import main
from mtc_hw.errors import DataError, UnmappableError
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.unit import SQUARE, parse_size
from mtc_hw.model.options import TrainOptions, load_recipe, recipe_names
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.model.train import train
from mtc_hw.training import mismatch, quantiser, require_spec, train_and_save, typical

SMALL = TrainOptions(hidden=6, iterations=20, candidates=1)


@pytest.fixture(scope="module")
def split():
    return mackey_glass_split(1500, 600)


def test_the_quantiser_s_values_are_the_mapper_s(small_network, technology, cells):
    quantised = quantiser(6)(small_network)
    design = map_spec(small_network, technology, cells, MappingOptions(bits=6))
    assert quantised.digest() == as_spec(design).digest()


def test_a_quantised_network_maps_without_a_further_error(split, tmp_path, technology, cells):
    options = TrainOptions(hidden=6, iterations=20, candidates=1, bits=5, chips="nominal")
    trained, _ = train_and_save(split, options, tmp_path, "test", progress=False)
    design = map_spec(require_spec(trained), technology, cells, MappingOptions(bits=5))
    assert np.abs(as_spec(design).neurons.alpha - trained.spec.neurons.alpha).max() < 0.5 * 4.0 / 31 + 0.01


def test_a_network_trains_in_the_cells_and_maps_as_its_ideal_part(split, tmp_path, technology, cells):
    options = replace(SMALL, curves="cells", chips="nominal")
    trained, checkpoint = train_and_save(split, options, tmp_path, "test", progress=False)
    spec = require_spec(trained)
    assert load_spec(checkpoint).digest() == spec.digest()
    given = typical(6)
    assert np.array_equal(spec.neurons.cells.constant, given.constant)
    assert given.lag[2].min() > 0.1 and (given.conductance[0] > 0.01).all()
    ideal = replace(spec, neurons=spec.neurons.ideal())
    both = [map_spec(each, technology, cells, MappingOptions(bits=8)) for each in (spec, ideal)]
    assert np.array_equal(both[0].bias_code, both[1].bias_code)
    assert np.array_equal(both[0].reference_code, both[1].reference_code)
    assert np.array_equal(as_cells(both[0]).neurons.alpha, as_spec(both[0]).neurons.alpha)


def test_codes_of_a_network_of_cells_keep_the_cells(split, tmp_path):
    options = replace(SMALL, curves="cells", chips="nominal", bits=6)
    trained, _ = train_and_save(split, options, tmp_path, "test", progress=False)
    coded = quantiser(6)(require_spec(trained))
    assert np.array_equal(coded.neurons.cells.constant, trained.spec.neurons.cells.constant)


@pytest.mark.parametrize(
    ("curves", "given", "said"), [("cells", False, "are not given"), ("circuit", True, "are given")]
)
def test_cells_are_given_where_they_are_asked_for(split, curves, given, said):
    options = replace(SMALL, curves=curves)
    with pytest.raises(DataError, match=rf"^curves is '{curves}', but cells {said}"):
        train(split, options, False, cells=typical(6) if given else None)


def test_larger_transistors_scatter_less():
    small, large = mismatch("generic", parse_size("2")), mismatch("generic", SQUARE)
    assert small.alpha == pytest.approx(2 * large.alpha, rel=0.02)
    assert small.delta == pytest.approx(2 * large.delta, rel=0.02)


def test_the_record_tells_how_to_make_it_again(split, tmp_path):
    _, checkpoint = train_and_save(split, SMALL, tmp_path, "mtc-hw train --seed 0", progress=False)
    found = load_training(checkpoint)
    assert found["command"] == "mtc-hw train --seed 0"
    assert found["options"]["hidden"] == 6 and found["series_digest"] and found["versions"]["mtc_hw"]


def test_a_resumed_training_saves_the_same_network(split, tmp_path):
    whole, _ = train_and_save(split, SMALL, tmp_path / "whole", "", progress=False)
    train_and_save(split, SMALL, tmp_path / "again", "", progress=False)
    again, _ = train_and_save(split, SMALL, tmp_path / "again", "", progress=False, resume=True)
    assert again.spec.digest() == whole.spec.digest()


def test_a_baseline_has_no_spec(split, tmp_path):
    options = TrainOptions(neuron="silif", hidden=6, iterations=5, candidates=1)
    trained, checkpoint = train_and_save(split, options, tmp_path, "", progress=False)
    assert checkpoint is None
    with pytest.raises(UnmappableError, match="1 layers of silif neurons have no circuit"):
        require_spec(trained)


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_load(name):
    assert load_recipe(name).hidden >= 32


def test_flags_override_the_recipe(tmp_path, capsys):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('hidden = 8\niterations = 3\ncandidates = 1\nwindow = 300\nneuron = "lif"\n')
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--recipe", str(recipe), "--neuron", "mtc", "--seed", "3", "--out", str(tmp_path), "--json"])
    assert not stopped.value.code
    printed = json.loads(capsys.readouterr().out)
    training = load_training(tmp_path / "network")
    assert training["options"]["neuron"] == "mtc" and training["options"]["hidden"] == 8
    assert training["options"]["seed"] == 3 and training["iterations"] == 3
    assert load_spec(printed["checkpoint"]).neurons.count == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hiden = 8", "hiden"),
        ("hidden = 'many'", "hidden"),
        ("hidden = 1", "hidden is 1; it must be at least 2"),
        ("neuron = 'hodgkin'", "neuron"),
        ("hidden = ", "must be TOML"),
    ],
)
def test_a_wrong_recipe_is_one_line(tmp_path, capsys, text, message):
    recipe = tmp_path / "mine.toml"
    recipe.write_text(text)
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--recipe", str(recipe), "--out", str(tmp_path)])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "mine.toml" in error and message in error


def test_two_spreads_are_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--sigma", "0.1", "--size", "2"])
    assert stopped.value.code == 2
    assert "--sigma and --size both set the mismatch; give one of them" in capsys.readouterr().err


def test_an_unknown_recipe_names_those_that_ship(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--recipe", "fats"])
    assert "paper" in capsys.readouterr().err
