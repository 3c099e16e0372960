"""Measures a technology's OTAs in ngspice: one DC sweep deck holds every bias and every finite difference."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from mtc_hw.errors import DataError
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.cells import DEVICES, Cell, Cells
from mtc_hw.hardware.fields import load_fields, save_fields
from mtc_hw.hardware.technology import Technology
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.render import common_context
from mtc_hw.netlist.templates import render
from mtc_hw.resources import folder
from mtc_hw.simulate.pool import Workers, simulate
from mtc_hw.simulate.waveforms import Waveforms
from mtc_hw.spec import Array, Curve

BIASES = np.array([1e-12, 3e-12, 1e-11, 3e-11, 1e-10, 3e-10, 1e-9, 2e-9, 4e-9, 1e-8, 3e-8])  # A
ELEMENT_BIAS = 1.5e-9  # A: where the unit voltage is taken
LEAK_BIAS = 3e-9  # A
FILTER_BIAS = 6e-11  # A
THRESHOLD_STEP = 2e-3  # V, of the finite differences
WIDTH_STEP = 0.02
SWEEP = 0.3  # V either side
RESOLUTION = 2.5e-3  # V
OPTIONS = ("gmin=1e-16", "abstol=1e-17", "vntol=1e-9", "reltol=1e-7", "itl1=500", "itl2=500")
REFERENCE_BIAS = {"ota": ELEMENT_BIAS, "wide_ota": LEAK_BIAS}
CAPACITANCE_CURRENTS = ("i(vin0)", "i(vout0)", "i(vin1)", "i(vout1)")
FORMAT, VERSION = "mtc_hw cells", 2


@dataclass(frozen=True)
class Column:
    """One OTA in the characterisation deck."""

    kind: str
    bias: float  # A
    device: str = ""  # whose threshold or width is shifted; empty for none
    threshold: float = 0.0  # V
    width: float = 0.0  # relative

    @property
    def parameters(self) -> dict[str, float]:
        return {f"vt_{self.device}": self.threshold, f"b_{self.device}": self.width} if self.device else {}


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
    """Gains, offsets, unit voltage, curves, sensitivities and capacitances of both OTAs.

    Raises SimulatorMissingError without ngspice and DataError when a run fails.
    """
    columns, technology = _columns(), unit_sized(technology, width, length)
    context = common_context(technology, width, length) | {"options": OPTIONS}
    swept = _run(technology.name, "testbench/cells.cir.j2", context | _sweep_context(technology, columns))
    x = swept.axis - technology.analog_ground
    currents = {column: swept[f"i(vo{i})"] / column.bias for i, column in enumerate(columns)}
    unit = _tanh_scale(x, currents[Column("ota", ELEMENT_BIAS)])
    curves = {bias: _wide_curve(x / unit, currents[Column("wide_ota", bias)]) for bias in (LEAK_BIAS, FILTER_BIAS)}
    inputs, outputs = _capacitances(_run(technology.name, "testbench/capacitance.cir.j2", context))
    return Cells(
        technology=technology.digest(),
        width=width,
        length=length,
        unit=unit,
        ota=_cell("ota", x / unit, currents, unit, curves),
        wide_ota=_cell("wide_ota", x / unit, currents, unit, curves),
        leak_curve=curves[LEAK_BIAS],
        filter_curve=curves[FILTER_BIAS],
        input_parasitic=inputs,
        output_parasitic=outputs,
    )


def _columns() -> list[Column]:
    """Every bias of both OTAs, then one threshold and one width step for each device."""
    result = [Column(kind, bias) for kind in DEVICES for bias in sorted({*BIASES, REFERENCE_BIAS[kind], FILTER_BIAS})]
    for kind, devices in DEVICES.items():
        bias = REFERENCE_BIAS[kind]
        result += [Column(kind, bias, device, threshold=THRESHOLD_STEP) for device in devices]
        result += [Column(kind, bias, device, width=WIDTH_STEP) for device in devices]
    return result


def _sweep_context(technology: Technology, columns: list[Column]) -> dict[str, object]:
    return {
        "columns": columns,
        "wanted": [f"i(vo{i})" for i in range(len(columns))],
        "low": technology.analog_ground - SWEEP,
        "high": technology.analog_ground + SWEEP,
        "step": RESOLUTION,
        "end": technology.analog_ground + SWEEP - 0.5 * RESOLUTION,
    }


def _run(technology: str, template: str, context: dict[str, object]) -> Waveforms:
    text = render(template, {"title": f"cells of {technology}", "wanted": CAPACITANCE_CURRENTS} | context)
    lint(text)
    wanted, end = context.get("wanted", CAPACITANCE_CURRENTS), context.get("end")
    deck = Deck("cells", text, tuple(wanted), end)  # type: ignore[arg-type]
    outcome = simulate([deck], Workers(driver="ngspice", jobs=1))[0]
    if outcome.waveforms is None:
        raise DataError(f"characterising {technology}: {outcome.status}: {outcome.reason}")
    return outcome.waveforms


def _tanh_scale(x: Array, current: Array) -> float:
    """Voltage scale of the tanh that fits a plain OTA, V; output conductance goes into a constant."""

    def residual(p: Array) -> Array:
        return np.asarray(p[0] * np.tanh((x - p[1]) / p[2]) + p[3] - current)

    return float(least_squares(residual, [1.0, 0.0, 0.07, 0.0], x_scale=[1.0, 0.01, 0.05, 0.1]).x[2])


def _wide_curve(x: Array, current: Array) -> Curve:
    """Shape of a wide OTA over unit voltages."""

    def residual(p: Array) -> Array:
        return np.asarray(p[0] * Curve(float(p[1]), float(p[2]))(x - p[3]) + p[4] - current)

    fit = least_squares(residual, [0.3, 0.45, 1.4, 0.0, 0.0]).x
    return Curve(float(fit[1]), float(fit[2]))


def _transfer(kind: str, x: Array, current: Array, curve: Curve) -> tuple[float, float, float]:
    """Gain, offset in unit voltages, and constant, as `Cell` defines them, of the known shape."""

    def residual(p: Array) -> Array:
        at = x - p[1]
        return np.asarray(p[0] * (np.tanh(at) if kind == "ota" else curve(at)) + p[2] - current)

    gain, middle, constant = map(float, least_squares(residual, [0.5, 0.0, 0.0]).x)
    return (gain, middle, constant) if kind == "ota" else (gain, float(np.interp(0.0, current, x)), 0.0)


def _cell(kind: str, x: Array, currents: dict[Column, Array], unit: float, curves: dict[float, Curve]) -> Cell:
    def measure(column: Column) -> tuple[float, float, float]:
        # The wide OTA's shape moves slowly with its bias; each decade takes the nearer of the two fits.
        near_leak = abs(np.log(column.bias / LEAK_BIAS)) < abs(np.log(column.bias / FILTER_BIAS))
        return _transfer(kind, x, currents[column], curves[LEAK_BIAS if near_leak else FILTER_BIAS])

    plain_columns = [c for c in currents if c.kind == kind and not c.device]
    gains, offsets, _ = np.array([measure(c) for c in plain_columns]).T
    nominal = measure(Column(kind, REFERENCE_BIAS[kind]))
    slopes: dict[str, Array] = {}
    for cause, step in (("threshold", THRESHOLD_STEP), ("width", WIDTH_STEP)):
        shifted = [c for c in currents if c.kind == kind and getattr(c, cause)]
        gain, offset, constant = np.array([measure(c) for c in shifted]).T
        slopes[f"gain_per_{cause}"] = np.log(gain / nominal[0]) / step
        slopes[f"offset_per_{cause}"] = (offset - nominal[1]) * unit / step
        slopes[f"constant_per_{cause}"] = (constant - nominal[2]) / step
    return Cell(bias=np.array([c.bias for c in plain_columns]), gain=gains, offset=offsets * unit, **slopes)


def _capacitances(measured: Waveforms) -> tuple[Array, Array]:
    """Input and output capacitance of both OTAs, F, from the reactive current at one frequency."""
    reactive = np.array([-measured[f"imag({name})"][0] for name in CAPACITANCE_CURRENTS])
    farad = reactive / (2.0 * np.pi * measured.axis[0])
    return farad[0::2], farad[1::2]
