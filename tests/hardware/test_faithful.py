"""The circuit-faithful neuron: what it is made of, and that it does what the transistors do."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from mtc_hw.analysis.spikes import burst_statistics, spike_times
from mtc_hw.hardware.design import BRANCHES, LEAK, as_spec, load_capacitance
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import load_technology
from mtc_hw.netlist.views import neuron_view
from mtc_hw.neuron_file import load_neuron
from mtc_hw.neuron_run import NeuronOptions, run_neuron
from mtc_hw.simulate import ode
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
    _, _, design = preset("bursting")
    chip = perturb(design, 3, 0)
    nominal, moved = as_cells(design).neurons, as_cells(chip).neurons
    before, after = as_spec(design).neurons, as_spec(chip).neurons
    for name in ("alpha", "delta", "leak", "rest", "offset", "tau"):
        assert np.array_equal(getattr(moved, name), getattr(after, name)), name
        assert not np.array_equal(getattr(after, name), getattr(before, name)), name
    assert not np.array_equal(moved.cells.constant[:LEAK], nominal.cells.constant[:LEAK])
    assert np.array_equal(moved.cells.offset, nominal.cells.offset)


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


def test_transistors_do_what_their_cells_say(runner):
    check("generic", runner)


@pytest.mark.pdk
@pytest.mark.parametrize("name", ["gf180mcuD", "sky130A"])
def test_a_real_process_s_transistors_do_what_their_cells_say(name, runner):
    root = os.environ.get("PDK_ROOT", "")
    if not root or not (Path(root) / name).is_dir():
        pytest.skip(f"no {name} under PDK_ROOT, which is {root!r}")
    check(name, runner)
