"""Options are complete, legal, and read from a file without surprises."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from mtc_hw.errors import DataError, SpecError
from mtc_hw.model.options import TrainOptions, load_recipe, options_from, recipe_names, with_flags
from mtc_hw.spread import Spread

FULL = TrainOptions(neuron="adlif", frozen=("weights", "layer0.bias"), seconds=3.5, spread=Spread(0.01, current=0.2))


def written(folder: Path, text: str) -> str:
    file = folder / "own.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("options", [TrainOptions(), FULL])
def test_options_survive_json(options: TrainOptions) -> None:
    assert options_from(json.loads(json.dumps(options.to_json())), "own") == options


def test_an_empty_table_is_the_defaults() -> None:
    assert options_from({}, "own") == TrainOptions()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"hiden": 3}, r"hiden is no known key"),
        ({"spread": {"alpa": 0.1}}, r"spread\.alpa is no known key"),
        ({"hidden": 8.5}, r"hidden is 8\.5: Input should be a valid integer"),
        ({"hidden": "many"}, r"hidden is 'many': Input should be a valid integer"),
        ({"hidden": "8"}, r"hidden is '8': Input should be a valid integer"),
        ({"recurrent": 1}, r"recurrent is 1: Input should be a valid boolean"),
        ({"bits": 1}, r"training option bits is 1; use 2 to 24, or none for exact values"),
        ({"frozen": "weights"}, r"frozen is 'weights': Input should be a valid array"),
        ({"spread": 0.1}, r"spread is 0\.1: Input should be an object"),
        ({"neuron": "lif2"}, r"neuron is 'lif2': Input should be 'mtc', 'lif', 'adlif', 'silif' or 'c-silif'"),
        ({"chips": "all"}, r"chips is 'all': Input should be 'nominal', 'per_sample', 'per_chip' or 'alternating'"),
        ({"hidden": 1}, r"training option hidden is 1; it must be at least 2"),
        ({"spread": {"alpha": 5}}, r"spread of alpha is 5\.0; it must be at least 0 and below 2"),
        ({"hiden": 3, "seed": "x"}, r"seed is 'x': Input should be a valid integer; hiden is no known key"),
        (
            {"layers": 0, "limit": -1.0},
            r"training option layers is 0; it must be at least 1; limit is -1\.0; it must be finite and > 0",
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_key_or_value_is_refused_in_one_line(table: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"^a/b\.toml: {message}$") as found:
        options_from(table, "a/b.toml")
    assert "\n" not in str(found.value)


COUNTS = ("hidden", "layers", "substeps", "iterations", "candidates", "batch", "every", "groups")


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_below_its_least_is_refused(name: str) -> None:
    least = 2 if name == "hidden" else 1
    replace(TrainOptions(), **{name: least})
    with pytest.raises(SpecError, match=rf"^training option {name} is {least - 1}; it must be at least {least}$"):
        replace(TrainOptions(), **{name: least - 1})


@pytest.mark.parametrize(
    "name", ["readout_tau", "learning_rate", "clip", "limit", "ridge", "input_scale", "seconds", "patience"]
)
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_what_must_be_positive_is_refused_otherwise(name: str, value: float) -> None:
    with pytest.raises(SpecError, match=rf"^training option {name} is {value}; it must be finite and > 0$"):
        replace(TrainOptions(), **{name: value})


@pytest.mark.parametrize("name", ["activity", "excess", "allowance", "rescue", "settled"])
@pytest.mark.parametrize("value", [-1e-9, float("nan")])
def test_a_weight_below_zero_is_refused(name: str, value: float) -> None:
    with pytest.raises(SpecError, match=rf"^training option {name} is {value}; it must be finite and >= 0$"):
        replace(TrainOptions(), **{name: value})


@pytest.mark.parametrize("burn_in", [0, 500, 600])
def test_a_burn_in_outside_its_window_is_refused(burn_in: int) -> None:
    message = rf"^training option burn_in is {burn_in}; it must lie between 0 and the window of 500$"
    with pytest.raises(SpecError, match=message):
        TrainOptions(burn_in=burn_in)


@pytest.mark.parametrize("groups", [3, 32])
def test_groups_that_do_not_divide_the_batch_are_refused(groups: int) -> None:
    message = rf"^training option groups is {groups}; it must divide the batch of 16$"
    with pytest.raises(SpecError, match=message):
        TrainOptions(groups=groups)


def test_every_violation_is_reported_at_once() -> None:
    with pytest.raises(SpecError) as found:
        TrainOptions(hidden=0, clip=0.0, ridge=-1.0, burn_in=0)
    assert [part.split()[0] for part in str(found.value).removeprefix("training option ").split("; ")[::2]] == [
        "hidden",
        "burn_in",
        "clip",
        "ridge",
    ]


def test_a_recipe_file_sets_what_it_names(tmp_path: Path) -> None:
    text = 'description = "small"\nhidden = 8\nfrozen = ["bias"]\n[spread]\nalpha = 0.01\n'
    assert load_recipe(written(tmp_path, text)) == TrainOptions(hidden=8, frozen=("bias",), spread=Spread(0.01))


def test_an_unknown_key_of_a_recipe_is_named_with_its_file(tmp_path: Path) -> None:
    file = written(tmp_path, "iteration = 5\n")
    with pytest.raises(DataError) as found:
        load_recipe(file)
    assert str(found.value) == f"{file}: iteration is no known key"


@pytest.mark.parametrize("text", ["hidden =\n", "[hidden", "hidden = 1 2"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(DataError, match=rf"^recipe {file} cannot be read: .*; it must be TOML$"):
        load_recipe(file)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"own\.toml cannot be read: .*; it must be TOML$"):
        load_recipe(str(tmp_path / "own.toml"))


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"^recipe {tmp_path} cannot be read: .*; it must be TOML$"):
        load_recipe(str(tmp_path))


def test_an_unknown_recipe_names_the_shipped_ones() -> None:
    shipped = ", ".join(recipe_names())
    with pytest.raises(DataError) as found:
        load_recipe("nonsense")
    assert str(found.value) == f"recipe 'nonsense' is neither shipped ({shipped}) nor a file; name one of these"


def test_every_shipped_recipe_is_legal() -> None:
    assert all(isinstance(load_recipe(name), TrainOptions) for name in recipe_names())
    assert recipe_names() == sorted(recipe_names())


def test_a_flag_that_is_given_wins_over_the_recipe() -> None:
    assert with_flags(FULL, hidden=8, seed=None) == replace(FULL, hidden=8)
    assert with_flags(FULL, seconds=None) == FULL


def test_a_flag_out_of_range_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^training option hidden is 0; it must be at least 2$"):
        with_flags(TrainOptions(), hidden=0)


def test_options_are_plain_values() -> None:
    assert hash(FULL) == hash(replace(FULL)) and {each.name for each in fields(FULL)} == set(FULL.to_json())
