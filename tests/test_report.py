"""The report: one page that loads nothing, runs nothing, hides nothing."""

import re

import numpy as np
import pytest
from markupsafe import escape
from synthetic_findings import ATTACK, failed, findings

from mtc_hw.report import page, write_report
from mtc_hw.verdict import verdict


@pytest.fixture(scope="module")
def good():
    return findings()


@pytest.fixture(scope="module")
def good_page(good):
    return page(good)


@pytest.mark.parametrize("made", [findings, failed])
def test_the_page_loads_and_runs_nothing(made):
    text = page(made(count=4) if made is findings else made())
    assert not re.search(r"<(script|iframe|link|object|embed)\b", text)
    assert not re.search(r"(src|href)\s*=\s*[\"']?\s*(https?:|//|file:|javascript:)", text)
    assert "@import" not in text


def test_text_from_a_run_is_escaped():
    text = page(failed())
    assert ATTACK not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3


def test_every_stage_and_every_provenance_entry_is_there(good, good_page):
    for stage in good.stages:
        assert stage.name in good_page
        assert str(escape(stage.meaning)) in good_page
    for key, value in good.provenance.items():
        assert key in good_page
        assert value in good_page


def test_the_same_findings_give_the_same_bytes(good, good_page, tmp_path):
    assert write_report(good, tmp_path / "new" / "report.html").read_text(encoding="utf-8") == good_page


def test_the_page_stays_small(good_page):
    assert len(good_page.encode()) < 3_000_000


def test_both_yields_are_told_with_their_interval(good, good_page):
    for rate in (good.yield_, good.yield_refitted):
        assert f"{rate.good} of {rate.total} chips reach 0.9" in good_page
    assert "Clopper-Pearson" in good_page


def test_a_failed_run_says_so_first():
    text = page(failed())
    assert text.index("40 of") < text.index('class="cards"')
    assert "did not run" in text
    assert text.count("timestep too small") <= 13
    assert "there is no yield" in text


def test_the_verdict_follows_the_numbers(good):
    assert verdict(good).tone == "good"
    lost = failed()
    assert verdict(lost).tone == "bad"
    assert verdict(lost).line == "The trained network misses its target before any circuit."


def test_a_network_of_one_kind_has_a_page():
    one = findings(count=1)
    assert "bursting" in page(one)


def test_voltages_that_are_not_numbers_do_not_stop_the_page():
    lost = failed()
    assert np.isnan(lost.circuit_voltage).any()
    assert page(lost).rstrip().endswith("</html>")
