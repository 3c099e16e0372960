import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.constants import e, k

from mtc_hw.characterise import cells_for, characterise, load_cells, record_path, save_cells
from mtc_hw.characterise.bench import Column, Level, open_bench
from mtc_hw.errors import DataError
from mtc_hw.hardware.cells import DEVICES, Cell
from mtc_hw.hardware.technology import load_technology


@pytest.fixture(scope="module")
def fresh(technology):
    return characterise(technology, 4e-6, 4e-6)


def of(cell, quantity: str, kind: str) -> dict[str, float]:
    return dict(zip(DEVICES[kind], getattr(cell, quantity), strict=True))


def test_the_shipped_record_is_what_is_measured_now(fresh, technology):
    shipped = load_cells(record_path("generic", 4e-6, 4e-6))
    assert shipped.technology == technology.digest()
    assert shipped.unit == pytest.approx(fresh.unit, rel=1e-6)
    for kind in DEVICES:
        one, other = getattr(shipped, kind), getattr(fresh, kind)
        for each in dataclasses.fields(Cell):
            expected = getattr(other, each.name)
            assert getattr(one, each.name) == pytest.approx(expected, rel=1e-3, abs=1e-5), each.name
    assert shipped.input_parasitic == pytest.approx(fresh.input_parasitic, rel=1e-4)
    assert shipped.output_parasitic == pytest.approx(fresh.output_parasitic, rel=1e-4)
    for name in ("leak_curve", "filter_curve"):
        one, other = getattr(shipped, name), getattr(fresh, name)
        assert (one.slope, one.shift) == pytest.approx((other.slope, other.shift), rel=1e-4)


@pytest.mark.parametrize("kind", DEVICES)
def test_the_closed_form_holds_where_cells_are_used(cells, kind):
    """Elements and the leak take 1 nA and more, filters 10 pA and more, synapses 0.3 nA and more."""
    cell = getattr(cells, kind)
    used = cell.bias >= {"ota": 3e-10, "wide_ota": 1e-11, "synapse": 3e-10}[kind]
    assert (cell.residual[used] < 0.003).all()


def test_the_closed_form_is_what_ngspice_says_elsewhere(technology, cells):
    """At voltages and a bias that no fit has seen."""
    levels = [Level("a", "ref", 0.07), Level("b", "ref", -0.06), Level("c", "ref", 0.11)]
    columns = [Column(kind, 1.3e-9, "a", "in", "c") for kind in ("ota", "wide_ota")]
    columns += [Column(kind, 1.3e-9, "in", "b", "in") for kind in ("ota", "wide_ota")]
    ground = technology.analog_ground
    with open_bench(technology, 4e-6, 4e-6) as bench:
        swept = bench.sweep(columns, levels, ground - 0.15, ground + 0.15, 0.05)
    v, seen = swept.axis - ground, swept.current
    flat = np.ones_like(v)
    for i, cell in enumerate((cells.ota, cells.wide_ota)):
        assert cell.current(1.3e-9, 0.07 * flat, v, 0.11 * flat) == pytest.approx(seen[:, i], abs=0.008 * 1.3e-9)
        assert cell.current(1.3e-9, v, -0.06 * flat, v) == pytest.approx(seen[:, i + 2], abs=0.008 * 1.3e-9)


@pytest.mark.parametrize("kind", ["ota", "wide_ota"])
def test_output_conductance_goes_with_the_current_that_the_pmos_mirror_gives(cells, kind):
    """It vanishes where the pair takes all current to the other side: only the mirror's transistor is seen then."""
    cell = getattr(cells, kind)
    used = cell.bias >= 1e-10
    assert (cell.conductance[used] > 0.0).all() and (cell.tilt[used] > 0.0).all()
    assert (cell.conductance[used] - 1.1 * cell.tilt[used] < 0.4 * cell.conductance[used]).all()


def test_a_synapse_is_a_rectified_plain_ota(cells):
    bias = np.array([1e-9])
    assert cells.synapse.rectified and not cells.ota.rectified
    assert cells.synapse.at("unit", bias) == pytest.approx(cells.ota.at("unit", bias), rel=0.03)
    assert cells.synapse.at("gain", bias) == pytest.approx(cells.ota.at("gain", bias), rel=0.05)
    off = cells.synapse.current(1e-9, np.array([-0.2, -0.05]), np.zeros(2), np.zeros(2))
    assert (np.abs(off) < 5e-4 * 1e-9).all()


def test_a_synapses_pair_shifts_its_threshold_and_its_output_mirror_its_gain(cells):
    offset = of(cells.synapse, "offset_per_threshold", "synapse")
    assert offset["m1"] == pytest.approx(-1.0, abs=0.1) and offset["m2"] == pytest.approx(1.0, abs=0.1)
    gain = of(cells.synapse, "gain_per_width", "synapse")
    assert gain["m6"] == pytest.approx(1.0, abs=0.05) and gain["m5"] == pytest.approx(-1.0, abs=0.05)


def test_the_unit_voltage_is_twice_ut_over_kappa(cells):
    kappa = 2.0 * (k * 300.15 / e) / cells.unit
    assert 0.7 < kappa < 0.95


def test_the_wide_ota_is_about_a_quarter_as_steep(cells):
    ratio = cells.wide_ota.gain_at(np.array([1e-9])) / cells.ota.gain_at(np.array([1e-9]))
    assert 0.2 < ratio[0] < 0.35
    assert 1.0 < cells.leak_curve.shift < 2.0 and 0.4 < cells.leak_curve.slope < 0.5


@pytest.mark.parametrize("kind", ["ota", "wide_ota"])
def test_a_threshold_in_the_bias_mirror_scales_the_current_as_in_weak_inversion(cells, kind):
    """d ln I / d V_T = kappa / U_T = 2 / unit, up for the diode and down for the tail."""
    slopes = of(getattr(cells, kind), "gain_per_threshold", kind)
    assert slopes["mb"] == pytest.approx(2.0 / cells.unit, rel=0.12)
    assert slopes["mt"] == pytest.approx(-2.0 / cells.unit, rel=0.12)


@pytest.mark.parametrize("kind", ["ota", "wide_ota"])
def test_a_width_in_the_bias_mirror_scales_the_current_one_to_one(cells, kind):
    slopes = of(getattr(cells, kind), "gain_per_width", kind)
    assert slopes["mt"] == pytest.approx(1.0, abs=0.05)
    assert slopes["mb"] == pytest.approx(-1.0, abs=0.05)


@pytest.mark.parametrize("kind", ["ota", "wide_ota"])
def test_a_threshold_in_the_pair_is_the_offset_itself(cells, kind):
    slopes = of(getattr(cells, kind), "offset_per_threshold", kind)
    assert slopes["m1"] == pytest.approx(1.0, abs=0.03)
    assert slopes["m2"] == pytest.approx(-1.0, abs=0.03)


def test_a_width_in_the_pair_moves_the_offset_by_half_a_unit(cells):
    slopes = of(cells.ota, "offset_per_width", "ota")
    assert slopes["m1"] == pytest.approx(-cells.unit / 2.0, rel=0.05)
    assert slopes["m2"] == pytest.approx(cells.unit / 2.0, rel=0.05)


@pytest.mark.parametrize("kind", ["ota", "wide_ota"])
@pytest.mark.parametrize("quantity", ["gain", "offset"])
@pytest.mark.parametrize("cause", ["threshold", "width"])
def test_matched_devices_that_move_together_leave_the_ota_as_it_is(cells, kind, quantity, cause):
    slopes = of(getattr(cells, kind), f"{quantity}_per_{cause}", kind)
    largest = max(map(abs, slopes.values()))
    for one, other in (("mb", "mt"), ("m3", "m4"), ("m1", "m2")):
        assert abs(slopes[one] + slopes[other]) < 0.04 * largest


def test_gains_fall_slowly_with_the_bias(cells):
    for cell in (cells.ota, cells.wide_ota):
        assert (np.diff(cell.gain) < 0).all()
        assert cell.gain[0] / cell.gain[-1] < 2.0


def test_cells_come_back_bit_for_bit(cells, tmp_path):
    save_cells(cells, tmp_path / "cells.json")
    loaded = load_cells(tmp_path / "cells.json")
    for name in ("unit", "leak_curve", "filter_curve", "technology", "width", "length"):
        assert getattr(loaded, name) == getattr(cells, name)
    for each in dataclasses.fields(cells.ota):
        assert np.array_equal(getattr(loaded.ota, each.name), getattr(cells.ota, each.name))
        assert np.array_equal(getattr(loaded.wide_ota, each.name), getattr(cells.wide_ota, each.name))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "holds no mtc_hw cells: "),
        ("[]", "holds no mtc_hw cells: "),
        ("{}", "holds no mtc_hw cells: 'format'; characterise the technology again$"),
        (
            json.dumps({"format": "mtc_hw design", "version": 1}),
            "holds mtc_hw design 1, expected mtc_hw cells 4; characterise the technology again$",
        ),
        (
            json.dumps({"format": "mtc_hw cells", "version": 9}),
            "holds mtc_hw cells 9, expected mtc_hw cells 4; characterise the technology again$",
        ),
        (
            json.dumps({"format": "mtc_hw cells", "version": 4, "value": {}}),
            "holds no mtc_hw cells: 'technology'; charact",
        ),
    ],
)
def test_what_holds_no_cells_is_refused(tmp_path, content, text):
    path = tmp_path / "cells.json"
    path.write_text(content)
    with pytest.raises(DataError, match=rf"^\S+cells\.json {text}"):
        load_cells(path)


def test_a_record_of_another_technology_is_measured_anew(technology, cells):
    warmer = technology.model_copy(update={"temperature": 60.0})
    assert cells_for(warmer, 4e-6, 4e-6).unit == pytest.approx(
        cells.unit * (60.0 + 273.15) / (27.0 + 273.15), rel=0.02
    )


def test_a_technology_that_cannot_be_simulated_says_so(technology):
    broken = technology.model_copy(update={"cards": technology.cards.replace(".model pch pmos", ".model other pmos")})
    with pytest.raises(DataError, match=r"^characterising generic: missing model: "):
        characterise(broken, 4e-6, 4e-6)


@pytest.mark.pdk
@pytest.mark.parametrize("name", ["gf180mcuD", pytest.param("sky130A", marks=pytest.mark.slow)])
def test_the_closed_forms_hold_on_a_real_process(name):
    root = os.environ.get("PDK_ROOT", "")
    if not root or not (Path(root) / name).is_dir():
        pytest.skip(f"no {name} under PDK_ROOT, which is {root!r}")
    cells = characterise(load_technology(name), 4e-6, 4e-6)
    for cell, lowest in ((cells.ota, 3e-10), (cells.wide_ota, 1e-11), (cells.synapse, 3e-10)):
        used = (cell.bias >= lowest) & (cell.bias <= 1e-8)
        assert (cell.residual[used] < 0.003).all()
    assert 0.6 < 2.0 * (k * 300.15 / e) / cells.unit < 0.9
