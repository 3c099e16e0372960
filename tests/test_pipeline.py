"""The whole chain on a small network: every stage runs, and the stages agree where they must."""

import dataclasses
import json

import numpy as np
import pytest

from mtc_hw.checkpoint import load_spec
from mtc_hw.findings_file import load_findings
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.design_file import load_design
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.run import run_spec
from mtc_hw.pipeline import QUICK, run_chain, to_json
from mtc_hw.report import write_report

SMALL = dataclasses.replace(
    QUICK, training=TrainOptions(hidden=6, iterations=30, candidates=2), test=120, refit=150, software_chips=8
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return run_chain(SMALL, out, progress=False), out


pytestmark = pytest.mark.slow


def test_no_deck_failed(finished):
    findings, _ = finished
    assert findings.failures == ()
    assert findings.simulated > 0


def test_the_printed_object_keeps_its_form(finished):
    findings, out = finished
    result = to_json(findings, out / "report.html")
    assert set(result) >= {"r2", "s_comp", "s_comm", "seconds", "report"}
    scalars = {"software", "refined", "quantised", "behavioural", "transistor"}
    assert scalars | {"mismatch", "calibrated"} <= set(result["r2"])
    assert all(isinstance(result["r2"][name], float) for name in scalars)
    assert len(result["r2"]["mismatch"]) == len(result["r2"]["calibrated"]) == SMALL.chips
    assert json.loads((out / "result.json").read_text()) == result


def test_the_behavioural_network_predicts_what_the_codes_mean(finished):
    findings, _ = finished
    scores = {stage.name: stage.r2[0] for stage in findings.stages}
    assert scores["behavioural"] == pytest.approx(scores["quantised"], abs=0.01)


def test_artefacts_name_their_input(finished):
    findings, out = finished
    spec, design = load_spec(out / "network.json"), load_design(out / "design.json")
    assert design.spec_digest == spec.digest() == findings.spec.digest()
    decks = sorted((out / "deck" / "transistor").glob("*.cir"))
    assert len(decks) == spec.neurons.count
    assert findings.provenance["design digest"] == design.digest
    again = run_spec(as_spec(design), _inputs(findings)).prediction[:, 0]
    np.testing.assert_array_equal(again, findings.predictions["quantised"])


def _inputs(findings):
    from mtc_hw.model.tasks import mackey_glass_split

    return mackey_glass_split().test.inputs[: len(findings.target), None]


def test_the_report_can_be_written_again(finished, tmp_path):
    findings, out = finished
    loaded = load_findings(out)
    assert loaded.stages == findings.stages
    page = write_report(loaded, tmp_path / "again.html").read_text()
    assert findings.spec.digest()[:12] in page


def test_the_same_seed_gives_the_same_figures(finished, tmp_path):
    findings, _ = finished
    again = run_chain(SMALL, tmp_path, progress=False)
    assert again.stages == findings.stages
    np.testing.assert_array_equal(again.software_chips, findings.software_chips)
