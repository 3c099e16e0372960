"""What an instrument sets on a chip: codes by the names of `codes.csv`, and the digest of all else."""

import dataclasses
from typing import Any

import numpy as np

from mtc_hw.hardware.codes_file import Key, Row, rows_of
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.spec import Array


def settable(design: MappedDesign) -> dict[Key, Row]:
    """Every converter's code, and what is taken from the readout as its offset. Capacitors and sizes are fixed."""
    return {key: row for key, row in rows_of(design).items() if row.dac is not None or key.kind == "readout_offset"}


def fixed_digest(design: MappedDesign) -> str:
    """SHA-256 of the design but for what can be set: equal for the same hardware with other codes."""
    # Any neuron names all arrays: a leak, an offset and the readout belong to each, and a filter's code is a bias.
    arrays = {row.array for row in settable(design.take(0)).values()}
    plain: dict[str, Any] = {name: np.zeros_like(getattr(design, name)) for name in arrays}
    readout = dataclasses.replace(design.readout_dac, lsb=1.0)
    return dataclasses.replace(design, **plain, readout_dac=readout).digest


def code_values(design: MappedDesign) -> Array:
    """The stored numbers in the order of `settable`: a code, with its octave times the number of codes."""
    return np.array([row.stored for row in settable(design).values()])


def copies(design: MappedDesign) -> dict[str, Array]:
    """The arrays that hold settable codes, to be written to."""
    return {row.array: np.array(getattr(design, row.array), np.float64) for row in settable(design.take(0)).values()}


def with_codes(design: MappedDesign, arrays: dict[str, Array], readout_lsb: float) -> MappedDesign:
    """The design with these arrays of codes, as they are now, and this step of the readout's converter, A."""
    found: dict[str, Any] = {name: values.copy() for name, values in arrays.items()}
    for values in found.values():
        values.setflags(write=False)
    return dataclasses.replace(design, **found, readout_dac=dataclasses.replace(design.readout_dac, lsb=readout_lsb))
