"""The compiled instrument: one chip or several, each what it is alone; what cannot be measured is NaN."""

import dataclasses

import numpy as np
import pytest
from trimmed import trimmed

from mtc_hw.analysis.spikes import spike_times
from mtc_hw.analysis.tiers import meant
from mtc_hw.calibration.compiled_curves import curve_table
from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.observables import PREDICTIONS, READOUT_REACH, Curves, Driven, Firing, Request
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import LEAK
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.population import population
from mtc_hw.hardware.variation import Variation
from mtc_hw.netlist.render import readout_sweep
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.simulate import ode
from mtc_hw.spec import RectifiedTanh

WAVE = np.sin(np.arange(60)[:, None] * [0.2, 0.31])
ALL = Request(
    curves=Curves(step=1.0, outputs=(-1.0, 1.0)),
    firing=(Firing(Stimulus(((0.0, 0.3),)), 300.0), Firing(Stimulus(((0.0, 0.0), (50.0, 0.9))), 200.0)),
    readout=True,
    driven=Driven(WAVE),
)


@pytest.fixture(scope="module")
def design(mapped, network):
    return mapped(dataclasses.replace(network, synapse=RectifiedTanh(0.1)), bits=8)


@pytest.fixture(scope="module")
def chips(design):
    return [Variation().draw(design, 5, sample) for sample in range(3)]


def turned(design, count):
    """The design's codes with trims of each chip's own."""
    return [trimmed(design, seed) for seed in range(count)]


@pytest.mark.parametrize("tier", ["ode", "cells"])
def test_chips_side_by_side_are_what_each_is_alone(design, chips, tier):
    codes = turned(design, 3)
    together = CompiledInstrument(chips, tier).measure(population(codes), ALL)
    for k, chip in enumerate(chips):
        alone = CompiledInstrument([chip], tier).measure(codes[k], ALL)
        own, outputs = slice(4 * k, 4 * k + 4), slice(2 * k, 2 * k + 2)
        assert np.array_equal(together.curves.current[..., own], alone.curves.current, equal_nan=True)
        for found, wanted in zip(together.spikes, alone.spikes, strict=True):
            assert [each.tobytes() for each in found[own]] == [each.tobytes() for each in wanted]
        assert np.array_equal(together.readout[outputs], alone.readout)
        assert together.driven.features[:, own].tobytes() == alone.driven.features.tobytes()
        assert together.driven.prediction[:, outputs].tobytes() == alone.driven.prediction.tobytes()
    assert together.curves.complete(population(codes)).all()


@pytest.mark.parametrize("tier", ["ode", "cells"])
def test_a_free_neuron_spikes_as_by_lsoda(design, chips, tier):
    firing = Firing(Stimulus(((0.0, -0.2), (100.0, 0.8))), 400.0, Initial(-1.5, -1.4, -1.3))
    (found,) = CompiledInstrument(chips[:1], tier).measure(design, Request(firing=(firing,))).spikes
    spec, spiking = meant(chips[0], tier), 0
    for neuron, train in enumerate(found):
        stimulus = firing.stimulus.shifted(float(spec.bias[neuron]))
        trace = ode.integrate(spec.neurons.take(neuron), stimulus, firing.duration, firing.initial)
        assert train == pytest.approx(spike_times(trace.time, trace.voltage[:, 0]), abs=0.05)
        spiking += train.size > 2
    assert spiking >= 2


def test_codes_are_set_on_the_chip_s_own_deviations(design, chips):
    codes, request = trimmed(design, 1), Request(curves=Curves(step=0.5))
    found = CompiledInstrument(chips[:1], "cells").measure(codes, request).curves.current
    chip = dataclasses.replace(codes, deviations=chips[0].deviations)
    assert np.array_equal(found, curve_table(chip, as_cells(chip), request.curves).current, equal_nan=True)
    before = CompiledInstrument(chips[:1], "cells").measure(design, request).curves.current
    moved = np.abs(found - before).max(axis=(1, 2))[:-2]
    assert (moved[design.row_bias()[:-2] > 0.0] > 1e-3).all()


@pytest.mark.parametrize("tier", ["ode", "cells"])
def test_an_answer_is_the_readout_s_weights_on_its_features(design, chips, tier):
    """But for each synapse's offset, of which the features have the first output's."""
    answer = CompiledInstrument(chips[:1], tier).measure(design, Request(driven=Driven(WAVE))).driven
    readout = meant(chips[0], tier).readout
    assert answer.features.shape == (60, 4) and answer.prediction.shape == (60, 2)
    assert answer.prediction[:, 0] == pytest.approx(answer.features @ readout.weights[0] + readout.offset[0])
    assert answer.prediction[:, 1] == pytest.approx(answer.features @ readout.weights[1] + readout.offset[1], abs=0.2)
    assert np.ptp(answer.prediction, axis=0).min() > 0.1


@pytest.mark.parametrize("change", [0.0, 12.0])
def test_the_low_pass_answers_as_ngspice_s_equations_do(design, runner, change):
    turned = dataclasses.replace(design, pole_code=design.pole_code + change * np.array([1.0, -1.0, 0.5, 0.0]))
    chip = Variation().draw(turned, 5, 0)
    found = CompiledInstrument([chip], "ode").measure(turned, Request(readout=True)).readout
    for output in range(2):
        deck = readout_sweep(chip, output, "behavioural", READOUT_REACH, np.zeros(2))
        seen = runner([deck])[0].waveforms
        swept, volts = seen.axis / chip.readout_unit, seen[f"v(y_{output})"] - chip.technology.analog_ground
        wanted = np.interp(PREDICTIONS, swept, volts / (chip.scale.volt * chip.readout_span))
        assert found[output] == pytest.approx(wanted, abs=3e-3)
    assert (found[0, -1] > 0.97 * PREDICTIONS[-1]) == (change == 0.0)


@pytest.mark.parametrize("tier", ["ode", "cells"])
@pytest.mark.parametrize("broken", ["leak without bias", "filter without bias", "trim not a number"])
def test_what_makes_no_neuron_is_not_a_number_and_spoils_no_other(design, chips, tier, broken):
    name, row, value = {
        "leak without bias": ("bias_code", LEAK, 0.0),
        "filter without bias": ("bias_code", LEAK + 2, 0.0),
        "trim not a number": ("reference_trim", 0, np.nan),
    }[broken]
    codes = getattr(design, name).copy()
    codes[row, 1] = value
    found = CompiledInstrument(chips[:1], tier).measure(dataclasses.replace(design, **{name: codes}), ALL)
    whole = CompiledInstrument(chips[:1], tier).measure(design, ALL)
    others = [0, 2, 3]
    assert np.isnan(found.curves.current[..., 1]).all()
    assert found.curves.complete(design).tolist() == [True, False, True, True]
    for one, other in zip(found.spikes, whole.spikes, strict=True):
        assert np.isnan(one[1]).tolist() == [True]
        assert all(np.array_equal(one[k], other[k]) for k in others)
    assert np.isnan(found.driven.features[:, 1]).all() and np.isnan(found.driven.prediction).all()
    assert np.array_equal(found.driven.features[:, others], whole.driven.features[:, others])


def test_the_identity_tells_tier_precision_design_and_chips(design, chips):
    told = CompiledInstrument(chips[1:], "cells", precision="float32").identity
    together = population(chips[1:]).digest[:16]
    assert told == f"cells tier, float32, design {design.digest[:16]}, chips {together}: seed.sample 5.1, 5.2"
    alike = Variation(local="none").draw(design, 5, 1)
    assert CompiledInstrument([alike], "ode").identity != CompiledInstrument(chips[1:2], "ode").identity
    assert CompiledInstrument([design], "ode").identity.endswith(": seed.sample nominal")


def test_questions_that_do_not_fit_are_refused(design, chips, preset):
    instrument = CompiledInstrument(chips, "ode")
    with pytest.raises(DataError, match=r"^codes have 12 rows of 4 neurons, the instrument's 3 chips 12 of 12; put"):
        instrument.measure(design, Request(readout=True))
    with pytest.raises(DataError, match=r"^the series has shape \(60, 1\); give \(samples, 2\), two samples"):
        CompiledInstrument(chips[:1], "ode").measure(design, Request(driven=Driven(WAVE[:, :1])))
    tonic = preset("tonic", bits=8)[2]
    with pytest.raises(DataError, match=r"^the design has no readout, so no network can be driven; ask for firing$"):
        CompiledInstrument([Variation().draw(tonic, 0, 0)], "ode").measure(tonic, Request(driven=Driven(WAVE)))
    with pytest.raises(DataError, match=r"^no chip to measure; give one or more$"):
        CompiledInstrument([], "ode")
