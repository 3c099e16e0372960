"""What a model asks of its circuit's currents, state by state."""

import dataclasses

import numpy as np

from mtc_hw.course import Course
from mtc_hw.formula.evaluate import evaluate
from mtc_hw.formula.node import Node
from mtc_hw.simulate.ensemble_flow import coefficients, flow, select, structures
from mtc_hw.spec import FILTERS, Array, ModelSpec


def rates(target: ModelSpec, course: Course) -> tuple[Array, Array]:
    """dV/dt (T, N) and the filters' dU/dt (3, T, N) along a course, of the model with all its effects.

    A filter that no element listens to has a rate of zero. Tail nodes are those of a standing neuron: sweeps are DC.
    """
    felt = course.inputs if target.input_curve is None else target.input_curve(course.inputs)
    current = target.bias + np.einsum("tin,ni->tn", felt, target.weights)
    membrane, filters = np.empty_like(course.voltage), np.zeros_like(course.filtered)
    neurons = target.neurons
    if neurons.cells is not None:
        still = dataclasses.replace(neurons.cells, lag=np.zeros_like(neurons.cells.lag))
        neurons = dataclasses.replace(neurons, cells=still)
    for structure, lanes in structures(neurons):
        values = coefficients(select(neurons, lanes), structure)
        states = {"membrane": course.voltage[:, lanes]}
        states |= {name: course.filtered[FILTERS.index(name)][:, lanes] for name in structure.filters}
        named = {name: Node("input", value=name) for name in (*values, *states, "current")}
        found = evaluate(flow(structure, named, {name: named[name] for name in states}, named["current"]),
                         {**values, **states, "current": current[:, lanes]})  # fmt: skip
        membrane[:, lanes] = found[0]
        for name, rate in zip(structure.filters, found[1:], strict=True):
            filters[FILTERS.index(name)][:, lanes] = rate
    return membrane, filters
