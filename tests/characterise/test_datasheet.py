import json

import numpy as np
import pytest

from mtc_hw.characterise import cells_for
from mtc_hw.characterise.bench import open_bench
from mtc_hw.characterise.datasheet import BIASES, UNITS, data_sheet, save_data_sheets, to_json
from mtc_hw.characterise.filter_charge import spike_charge
from mtc_hw.characterise.readout_cells import CAPACITOR
from mtc_hw.hardware.library import LIBRARY


@pytest.fixture(scope="module")
def sheet(technology):
    return data_sheet(technology, 2e-6, 2e-6)


@pytest.fixture(scope="module")
def figures(sheet):
    return {each.cell: each.figures for each in sheet.sheets}


def test_every_cell_of_the_library_has_a_sheet(sheet):
    assert {each.name for each in LIBRARY} < {each.cell for each in sheet.sheets}


def test_every_figure_is_a_finite_number_at_every_bias_and_has_a_unit(sheet):
    for each in sheet.sheets:
        assert each.bias == pytest.approx(BIASES[each.cell])
        for name, values in each.figures.items():
            assert name in UNITS
            assert len(values) == len(each.bias) and np.isfinite(values).all(), name


def test_kappa_of_an_ota_is_that_of_its_transistors(figures):
    """The pair's sources are above its body, where the gate has more hold of the channel."""
    pair, nmos = figures["ota"]["kappa"][1], figures["nmos"]["kappa"][2]
    assert nmos < pair < 1.1 * nmos
    assert (np.diff(figures["pmos"]["kappa"]) < 0.0).all()


def test_a_plain_ota_is_linear_as_tanh_is(figures):
    """sech^2 x is 0.95 at x = 0.226; the linear range is that wide."""
    ota = figures["ota"]
    width = (ota["linear_high"] - ota["linear_low"]) / ota["unit"]
    assert width == pytest.approx(2.0 * 0.2263, rel=0.05)


def test_a_wide_ota_is_linear_five_times_as_far(figures):
    plain, wide = ((figures[name]["linear_high"] - figures[name]["linear_low"])[-1] for name in ("ota", "wide_ota"))
    assert wide > 5.0 * plain


def test_the_analog_ground_and_three_units_either_side_are_in_every_input_range(figures, technology):
    for name in ("ota", "wide_ota", "input_gm", "synapse"):
        reach = 3.0 * figures["ota"]["unit"][1]
        assert (figures[name]["input_low"] < technology.analog_ground - reach).all()
        assert (figures[name]["input_high"] > technology.analog_ground + reach).all()


def test_an_ota_draws_its_bias_twice(sheet):
    for each in sheet.sheets:
        if each.cell in ("ota", "wide_ota", "input_gm", "synapse"):
            assert each.figures["supply_current"] == pytest.approx(2.0 * each.bias, rel=0.15)
        if each.cell == "lowpass":
            assert each.figures["supply_current"] == pytest.approx(8.0 * each.bias, rel=0.05)


def test_bandwidth_goes_with_the_bias(figures):
    for name in ("ota", "wide_ota", "input_gm", "synapse"):
        ratio = figures[name]["bandwidth"][1:] / figures[name]["bandwidth"][:-1]
        assert (ratio > 1.0).all()


def test_a_synapse_is_faster_with_more_bias_and_leaks_the_same(figures):
    synapse = figures["synapse"]
    assert (np.diff(synapse["lag"]) < 0.0).all()
    assert synapse["lag"] * np.array(BIASES["synapse"]) == pytest.approx(np.full(4, 6e-15), rel=0.4)
    assert (synapse["off_current"] < 3e-13).all()


def test_the_negative_sum_is_mirrored_exactly_and_its_node_stays(figures):
    assert (figures["readout_sum"]["mirror_error"] < 1e-3).all()
    assert (figures["readout_sum"]["node_swing"] < 2e-3).all()


def test_the_low_pass_has_four_equal_poles_at_gain_bias_over_capacitor_and_unit(figures, sheet):
    for row, bias in enumerate(BIASES["lowpass"]):
        gain = float(sheet.cells.wide_ota.gain_at(np.array(bias)))
        expected = gain * bias / (2.0 * np.pi * CAPACITOR * sheet.cells.unit)
        poles = figures["lowpass"]["pole"][row]
        assert np.ptp(poles) < 0.01 * poles[0]
        # Slope at the low-pass's own offset, and output conductance, move it by a few percent.
        assert poles == pytest.approx(expected, rel=0.05)


def test_the_low_pass_gives_a_prediction_linearly(figures, sheet):
    lowpass = figures["lowpass"]
    assert (lowpass["error"] < 0.02).all()
    assert lowpass["follower_gain"] == pytest.approx(1.0, abs=0.04)
    assert (np.abs(lowpass["offset"]) < 0.4 * sheet.cells.unit).all()


def test_a_spike_charges_a_slow_filter_beyond_its_bias(figures, technology):
    """The tail's capacitance goes with the area; a large bias follows the spike down and takes the charge back."""
    small = figures["filter"]["spike_charge"]
    with open_bench(technology, 4e-6, 4e-6) as bench:
        large = spike_charge(bench, cells_for(technology, 4e-6, 4e-6), BIASES["filter"])
    assert (np.diff(small[:3]) < 0.0).all() and (np.diff(large[:3]) < 0.0).all()
    assert large[0] / small[0] == pytest.approx(4.0, rel=0.2)


def test_the_record_is_plain_json_with_every_condition(sheet, tmp_path):
    path = tmp_path / "deep" / "sheet.json"
    save_data_sheets([sheet, sheet], path)
    read = json.loads(path.read_text())
    assert read == to_json([sheet, sheet])
    assert (read["format"], read["version"], len(read["conditions"])) == ("mtc_hw data sheet", 1, 2)
    assert read["conditions"][0]["temperature"] == 27.0
