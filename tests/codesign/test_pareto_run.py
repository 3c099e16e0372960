"""Sweeps of a preset: points, files, and going on where one was."""

import csv
import json

import pytest
from test_cli import call, call_json

from mtc_hw.calibration.plan import load_plan
from mtc_hw.codesign.pareto import Grid, Requirement
from mtc_hw.codesign.pareto_plots import pareto_figure
from mtc_hw.codesign.pareto_run import ParetoOptions, sweep, usual_sheet
from mtc_hw.errors import DataError
from mtc_hw.hardware.unit import parse_size
from mtc_hw.simulate.pool import Workers
from mtc_hw.sources import Source, load_source

TINY, USUAL = 1e-13, 5e-12  # F


def options(chips=2, capacitor=(TINY, USUAL), **more):
    grid = Grid(size=(parse_size("2"),), capacitor=capacitor, **more)
    wanted = (Requirement("yield", 0.3),)
    return ParetoOptions(
        grid, load_plan("dc"), wanted, tier="ode", chips=chips, duration=600.0, workers=Workers(jobs=1)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def found(folder):
    return sweep(load_source("tonic"), options(), folder)


def test_a_point_that_cannot_be_mapped_has_the_mappers_reason(found):
    refused, there = found.points
    assert not refused.mapped and "capacitor" in refused.unmapped
    assert there.mapped and there.chips == 2 and there.failed == 0
    assert found.on_front == (False, True)
    assert found.choice.index == 1 and found.choice.reason.startswith("2/2 um, 5 pF (")
    assert found.chips == 2


def test_each_point_tells_chips_with_their_own_codes_and_with_the_nominal_ones(found):
    assert set(found.points[1].quality) == {"yield", "nominal_yield"}


def test_costs_are_those_of_the_whole_design_with_its_converters(found):
    costs = found.points[1].costs
    assert costs["area"] == pytest.approx(
        sum(costs[f"{part} area"] for part in ("transistor", "capacitor", "converter"))
    )
    assert costs["converter area"] > 0.0 and costs["power"] > 0.0


def test_what_is_done_is_not_done_again_and_more_is_only_what_is_missing(found, folder):
    again = sweep(load_source("tonic"), options(), folder)
    assert (again.chips, again.points, again.choice) == (0, found.points, found.choice)
    more = sweep(load_source("tonic"), options(chips=3, trim_bits=(6, 4)), folder)
    assert more.chips == 1 + 3
    assert [each.chips for each in more.points] == [0, 0, 3, 3]


def test_an_interrupted_sweep_keeps_the_chips_that_were_done(tmp_path, monkeypatch):
    from mtc_hw.codesign import pareto_run

    real, points = pareto_run.run_study, []

    def interrupted(*arguments):
        if points:
            raise KeyboardInterrupt
        points.append(real(*arguments))
        return points[0]

    monkeypatch.setattr(pareto_run, "run_study", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(load_source("tonic"), options(capacitor=(USUAL, 2 * USUAL)), tmp_path)
    monkeypatch.setattr(pareto_run, "run_study", real)
    assert sweep(load_source("tonic"), options(capacitor=(USUAL, 2 * USUAL)), tmp_path).chips == 2


def test_a_good_neuron_has_the_models_regime_and_nearly_its_interval():
    usual = ParetoOptions(Grid(), load_plan("dc"))
    tonic = usual_sheet(load_source("tonic"), usual).limits
    assert tonic["regime"].wanted == ["tonic"]
    assert tonic["isi_mean"].max / tonic["isi_mean"].min == pytest.approx(1.5)
    assert set(usual_sheet(load_source("bursting"), usual).limits) == {"regime", "burst_period"}
    assert set(usual_sheet(load_source("silent"), usual).limits) == {"regime"}


def test_what_nothing_tells_is_refused_before_anything_runs(found, folder, preset):
    with pytest.raises(DataError, match=r"^r2 >= 0.9: a neuron has no R2; require its yield, such as yield>=0.8$"):
        sweep(load_source("tonic"), ParetoOptions(Grid(), load_plan("dc"), (Requirement("r2", 0.9),)), folder)
    with pytest.raises(DataError, match=r"^a design that is mapped already has one setting"):
        sweep(Source(design=preset("tonic")[2]), options(), folder)


@pytest.mark.parametrize(("own", "said"), [({"chips": 0}, "^chips is 0"), ({"tolerance": 1.0}, "^tolerance is 1;")])
def test_options_that_cannot_be_are_refused(own, said):
    with pytest.raises(DataError, match=said):
        ParetoOptions(Grid(), load_plan("dc"), **own)


def test_a_figure_has_a_panel_each_number_of_bits(folder):
    swept = sweep(load_source("tonic"), options(capacitor=(USUAL,), chips=3, trim_bits=(6, 4)), folder)
    figure = pareto_figure(swept)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [each for each in titles if each] == ["6-bit trims", "4-bit trims"]
    assert figure.axes[0].get_xlabel().startswith("area (") and "yield" in figure.axes[0].get_ylabel()


def test_without_a_mapped_point_there_is_no_figure(folder):
    swept = sweep(load_source("tonic"), options(capacitor=(TINY,)), folder)
    assert pareto_figure(swept) is None
    assert swept.choice.index is None


def test_the_command_leaves_every_file(capsys, tmp_path):
    out = tmp_path / "pareto"
    asked = ["pareto", "tonic", "--size", "2,4", "--capacitor", "5,0.1", "--chips", 2, "--duration", 600]
    asked += ["--require", "yield>=0.3", "--level", "ode", "--jobs", 1, "--out", out]
    values = call_json(capsys, *asked)
    assert json.loads((out / "pareto.json").read_text()) == values
    rows = list(csv.DictReader((out / "pareto.csv").read_text().splitlines()))
    assert [row["size"] for row in rows] == ["2/2", "2/2", "4/4", "4/4"]
    assert [bool(row["unmapped"]) for row in rows] == [False, True, False, True]
    assert [row["chosen"] for row in rows].count("True") == 1
    assert (out / "pareto.png").stat().st_size > 10_000
    assert values["provenance"]["seed"] == 0 and values["chips_run"] == 4
    code, said, _ = call(capsys, *asked)
    assert code == 0
    assert said.startswith("2/2 um, 5 pF (") and "2 that cannot be mapped" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--bits", "6,x"], "--bits is '6,x'; give numbers with commas between them"),
        (["--size", "0.1"], "size is '0.1'; a unit transistor is 0.2 to 100 um"),
        (["--require", "area<=1"], "requirement is 'area<=1'; give one of"),
        (["--plan", "nothing"], "plan nothing: "),
        (["--require", "r2>=0.9"], "a neuron has no R2"),
    ],
)
def test_what_cannot_be_swept_is_one_line(capsys, tmp_path, arguments, said):
    code, out, err = call(capsys, "pareto", "tonic", *arguments, "--out", tmp_path / "none")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err and not (tmp_path / "none").exists()
