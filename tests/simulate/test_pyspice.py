import dataclasses

import numpy as np
import pytest

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.errors import SimulatorMissingError
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.bench import sweep_deck
from mtc_hw.netlist.render import neuron_deck
from mtc_hw.netlist.solver import ACCURATE, TRANSISTOR
from mtc_hw.simulate.pool import Workers, open_workers
from mtc_hw.simulate.pyspice import library
from mtc_hw.simulate.waveforms import to_trace


@pytest.fixture(scope="module")
def command_line():
    with open_workers(Workers(driver="ngspice", jobs=2, timeout=60.0)) as run:
        yield run


def assert_same_bits(one, other) -> None:
    assert one.ok and other.ok, (one.reason, other.reason)
    assert np.array_equal(one.waveforms.axis, other.waveforms.axis)
    shared = one.waveforms.values.keys() & other.waveforms.values.keys()
    assert "v(v_0)" in shared
    for name in shared:
        assert np.array_equal(one.waveforms[name], other.waveforms[name]), name


@pytest.mark.parametrize(
    ("name", "level", "duration"),
    [
        ("tonic", "behavioural", 400.0),
        ("tonic", "transistor", 400.0),
        pytest.param("bursting", "behavioural", 1500.0, marks=pytest.mark.slow),
        pytest.param("bursting", "transistor", 1500.0, marks=pytest.mark.slow),
    ],
)
def test_both_drivers_give_the_same_bits(preset, runner, command_line, name, level, duration):
    file, _, design = preset(name, bits=8)
    solver = ACCURATE if level == "behavioural" else TRANSISTOR
    deck = neuron_deck(design, 0, level, file.stimulus, duration, file.initial, solver)
    one, other = runner([deck])[0], command_line([deck])[0]
    assert_same_bits(one, other)
    assert set(map(str.lower, deck.wanted)) <= one.waveforms.values.keys() & other.waveforms.values.keys()
    trace = to_trace(one.waveforms, design, 0)
    assert len(spike_times(trace.time, trace.voltage[:, 0])) > 5


def test_both_drivers_give_the_same_bits_on_a_mismatched_chip_s_sweep(preset, runner, command_line):
    deck = sweep_deck(perturb(preset("bursting")[2], 3, 0), 0, "transistor", (-3.0, 3.0, 0.25), (-2.0, 0.0, 2.0))
    one, other = runner([deck])[0], command_line([deck])[0]
    assert np.array_equal(one.waveforms.axis, other.waveforms.axis)
    for name in deck.wanted:
        assert np.array_equal(one.waveforms[name], other.waveforms[name]), name


def test_the_same_deck_gives_the_same_bits_again(preset, runner):
    file, _, design = preset("tonic")
    deck = neuron_deck(design, 0, "transistor", file.stimulus, 100.0, file.initial, TRANSISTOR)
    first, *again = runner([deck, deck, deck, deck])
    for outcome in again:
        assert_same_bits(first, outcome)


def test_an_outcome_names_its_driver_and_its_deck(preset, runner, command_line):
    file, _, design = preset("tonic")
    deck = neuron_deck(design, 0, "behavioural", file.stimulus, 10.0, file.initial, ACCURATE)
    for run, driver in ((runner, "pyspice"), (command_line, "ngspice")):
        outcome = run([deck])[0]
        assert (outcome.driver, outcome.deck, outcome.digest) == (driver, "neuron_0", deck.digest)
        assert 0.0 < outcome.seconds < 60.0
        assert outcome.reason == ""


def test_a_halved_step_and_a_tighter_tolerance_move_no_spike(preset, runner):
    file, _, design = preset("tonic")
    finer = dataclasses.replace(ACCURATE, reltol=ACCURATE.reltol / 10, max_step=ACCURATE.max_step / 2)
    decks = [neuron_deck(design, 0, "behavioural", file.stimulus, 400.0, file.initial, s) for s in (ACCURATE, finer)]
    traces = [to_trace(outcome.waveforms, design, 0) for outcome in runner(decks)]
    one, other = (spike_times(trace.time, trace.voltage[:, 0]) for trace in traces)
    assert len(one) > 5
    assert one == pytest.approx(other, abs=0.02)


def test_without_a_library_the_remedy_is_named(monkeypatch):
    monkeypatch.delenv("NGSPICE_LIBRARY_PATH", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(
        SimulatorMissingError, match=r"^libngspice was not found; install ngspice: Debian `apt install"
    ):
        library()
