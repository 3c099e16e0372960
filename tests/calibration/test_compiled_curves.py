"""The curves' rows together are the tier's right-hand side; one by one they are what ngspice measures."""

import dataclasses

import numpy as np
import pytest
from trimmed import trimmed

from mtc_hw.analysis.tiers import meant
from mtc_hw.calibration.compiled_curves import curve_table
from mtc_hw.calibration.observables import Curves
from mtc_hw.hardware.design import BRANCHES, LEAK, load_capacitance
from mtc_hw.hardware.process import ProcessSpread
from mtc_hw.hardware.variation import Variation
from mtc_hw.netlist.bench import sweep_deck
from mtc_hw.simulate import ode
from mtc_hw.spec import ELEMENT_FILTER, RectifiedTanh

GRID = Curves(sweep=(-3.0, 3.0), step=0.5, outputs=tuple(np.arange(-3.0, 3.5, 0.5)))
CAPACITORS = Variation(process=ProcessSpread(0.0, 0.0, 0.0, 0.0, 0.05))


@pytest.fixture(scope="module", params=["straight", "curved"])
def chip(request, mapped, network, cells):
    """Four unlike neurons, with and without curves, whose devices, capacitors and trims are off."""
    spec = dataclasses.replace(network, synapse=RectifiedTanh(0.1), input_curve=cells.leak_curve)
    if request.param == "straight":
        plain = dataclasses.replace(network.neurons, leak_curve=None, filter_curve=None)
        spec = dataclasses.replace(spec, neurons=plain, input_curve=None)
    return trimmed(CAPACITORS.draw(mapped(spec, bits=8), 3, 1), 1)


def into_membrane(chip, current, constant, neuron, state, inputs):
    """Sum of the rows at v, of points of the grid: state is V, U_fast, U_slow, U_ultraslow; unit currents."""
    at = {volt: int(np.searchsorted(GRID.voltage, volt)) for volt in (*state, *inputs)}
    out = at[state[0]]
    total = constant[neuron]
    for row in np.flatnonzero(chip.present[: LEAK + 1, neuron]):
        y = 0 if row == LEAK else 1 + ELEMENT_FILTER[row]
        heard = state[y] if y and chip.present[LEAK + y, neuron] else state[0]
        total += current[row, at[heard], out, neuron]
    for number, volt in enumerate(inputs):
        if chip.input_code[neuron, number]:
            total += current[len(BRANCHES) + number, at[volt], out, neuron]
    return total


@pytest.mark.parametrize("tier", ["ode", "cells"])
def test_the_rows_together_are_what_charges_the_capacitors(chip, tier):
    """C dV/dt and C dU/dt of the reference equations, tails at rest, at random states."""
    spec, draw = meant(chip, tier), np.random.default_rng(2)
    current = curve_table(chip, spec, GRID).current
    farad = load_capacitance(chip) / chip.scale.farad
    constant = chip.offset_current() / chip.scale.amp
    for neuron in range(chip.count):
        constants = ode._Constants.of(spec.neurons, neuron)
        for _ in range(20):
            voltage, fast, slow, ultraslow, *inputs = draw.choice(GRID.voltage, 6)
            felt = float(spec.input_current(np.array([inputs]))[0, neuron])
            states = [voltage, slow, ultraslow, fast][: 3 + (spec.neurons.tau[0, neuron] > 0)]
            tails = [np.exp(voltage)] * (0 if constants.cells is None else len(states) - 1)
            rates = ode._flow(np.array([*states, *tails]), 0.0, lambda _, i=felt: i, constants)
            seen = (voltage, fast, slow, ultraslow)
            expected = into_membrane(chip, current, constant, neuron, seen, inputs)
            assert rates[0] * farad[0, neuron] == pytest.approx(expected, rel=1e-9, abs=1e-9)
            for place, y in ((1, 2), (2, 3), (3, 1)):
                if chip.present[LEAK + y, neuron]:
                    sunk, out = (int(np.searchsorted(GRID.voltage, each)) for each in (voltage, seen[y]))
                    rate = rates[place] * farad[y, neuron]
                    assert rate == pytest.approx(current[LEAK + y, sunk, out, neuron], rel=1e-9, abs=1e-9)


def test_a_mismatched_chip_s_curves_are_those_of_its_transistors(preset, runner):
    """Root mean square over the sweep and three outputs, unit currents; the meant curves miss them by far more."""
    _, _, design = preset("bursting", bits=8)
    chip, request = trimmed(Variation().draw(design, 11, 0), 2), Curves(outputs=(-2.0, 0.0, 2.0))
    deck = sweep_deck(chip, 0, "transistor", (*request.sweep, request.step), request.outputs)
    seen = runner([deck])[0].waveforms
    rms = {tier: {} for tier in ("ode", "cells")}
    for tier, found in rms.items():
        current = curve_table(chip, meant(chip, tier), request).current[..., 0]
        for row in np.flatnonzero(chip.present[:, 0]):
            name = BRANCHES[row]
            points = seen[f"i(vo_{name})"].reshape(3, -1)[:, : request.voltage.size].T / chip.scale.amp
            found[name] = float(np.sqrt(np.mean((current[row] - points) ** 2)))
    cells, ode_tier = rms["cells"], rms["ode"]
    assert cells["leak"] < 0.012
    assert max(each for name, each in cells.items() if name != "leak") < 0.006
    assert all(ode_tier[name] > 5.0 * cells[name] for name in cells)
