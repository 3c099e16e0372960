"""Synapses of both signs, negative sum and low-pass together, in transistors and as equations."""

import numpy as np
import pytest

from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.render import common_context
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.netlist.templates import parameters, render
from mtc_hw.simulate.pool import Workers, simulate

WEIGHTS = (5e-10, -3.5e-10, 3e-10, -4e-10)  # A
FREQUENCIES = (35.0, 60.0, 25.0, 50.0)  # Hz
POLE_BIAS, CAPACITOR = 2e-9, 1e-11  # A, F
DURATION = 0.12  # s
GRID = np.linspace(0.04, DURATION, 800)


def deck(technology, cells, level: str, sign: float = 1.0, swing: float = 0.15) -> Deck:
    """Sine waves around the threshold into four synapses."""
    context = common_context(technology, cells.width, cells.length)
    gain = float(cells.wide_ota.gain_at(np.array(POLE_BIAS)))
    wide = {"unit": cells.unit, "gain1": gain, "gain": gain}
    lines = ["* readout", technology.cards]
    lines += [render(f"{level}/{name}.cir.j2", context) for name in ("ota", "synapse", "lowpass")]
    lines += [f"Vdd vdd 0 dc {technology.supply}", f"Vref ref 0 dc {technology.analog_ground}"]
    for i, (weight, frequency) in enumerate(zip(WEIGHTS, FREQUENCIES, strict=True)):
        at = np.array(abs(weight))
        form = {name: float(cells.synapse.at(name, at)) for name in ("gain", "unit", "offset")}
        given = parameters(form) if level == "behavioural" else ""
        lines += [
            f"V{i} v{i} ref sin(0 {swing} {frequency})",
            f"Iw{i} vdd w{i} dc {abs(weight)}",
            f"Xs{i} v{i} ref {'sum_p' if weight * sign > 0 else 'sum_n'} w{i} vdd 0 synapse{given}",
        ]
    lines += ["Ik vdd k dc 1e-9", "Xsum sum_n sum_p ref k vdd 0 readout_sum"]
    lines += [f"Ip{i} vdd b{i} dc {POLE_BIAS}" for i in (1, 2, 3, 4)]
    given = "".join(f" c{i}={CAPACITOR}" for i in (1, 2, 3, 4)) + (parameters(wide) if level == "behavioural" else "")
    lines += [f"Xlow sum_p y ref b1 b2 b3 b4 vdd 0 lowpass{given}"]
    lines += [f".temp {technology.temperature}", f".options {' '.join(TRANSISTOR.options())}"]
    lines += [".save v(y) v(sum_n)", f".tran 1e-4 {DURATION} 0 1e-4", ".end", ""]
    text = "\n".join(lines)
    lint(text)
    return Deck(f"readout_{level}_{sign:g}_{swing:g}", text, ("v(y)", "v(sum_n)"), DURATION)


@pytest.fixture(scope="module")
def run(technology, cells):
    """Output and negative sum's node, V from the analog ground, on the grid."""
    cases = {
        "transistor": ("transistor", 1.0, 0.15),
        "behavioural": ("behavioural", 1.0, 0.15),
        "negated": ("transistor", -1.0, 0.15),
        "idle": ("transistor", 1.0, 0.0),
    }
    outcomes = simulate([deck(technology, cells, *case) for case in cases.values()], Workers("ngspice", jobs=1))
    seen = {}
    for name, outcome in zip(cases, outcomes, strict=True):
        assert outcome.ok, outcome.reason
        waves = outcome.waveforms
        sampled = {node: np.interp(GRID, waves.axis, waves[f"v({node})"]) for node in ("y", "sum_n")}
        seen[name] = {node: volts - technology.analog_ground for node, volts in sampled.items()}
    return seen


def test_the_circuit_follows_its_equations(run, cells):
    circuit, equations = run["transistor"]["y"], run["behavioural"]["y"]
    assert np.ptp(equations) > 0.2 * cells.unit
    assert np.corrcoef(circuit, equations)[0, 1] > 0.999
    assert np.ptp(circuit) == pytest.approx(np.ptp(equations), rel=0.05)


def test_the_other_sum_gives_the_other_sign(run):
    middle = 0.5 * (run["transistor"]["y"] + run["negated"]["y"])
    assert np.ptp(middle) < 0.03 * np.ptp(run["transistor"]["y"])


def test_the_negative_sums_node_stays_at_the_analog_ground(run):
    assert np.abs(run["transistor"]["sum_n"]).max() < 0.02


def test_synapses_at_their_threshold_give_next_to_nothing(run, cells):
    assert np.ptp(run["idle"]["y"]) < 1e-3 * cells.unit
