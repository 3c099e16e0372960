"""All trims of a neuron together: its current along the course becomes the model's, in any tier."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.elements import match
from mtc_hw.calibration.field import field_error, trim_field
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.observables import Curves, Request
from mtc_hw.calibration.purpose import Purpose, side_by_side
from mtc_hw.calibration.setting import KNOBS, Setting
from mtc_hw.calibration.surface import completed
from mtc_hw.courses import network_course
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.population import population
from mtc_hw.spec import ELEMENT_FILTER, SIGNS, RectifiedTanh

ALL = np.ones(4, bool)
THREE, ONE = (Request(curves=Curves(outputs=outputs)) for outputs in ((-2.5, 0.0, 2.5), (-1.0,)))


@pytest.fixture(scope="module")
def spec(network):
    return dataclasses.replace(network, synapse=RectifiedTanh(0.1), input_curve=network.neurons.leak_curve)


@pytest.fixture(scope="module")
def course(spec):
    inputs = np.cumsum(np.random.default_rng(3).normal(size=(900, 2)), axis=0)
    return network_course(spec, 0.5 * inputs / inputs.std(axis=0))


def field(spec, course) -> np.ndarray:
    """The model's dV/dt along a course by its equations, (POINTS, N)."""
    n = spec.neurons
    total = spec.bias - n.leak * n.leak_curve(course.voltage - n.rest)
    for row, sign in enumerate(SIGNS):
        total = total + sign * n.alpha[row] * np.tanh(course.filtered[ELEMENT_FILTER[row]] - n.delta[row])
    return total + np.einsum("pin,ni->pn", spec.input_curve(course.inputs), spec.weights)


def off(design, spec, course) -> np.ndarray:
    """How far dV/dt of what a design means is from the model's along the course, rms by neuron.

    A filter's offset shifts what its elements hear, so it counts as a shift of their deltas.
    """
    meant = as_spec(design)
    neurons = meant.neurons
    heard = neurons.delta - neurons.offset[list(ELEMENT_FILTER)]
    folded = dataclasses.replace(meant, neurons=dataclasses.replace(neurons, delta=heard))
    return np.sqrt(np.mean((field(folded, course) - field(spec, course)) ** 2, axis=0))


def nominal(chip):
    return dataclasses.replace(chip, deviations=None)


def looked(instrument, codes, request, *earlier):
    return completed(codes, instrument.measure(codes, request).curves, *earlier)


def calibrated(instrument, codes, spec, course, looks=2):
    """Codes after a look at three outputs and some at one, and the last look's table."""
    first = instrument.measure(codes, THREE).curves
    table, was = completed(codes, first), codes
    aim = match(codes, spec, table).setting
    for _ in range(looks):
        codes = trim_field(codes, spec, table, course, aim, np.ones(codes.count, bool))
        table = looked(instrument, codes, ONE, first, was)
        aim = Setting.of(codes)
    return codes, table


def on_chip(codes, chip):
    return dataclasses.replace(codes, deviations=chip.deviations)


def test_the_measured_error_is_that_of_the_equations(mapped, spec, course):
    """Splines of a chip of equations say what the equations say; filters without offset or false rate."""
    chip = mapped(spec)
    codes = dataclasses.replace(chip, offset_trim=chip.offset_trim + 0.1 * chip.scale.amp / chip.trim.offset.lsb)
    table = looked(CompiledInstrument([chip], "ode"), codes, THREE)
    assert field_error(codes, spec, table, course) == pytest.approx(off(codes, spec, course), abs=0.002)
    assert off(codes, spec, course) == pytest.approx(np.full(4, 0.1), rel=1e-6)


@pytest.mark.parametrize("sample", [0, 1])
def test_on_equations_the_model_comes_back(mapped, spec, course, sample):
    chip = perturb(mapped(spec), 5, sample)
    codes, table = calibrated(CompiledInstrument([chip], "ode"), nominal(chip), spec, course)
    before, trimmed = off(chip, spec, course), on_chip(codes, chip)
    assert before.min() > 0.03
    assert field_error(codes, spec, table, course).max() < 0.004
    assert off(trimmed, spec, course).max() < 0.004
    here = chip.present
    was, meant = as_spec(chip), as_spec(trimmed)
    assert meant.neurons.tau[here[5:]] == pytest.approx(spec.neurons.tau[here[5:]], rel=0.005)
    moved, had = (np.abs(each.weights - spec.weights).max() for each in (meant, was))
    assert moved < 0.4 * had


def test_coarse_codes_make_up_for_each_other(mapped, spec, course):
    """The codes chosen together lose less than the same currents rounded one by one."""
    ratios = []
    for sample in range(4):
        exact, chip = (perturb(mapped(spec, bits=bits), 5, sample) for bits in (None, 6))
        ideal, _ = calibrated(CompiledInstrument([exact], "ode"), nominal(exact), spec, course)
        codes, _ = calibrated(CompiledInstrument([chip], "ode"), nominal(chip), spec, course)
        plain = Setting.of(ideal).on(chip)
        ratios.append(off(on_chip(codes, chip), spec, course) / off(plain, spec, course))
    assert np.median(ratios) < 0.7


@pytest.mark.parametrize("sample", [0, 1])
def test_three_looks_bring_transistors_as_close_as_curves_tell(mapped, spec, course, runner, sample):
    chip = perturb(mapped(spec, bits=8), 5, sample)
    instrument = NgspiceInstrument(chip, "transistor", runner, course)
    before = field_error(nominal(chip), spec, looked(instrument, nominal(chip), THREE), course)
    codes, table = calibrated(instrument, nominal(chip), spec, course)
    after = field_error(codes, spec, looked(instrument, codes, THREE), course)
    assert after.max() < 0.03
    assert (after < before / 4.0).all()
    # What a look at one output voltage tells is what one at three does.
    assert field_error(codes, spec, table, course) == pytest.approx(after, abs=0.01)


def test_a_target_with_the_cells_effects_can_be_met(mapped, spec, course):
    """A network trained as the circuit is: the nominal chip is on target, a mismatched one comes there."""
    design = mapped(spec, bits=8)
    target = dataclasses.replace(as_cells(design), readout=spec.readout)
    own = CompiledInstrument([design], "cells")
    assert field_error(design, target, looked(own, design, THREE), course).max() < 0.01
    assert field_error(design, spec, looked(own, design, THREE), course).min() > 0.05
    chip = perturb(design, 5, 0)
    instrument = CompiledInstrument([chip], "cells")
    before = field_error(design, target, looked(instrument, design, THREE), course)
    codes, _ = calibrated(instrument, design, target, course)
    after = field_error(codes, target, looked(instrument, codes, THREE), course)
    assert (after < before / 4.0).all() and after.max() < 0.02


def test_only_what_is_usable_is_trimmed(mapped, spec, course):
    chip = perturb(mapped(spec, bits=8), 5, 0)
    table = looked(CompiledInstrument([chip], "ode"), chip, THREE)
    aim, some = match(chip, spec, table).setting, np.array([True, False, True, True])
    codes = trim_field(nominal(chip), spec, table, course, aim, some)
    for name in ("bias_trim", "reference_trim", "readout_code"):
        changed = (getattr(codes, name) != getattr(chip, name)).any(axis=0)
        assert changed.tolist() == some.tolist(), name
    assert np.array_equal(codes.input_trim[1], chip.input_trim[1]) and codes.offset_trim[1] == chip.offset_trim[1]


def test_a_neuron_with_a_curve_missing_keeps_its_codes_and_has_no_error(mapped, spec, course):
    chip = perturb(mapped(spec, bits=8), 5, 0)
    table = looked(CompiledInstrument([chip], "ode"), chip, THREE)
    aim, whole = match(chip, spec, table).setting, table
    current = table.current.copy()
    current[0, 7, 1, 2] = np.nan
    table = dataclasses.replace(table, current=current)
    codes, other = (trim_field(nominal(chip), spec, each, course, aim, ALL) for each in (table, whole))
    assert np.array_equal(codes.bias_trim[:, 2], chip.bias_trim[:, 2])
    assert np.array_equal(np.delete(codes.bias_trim, 2, axis=1), np.delete(other.bias_trim, 2, axis=1))
    assert np.isnan(field_error(codes, spec, table, course)).tolist() == [False, False, True, False]


def test_trims_stay_within_their_converters(mapped, spec, course):
    chip = perturb(mapped(spec, bits=8, trim_current=0.02, trim_reference=0.02), 5, 0)
    codes, _ = calibrated(CompiledInstrument([chip], "ode"), nominal(chip), spec, course)
    found = np.concatenate([codes.bias_trim.ravel(), codes.reference_trim.ravel(), codes.input_trim.ravel()])
    assert np.abs(found).max() == 31.0
    assert np.array_equal(found, np.rint(found))


@pytest.mark.parametrize("knob", ["bias", "reference", "filter", "input", "offset"])
def test_what_is_no_knob_stays(mapped, spec, course, knob):
    chip = perturb(mapped(spec, bits=8), 5, 0)
    table = looked(CompiledInstrument([chip], "ode"), chip, THREE)
    aim = match(chip, spec, table, KNOBS - {knob}).setting
    codes = trim_field(nominal(chip), spec, table, course, aim, ALL, knobs=KNOBS - {knob})
    parts = {
        "bias": codes.bias_trim[:5],
        "reference": codes.reference_trim,
        "filter": codes.bias_trim[5:],
        "input": codes.input_trim,
        "offset": codes.offset_trim,
    }
    assert {name for name, trims in parts.items() if not trims.any()} == {knob}


def test_chips_side_by_side_do_not_see_each_other(mapped, spec, course):
    chips = [perturb(mapped(spec, bits=8), 5, sample) for sample in range(3)]
    both = side_by_side(Purpose(spec, course), len(chips))
    together = nominal(population(chips))
    codes, _ = calibrated(CompiledInstrument(chips, "cells"), together, both.spec, both.course)
    for k, chip in enumerate(chips):
        alone, _ = calibrated(CompiledInstrument([chip], "cells"), nominal(chip), spec, course)
        assert np.array_equal(codes.bias_trim[:, 4 * k : 4 * k + 4], alone.bias_trim)
        assert np.array_equal(codes.reference_trim[:, 4 * k : 4 * k + 4], alone.reference_trim)
