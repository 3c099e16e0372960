"""The cell library: what each cell is made of, where its template and its test bench are."""

from dataclasses import dataclass
from typing import Literal

from mtc_hw.errors import DataError


@dataclass(frozen=True)
class Device:
    """One transistor of a cell."""

    name: str
    polarity: Literal["n", "p"]
    width: float = 1.0  # in unit widths
    length: float = 1.0  # in unit lengths


@dataclass(frozen=True)
class LibraryCell:
    """One row of the library."""

    name: str  # of its subcircuit
    summary: str
    ports: tuple[str, ...]
    devices: tuple[Device, ...]
    template: str  # its file, in netlist_templates/transistor
    testbench: str  # in netlist_templates/testbench
    needs: tuple[str, ...] = ()  # cells that it instantiates


def _devices(names: str, pmos: str, double: str = "") -> tuple[Device, ...]:
    return tuple(
        Device(name, "p" if name in pmos.split() else "n", 2.0 if name in double.split() else 1.0)
        for name in names.split()
    )


_OTA_PORTS = ("inp", "inn", "out", "bias", "vdd", "vss")
_WIDE = _devices("mb mt m1 m2 m3 m4 m5 m6 m7 m8", pmos="m3 m4", double="m7 m8")

LIBRARY = (
    LibraryCell(
        "ota",
        "plain OTA: tanh",
        _OTA_PORTS,
        _devices("mb mt m1 m2 m3 m4", pmos="m3 m4"),
        "ota.cir.j2",
        "cells.cir.j2",
    ),
    LibraryCell("wide_ota", "wide-range OTA: leak, filters", _OTA_PORTS, _WIDE, "ota.cir.j2", "cells.cir.j2"),
    # A weight's sign is the order of the inputs: no devices of its own.
    LibraryCell("input_gm", "input transconductor: a wide OTA", _OTA_PORTS, _WIDE, "ota.cir.j2", "cells.cir.j2"),
    LibraryCell(
        "synapse",
        "OTA with a rectifying mirror",
        _OTA_PORTS,
        _devices("mb mt m1 m2 m3 m4 m5 m6", pmos="m3 m4 m5 m6"),
        "synapse.cir.j2",
        "synapse.cir.j2",
    ),
    LibraryCell(
        "readout_sum",
        "mirror of the negative sum, its input held at the analog ground",
        ("sum_n", "sum_p", "ref", "bias", "vdd", "vss"),
        _devices("mb mt m1 m2 m3 m4 m5 m6 m7 m8 m9 m10", pmos="mt m1 m2 m8 m9 m10"),
        "lowpass.cir.j2",
        "readout_sum.cir.j2",
    ),
    LibraryCell(
        "lowpass",
        "four-pole Gm-C low-pass of wide OTAs, current in",
        ("in", "out", "ref", "b1", "b2", "b3", "b4", "vdd", "vss"),
        tuple(Device(f"p{stage}_{each.name}", each.polarity, each.width) for stage in (1, 2, 3, 4) for each in _WIDE),
        "lowpass.cir.j2",
        "lowpass.cir.j2",
        needs=("wide_ota",),
    ),
)
"""Cells of one unit transistor size. A cell that is added here is characterised and tested with the others."""


def library_cell(name: str) -> LibraryCell:
    """Raises DataError for a cell that is not in the library."""
    for each in LIBRARY:
        if each.name == name:
            return each
    raise DataError(f"no cell {name!r} in the library; there are: {', '.join(each.name for each in LIBRARY)}")
