"""What a compiled kernel needs, and that it is compiled once."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from mtc_hw.model.loops import Kernel, compiled
from mtc_hw.model.mtc import coefficients, dynamics, parameters
from mtc_hw.model.program import Program
from mtc_hw.model.record import Recipe
from mtc_hw.spec import Curve, Neurons, Synapse

Population = Callable[..., Neurons]


def recipe_for(population: Population, substeps: int = 2, curve: Curve | None = None) -> Recipe:
    """Of neurons as training has them: unit leaks, no rests, no offsets."""
    drawn = population(2, curve)
    p = parameters(Neurons(drawn.alpha, drawn.delta, drawn.tau, leak_curve=curve, filter_curve=curve))
    law = dynamics(p, "split", 1 / substeps)
    c = coefficients(p, law)
    constants = tuple((name, value) for name, value in c.items() if isinstance(value, float))
    arrays = tuple(name for name, value in c.items() if not isinstance(value, float))
    return Recipe(Program(law, substeps, Synapse(), "features", decay=0.8), arrays, constants, True, 4)


@pytest.mark.parametrize(("substeps", "steps", "slots"), [(1, 1, 3), (2, 2, 4), (4, 4, 6)])
def test_a_linear_neurons_tape_grows_slower_than_its_steps(
    population: Population, substeps: int, steps: int, slots: int
) -> None:
    kernel = compiled(recipe_for(population, substeps))
    assert (kernel.steps, kernel.slots) == (steps, slots)


def test_two_steps_a_sample_keep_sixteen_bytes_of_a_neuron(population: Population) -> None:
    assert 4 * compiled(recipe_for(population)).slots <= 16


def test_equal_recipes_share_one_kernel(population: Population) -> None:
    kernel = compiled(recipe_for(population))
    assert isinstance(kernel, Kernel) and compiled(recipe_for(population)) is kernel
    other = recipe_for(population)
    assert compiled(replace(other, program=replace(other.program, decay=0.7))) is not kernel
