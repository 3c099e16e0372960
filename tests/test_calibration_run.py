"""From a source to calibrated chips: one file for one chip, a folder for many, the refits, clear refusals."""

import dataclasses
import json

import numpy as np
import pytest

from mtc_hw.calibration.plan import RefitStep
from mtc_hw.calibration.result import load_result
from mtc_hw.calibration_run import CalibrationOptions, calibrate_one, calibration_study, planned, run_calibration
from mtc_hw.errors import DataError
from mtc_hw.hardware.unit import parse_size
from mtc_hw.montecarlo.engine import EngineOptions
from mtc_hw.montecarlo_run import ChipsOptions
from mtc_hw.simulate.pool import Workers
from mtc_hw.sources import Source, load_source

TONIC = load_source("tonic")
TWO = Workers(jobs=2)


def drawn(**options):
    return ChipsOptions(**({"tier": "ode", "duration": 600.0, "size": parse_size("2")} | options))


@pytest.fixture(scope="module")
def tonic(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tonic")
    return run_calibration(TONIC, drawn(), CalibrationOptions(), EngineOptions(6, workers=TWO), folder), folder


def test_a_folder_holds_table_result_records_page_and_pictures(tonic):
    _, folder = tonic
    names = {path.name for path in folder.iterdir()}
    assert names >= {"table.parquet", "table.csv", "result.json", "records", "report.html", "nominal"}
    assert names >= {f"{name}.png" for name in ("yield", "rasters", "spread", "codes")}
    assert len(list((folder / "records").iterdir())) == 6
    assert not list(folder.rglob("*.part"))


def test_the_result_says_what_is_needed_to_make_it_again(tonic):
    found, folder = tonic
    result = json.loads((folder / "result.json").read_text())
    made = result["provenance"]
    assert (made["seed"], made["plan"], made["trim_bits"], made["noise"]) == (0, "dc", 6, 0.0)
    digests = (made["design_digest"], made["plan_digest"], made["study_digest"])
    assert digests == (found.study.design.digest, found.study.plan.digest(), found.study.key)
    assert (result["n_ok"], result["n_failed"], result["calibrated"]) == (6, 0, 6)
    after, before = result["quantities"]["isi_mean"]["after"], result["quantities"]["isi_mean"]["before"]
    assert after["sd"] < 0.3 * before["sd"]
    assert result["yield"]["after"]["value"] == 1.0
    assert 0.0 < result["measurements_most"] <= 40.0


def test_the_nominal_chip_s_own_codes_are_what_chips_have_before(tonic):
    found, folder = tonic
    [record] = (folder / "nominal" / "records").iterdir()
    trims = load_result(record).bias_trim
    place = found.study.chips.places[0]
    np.testing.assert_array_equal(place.design.bias_trim, trims)
    assert not found.study.design.bias_trim.any()


def test_again_only_the_page_is_made(tonic):
    found, folder = tonic
    again = run_calibration(TONIC, drawn(), CalibrationOptions(), EngineOptions(6, workers=TWO), folder)
    assert (again.finished.calibrated, again.finished.digest) == (0, found.finished.digest)


def test_finer_trims_leave_less(tmp_path):
    """A trim of one more bit has half the step; six chips know the mean residual well enough for two bits."""
    residuals = [
        np.mean([row.residual for row in
                 run_calibration(TONIC, drawn(trim_bits=bits), CalibrationOptions(refit=0),
                                 EngineOptions(6, workers=TWO), tmp_path / str(bits)).finished.rows])
        for bits in (4, 6)
    ]  # fmt: skip
    assert residuals[1] < 0.7 * residuals[0]


def test_one_chip_is_one_file_and_the_same_as_among_many(tonic, tmp_path):
    found, folder = tonic
    one = calibrate_one(TONIC, drawn(), CalibrationOptions(), 3, TWO, tmp_path / "deep" / "chip.json")
    saved = load_result(one.record)
    among = load_result(folder / found.finished.rows[3].record)
    assert saved.digest() == among.digest()
    assert one.to_json()["calibrated"] == one.to_json()["neurons"] == 1
    assert json.dumps(one.to_json(), allow_nan=False)
    assert one.summary().startswith("1 of 1 neurons on target, median error ")


@pytest.mark.slow
def test_a_network_is_shown_with_its_readout_and_with_one_of_its_own(small_network, tmp_path):
    source = Source(spec=small_network)
    options = CalibrationOptions(plan_with(tmp_path, "measurements = 40", "measurements = 80"), refit=600)
    chips = drawn(tier="cells", duration=600.0, size=parse_size("4"))
    found = run_calibration(source, chips, options, EngineOptions(2, workers=TWO), tmp_path / "o", threshold=0.1)
    assert list(found.judged.yields) == ["before", "before_refit", "after", "after_refit"]
    for row in found.finished.rows:
        assert row.neurons == 4
        assert row.after.r2 > row.before.r2
        assert row.before.r2_refitted > row.before.r2
        assert row.after.r2_refitted not in (None, row.after.r2)
    assert (tmp_path / "o" / "r2.png").is_file()
    bare = run_calibration(
        source, chips, dataclasses.replace(options, refit=0), EngineOptions(1, workers=TWO), tmp_path / "b"
    )
    assert list(bare.judged.yields) == ["before", "after"]
    # A refit's run tells a little of the low-pass that a sweep does not.
    assert bare.finished.rows[0].after.r2 == pytest.approx(found.finished.rows[0].after.r2, abs=1e-3)


@pytest.mark.slow
def test_a_network_s_chips_in_ngspice_are_those_of_the_equations(small_network, tmp_path):
    """Behavioural decks and compiled equations integrate with different steps, which R2 sees to some hundredths."""
    source, options = Source(spec=small_network), CalibrationOptions(refit=200)
    compiled, circuit = (
        run_calibration(
            source,
            drawn(tier=tier, duration=400.0, size=parse_size("4")),
            options,
            EngineOptions(2, workers=TWO),
            tmp_path / tier,
            threshold=0.1,
        ).finished.rows
        for tier in ("ode", "behavioural")
    )
    for one, other in zip(compiled, circuit, strict=True):
        for mine, theirs in ((one.before, other.before), (one.after, other.after)):
            assert mine.spikes == theirs.spikes
            assert mine.r2 == pytest.approx(theirs.r2, abs=0.02)
        assert one.before.r2_refitted is not None and other.before.r2_refitted is None  # spared in ngspice
        assert one.after.r2_refitted == pytest.approx(other.after.r2_refitted, abs=0.03)


def plan_with(folder, old, new):
    from mtc_hw.calibration.plan import shipped_plans

    text = shipped_plans()["dc"].read_text()
    assert old in text
    (folder / "plan.toml").write_text(text.replace(old, new))
    return str(folder / "plan.toml")


def test_the_refit_that_is_asked_for_takes_the_place_of_the_plan_s():
    usual, other, none = (planned(CalibrationOptions(refit=samples)) for samples in (None, 300, 0))
    assert usual.refit.samples == 1000
    assert other.refit == RefitStep(method="refit", samples=300)
    assert none.refit is None
    assert none.neuron_steps == other.neuron_steps == usual.neuron_steps


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"plan": "missing"}, r"^plan missing: .*; shipped plans: .*dc"),
        ({"refit": 10}, r"^refit is 10 samples; give 50 to 100000, or 0 for none$"),
    ],
)
def test_an_impossible_plan_is_refused(options, said):
    with pytest.raises(DataError, match=said):
        planned(CalibrationOptions(**options))


def test_an_impossible_noise_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(DataError, match=r"^noise is 2; it must be from 0 to below 1"):
        calibration_study(TONIC, drawn(), CalibrationOptions(noise=2.0), EngineOptions(1), tmp_path / "o")
    assert not (tmp_path / "o").exists()
