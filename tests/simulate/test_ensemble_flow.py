"""The formula is the right-hand side that LSODA integrates; a neuron's formula depends on that neuron alone."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.formula.evaluate import evaluate
from mtc_hw.formula.lower import Lowering
from mtc_hw.formula.node import Node
from mtc_hw.formula.precision import FLOAT64
from mtc_hw.simulate import ode
from mtc_hw.simulate.ensemble_flow import coefficients, flow, in_use, select, structures
from mtc_hw.spec import EFFECT_ROWS, FILTERS, Array, CellEffects, Curve, Neurons

COUNT = 40
CURVE = Curve(slope=0.8, shift=0.6)
STATES = ("membrane", "slow", "ultraslow", "fast", "tail_slow", "tail_ultraslow", "tail_fast")
"""In the order of `ode`, without those that a neuron lacks."""


def neurons(circuit: bool = False, leak: Curve | None = None, filters: Curve | None = None) -> Neurons:
    """All kinds at once: with and without each element, a fast filter and each lag."""
    draw = np.random.default_rng(0)
    alpha = draw.uniform(0.2, 3.0, (4, COUNT)) * (draw.random((4, COUNT)) < 0.7)
    tau = draw.uniform(0.5, 50.0, (3, COUNT))
    tau[0] *= draw.random(COUNT) < 0.5
    own = {name: draw.normal(size=shape) for name, shape in (("delta", (4, COUNT)), ("offset", (3, COUNT)))}
    single = {"leak": draw.uniform(0.5, 2.0, COUNT), "rest": draw.normal(size=COUNT)}
    cells = None
    if circuit:
        shapes = {name: (rows, COUNT) if rows else (COUNT,) for name, rows in EFFECT_ROWS.items()}
        values = {name: 0.2 * draw.normal(size=shape) for name, shape in shapes.items()}
        for name in ("sharpness", "slope", "shift", "lag"):
            values[name] = np.exp(values[name])
        values["lag"] *= draw.random((3, COUNT)) < 0.6
        values["constant"][:4] *= alpha > 0.0
        cells = CellEffects(**values)
    return Neurons(alpha, tau=tau, **own, **single, leak_curve=leak, filter_curve=filters, cells=cells)


def by_formula(population: Neurons, state: dict[str, Array], current: Array) -> list[dict[str, float]]:
    """d/dt of each neuron's states, by name."""
    found: list[dict[str, float]] = [{} for _ in range(population.count)]
    for structure, lanes in structures(population):
        c = coefficients(select(population, lanes), structure)
        nodes = {name: Node("input", value=("coefficient", index)) for index, name in enumerate(c)}
        states = {name: Node("input", value=("state", index)) for index, name in enumerate(structure.states)}
        roots = Lowering({}, FLOAT64)(flow(structure, nodes, states, Node("input", value=("current", 0))))
        inputs = {("coefficient", index): values for index, values in enumerate(c.values())}
        inputs |= {("state", index): state[name][lanes] for index, name in enumerate(structure.states)}
        inputs["current", 0] = current[lanes]
        for name, values in zip(structure.states, evaluate(roots, inputs), strict=True):
            for lane, value in zip(lanes, values, strict=True):
                found[lane][name] = float(value)
    return found


@pytest.mark.parametrize("circuit", [False, True])
@pytest.mark.parametrize("leak", [None, CURVE])
@pytest.mark.parametrize("filters", [None, CURVE])
def test_the_formula_is_lsoda_s_right_hand_side(circuit, leak, filters):
    population, draw = neurons(circuit, leak, filters), np.random.default_rng(1)
    state = {name: draw.normal(size=COUNT) for name in STATES[:4]}
    state |= {name: np.exp(draw.normal(size=COUNT)) for name in STATES[4:]}
    current = draw.normal(size=COUNT)
    for lane, found in enumerate(by_formula(population, state, current)):
        constants = ode._Constants.of(population, lane)
        kept = [*STATES[: 3 + (population.tau[0, lane] > 0)]]
        if population.cells is not None:
            lag = dict(zip(FILTERS, population.cells.lag[:, lane], strict=True))
            kept += [f"tail_{name}" for name in kept[1:] if lag[name] > 0]
        own = np.array([state[name][lane] for name in kept])
        exact = ode._flow(own, 0.0, lambda _, felt=current[lane]: felt, constants)
        for name, rate in zip(kept, exact, strict=True):
            if name in found:
                assert found[name] == pytest.approx(rate, rel=1e-12, abs=1e-12)
        assert {"membrane"} <= found.keys() <= set(kept)


def test_what_no_element_sees_is_left_out():
    population = neurons(circuit=True)
    for structure, lanes in structures(population):
        assert "fast" not in structure.filters or (population.tau[0, lanes] > 0).all()
        assert {f"tail_{name}" for name in structure.lags} <= set(structure.states)
        assert set(structure.lags) <= set(structure.filters)
        present = population.alpha[:, lanes] > 0
        assert (present == present[:, :1]).all() and len(structure.elements) == present[:, 0].sum()
    assert sorted(np.concatenate([lanes for _, lanes in structures(population)]).tolist()) == list(range(COUNT))


def test_an_element_of_a_circuit_that_only_leaks_is_there():
    population = neurons(circuit=True).take(0)
    constant = population.cells.constant.copy()
    constant[:4] = [[0.1], [0.0], [0.0], [0.0]]
    cells = dataclasses.replace(population.cells, constant=constant)
    quiet = dataclasses.replace(population, alpha=np.zeros((4, 1)), tau=np.ones((3, 1)), cells=cells)
    ((structure, _),) = structures(quiet)
    assert structure.elements == ("fast_negative",) and structure.filters == ("fast",)
    assert in_use(quiet)[:, 0].tolist() == [True, False, False]


def test_a_neuron_s_structure_does_not_depend_on_the_others():
    population = neurons(circuit=True)
    for structure, lanes in structures(population):
        for lane in lanes[:2]:
            assert [each for each, _ in structures(population.take(int(lane)))] == [structure]
