"""DC curves of every transconductor by the equations that a compiled tier integrates, row by row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration.observables import Curves, Table
from mtc_hw.formula.evaluate import evaluate
from mtc_hw.formula.node import Node
from mtc_hw.hardware.design import (
    BRANCHES,
    LEAK,
    MappedDesign,
    input_constant,
    load_capacitance,
    row_constant,
    row_gain,
    row_offset,
)
from mtc_hw.hardware.faithful import OneByOne
from mtc_hw.simulate.ensemble_flow import Structure, arriving, coefficients, followed, select, sensed
from mtc_hw.spec import FILTERS, Array, ModelSpec

Tier = Literal["ode", "cells"]

MEMBRANE, HEARD = (Node("input", value=name) for name in ("membrane", "heard"))


def curve_table(design: MappedDesign, spec: ModelSpec, request: Curves) -> Table:
    """What ngspice's test bench measures, here of `spec`, a tier's model of the chips in `design`.

    A synapse is that of the model: both tiers have the same, which does not see its output.
    """
    swept, held = request.voltage, np.array(request.outputs)
    bench = _Bench.of(design, spec, swept[:, None, None], held[:, None])
    here = design.row_bias() > 0.0
    current = np.full((len(design.rows), swept.size, held.size, design.count), np.nan)
    for row, lanes in enumerate(map(np.flatnonzero, here)):
        if lanes.size:
            at = slice(None) if lanes.size == design.count else lanes
            current[row][..., at] = bench.row(row, lanes)
    return Table(swept, held, current)


@dataclass(frozen=True, eq=False)
class _Bench:
    """What is swept and held, and what the model holds only as sums, of every transconductor by itself."""

    design: MappedDesign
    spec: ModelSpec
    swept: Array  # (P, 1, 1) unit voltages
    held: Array  # (Q, 1)
    capacitance: Array  # (4, N) as `load_capacitance`, in those of a tau_m
    constant: Array  # (5 + inputs, N) unit currents that the spec has in its bias
    conductance: Array  # (5 + inputs, N) unit currents per unit voltage

    @staticmethod
    def of(design: MappedDesign, spec: ModelSpec, swept: Array, held: Array) -> "_Bench":
        inputs, capacitance = design.input_code.shape[1], load_capacitance(design) / design.scale.farad
        constant, conductance = np.zeros((2, LEAK + 1 + inputs, design.count))
        if spec.neurons.cells is None:
            constant[:LEAK] = row_constant(design)[:LEAK] / design.scale.amp
            constant[LEAK + 1 :] = input_constant(design)
        else:
            own = OneByOne.of(design)
            constant[LEAK + 1 :], conductance = own.constant, own.conductance
        return _Bench(design, spec, swept, held, capacitance, constant, conductance)

    def row(self, row: int, lanes: NDArray[np.intp]) -> Array:
        """Current of one row of these neurons, unit currents, (P, Q, lanes) or what becomes that."""
        if row <= LEAK:
            return self._sensed(row, lanes)
        if row < len(BRANCHES):
            return self._followed(row - LEAK - 1, lanes)
        number = row - len(BRANCHES)
        if number < self.design.input_code.shape[1]:
            return self._input(number, lanes)
        return self._synapse(row, lanes)

    def _sensed(self, row: int, lanes: NDArray[np.intp]) -> Array:
        """An element or the leak: all that is charged is the membrane."""
        structure = self._structure(elements=() if row == LEAK else (BRANCHES[row],))
        c = coefficients(select(self.spec.neurons, lanes), structure)
        rate = sensed(structure, _inputs(c), BRANCHES[row], HEARD, MEMBRANE)
        own = self._values(rate, c) * self.capacitance[0, lanes]
        return np.asarray(own + self.constant[row, lanes] - self.conductance[row, lanes] * self.held)

    def _followed(self, filtered: int, lanes: NDArray[np.intp]) -> Array:
        """A filter, whose output is also what it follows; its tail is at rest."""
        name = FILTERS[filtered]
        structure = self._structure(filters=(name,))
        c = coefficients(select(self.spec.neurons, lanes), structure)
        state = {"membrane": HEARD, name: MEMBRANE}
        rate = followed(structure, _inputs(c), name, state, None)
        return np.asarray(self._values(rate, c) * self.capacitance[1 + filtered, lanes])

    def _input(self, number: int, lanes: NDArray[np.intp]) -> Array:
        spec, row = self.spec, LEAK + 1 + number
        felt = self.swept if spec.input_curve is None else spec.input_curve(self.swept)
        sent = felt * (spec.weights[lanes, number] * self.capacitance[0, lanes]) + self.constant[row, lanes]
        if spec.neurons.cells is None:
            return np.asarray(sent)
        c = {"tilt_input": spec.neurons.cells.input_tilt[lanes], "conductance": self.conductance[row, lanes]}
        return self._values(arriving(self._structure(), _inputs(c), HEARD, MEMBRANE), c, sent)

    def _synapse(self, row: int, lanes: NDArray[np.intp]) -> Array:
        design = self.design
        full = (design.row_bias() * row_gain(design))[row, lanes] / design.scale.amp
        return np.asarray(full * design.synapse(self.swept - row_offset(design)[row, lanes] / design.scale.volt))

    def _structure(self, elements: tuple[str, ...] = (), filters: tuple[str, ...] = ()) -> Structure:
        own = self.spec.neurons
        curved = own.leak_curve is not None, own.filter_curve is not None
        return Structure(own.cells is not None, *curved, elements, filters, lags=())

    def _values(self, node: Node, c: Mapping[str, Array], heard: Array | None = None) -> Array:
        heard = self.swept if heard is None else heard
        return evaluate([node], {**c, HEARD.value: heard, MEMBRANE.value: self.held})[0]


def _inputs(c: Mapping[str, Array]) -> dict[str, Node]:
    return {name: Node("input", value=name) for name in c}
