"""A neuron over corners, supplies and temperatures: rows, windows, files, refusals."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest

from mtc_hw.cli import main
from mtc_hw.corners import (
    Condition,
    CornersOptions,
    CornersStudy,
    Row,
    common_window,
    conditions,
    heat_proof,
    load_subject,
    study_corners,
    summary,
    windows,
)
from mtc_hw.corners_plots import cell_text, corners_figure
from mtc_hw.corners_report import corners_page, corners_verdict
from mtc_hw.errors import DataError, SpecError, TechnologyError
from mtc_hw.hardware.mapping import MappingOptions
from mtc_hw.hardware.unit import SQUARE
from mtc_hw.neuron_file import load_neuron
from mtc_hw.plots import NARROW, WIDE
from mtc_hw.simulate.outcome import Outcome

SMALL = CornersOptions(
    size=SQUARE,
    hottest=27.0,
    trim="none",
    corners=("tt", "ss"),
    supplies=(1.8,),
    temperatures=(85.0, -40.0),
    duration=300.0,
)


@pytest.fixture(scope="module")
def tonic(runner):
    return study_corners(load_neuron("tonic"), SMALL, runner)


def test_rows_go_corner_by_corner_from_cold_to_hot(tonic):
    places = [(row.corner, row.supply, row.celsius) for row in tonic.rows]
    assert places == [("tt", 1.8, -40.0), ("tt", 1.8, 85.0), ("ss", 1.8, -40.0), ("ss", 1.8, 85.0)]
    assert (tonic.corners, tonic.supplies, tonic.temperatures) == (("tt", "ss"), (1.8,), (-40.0, 85.0))


def test_a_row_tells_regime_interval_and_power(tonic):
    assert (tonic.wanted, tonic.held) == ("tonic", 4)
    for row in tonic.rows:
        assert (row.outcome, row.regime, row.holds) == ("ok", "tonic", True)
        assert 45.0 < row.interval < 65.0
        assert (row.intra_interval, row.spikes_per_burst, row.period) == (None, None, None)
    cold, hot = tonic.rows[:2]
    # A PTAT source's currents, and so the power, go with the absolute temperature.
    assert hot.power / cold.power == pytest.approx(358.15 / 233.15, rel=0.05)


def test_the_usual_grid_is_five_corners_five_temperatures_and_three_supplies(technology):
    grid = conditions(technology, CornersOptions())
    assert len(set(grid)) == len(grid) == 75
    assert (grid[0], grid[-1]) == (Condition("tt", 1.62, -40.0), Condition("fs", 1.98, 125.0))


def test_a_failed_run_is_a_row_with_its_reason_and_the_rest_goes_on(runner):
    def failing(decks, done=None):
        first, *others = runner(decks, done)
        lost = Outcome(first.deck, first.digest, "timeout", "killed <after> 1 s", None, 1.0, first.driver)
        return [lost, *others]

    options = dataclasses.replace(SMALL, corners=("tt",), duration=200.0)
    study = study_corners(load_neuron("tonic"), options, failing)
    lost, other = study.rows
    assert (lost.outcome, lost.reason, lost.regime, lost.holds) == ("timeout", "killed <after> 1 s", None, False)
    assert (other.outcome, other.regime) == ("ok", "tonic")
    assert "1 runs failed" in summary(study)
    assert cell_text(lost) == "timeout"
    assert "tt, 1.8 V, -40 C: timeout: killed &lt;after&gt; 1 s" in corners_page(study)
    json.dumps(dataclasses.asdict(lost), allow_nan=False)


COLD_TO_HOT = (-40.0, 0.0, 27.0, 85.0, 125.0)


def made_up(held, design) -> CornersStudy:
    """A study of which only what holds is told: corner -> supply -> one letter a temperature."""
    rows = [
        Row(corner, supply, celsius, "ok", "", "tonic" if mark == "x" else "silent", mark == "x", 0, None, None, None,
            None, 1e-8)
        for corner, supplies in held.items()
        for supply, marks in supplies.items()
        for celsius, mark in zip(COLD_TO_HOT, marks, strict=True)
    ]  # fmt: skip
    return CornersStudy("made_up", "tonic", 100.0, "ptat", design, tuple(rows))


@pytest.mark.parametrize(
    ("marks", "low", "high"),
    [
        ("xxxxx", -40.0, 125.0),
        (".....", None, None),
        ("..x..", 27.0, 27.0),
        ("xx.xx", -40.0, 0.0),  # of equally long ones the colder
        ("x.xx.", 27.0, 85.0),
        ("xxx.x", -40.0, 27.0),
    ],
)
def test_a_window_is_the_longest_range_without_a_gap(preset, marks, low, high):
    found = windows(made_up({"tt": {1.8: marks}}, preset("tonic")[2]))
    assert [(each.low, each.high) for each in found] == [(low, high)]


def test_the_common_window_is_where_every_corner_and_supply_holds(preset):
    study = made_up({"tt": {1.62: ".xxxx", 1.8: "xxxxx"}, "ff": {1.62: "xxxx.", 1.8: "xxxxx"}}, preset("tonic")[2])
    common = common_window(study)
    assert (common.corner, common.supply, common.low, common.high) == (None, None, 0.0, 85.0)
    assert [str(each) for each in windows(study)][:2] == ["0 to 125 C", "-40 to 125 C"]
    verdict = corners_verdict(study)
    assert (verdict.tone, verdict.line) == ("mixed", "It is tonic at 18 of 20 conditions.")
    assert "from 0 to 85 C" in verdict.detail


@pytest.mark.parametrize(("marks", "tone"), [("xxxxx", "good"), ("xx...", "mixed"), (".....", "bad")])
def test_the_verdict_goes_by_the_common_window(preset, marks, tone):
    assert corners_verdict(made_up({"tt": {1.8: marks}}, preset("tonic")[2])).tone == tone


def test_the_figure_has_a_panel_for_each_supply_and_a_text_for_each_condition(preset):
    marks = ("xx.xx", ".xxx.", "xxxxx")
    study = made_up({c: dict(zip((1.62, 1.8, 1.98), marks, strict=True)) for c in ("tt", "ff")}, preset("tonic")[2])
    for width in (WIDE, NARROW):
        figure = corners_figure(study, width)
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["1.62 V", "1.8 V", "1.98 V"]
        assert [len(axes.texts) for axes in figure.axes] == [10, 10, 10]
        assert [text.get_text() for text in figure.axes[0].texts[:2]] == ["10", "10"]


def test_a_page_is_the_same_twice_and_holds_every_condition(tonic):
    page = corners_page(tonic)
    assert page == corners_page(tonic)
    assert "<script" not in page and "http" not in page
    assert "It is tonic at 4 of 4 conditions." in page
    assert tonic.design.digest in page
    assert len(re.findall(r"<td class=\"number\">tonic</td>", page)) == 4


def test_heat_raises_the_filters_floor_and_mild_use_does_not():
    mild = CornersOptions(size=SQUARE, hottest=27.0)
    assert heat_proof(mild) == MappingOptions()
    hot = heat_proof(dataclasses.replace(mild, hottest=85.0))
    assert hot.filter_min > 5e-12
    assert dataclasses.replace(hot, filter_min=MappingOptions().filter_min) == MappingOptions()


def call(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["corners", *map(str, arguments)])
    seen = capsys.readouterr()
    return int(stopped.value.code or 0), seen.out, seen.err


MILD = ("--size", "4", "--hottest", 27, "--trim", "none", "--duration", 200)


def test_the_command_writes_table_figure_and_page(capsys, tmp_path):
    places = ("--corner", "ff", "--supply", 1.8, "--temperature", 0, "--temperature", 70)
    code, out, err = call(capsys, "tonic", *MILD, *places, "--out", tmp_path / "o", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["wanted"], found["size"], found["conditions"], found["held"]) == ("tonic", "4/4", 2, 2)
    assert found["window"] == {"corner": None, "supply": None, "low": 0.0, "high": 70.0}
    with open(found["files"]["corners.csv"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["corner"], row["celsius"], row["regime"]) for row in rows] == [
        ("ff", "0.0", "tonic"),
        ("ff", "70.0", "tonic"),
    ]
    assert float(rows[0]["interval"]) == pytest.approx(found["rows"][0]["interval"], rel=1e-5)
    assert (tmp_path / "o" / "corners.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "o" / "corners.json").read_text())["rows"] == found["rows"]


def test_an_exported_neuron_brings_its_own_codes(capsys, tmp_path, runner):
    with pytest.raises(SystemExit):
        main(["netlist", "tonic", "--size", "4", "--duration", "100", "--out", str(tmp_path / "own")])
    capsys.readouterr()
    neuron, design = load_subject(str(tmp_path / "own"))
    options = dataclasses.replace(SMALL, corners=("tt",), temperatures=(27.0,), duration=200.0)
    study = study_corners(neuron, options, runner, design)
    assert study.design.digest == design.digest
    assert study.held == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tonic", "--corner", "tf"], "there is no corner 'tf'; there are: tt, ff, ss, sf, fs"),
        (["tonic", "--temperature", "130"], "temperature 130 is outside -40 to 125 degrees Celsius"),
        (["tonic", "--supply", "3.3"], "supply 3.3 is outside 1.5 to 2.2 V"),
        (["tonic", "--corner", "ff", "--corner", "ff"], "corner ff is given twice; give each once"),
        (["tonic", "--duration", "-1"], "duration is -1.0; it must be above 0"),
        (["tonic", "--tracking", "none"], "'none' is not one of 'ptat', 'fixed'"),
        (["tonic", "--size", "1:16"], "size is '1:16'; give the unit transistor's width and length"),
        (["mackey-glass-fast"], "'mackey-glass-fast' is no neuron; give a preset"),
        (["tonic", "--technology", "tin"], "no technology 'tin'"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(capsys, tmp_path, arguments, said):
    code, out, err = call(capsys, *arguments, "--out", tmp_path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not list(tmp_path.iterdir())


def test_a_design_of_several_neurons_or_another_process_is_refused(mapped, network, preset, runner):
    with pytest.raises(DataError, match=r"^this design has 4 neurons; a study of corners is of one$"):
        study_corners(load_neuron("tonic"), SMALL, runner, mapped(network))
    with pytest.raises(SpecError, match="duration is nan"):
        study_corners(load_neuron("tonic"), dataclasses.replace(SMALL, duration=float("nan")), runner)
    file, _, design = preset("tonic")
    other = dataclasses.replace(design, technology=design.technology.model_copy(update={"name": "other"}))
    with pytest.raises(TechnologyError, match=r"this design is on other .*, not on generic"):
        study_corners(file, SMALL, runner, other)


@pytest.mark.slow
def test_with_tracking_bias_bursting_holds_from_cold_to_hot_at_every_corner(runner):
    options = CornersOptions(supplies=(1.62, 1.98), temperatures=(-40.0, 85.0), duration=6000.0)
    study = study_corners(load_neuron("bursting"), options, runner)
    lost = [row for row in study.rows if not row.holds]
    assert lost == []
    assert {row.corner for row in study.rows} == {"tt", "ff", "ss", "sf", "fs"}
    intervals = [row.intra_interval for row in study.rows]
    assert intervals == pytest.approx([float(np.median(intervals))] * len(intervals), rel=0.2)
