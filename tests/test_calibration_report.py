"""The page of a calibration study: what it says of saved and lost chips, and that text in a table stays text."""

import re

import pytest
from synthetic_calibrations import DURATION, calibrated, chip_row, codes, network_chips, networks, tonic_chips

from mtc_hw.analysis.datasheet import datasheet
from mtc_hw.calibration.judged import judged
from mtc_hw.calibration_report import (
    CalibrationPage,
    calibration_page,
    calibration_verdict,
    write_calibration_report,
)
from mtc_hw.errors import DataError

TONIC = datasheet("regime", {"regime": {"wanted": "tonic"}})
GOOD, BAD = {"regime": "tonic", "isi_mean": 50.0, "spikes": 40}, {"regime": "silent", "spikes": 0}
ATTACK = "<script>alert(1)</script>"


def page(rows, sheet=TONIC, **more):
    return CalibrationPage("t", "some chips", rows, sheet, **more)


def text(rows, sheet=TONIC, **more):
    made = page(rows, sheet, **more)
    return calibration_page(made, judged(made.rows, made.sheet))


def test_a_whole_page_and_its_pictures_are_written(tmp_path):
    rows, spikes = tonic_chips(40)
    made = page(rows, codes=codes(), spikes=spikes, duration=DURATION, nominal=chip_row(isi_mean=52.0))
    path = write_calibration_report(made, tmp_path / "deep" / "folder")
    written = path.read_text(encoding="utf-8")
    assert {each.name for each in path.parent.iterdir()} == {
        "report.html",
        *(f"{name}.png" for name in ("yield", "rasters", "spread", "codes")),
    }
    assert re.findall(r"<h2>(.*?)</h2>", written) == [
        "Before and after",
        "Codes used",
        "Chips that could not be saved",
    ]
    assert "<script" not in written and "http" not in written
    assert written == calibration_page(made, judged(made.rows, made.sheet))


def test_numbers_on_the_page_are_those_of_the_rows():
    rows, spikes = tonic_chips(40)
    written = text(rows, spikes=spikes, duration=DURATION)
    assert "38 of 40 chips are good after calibration; 27 were before." in written
    assert "Calibration spoiled 2 chips that had been good." in written
    assert "1 x timeout: killed after 300 s in deck neuron_0" in written
    assert '<td>2 converters</td><td class="why">0: bias.fast_negative at its bound</td>' in written
    assert '<td class="why">it was not calibrated</td>' in written


def test_a_network_has_four_states():
    rows = network_chips(50)
    found = judged(rows, datasheet("r2", {"r2": {"min": 0.95}}))
    assert list(found.yields) == ["before", "before_refit", "after", "after_refit"]
    assert [found.yields[state].good for state in found.yields] == [
        sum(getattr(getattr(row, state), name) >= 0.95 for row in rows)
        for state in ("before", "after")
        for name in ("r2", "r2_refitted")
    ]
    written = text(rows, datasheet("r2", {"r2": {"min": 0.95}}), networks=networks())
    assert 'aria-label="What some chips answer before and after calibration, and the target"' in written
    assert "chips are good after calibration and its readout&#39;s refit" in written
    assert 'aria-label="R2 of every chip before and after calibration"' in written


@pytest.mark.parametrize(
    ("chips", "tone"),
    [
        ([(BAD, GOOD), (GOOD, GOOD)], "good"),
        ([(BAD, GOOD), (GOOD, BAD), (BAD, GOOD)], "mixed"),
        ([(BAD, BAD), (GOOD, GOOD)], "bad"),
        ([(GOOD, GOOD), (BAD, {"outcome": "timeout"})], "bad"),
    ],
)
def test_the_tone_goes_by_the_chips_that_calibration_saves(chips, tone):
    rows = [calibrated(sample, *states) for sample, states in enumerate(chips)]
    assert calibration_verdict(judged(rows, TONIC)).tone == tone


def test_a_chip_that_is_good_and_marked_is_saved_and_one_that_is_not_is_listed_with_its_mark():
    rows = [calibrated(0, BAD, GOOD, marked="0: offset at its bound"), calibrated(4, GOOD, BAD, marked="0: why")]
    [lost] = judged(rows, TONIC).unsaved
    assert (lost.sample, lost.was_good, lost.marked) == (4, True, "0: why")
    assert lost.why == "regime is silent, not tonic"


def test_text_from_a_table_stays_text():
    failed = calibrated(0, {"outcome": ATTACK, "reason": ATTACK}, {"outcome": ATTACK, "reason": ATTACK})
    rows = [failed, calibrated(1, BAD, BAD, marked=ATTACK)]
    written = calibration_page(
        CalibrationPage(ATTACK, ATTACK, rows, TONIC, provenance={ATTACK: ATTACK}), judged(rows, TONIC)
    )
    assert "<script" not in written
    assert written.count("&lt;script&gt;") >= 6


def test_many_lost_chips_are_cut_short():
    written = text([calibrated(k, GOOD, BAD) for k in range(45)])
    assert "... and 5 more in the table." in written


def test_nothing_is_written_for_a_datasheet_that_does_not_fit(tmp_path):
    with pytest.raises(DataError, match="no quantity 'r3' in the table"):
        write_calibration_report(page(tonic_chips(3)[0], datasheet("d", {"r3": {"min": 0}})), tmp_path / "o")
    assert not (tmp_path / "o").exists()
