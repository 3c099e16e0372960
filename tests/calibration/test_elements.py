"""Single transconductors trimmed from their own curves: equations give the model back, what is dead is told."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.elements import fit_curve, fit_tanh, match
from mtc_hw.calibration.observables import Curves, Request
from mtc_hw.calibration.setting import KNOBS, Setting
from mtc_hw.calibration.surface import completed
from mtc_hw.hardware.design import LEAK, as_spec
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.spec import ELEMENT_FILTER, Curve, RectifiedTanh

X = np.linspace(-5.0, 4.5, 39)
LOOK = Request(curves=Curves(outputs=(-2.5, 0.0, 2.5)))


@pytest.fixture(scope="module")
def spec(network):
    return dataclasses.replace(network, synapse=RectifiedTanh(0.1), input_curve=network.neurons.leak_curve)


def look(chip, codes, request=LOOK, tier="ode"):
    return completed(codes, CompiledInstrument([chip], tier).measure(codes, request).curves)


@pytest.fixture(scope="module", params=[1, 2])
def matched(mapped, spec, request):
    """A mismatched chip of the network with exact converters, and that chip as it is once it is matched."""
    chip = perturb(mapped(spec), 3, request.param)
    found = match(dataclasses.replace(chip, deviations=None), spec, look(chip, chip))
    assert found.marks == ("",) * 4
    return chip, found.setting.on(chip)


def test_elements_leak_and_filters_get_the_model_s_values_back(matched, spec):
    chip, trimmed = matched
    was, meant, wanted = as_spec(chip).neurons, as_spec(trimmed).neurons, spec.neurons
    here = chip.present
    assert np.abs(was.alpha / np.where(here[:4], wanted.alpha, 1.0) - 1.0)[here[:4]].max() > 0.02
    # The gain at the old bias: one look leaves how much the gain falls with the bias.
    assert meant.alpha[here[:4]] == pytest.approx(wanted.alpha[here[:4]], rel=0.005)
    assert meant.leak == pytest.approx(wanted.leak, rel=0.005)
    assert meant.tau[here[5:]] == pytest.approx(wanted.tau[here[5:]], rel=0.01)
    heard = meant.delta - meant.offset[list(ELEMENT_FILTER)]
    assert heard[here[:4]] == pytest.approx(wanted.delta[here[:4]], abs=0.003)
    assert meant.rest == pytest.approx(wanted.rest, abs=0.003)


def test_synapses_get_their_weights_back(matched, spec):
    chip, trimmed = matched
    was, meant = (np.abs(as_spec(each).readout.weights / spec.readout.weights - 1.0) for each in (chip, trimmed))
    assert was.max() > 0.02
    # A synapse's random offset is no knob's; its gain makes up for what it costs on average.
    assert meant.max() < 0.1
    assert np.array_equal(np.sign(trimmed.readout_code), np.sign(chip.readout_code))


def test_inputs_and_offsets_wait_for_the_whole_current(matched):
    chip, trimmed = matched
    assert np.array_equal(trimmed.input_trim, chip.input_trim)
    assert np.array_equal(trimmed.offset_trim, chip.offset_trim)


@pytest.mark.parametrize("knob", ["bias", "reference", "filter", "synapse"])
def test_what_is_no_knob_stays(mapped, spec, knob):
    chip = perturb(mapped(spec), 1, 0)
    table, had = look(chip, chip), Setting.of(chip)
    kept, turned = match(chip, spec, table, KNOBS - {knob}).setting, match(chip, spec, table).setting
    parts = {
        "bias": lambda each: each.bias[: LEAK + 1],
        "reference": lambda each: each.reference,
        "filter": lambda each: each.bias[LEAK + 1 :],
        "synapse": lambda each: each.synapses,
    }
    for name, part in parts.items():
        assert np.array_equal(part(kept), part(had if name == knob else turned)), name
        assert not np.array_equal(part(turned), part(had)), name


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (lambda current: 0.0 * current, "slow_positive: no current"),
        (lambda current: -current, "slow_positive: wrong sign"),
        (lambda current: np.nan * current, "slow_positive: not measured"),
        (
            lambda current: current + np.where(np.arange(39) % 2, 1.0, -1.0)[:, None],
            "slow_positive: not the curve of an OTA",
        ),
    ],
)
def test_a_dead_element_is_told_and_its_neuron_keeps_its_setting(mapped, spec, harm, text):
    chip = perturb(mapped(spec), 1, 0)
    table, had = look(chip, chip), Setting.of(chip)
    whole = match(chip, spec, table).setting
    current = table.current.copy()
    current[1, :, :, 2] = harm(current[1, :, :, 2])
    found = match(chip, spec, dataclasses.replace(table, current=current))
    assert found.marks == ("", "", text, "")
    others = [0, 1, 3]
    for name in ("bias", "reference", "synapses"):
        got = getattr(found.setting, name)
        assert np.array_equal(got[:, 2], getattr(had, name)[:, 2]), name
        assert np.array_equal(got[:, others], getattr(whole, name)[:, others]), name


def test_a_chip_whose_model_is_its_own_cells_asks_for_nothing(mapped, spec):
    """A target with the cells' effects, met by the design that it is of."""
    design = mapped(spec)
    target = dataclasses.replace(as_cells(design), readout=spec.readout)
    setting = match(design, target, look(design, design, tier="cells")).setting
    here = design.present
    assert np.abs(setting.bias[here]).max() < 0.02
    assert np.abs(setting.reference[here[: LEAK + 1]]).max() < 0.02 * design.scale.volt


def test_tangents_are_found_whatever_constant_and_slope_they_have():
    rng = np.random.default_rng(5)
    gain, crossing, constant, slope = rng.uniform([0.3, -2.0, -0.5, -0.05], [3.0, 1.5, 0.5, 0.05], (200, 4)).T
    current = gain * np.tanh(X[:, None] - crossing) + constant + slope * X[:, None]
    found = fit_tanh(X, current.T)
    assert found.gain == pytest.approx(gain, rel=1e-4)
    assert found.crossing == pytest.approx(crossing, abs=1e-4)
    assert found.residual.max() < 1e-4


@pytest.mark.parametrize("curve", [None, Curve(0.6, 1.0)])
def test_gain_and_zero_of_a_curve_are_found(curve):
    rng = np.random.default_rng(6)
    gain, crossing = rng.uniform([0.1, -1.0], [3.0, 1.0], (100, 2)).T
    x = np.linspace(-3.0, 3.0, 25)
    at = x[:, None] - crossing
    found = fit_curve(x, (gain * (at if curve is None else curve(at))).T, curve)
    assert found.gain == pytest.approx(gain, rel=1e-5)
    assert found.crossing == pytest.approx(crossing, abs=1e-5)


def test_noise_of_a_hundredth_moves_gains_and_zeros_by_as_much():
    rng = np.random.default_rng(7)
    current = 2.0 * np.tanh(X - 0.3) + 0.02 * rng.normal(size=(300, len(X)))
    found = fit_tanh(X, current)
    assert found.gain.std() < 0.02 and abs(found.gain.mean() - 2.0) < 0.01
    assert found.crossing.std() < 0.02 and abs(found.crossing.mean() - 0.3) < 0.01
