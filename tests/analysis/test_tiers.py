"""Chips as lanes: their capacitors slow them as in ngspice, and how lanes are grouped changes no bit."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.analysis import tiers
from mtc_hw.analysis.spikes import spike_times
from mtc_hw.analysis.tiers import Lanes, longest_step, meant
from mtc_hw.hardware.population import population
from mtc_hw.hardware.process import ProcessSpread
from mtc_hw.hardware.variation import Variation
from mtc_hw.netlist.render import own_deck
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.simulate.waveforms import to_trace


def lanes(design, chips, tier) -> Lanes:
    together = population(chips)
    return Lanes(together, meant(together, tier), longest_step(design, tier))


def test_a_chip_s_capacitors_slow_the_stimulus_too(preset, runner):
    """As ngspice has it, whose stimulus is a source beside the membrane's capacitor."""
    file, _, design = preset("tonic", bits=8)
    chip = Variation(local="none", process=ProcessSpread(0.0, 0.0, 0.0, 0.0, 0.4)).draw(design, 1, 0)
    assert abs(chip.deviations.capacitance[0]) > 0.1
    (found,) = lanes(design, [chip], "ode").spikes(file.stimulus, file.initial, 300.0)
    trace = to_trace(runner([own_deck(chip, file, "behavioural", 300.0)])[0].waveforms, chip, 0)
    wanted = spike_times(trace.time, trace.voltage[:, 0])
    assert len(wanted) > 3
    assert found == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize("tier", ["ode", "cells"])
def test_how_many_voltages_are_kept_at_once_changes_no_spike(mapped, network, tier, monkeypatch):
    design = mapped(network, bits=8)
    several = lanes(design, [Variation().draw(design, 5, sample) for sample in range(3)], tier)
    asked = Stimulus(((0.0, 0.3),)), Initial(), 200.0
    whole = several.spikes(*asked)
    monkeypatch.setattr(tiers, "BLOCK", 5000)
    assert [train.tobytes() for train in several.spikes(*asked)] == [train.tobytes() for train in whole]
    assert sum(train.size for train in whole) > 12


def test_a_neuron_that_runs_away_is_not_a_number_and_spoils_no_other(mapped, network):
    design = mapped(network, bits=8)
    several = lanes(design, [design, design], "cells")
    several.spec.bias.setflags(write=True)
    several.spec.bias[2] = 1e9
    trains = several.spikes(Stimulus(((0.0, 0.3),)), Initial(), 100.0)
    assert [bool(np.isnan(train).any()) for train in trains] == [n == 2 for n in range(8)]


@pytest.mark.parametrize("tier", ["ode", "cells"])
def test_chips_side_by_side_answer_each_with_its_own_readout(mapped, network, tier):
    """A calibration turns each chip's weights, their full scale, the low-pass and the offset."""
    design = mapped(network, bits=8)
    chips = []
    for sample in range(3):
        chip = Variation().draw(design, 5, sample)
        dac = dataclasses.replace(chip.readout_dac, lsb=chip.readout_dac.lsb * (1.0 + 0.1 * sample))
        turned = {"readout_code": np.roll(chip.readout_code, sample, axis=1), "pole_code": chip.pole_code - sample}
        offset = chip.readout_offset + 0.1 * sample
        chips.append(dataclasses.replace(chip, readout_dac=dac, readout_offset=offset, **turned))
    inputs = np.sin(np.arange(40.0) / 5.0)[:, None] * np.ones(design.input_code.shape[1])
    several, answers = lanes(design, chips, tier), []
    trace = several.driven(inputs)
    for k, chip in enumerate(chips):
        alone = lanes(design, [chip], tier)
        found = several.heard(trace, slice(k * design.count, (k + 1) * design.count), chip)
        for got, wanted in zip(found, alone.heard(alone.driven(inputs), slice(None)), strict=True):
            assert got.tobytes() == wanted.tobytes()
        answers.append(found[0])
    assert not np.allclose(answers[0], answers[1])
