"""Recordings: what goes in comes out, and nothing else."""

import dataclasses
import json

import numpy as np
import pytest
from tanh_chip import EVERYTHING, TanhChip, bits, failed, turned

from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.noise import Budgeted, Noisy
from mtc_hw.calibration.observables import Curves, Driven, Request
from mtc_hw.calibration.parts import blank
from mtc_hw.calibration.replay import Recorder, Replay
from mtc_hw.calibration.settable import settable
from mtc_hw.errors import DataError
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.population import population


@pytest.fixture(scope="module")
def design(mapped, network):
    return mapped(network, bits=8)


@pytest.fixture
def recorded(tmp_path, design):
    """A recording of everything at the design's codes, and what was seen."""
    seen = Recorder(TanhChip(design, dead=(2,)), tmp_path / "chip", design).measure(design, EVERYTHING)
    return tmp_path / "chip", seen


def test_a_replay_gives_the_recorded_bits(recorded, design):
    folder, seen = recorded
    replay = Replay(folder, design)
    assert bits(replay.measure(design, EVERYTHING)) == bits(seen)
    assert replay.identity == "tanh chip 1" and replay.notes == ()


def test_parts_may_be_asked_for_one_by_one(recorded, design):
    folder, seen = recorded
    (spikes,) = Replay(folder, design).measure(design, Request(firing=EVERYTHING.firing[1:])).spikes
    assert [own.tobytes() for own in spikes] == [own.tobytes() for own in seen.spikes[1]]


def test_a_noisy_sequence_is_played_in_its_order_and_its_last_stays(tmp_path, design):
    recorder = Recorder(Noisy(TanhChip(design), 0.01, 0), tmp_path, design)
    sequence = [design, turned(design), design]
    seen = [bits(recorder.measure(codes, EVERYTHING)) for codes in sequence]
    replay = Replay(tmp_path, design)
    assert [bits(replay.measure(codes, EVERYTHING)) for codes in sequence] == seen
    assert seen[0] != seen[2]
    assert bits(replay.measure(design, EVERYTHING)) == seen[2]


def test_what_was_not_recorded_is_nan_and_named(recorded, design):
    folder, seen = recorded
    replay = Replay(folder, design)
    assert bits(replay.measure(turned(design), EVERYTHING)) == bits(blank(design, EVERYTHING))
    assert len(replay.notes) == 5 and all(turned(design).digest[:12] in note for note in replay.notes)
    other = Request(curves=Curves(sweep=(-1.0, 1.0), outputs=(0.5,)), readout=True)
    found = replay.measure(design, other)
    assert np.isnan(found.curves.current).all() and found.readout.tobytes() == seen.readout.tobytes()
    assert replay.notes[-1] == (
        f"not recorded at codes {design.digest[:12]}: "
        '{"curves": {"sweep": [-1.0, 1.0], "step": 0.25, "outputs": [0.5]}}'
    )


def test_a_file_tells_the_codes_that_it_was_measured_at(recorded, design):
    folder, _ = recorded
    names = json.loads((folder / "recording.json").read_text())["codes"]
    file = next((folder / "measurements").glob("*.npz"))
    with np.load(file, allow_pickle=False) as stored:
        codes = dict(zip(map(tuple, names), stored["codes"], strict=True))
        assert json.loads(str(stored["about"]))["design"] == design.digest
    assert codes == {tuple(key): row.stored for key, row in settable(design).items()}


def test_no_half_file_is_left(recorded):
    folder, _ = recorded
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".json", ".npz"}


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "flipped", "text", "pickle", "another shape"])
def test_a_damaged_file_is_nan_and_named(recorded, design, damage):
    folder, _ = recorded
    for file in (folder / "measurements").glob("*.npz"):
        whole = file.read_bytes()
        half = len(whole) // 2
        flipped = bytes(each ^ 0xFF for each in whole[half : half + 40])
        contents = {"cut": whole[:half], "garbage": b"PK\x03\x04" + b"\xff" * 99, "empty": b""}
        contents["flipped"] = whole[:half] + flipped + whole[half + 40 :]
        if damage in contents:
            file.write_bytes(contents[damage])
            continue
        value = {"text": "no", "pickle": {"a": 1}, "another shape": np.zeros(3)}[damage]
        named = {name: np.array(value) for name in ("curves", "firing", "readout", "features", "prediction")}
        np.savez(file, **named)
    replay = Replay(folder, design)
    found = replay.measure(design, EVERYTHING)
    assert failed(found) == {"curves", "firing", "readout", "features", "prediction"}
    assert len(replay.notes) == 5 and all("cannot be read" in note for note in replay.notes)


def test_another_design_is_refused_at_once_and_nan_later(recorded, design, preset):
    folder, _ = recorded
    other = preset("tonic")[2]
    with pytest.raises(DataError, match=r"was recorded of design \w{12}, not of \w{12}; give that one$"):
        Replay(folder, other)
    replay = Replay(folder, design)
    request = Request(EVERYTHING.curves)
    assert bits(replay.measure(other, request)) == bits(blank(other, request))
    assert replay.notes == ("the codes are of another design than the recording",)


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "null", '{"format": 1, "version": 1}', "\x00"])
def test_a_folder_that_is_no_recording_is_refused(tmp_path, design, text):
    if text is not None:
        (tmp_path / "recording.json").write_text(text)
    with pytest.raises(DataError, match=r"is no recording: .*; give a folder that a Recorder wrote$"):
        Replay(tmp_path, design)


def test_another_version_is_refused(recorded, design):
    folder, _ = recorded
    head = folder / "recording.json"
    head.write_text(head.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(DataError, match=r"holds \('mtc_hw recording', 2\), expected .*; record again$"):
        Replay(folder, design)


def test_a_recording_goes_on_with_the_same_chip_only(recorded, design):
    folder, seen = recorded
    again = Recorder(TanhChip(design, dead=(2,)), folder, design).measure(design, EVERYTHING)
    assert bits(again) == bits(seen)
    assert len(list((folder / "measurements").iterdir())) == 10
    with pytest.raises(DataError, match=r"was recorded of tanh chip 1, not of tanh chip 9; give another folder$"):
        Recorder(TanhChip(design, 9), folder, design)


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path, design):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written: .*; make room or give another folder$"):
        Recorder(TanhChip(design), tmp_path / "file", design)


def test_chips_side_by_side_keep_their_outputs(tmp_path, design):
    chips = [perturb(design, seed=3, sample=k) for k in range(2)]
    codes = dataclasses.replace(population(chips), deviations=None)
    request = Request(Curves(step=1.0), readout=True, driven=Driven(np.zeros((5, 2))))
    asked = Request(Curves(step=1.0), readout=True)
    recorder = Recorder(CompiledInstrument(chips, "cells"), tmp_path, codes, chips=2)
    seen = recorder.measure(codes, asked)
    replay = Replay(tmp_path, codes)
    assert bits(replay.measure(codes, asked)) == bits(seen) and len(seen.readout) == 4
    assert replay.measure(codes, request).driven.prediction.shape == (5, 4)
    spent = Budgeted(CompiledInstrument(chips, "cells"), 0, chips=2).measure(codes, request)
    assert spent.driven.prediction.shape == (5, 4) and spent.readout.tobytes() == seen.readout.tobytes()
