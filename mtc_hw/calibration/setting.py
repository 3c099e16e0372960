"""What a chip's trims are set to, as values: the calibration's knobs before they are rounded to codes."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mtc_hw.hardware.design import LEAK, MappedDesign
from mtc_hw.spec import Array

Knob = Literal["bias", "reference", "filter", "input", "offset", "synapse"]
KNOBS: frozenset[Knob] = frozenset({"bias", "reference", "filter", "input", "offset", "synapse"})
"""Elements' and leak's biases, their references, filters' biases, inputs, constant current, readout weights."""


@dataclass(frozen=True, eq=False)
class Setting:
    """Values of all trims, and of the readout's weights, which have no trim beside their own converter."""

    bias: Array  # (8, N) share of the branch's own current
    reference: Array  # (5, N) V
    inputs: Array  # (N, inputs) share of the input's own current
    offset: Array  # (N,) A
    synapses: Array  # (outputs, N) A, signed

    @staticmethod
    def of(design: MappedDesign) -> "Setting":
        """What the design's codes stand for; a chip's deviations are not in it."""
        trim = design.trim
        return Setting(
            trim.current.decode(design.bias_trim),
            trim.reference.decode(design.reference_trim),
            trim.current.decode(design.input_trim),
            trim.offset.decode(design.offset_trim),
            design.readout_dac.decode(design.readout_code),
        )

    def on(self, design: MappedDesign) -> MappedDesign:
        """The design with the codes next to these values."""
        trim = design.trim
        return dataclasses.replace(
            design,
            bias_trim=np.where(design.present, trim.current.nearest(self.bias), 0.0),
            reference_trim=trim.reference.nearest(self.reference),
            input_trim=trim.current.nearest(self.inputs),
            offset_trim=trim.offset.nearest(self.offset),
            readout_code=design.readout_dac.nearest(self.synapses),
        )

    def scale(self, measured: "Setting") -> Array:
        """By what these values multiply the curves that were measured with others, (rows, N)."""
        inputs = ((1.0 + self.inputs) / (1.0 + measured.inputs)).T
        synapses = np.abs(self.synapses) / np.where(measured.synapses == 0.0, 1.0, np.abs(measured.synapses))
        return np.vstack([(1.0 + self.bias) / (1.0 + measured.bias), inputs, synapses])

    def shift(self, design: MappedDesign, measured: "Setting") -> Array:
        """By how much they move the curves along what is sensed, unit voltages, (rows, N)."""
        moved = np.zeros((len(design.rows), design.count))
        moved[: LEAK + 1] = (self.reference - measured.reference) / design.scale.volt
        return moved
