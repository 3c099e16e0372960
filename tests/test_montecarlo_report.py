"""The page of a Monte Carlo run: what it says of good and bad tables, and that text in a table stays text."""

import re

import pytest
from synthetic_chips import chips, table

from mtc_hw.analysis.datasheet import datasheet
from mtc_hw.analysis.sensitivity import regression
from mtc_hw.analysis.verdicts import verdicts
from mtc_hw.errors import DataError
from mtc_hw.montecarlo_report import MontecarloStudy, montecarlo_page, montecarlo_verdict, write_montecarlo_report

SHEET = datasheet("mine", {"regime": {"wanted": "tonic"}, "isi_mean": {"min": 42.0, "max": 62.0, "unit": "tau_m"}})
GOOD = {"regime": "tonic", "isi_mean": 50.0, "power": 4.21e-8}
ATTACK = "<script>alert(1)</script>"


def cells(page: str, row: str) -> list[str]:
    """Texts of a table's row by its header."""
    found = re.search(rf"<tr><th>{row}</th>(.*?)</tr>", page)
    assert found, row
    return [re.sub(r"<[^>]*>", " ", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", found.group(1))]


def test_a_whole_page_has_every_part_and_the_same_bytes_twice(tmp_path):
    made, draws = chips(120, failing=0.03)
    study = MontecarloStudy(
        "tonic",
        made,
        SHEET,
        [[regression(made, draws, "isi_mean").shares()]],
        {"seed": "1", "tier": "ode"},
    )
    path = write_montecarlo_report(study, tmp_path / "deep" / "folder")
    page = path.read_text(encoding="utf-8")
    assert path.name == "montecarlo.html"
    assert page == montecarlo_page(study)
    heads = re.findall(r"<h2>(.*?)</h2>", page)
    assert heads == [
        "What was measured against the datasheet",
        "What the chips do",
        "Yield",
        "Worst chips",
        "What explains the spread",
        "How this was made",
    ]
    assert "<script" not in page and "http" not in page
    assert "<tr><th>tier</th><td><code>ode</code></td></tr>" in page


def test_numbers_on_the_page_are_those_of_the_table():
    page = montecarlo_page(
        MontecarloStudy("t", table(GOOD, GOOD | {"isi_mean": 70.0}, {"outcome": "timeout"}), SHEET)
    )
    assert "1 of 3 chips keep the datasheet: a yield of 33.3 %." in page
    assert "95 % Clopper-Pearson interval 0.8 to 90.6 %." in page
    assert "Most are lost to ISI mean: 1 chip." in page
    assert cells(page, "regime") == ["", "tonic", "", *[""] * 6, "66.7 %  9.4 to 99.2 %"]
    expected = ["42", "", "62", "50", "60", "14.14", "70", "51 to 69", "0.05", "33.3 %  0.8 to 90.6 %"]
    assert cells(page, "ISI mean") == expected
    assert "42.1 nW" in page
    assert "1 of 3 runs failed." in page and "1 x timeout" in page


def test_without_a_datasheet_there_is_no_yield():
    page = montecarlo_page(MontecarloStudy("t", table(GOOD, {"outcome": "timeout"})))
    assert "1 of 2 runs gave a result." in page
    assert "Worst chips" not in page and "<h2>Yield</h2>" not in page
    assert cells(page, "power") == ["42.1 nW", "42.1 nW", "none", "42.1 nW", "42.1 nW to 42.1 nW"]


@pytest.mark.parametrize(
    ("rows", "sheet", "tone"),
    [
        ([GOOD, GOOD], SHEET, "good"),
        ([GOOD, {}], SHEET, "mixed"),
        ([{}, {"outcome": "timeout"}], SHEET, "bad"),
        ([GOOD], None, "good"),
        ([GOOD, {"outcome": "timeout"}], None, "mixed"),
        ([{"outcome": "timeout"}], None, "bad"),
    ],
)
def test_the_tone_goes_by_chips_and_without_a_datasheet_by_runs(rows, sheet, tone):
    study = MontecarloStudy("t", table(*rows), sheet)
    assert montecarlo_verdict(study, None if sheet is None else verdicts(study.table, sheet)).tone == tone
    assert f'class="verdict {tone}"' in montecarlo_page(study)


def test_conditions_are_named_and_unfinished_chips_told():
    cold = {"temperature": -40.0}
    rows = [{"sample": 0} | GOOD, {"sample": 0} | cold | GOOD | {"isi_mean": 70.0}, {"sample": 1} | GOOD]
    page = montecarlo_page(MontecarloStudy("t", table(*rows), SHEET))
    assert "0 of 1 chips keep the datasheet at all 2 conditions" in page
    assert "Not run at every condition yet, and left out: 1 chip." in page
    assert '<td class="place">tt, 1.8 V, -40 C</td>' in page
    assert "2 chips · 2 conditions · datasheet mine" in page


def test_text_from_a_table_stays_text():
    rows = [{"outcome": ATTACK, "reason": ATTACK}, {"regime": ATTACK, "isi_mean": 1.0}, GOOD]
    page = montecarlo_page(MontecarloStudy(ATTACK, table(*rows), SHEET, provenance={ATTACK: ATTACK}))
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 6


def test_many_kinds_of_failure_are_cut_short():
    rows = [{"outcome": "timestep", "reason": f"n{k}.v"} for k in range(30)]
    page = montecarlo_page(MontecarloStudy("t", table(*rows)))
    assert page.count("<li>") == 14
    assert "<li>... and 18 more.</li>" in page


def test_nothing_is_written_for_a_table_that_does_not_fit(tmp_path):
    with pytest.raises(DataError, match="the table has no rows"):
        write_montecarlo_report(MontecarloStudy("t", table(), SHEET), tmp_path / "o")
    with pytest.raises(DataError, match="no quantity 'r3' in the table"):
        write_montecarlo_report(MontecarloStudy("t", table({}), datasheet("d", {"r3": {"min": 0}})), tmp_path / "o")
    assert not (tmp_path / "o").exists()
