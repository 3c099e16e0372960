"""The circuit-faithful neuron: what it is made of, and that it does what the transistors do."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from mtc_hw.analysis.spikes import burst_statistics, spike_times
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.observables import Curves, Request
from mtc_hw.courses import neuron_course
from mtc_hw.hardware.cells import DEVICES
from mtc_hw.hardware.design import (
    BRANCH_CELL,
    BRANCHES,
    LEAK,
    MAX_DEVICES,
    Deviations,
    as_spec,
    load_capacitance,
)
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import load_technology
from mtc_hw.netlist.render import own_deck
from mtc_hw.netlist.views import neuron_view
from mtc_hw.neuron_file import load_neuron
from mtc_hw.neuron_run import NeuronOptions, neuron_design, run_neuron
from mtc_hw.simulate import ode
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.spec import Curve

TONIC, BURSTING = 1500.0, 8000.0  # tau_m
CURVE = Curve(0.457, 1.507)
NONE = ("offset", "constant", "conductance", "tilt", "common_mode", "output_shift", "skew")
FIRST = 1500.0  # tau_m that the first burst, which the start decides, may take


def right_hand_side(neurons, current, voltage, slow, ultraslow):
    """dV/dt, dU_slow/dt and dU_ultraslow/dt with the tails at rest."""
    constants = ode._Constants.of(neurons, 0)
    state = np.array([voltage, slow, ultraslow, np.exp(voltage), np.exp(voltage)])
    return np.array(ode._circuit_flow(state, current, constants, constants.cells)[:3])


def from_cells(design, voltage, slow, ultraslow):
    """The same from the cells' own closed form, wired as the netlist has it, in amperes over capacitors."""
    volt, scale = design.scale.volt, design.scale
    nodes = {"v": voltage * volt, "u_slow": slow * volt, "u_ultraslow": ultraslow * volt}
    ground = design.technology.analog_ground
    reference = design.reference_dac.decode(design.reference_code)[:, 0] - ground
    nodes |= {f"r_{name}": value for name, value in zip(BRANCHES[: LEAK + 1], reference, strict=True)}
    into = {"v": design.offset_dac.decode(design.offset_code)[0], "u_slow": 0.0, "u_ultraslow": 0.0}
    bias = dict(zip(BRANCHES, design.bias()[:, 0], strict=True))
    for branch in neuron_view(design, 0, "transistor").branches:
        cell = getattr(design.cells, branch.cell)
        at = (np.array(nodes[node]) for node in (branch.inp, branch.inn, branch.out))
        into[branch.out] += float(cell.current(float(bias[branch.name]), *at))
    capacitor = load_capacitance(design)[[0, 2, 3], 0]
    return np.array(list(into.values())) / capacitor * scale.second / volt


@pytest.mark.parametrize("state", [(-2.4, -1.1, -1.4), (-0.2, -1.5, -1.3), (2.2, 0.3, -1.0)])
def test_the_equations_are_the_cells_wired_as_in_the_netlist(preset, state):
    _, _, design = preset("bursting", bits=8)
    spec = as_cells(design)
    found = right_hand_side(spec.neurons, float(spec.bias[0]), *state)
    assert found == pytest.approx(from_cells(design, *state), rel=1e-6, abs=1e-9)


def test_ideal_cells_are_the_ideal_neuron(preset, cells):
    """Without offsets, conductances and lags, and with the curves that the model assumes, nothing is left."""
    _, _, design = preset("bursting")
    ones = np.ones_like(cells.ota.bias)
    shaped = {
        "ota": {"unit": cells.unit * ones},
        "wide_ota": {"slope": CURVE.slope * ones, "shift": CURVE.shift * ones},
    }
    plain = {
        kind: dataclasses.replace(
            getattr(cells, kind),
            **{name: 0.0 * ones for name in NONE},
            **shaped[kind],
        )
        for kind in ("ota", "wide_ota")
    }
    bare = dataclasses.replace(design, cells=dataclasses.replace(cells, **plain, tail_capacitance=np.zeros(4)))
    curved = dataclasses.replace(bare, leak_curve=CURVE, filter_curve=CURVE)
    ideal, circuit = as_spec(curved), as_cells(curved)
    neuron = load_neuron("bursting")
    courses = [ode.integrate(s.neurons, neuron.stimulus, 600.0, neuron.initial) for s in (ideal, circuit)]
    assert courses[1].voltage == pytest.approx(courses[0].voltage, abs=1e-5)


def test_a_chip_s_deviations_move_the_faithful_neuron_as_the_meant_one(preset):
    """Gains a little less so: a mirror's and a bump's are not the same all over a wide OTA's transfer."""
    _, _, design = preset("bursting")
    chip = perturb(design, 3, 0)
    nominal, moved = as_cells(design).neurons, as_cells(chip).neurons
    before, after = as_spec(design).neurons, as_spec(chip).neurons
    for name in ("alpha", "delta", "leak", "rest", "offset", "tau"):
        assert np.array_equal(getattr(nominal, name), getattr(before, name)), name
        assert getattr(moved, name) == pytest.approx(getattr(after, name), rel=0.02), name
        assert not np.array_equal(getattr(moved, name), getattr(before, name)), name
    assert not np.isclose(moved.cells.constant[:LEAK], nominal.cells.constant[:LEAK], rtol=0.05, atol=0.0).any()
    assert np.array_equal(moved.cells.offset[:LEAK], nominal.cells.offset[:LEAK])


def drawn(design, branch, **devices):
    """A chip of which only these devices of one branch have a draw: a relative width."""
    rows = (len(design.rows), MAX_DEVICES, 1)
    threshold, width = np.zeros(rows), np.zeros(rows)
    row = BRANCHES.index(branch)
    for device, value in devices.items():
        width[row, DEVICES[BRANCH_CELL[row]].index(device)] = value
    return dataclasses.replace(design, deviations=Deviations(0, 0, threshold, width))


def leak_current(design, x):
    """Of the leak whose input is x below its reference."""
    neurons = as_cells(design).neurons
    effects = neurons.cells
    bend = ode._Cells.of(effects, 0).bends[0]
    centre = neurons.rest[0] + effects.offset[LEAK, 0]
    return float(neurons.leak[0]) * np.array([bend(each + centre) for each in x]) + effects.constant[LEAK, 0]


@pytest.mark.parametrize(
    ("mirror", "bump", "lean"),
    [(0.02, 0.0, 0.0), (0.0, 0.03, 0.0), (0.0, 0.0, 0.04), (-0.03, 0.02, 0.0), (0.01, -0.03, -0.05)],
)
def test_a_mismatched_wide_ota_is_what_weak_inversion_says(preset, mirror, bump, lean):
    """M I1 - I2 of a pair beside a bump whose two devices are wider by bump +- lean."""
    _, _, design = preset("tonic")
    nominal = as_cells(design).neurons
    slope, shift = nominal.cells.slope[0, 0], nominal.cells.shift[0, 0]
    x = np.linspace(-4.0, 4.0, 33)
    y = slope * (x + float(nominal.rest[0] + nominal.cells.offset[LEAK, 0]))

    def pair(ratio, strength, e):
        one = 1.0 / (2.0 * np.cosh(y) + strength / (2.0 * np.cosh(y + e)))
        return one * (np.exp(y) * ratio - np.exp(-y))

    strength = 2.0 * (np.cosh(2.0 * slope * shift) - 1.0)
    whole = 2.0 * float(nominal.leak[0]) * nominal.cells.amplitude[0, 0]
    changed = pair(1.0 + mirror, strength * (1.0 + bump), lean)
    expected = whole * (changed - pair(1.0, strength, 0.0))
    chip = drawn(design, "leak", m4=mirror, m7=bump + lean, m8=bump - lean)
    assert np.abs(expected).max() > 0.003 * whole
    found = leak_current(chip, x) - leak_current(design, x)
    assert found == pytest.approx(expected, abs=0.0006 * whole)


@pytest.mark.parametrize("pair", [("mb", "mt"), ("m3", "m4")])
def test_widths_that_move_together_leave_a_wide_ota_as_it_is(preset, pair):
    _, _, design = preset("tonic")
    x, nominal = np.linspace(-4.0, 4.0, 9), leak_current(design, np.linspace(-4.0, 4.0, 9))
    one, both = (drawn(design, "leak", **dict.fromkeys(names, 0.02)) for names in (pair[:1], pair))
    assert np.abs(leak_current(one, x) - nominal).max() > 0.02
    assert leak_current(both, x) == pytest.approx(nominal, abs=5e-4)


def test_a_chip_s_equations_are_its_transistors_dc_sweeps(preset, runner):
    """dV/dt and the filters' currents at the states that a burst runs through, in unit currents."""
    _, _, design = preset("bursting")
    any_course, nodes = neuron_course(load_neuron("tonic")), (-2.5, -1.0, 0.5, 2.0)
    request = Request(curves=Curves(outputs=nodes))
    for sample in range(2):
        chip = perturb(design, 6, sample)
        seen = NgspiceInstrument(chip, "transistor", runner, any_course).measure(chip, request).curves
        spec = as_cells(chip)
        at = {level: (np.searchsorted(seen.voltage, level), np.searchsorted(seen.output, level)) for level in nodes}
        capacitor = load_capacitance(chip)[:, 0] / chip.scale.farad
        offset = float(chip.offset_dac.decode(chip.offset_code)[0]) / chip.scale.amp
        for voltage in nodes:
            state = (voltage, -1.0, -1.0)
            heard = (voltage, -1.0, -1.0, -1.0, voltage)
            into_v = [seen.current[row, at[x][0], at[voltage][1], 0] for row, x in enumerate(heard)]
            filters = [seen.current[row, at[voltage][0], at[-1.0][1], 0] for row in (LEAK + 2, LEAK + 3)]
            sums = np.array([sum(into_v) + offset, *filters])
            derived = right_hand_side(spec.neurons, float(spec.bias[0]), *state) * capacitor[[0, 2, 3]]
            assert derived[0] == pytest.approx(sums[0], abs=0.007), (sample, voltage)
            per_unit = capacitor[[2, 3]] / spec.neurons.tau[1:, 0]
            assert derived[1:] / per_unit == pytest.approx(sums[1:] / per_unit, abs=0.015), (sample, voltage)


def test_an_absent_branch_has_no_effects(preset):
    _, _, design = preset("tonic")
    effects = as_cells(design).neurons.cells
    absent = ~design.present
    for name in ("constant", "common_mode", "tilt"):
        assert not getattr(effects, name)[absent].any()
    assert not effects.lag[absent[LEAK + 1 :]].any()


def compared(technology, name, runner):
    """(ideal, cells, circuit) as (median interval) or (interval in a burst, period, spikes a burst)."""
    duration = TONIC if name == "tonic" else BURSTING
    options = NeuronOptions(level="transistor", duration=duration)
    neuron = load_neuron(name)
    result = run_neuron(neuron, load_technology(technology), options, runner)
    assert result.outcome.ok, result.outcome.reason
    found = []
    for trace in (result.software, result.cells, result.circuit):
        spikes = spike_times(trace.time, trace.voltage[:, 0])
        if name == "tonic":
            found.append((float(np.median(np.diff(spikes))),))
            continue
        bursts = burst_statistics(spikes[spikes > FIRST] - FIRST, duration - FIRST)
        found.append((bursts.intra_interval, bursts.period, bursts.spikes_per_burst))
    return found


def check(technology, runner):
    (ideal,), (cells,), (circuit,) = compared(technology, "tonic", runner)
    assert circuit == pytest.approx(cells, rel=0.01)
    assert circuit == pytest.approx(ideal, rel=0.05)
    ideal, cells, circuit = compared(technology, "bursting", runner)
    assert circuit[0] == pytest.approx(cells[0], rel=0.02)
    assert circuit[1] == pytest.approx(cells[1], rel=0.06)
    assert circuit[2] == pytest.approx(cells[2], abs=1.0)
    assert circuit[0] == pytest.approx(ideal[0], rel=0.08)
    assert circuit[1] == pytest.approx(ideal[1], rel=0.15)
    assert circuit[2] == pytest.approx(ideal[2], abs=2.0)


def chips_by_both(name, count, duration, runner):
    """Spike trains of chips of the trimmed design, by cells and by transistors."""
    neuron = load_neuron(name)
    design = neuron_design(neuron, load_technology("generic"), NeuronOptions(level="transistor"), runner)
    chips = [perturb(design, 5, sample) for sample in range(count)]
    outcomes = runner([own_deck(chip, neuron, "transistor", duration) for chip in chips])
    found = []
    for chip, outcome in zip(chips, outcomes, strict=True):
        spec = as_cells(chip)
        stimulus = neuron.stimulus.shifted(float(spec.bias[0]))
        cells = ode.integrate(spec.neurons, stimulus, duration, neuron.initial, rtol=1e-8)
        trains = [spike_times(t.time, t.voltage[:, 0]) for t in (cells, to_trace(outcome.waveforms, chip, 0))]
        found.append([train[1:] if name == "tonic" else train for train in trains])
    return list(zip(*found, strict=True))


def test_tonic_chips_by_their_cells_and_by_their_transistors(runner):
    both = np.array(
        [[np.diff(each).mean() for each in trains] for trains in chips_by_both("tonic", 12, 900.0, runner)]
    )
    assert np.corrcoef(both)[0, 1] > 0.998
    assert both[0] == pytest.approx(both[1], rel=0.01)
    assert both[1].std() > 0.04 * both[1].mean()


def test_bursting_chips_by_their_cells_and_by_their_transistors(runner):
    """The time from the first spike of all to that of the second burst, and the first burst's spikes."""
    trains = chips_by_both("bursting", 4, 2600.0, runner)
    bursts = [[burst_statistics(each, 2600.0) for each in some] for some in trains]
    period = np.array([[each.starts[1] - each.starts[0] for each in some] for some in bursts])
    spikes = np.array([[each.sizes[0] for each in some] for some in bursts])
    assert period[0] == pytest.approx(period[1], rel=0.02)
    assert np.abs(spikes[0] - spikes[1]).max() <= 1
    assert np.ptp(spikes[1]) >= 3


def test_transistors_do_what_their_cells_say(runner):
    check("generic", runner)


@pytest.mark.pdk
@pytest.mark.parametrize("name", ["gf180mcuD", "sky130A"])
def test_a_real_process_s_transistors_do_what_their_cells_say(name, runner):
    root = os.environ.get("PDK_ROOT", "")
    if not root or not (Path(root) / name).is_dir():
        pytest.skip(f"no {name} under PDK_ROOT, which is {root!r}")
    check(name, runner)
