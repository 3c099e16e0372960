"""What a finished run shows: regression and Sobol agree, and a run without draws says so."""

import json

import pytest

from mtc_hw.chips_analysis import explained, load_chips, sobol
from mtc_hw.chips_report import analysed, write_sobol
from mtc_hw.errors import DataError
from mtc_hw.montecarlo.engine import EngineOptions
from mtc_hw.montecarlo_run import ChipsOptions, run_chips, study_of
from mtc_hw.simulate.pool import Workers
from mtc_hw.sources import load_source

TONIC = load_source("tonic")
OPTIONS = ChipsOptions(tier="ode", duration=500.0, trim="none")
ONE = Workers(jobs=1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("chips")
    run_chips(TONIC, OPTIONS, EngineOptions(300, workers=ONE, draws=True), out)
    return out


@pytest.fixture(scope="module")
def indices():
    return sobol(study_of(TONIC, OPTIONS, ONE), "isi_mean", 128, "element", 1)


def test_draws_explain_the_spread_of_the_interval(finished):
    [[found]] = explained(load_chips(finished), ["isi_mean"], "element")
    assert found.linear.value > 0.8
    assert sum(share.value for share in found.shares) == pytest.approx(found.linear.value, abs=0.15)


def test_sobol_and_regression_name_the_same_elements(finished, indices):
    [[by_regression]] = explained(load_chips(finished), ["isi_mean"], "element")
    assert {each.name for each in by_regression.shares[:2]} == {each.name for each in indices.total.shares[:2]}
    assert indices.runs == 128 * (len(indices.total.shares) + 2)


def test_indices_and_their_picture_are_kept(indices, tmp_path):
    found = write_sobol(indices, tmp_path)
    assert found.picture.stat().st_size > 10_000
    assert json.loads((tmp_path / "sobol.json").read_text())["runs"] == indices.runs
    assert "isi_mean" in found.summary()


def test_a_page_is_written_of_a_finished_run(finished, tmp_path):
    sheet = tmp_path / "sheet.toml"
    sheet.write_text('[isi_mean]\nmin = 50.0\nmax = 62.0\nunit = "tau_m"\n')
    found = analysed(finished, tmp_path, sheet, ["isi_mean"], "element", 3)
    assert 0.0 < found.verdicts.overall.value < 1.0
    assert len(found.worst) == 3
    assert not found.worst[0].good
    page = found.page.read_text()
    assert "tonic" in page
    assert "slow_positive" in page
    assert set(found.to_json()) == {"yield", "yield_by_quantity", "worst", "sensitivity", "report"}


def test_the_run_s_own_limits_serve_without_a_datasheet(finished, tmp_path):
    assert list(analysed(finished, tmp_path, None, [], "element", 3).verdicts.datasheet.limits) == ["regime"]


def test_what_is_missing_is_told(finished, tmp_path):
    with pytest.raises(DataError, match=r"holds no chips\.parquet; run `mtc-hw montecarlo"):
        load_chips(tmp_path)
    with pytest.raises(DataError, match=r"^there is no draws\.parquet beside the table"):
        run_chips(TONIC, OPTIONS, EngineOptions(12, workers=ONE), tmp_path)
        explained(load_chips(tmp_path), ["isi_mean"], "element")
    with pytest.raises(DataError, match=r"nothing.*there are: sample"):
        explained(load_chips(finished), ["nothing"], "element")


def test_sobol_needs_a_fast_tier_and_a_column_of_numbers():
    with pytest.raises(DataError, match=r"^the behavioural tier is too slow"):
        sobol(study_of(TONIC, ChipsOptions(tier="behavioural"), ONE), "isi_mean", 8, "element", 1)
    with pytest.raises(DataError, match=r"^no quantity 'regime'; there are: supply"):
        sobol(study_of(TONIC, OPTIONS, ONE), "regime", 8, "element", 1)
