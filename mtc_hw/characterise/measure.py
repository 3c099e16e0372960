"""A technology's cells at one transistor size and one operating condition: measured, or read from a record."""

from pathlib import Path

from mtc_hw.characterise.bench import Bench, open_bench
from mtc_hw.characterise.small_signal import capacitances
from mtc_hw.characterise.tail import BIASES, tail_capacitance
from mtc_hw.characterise.transfer import FILTER_BIAS, cell, curve, sweep, unit_voltage
from mtc_hw.hardware.cells import MEASURED, REFERENCE_BIAS, Cells
from mtc_hw.hardware.fields import load_fields, save_fields
from mtc_hw.hardware.technology import Technology
from mtc_hw.resources import folder

FORMAT, VERSION = "mtc_hw cells", 4


def cells_for(technology: Technology, width: float, length: float) -> Cells:
    """The cells of a technology at a transistor size, m: the shipped record, or measured now where there is none."""
    path = record_path(technology.name, width, length)
    if path.exists():
        cells = load_cells(path)
        if cells.technology == technology.digest():
            return cells
    return characterise(technology, width, length)


def record_path(name: str, width: float, length: float) -> Path:
    size = f"{width * 1e6:g}x{length * 1e6:g}um"
    return folder("calibration") / "records" / f"cells-{name}-{size}.json"


def save_cells(cells: Cells, path: Path) -> None:
    save_fields(cells, path, FORMAT, VERSION)


def load_cells(path: Path) -> Cells:
    """Raises DataError for a file that holds no cells."""
    cells: Cells = load_fields(Cells, path, FORMAT, VERSION, "characterise the technology again")
    return cells


def characterise(technology: Technology, width: float, length: float) -> Cells:
    """The closed forms, sensitivities and capacitances of every transconductor.

    Raises SimulatorMissingError without ngspice and DataError when a run fails.
    """
    with open_bench(technology, width, length) as bench:
        return measure(bench)


def measure(bench: Bench) -> Cells:
    """As `characterise`, on an open bench."""
    sweeps = sweep(bench)
    unit = unit_voltage(sweeps)
    measured = {kind: cell(sweeps, kind, unit) for kind in MEASURED}
    inputs, outputs = capacitances(bench)
    return Cells(
        technology=bench.technology.digest(),
        width=bench.width,
        length=bench.length,
        unit=unit,
        ota=measured["ota"],
        wide_ota=measured["wide_ota"],
        synapse=measured["synapse"],
        leak_curve=curve(measured["wide_ota"], REFERENCE_BIAS["wide_ota"]),
        filter_curve=curve(measured["wide_ota"], FILTER_BIAS),
        input_parasitic=inputs,
        output_parasitic=outputs,
        tail_bias=BIASES,
        tail_capacitance=tail_capacitance(bench, unit),
    )
