"""A step's formula and its adjoint: what they read, what the tape keeps."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch

from mtc_hw.formula.evaluate import evaluate
from mtc_hw.formula.node import Node, topological
from mtc_hw.model.algebra import Value
from mtc_hw.model.mtc import Integrator, coefficients, dynamics, parameters
from mtc_hw.model.program import Output, Program, unrolled
from mtc_hw.model.record import Recipe, adjoint, forward_formula, record
from mtc_hw.spec import Curve, Neurons, Synapse

Population = Callable[..., Neurons]


def plain(neurons: Neurons) -> Neurons:
    """The same with unit leaks and without rests and offsets, as training has them."""
    return Neurons(
        neurons.alpha, neurons.delta, neurons.tau, leak_curve=neurons.leak_curve, filter_curve=neurons.filter_curve
    )


def recipe_for(
    neurons: Neurons, substeps: int, output: Output = "features", integrator: Integrator = "split", dense: bool = True
) -> tuple[Recipe, dict[str, Value]]:
    """A recipe and what its coefficients are, in float64."""
    p = parameters(neurons)
    law = dynamics(p, integrator, 1 / substeps)
    c = coefficients(p, law)
    if not dense:
        c |= {"weight": torch.ones((1, neurons.count)), "bias": torch.zeros((1, neurons.count))}
    arrays = tuple(name for name, value in c.items() if isinstance(value, torch.Tensor))
    constants = tuple((name, float(value)) for name, value in c.items() if name not in arrays)
    return Recipe(Program(law, substeps, Synapse(), output, decay=0.8), arrays, constants, dense, 4), c


def kinds(formulas: Sequence[Node]) -> set[str]:
    return {n.value[0] for n in topological(formulas) if n.op == "input"}


def test_the_recorded_step_has_the_value_of_the_reference(population: Population, curve: Curve | None) -> None:
    neurons = population(3, curve)
    recipe, c = recipe_for(neurons, 2)
    current = torch.randn((1, 2, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = unrolled(recipe.program, current, c).outputs[0]
    formula = forward_formula(recipe)
    inputs = {("coefficient", index): c[name][0].numpy() for index, name in enumerate(recipe.arrays)}
    inputs |= {("current", end): current[0, end].numpy() for end in (0, 1)}
    state = [np.full(3, start) for start in recipe.program.initial]
    for step, share in enumerate((0.25, 0.75)):
        own = {("state", index): value for index, value in enumerate(state)} | {("share", 0): np.full(3, share)}
        *state, output, _, _ = evaluate(formula.roots, inputs | own)
        assert np.allclose(output, expected[step].numpy(), atol=1e-7)


def test_a_step_reads_a_current_at_both_ends_or_one_drive(population: Population) -> None:
    dense = record(recipe_for(population(2), 2)[0])
    assert kinds([*dense.after, dense.output]) == {"coefficient", "state", "current", "share"}
    single = record(recipe_for(population(2), 2, dense=False)[0])
    assert kinds([*single.after, single.output]) == {"coefficient", "state", "drive"} and not single.currents


def test_what_coefficients_fix_is_hoisted_out_of_the_step(population: Population) -> None:
    formula = forward_formula(recipe_for(plain(population(2)), 2)[0])
    moving = set(topological(formula.roots, set(formula.hoisted))) - set(formula.hoisted)
    assert kinds(formula.hoisted) == {"coefficient"}
    # One exponential each for membrane, slow and ultraslow voltage; four for the offsets stand before the loop.
    assert sum(n.op == "exp2" for n in moving) == 3
    assert sum(n.op == "exp2" for n in topological(formula.hoisted)) == 4


def test_a_steps_divisions_are_two(population: Population) -> None:
    formula = forward_formula(recipe_for(plain(population(2)), 2)[0])
    assert (
        sum(n.op == "reciprocal" for n in topological(formula.roots, set(formula.hoisted))) == 2
    )  # of four tangents


@pytest.mark.parametrize("integrator", ["euler", "split"])
@pytest.mark.parametrize(("substeps", "steps"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 1), (6, 3), (8, 4)])
def test_a_linear_record_spans_a_whole_share_of_the_sample(
    population: Population, integrator: Integrator, substeps: int, steps: int
) -> None:
    assert len(adjoint(recipe_for(plain(population(2)), substeps, integrator=integrator)[0]).steps) == steps


def test_a_curved_record_is_one_step(population: Population) -> None:
    curved = plain(population(2, Curve(0.45, 1.502)))
    back = adjoint(recipe_for(curved, 4)[0])
    assert len(back.steps) == 1 and back.starts == [1, 2]


@pytest.mark.parametrize("output", ["state", "synapse", "features"])
def test_two_steps_a_sample_keep_sixteen_bytes_a_neuron(population: Population, output: Output) -> None:
    back = adjoint(recipe_for(plain(population(2)), 2, output)[0])
    assert len(back.steps) == 2 and 4 * back.slots <= 16
    assert back.starts == [1, 2]  # slow and ultraslow; the poles are linear, so their adjoint needs no value


def test_a_record_keeps_a_fast_filter_as_well(population: Population) -> None:
    assert adjoint(recipe_for(plain(population(2, fast=1.0)), 2)[0]).starts == [1, 2, 3]


def test_the_adjoint_reads_only_what_the_tape_and_the_caller_have(population: Population) -> None:
    back = adjoint(recipe_for(population(2), 2)[0])
    known = {"coefficient", "current", "share", "kept", "start", "adjoint", "outer", "weight"}
    for step, formula in enumerate(back.steps):
        assert kinds(formula.roots) <= known
        assert {index for _, index in formula.inputs("kept")} <= set(range(step + 2))


def test_every_formula_of_a_record_hoists_the_same(population: Population) -> None:
    back = adjoint(recipe_for(population(2), 4)[0])
    assert all(one.hoisted == other.hoisted for one, other in pairwise(back.steps))
