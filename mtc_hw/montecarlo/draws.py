"""The chips' draws as a table: a row a sample, a column a device's threshold or width."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from mtc_hw.hardware.cells import DEVICES
from mtc_hw.hardware.design import COMMON, Deviations, MappedDesign
from mtc_hw.montecarlo.study import Study

DRAWS = "draws.parquet"
GROUP = 256  # samples written at once
PROCESS = (*(f"process.{name}" for name in COMMON), "process.capacitance")
"""What all devices of a chip share."""


def draw_names(design: MappedDesign) -> list[tuple[str, str, int, int, int]]:
    """Column, array of `Deviations`, row, device and neuron of every draw that a chip of the design has."""
    branches = len(design.present)
    return [
        (f"n{neuron}.{name}.{device}.{quantity}", quantity, row, index, neuron)
        for neuron in range(design.count)
        for row, (name, kind) in enumerate(design.rows)
        if row >= branches or design.present[row, neuron]
        for index, device in enumerate(DEVICES[kind])
        for quantity in ("threshold", "width")
    ]


def drawn(names: list[tuple[str, str, int, int, int]], deviations: Deviations) -> list[float]:
    """Their values and those of `PROCESS`: thresholds in V, widths relative, the ln of the capacitors' factor."""
    values = [float(getattr(deviations, array)[row, device, neuron]) for _, array, row, device, neuron in names]
    return [*values, *deviations.common[:, 0].tolist(), float(deviations.capacitance[0])]


def write_draws(study: Study, samples: int, path: Path, csv: bool = False) -> None:
    """Every sample's draws; they are the same at every condition and tier, so the first place's are written."""
    names = draw_names(study.places[0].design)
    fields = [("sample", pa.int64()), *((name, pa.float64()) for name in (*(own for own, *_ in names), *PROCESS))]
    schema, part = pa.schema(fields), path.with_suffix(".part")
    with pa.parquet.ParquetWriter(part, schema) as writer:
        for table in _tables(study, samples, names, schema):
            writer.write_table(table)
    os.replace(part, path)
    if csv:
        pa.csv.write_csv(pa.parquet.read_table(path), path.with_suffix(".csv"))


def _tables(
    study: Study, samples: int, names: list[tuple[str, str, int, int, int]], schema: pa.Schema
) -> Iterator[pa.Table]:
    place = study.places[0]
    for first in range(0, samples, GROUP):
        chosen = range(first, min(first + GROUP, samples))
        chips = (study.chip(place, sample).deviations for sample in chosen)
        columns = np.array([drawn(names, each) for each in chips if each is not None]).T
        yield pa.Table.from_arrays([pa.array(chosen), *map(pa.array, columns)], schema=schema)
