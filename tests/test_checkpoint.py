"""A checkpoint keeps every bit, and says what is wrong with a damaged one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtc_hw.checkpoint import load_spec, load_training, save_spec
from mtc_hw.errors import DataError
from mtc_hw.spec import Curve, ModelSpec, Neurons, Readout, RectifiedTanh, Synapse, Task


@pytest.fixture
def spec() -> ModelSpec:
    draw = np.random.default_rng(0)
    neurons = Neurons(
        alpha=draw.uniform(1, 2, (4, 3)),
        delta=draw.normal(size=(4, 3)),
        tau=draw.uniform(1, 50, (3, 3)),
        leak=draw.uniform(0.9, 1.1, 3),
        leak_curve=Curve(0.45, 1.502),
    )
    readout = Readout(draw.normal(size=(2, 3)), draw.normal(size=2), 3.0)
    task = Task("own", horizon=2.0, sample=1.0, mean=0.1, scale=1.3)
    return ModelSpec(neurons, draw.normal(size=(3, 2)), draw.normal(size=3), readout=readout, task=task)


@pytest.mark.parametrize("name", ["net", "net.json", "net.safetensors"])
def test_a_saved_network_is_the_same_bit_for_bit(spec: ModelSpec, tmp_path: Path, name: str) -> None:
    save_spec(spec, tmp_path / "net", {"seed": 0})
    again = load_spec(tmp_path / name)
    assert again.digest() == spec.digest() and again.header() == spec.header()
    assert all(np.array_equal(array, again.arrays()[each]) for each, array in spec.arrays().items())
    assert load_training(tmp_path / "net") == {"seed": 0}


@pytest.mark.parametrize("synapse", [Synapse(0.1, 1.3), RectifiedTanh(0.2)], ids=str)
def test_a_synapse_keeps_its_law(spec: ModelSpec, tmp_path: Path, synapse: Synapse | RectifiedTanh) -> None:
    save_spec(replace(spec, synapse=synapse), tmp_path / "net")
    assert load_spec(tmp_path / "net").synapse == synapse


def test_a_bare_network_is_saved_without_readout_and_task(spec: ModelSpec, tmp_path: Path) -> None:
    save_spec(replace(spec, readout=None, task=None), tmp_path / "net")
    again = load_spec(tmp_path / "net")
    assert again.readout is None and again.task is None and load_training(tmp_path / "net") == {}


def changed(folder: Path, **changes: object) -> None:
    file = folder / "net.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def damage_version(folder: Path) -> None:
    changed(folder, version=99)


def damage_format(folder: Path) -> None:
    (folder / "net.json").write_text('{"weights": []}')


def damage_kind(folder: Path) -> None:
    (folder / "net.json").write_text("[]")


def damage_header(folder: Path) -> None:
    (folder / "net.json").write_text("{")


def damage_arrays(folder: Path) -> None:
    (folder / "net.safetensors").write_bytes(b"not tensors")


def damage_fields(folder: Path) -> None:
    changed(folder, header={})


def damage_digest(folder: Path) -> None:
    changed(folder, digest="0" * 64)


def lose_arrays(folder: Path) -> None:
    (folder / "net.safetensors").unlink()


def lose_header(folder: Path) -> None:
    (folder / "net.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_version, "has version 99, this program reads 1"),
        (damage_format, "has format None, expected 'mtc_hw.model'"),
        (damage_kind, "has format None, expected 'mtc_hw.model'"),
        (damage_header, "cannot be read"),
        (damage_arrays, "cannot be read"),
        (damage_fields, "describes no network"),
        (damage_digest, "does not belong to net.json"),
        (lose_arrays, "does not exist; it must lie beside net.json"),
        (lose_header, "does not exist; train a network first"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_damaged_checkpoint_says_what_is_wrong(
    spec: ModelSpec, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    save_spec(spec, tmp_path / "net")
    damage(tmp_path)
    with pytest.raises(DataError, match=message):
        load_spec(tmp_path / "net")
