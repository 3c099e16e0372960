"""A training's state on disk: replaced at once, and refused where it is damaged."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mtc_hw.errors import DataError
from mtc_hw.model import descent as module
from mtc_hw.model.build import initial_network
from mtc_hw.model.descent import Descent, options_of, read_state, write_state
from mtc_hw.model.options import TrainOptions
from mtc_hw.spread import Spread

SMALL = TrainOptions(hidden=4)


def started(options: TrainOptions = SMALL) -> Descent:
    generator = torch.Generator().manual_seed(0)
    return Descent(initial_network(options, 1.0, 1, generator), options, generator)


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    tensors, header = started().state()
    write_state((tensors, header), tmp_path / "state")
    again, document = read_state(tmp_path / "state")
    assert again.keys() == tensors.keys() and all(torch.equal(again[name], each) for name, each in tensors.items())
    known = json.loads(json.dumps(header))
    assert {name: document[name] for name in known} == known


def test_a_kill_while_writing_leaves_the_old_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    descent, file = started(), tmp_path / "folder" / "state"
    write_state(descent.state(), file)

    def breaks(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half")
        raise SystemExit

    descent.done = 25
    with monkeypatch.context() as patched:
        patched.setattr(module, "save_file", breaks)
        with pytest.raises(SystemExit):
            write_state(descent.state(), file)
    assert read_state(file)[1]["done"] == 0
    write_state(descent.state(), file)
    assert read_state(file)[1]["done"] == 25 and [path.name for path in file.parent.iterdir()] == ["state"]


def test_a_state_knows_its_options(tmp_path: Path) -> None:
    options = replace(SMALL, frozen=("delta",), spread=Spread(0.01))
    write_state(started(options).state(), tmp_path / "state")
    assert options_of(read_state(tmp_path / "state")[1], tmp_path / "state") == options


def test_a_state_without_options_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with pytest.raises(DataError, match=rf"^training state {file} .*; train from the start$"):
        options_of({"done": 0}, file)


def test_a_missing_state_is_refused(tmp_path: Path) -> None:
    message = rf"^training state {tmp_path / 'state'} does not exist; give one that a training wrote$"
    with pytest.raises(DataError, match=message):
        read_state(tmp_path / "state")


def edited(file: Path, **changes: object) -> None:
    """The state again, with another header."""
    header = json.dumps(read_state(file)[1] | changes)
    save_file(load_file(file), file, metadata={"header": header})


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def shortened(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def beheaded(file: Path) -> None:
    file.write_bytes(b"\xff" * 8 + file.read_bytes()[8:])


def stripped(file: Path) -> None:
    save_file(load_file(file), file)


def garbled(file: Path) -> None:
    save_file(load_file(file), file, metadata={"header": "{"})


def listed(file: Path) -> None:
    save_file(load_file(file), file, metadata={"header": "[]"})


@pytest.mark.parametrize("damage", [emptied, shortened, beheaded, stripped, garbled, listed])
def test_a_damaged_state_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    file = tmp_path / "state"
    write_state(started().state(), file)
    damage(file)
    with pytest.raises(DataError, match=rf"^training state {file} .*; train from the start$"):
        read_state(file)


@pytest.mark.parametrize("changes", [{"version": 99}, {"format": "mtc_hw.model"}], ids=str)
def test_a_state_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    file = tmp_path / "state"
    write_state(started().state(), file)
    edited(file, **changes)
    message = rf"^training state {file} is no mtc_hw\.training of version 1; train from the start$"
    with pytest.raises(DataError, match=message):
        read_state(file)


def test_a_folder_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"^training state {tmp_path} cannot be read .*; train from the start$"):
        read_state(tmp_path)
