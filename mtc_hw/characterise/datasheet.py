"""The data sheet of the cell library: what every cell does, by bias, at one operating condition or at several."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.constants import elementary_charge, k, zero_Celsius

from mtc_hw.characterise.bench import Bench, open_bench
from mtc_hw.characterise.filter_charge import spike_charge
from mtc_hw.characterise.measure import measure
from mtc_hw.characterise.ranges import ranges
from mtc_hw.characterise.readout_cells import Figures, devices, lowpass, readout_sum, synapse_lag
from mtc_hw.characterise.small_signal import probe, small_signal
from mtc_hw.hardware.cells import Cell, Cells
from mtc_hw.hardware.technology import Technology
from mtc_hw.spec import Array

FORMAT, VERSION = "mtc_hw data sheet", 1
BIASES: dict[str, tuple[float, ...]] = {  # A
    "ota": (1e-10, 1e-9, 1e-8),
    "wide_ota": (1e-11, 6e-11, 1e-9, 3e-9),
    "input_gm": (1e-11, 1e-10, 1e-9, 2e-8),
    "synapse": (1e-10, 3e-10, 1e-9, 3e-9),
    "readout_sum": (1e-10, 1e-9),
    "lowpass": (1e-10, 3e-10, 1e-9, 3e-9),
    "filter": (2e-12, 1e-11, 6e-11, 3e-10),
    "nmos": (1e-11, 1e-10, 1e-9, 1e-8),
    "pmos": (1e-11, 1e-10, 1e-9, 1e-8),
}
KIND = {"ota": "ota", "wide_ota": "wide_ota", "input_gm": "wide_ota", "synapse": "synapse"}
UNITS = {
    "kappa": "1",
    "unit": "V",
    "gain": "A/A",
    "offset": "V",
    "constant": "A/A",
    "conductance": "S/A",
    "tilt": "S/A",
    "common_mode": "1/V",
    "residual": "A/A",
    "linear_low": "V",
    "linear_high": "V",
    "input_low": "V",
    "input_high": "V",
    "supply_current": "A",
    "input_capacitance": "F",
    "output_capacitance": "F",
    "bandwidth": "Hz",
    "off_current": "A",
    "lag": "s",
    "missing_charge": "C",
    "mirror_error": "1",
    "node_swing": "V",
    "follower_gain": "1",
    "transresistance": "V",
    "error": "1",
    "pole": "Hz",
    "tau_factor": "V",
    "gate_voltage": "V",
    "spike_charge": "C",
}
"""Every figure and its unit; A/A and S/A are per ampere of bias, but tilt per ampere of output."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """One cell: figures by name, each an array over `bias`."""

    cell: str
    bias: Array  # (K,) A
    figures: Figures


@dataclass(frozen=True, eq=False)
class DataSheet:
    """Every cell of a technology at one size, corner, supply and temperature."""

    technology: Technology
    cells: Cells
    sheets: tuple[Sheet, ...]


def data_sheet(technology: Technology, width: float, length: float) -> DataSheet:
    """Measures every cell; lengths in m. Raises SimulatorMissingError without ngspice, DataError when a run fails."""
    with open_bench(technology, width, length) as bench:
        cells = measure(bench)
        sheets = _transconductors(bench, cells)
        measured = {
            "readout_sum": readout_sum(bench, BIASES["readout_sum"]),
            "lowpass": lowpass(bench, BIASES["lowpass"], cells.unit),
            "filter": {"spike_charge": spike_charge(bench, cells, BIASES["filter"])},
            **devices(bench, BIASES["nmos"]),
        }
    sheets += [Sheet(name, np.array(BIASES[name]), figures) for name, figures in measured.items()]
    return DataSheet(technology, cells, tuple(sheets))


def _transconductors(bench: Bench, cells: Cells) -> list[Sheet]:
    pairs = [(name, bias) for name in KIND for bias in BIASES[name]]
    kinds = [(KIND[name], bias) for name, bias in pairs]
    spans = ranges(bench, kinds)
    small = small_signal(bench, [probe(kind, bias) for kind, bias in kinds])
    rows: Figures = {
        "linear_low": spans.linear[0],
        "linear_high": spans.linear[1],
        "input_low": spans.usable[0],
        "input_high": spans.usable[1],
        "supply_current": spans.supply,
        "input_capacitance": small.input_capacitance,
        "output_capacitance": small.output_capacitance,
        "bandwidth": small.bandwidth,
    }
    sheets = []
    for name in KIND:
        at, bias = [i for i, pair in enumerate(pairs) if pair[0] == name], np.array(BIASES[name])
        figures = _closed_form(getattr(cells, KIND[name]), bias, bench.technology.temperature)
        figures |= {figure: values[at] for figure, values in rows.items() if not np.isnan(values[at]).any()}
        if name == "synapse":
            figures |= {"off_current": figures["constant"] * bias} | synapse_lag(bench, BIASES[name])
        sheets.append(Sheet(name, bias, figures))
    return sheets


def _closed_form(cell: Cell, bias: Array, temperature: float) -> Figures:
    names = ("unit", "gain", "offset", "constant", "conductance", "tilt", "common_mode", "residual")
    figures = {name: cell.at(name, bias) for name in names}
    if (cell.slope == 1.0).all():
        thermal = k * (temperature + zero_Celsius) / elementary_charge
        figures["kappa"] = 2.0 * thermal / figures["unit"]
    return figures


def to_json(sheets: Sequence[DataSheet]) -> dict[str, Any]:
    """The record of one technology and size at one or more conditions."""
    first = sheets[0]
    return {
        "format": FORMAT,
        "version": VERSION,
        "technology": first.technology.name,
        "width": first.cells.width,
        "length": first.cells.length,
        "units": UNITS,
        "conditions": [_condition(each) for each in sheets],
    }


def _condition(sheet: DataSheet) -> dict[str, Any]:
    return {
        "digest": sheet.technology.digest(),
        "corner": sheet.technology.corner,
        "supply": sheet.technology.supply,
        "temperature": sheet.technology.temperature,
        "unit": sheet.cells.unit,
        "cells": {
            each.cell: {"bias": each.bias.tolist()} | {name: value.tolist() for name, value in each.figures.items()}
            for each in sheet.sheets
        },
    }


def save_data_sheets(sheets: Sequence[DataSheet], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_json(sheets), indent=1, allow_nan=False) + "\n", encoding="utf-8")
