import json

import pytest

from mtc_hw.cli import main


def call(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["characterise", *map(str, arguments)])
    seen = capsys.readouterr()
    return int(stopped.value.code or 0), seen.out, seen.err


def test_a_data_sheet_is_written_here_and_printed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = call(capsys, "--size", 2)
    assert code == 0
    record = json.loads((tmp_path / "cells-generic-2x2um.json").read_text())
    assert (record["technology"], record["width"], record["length"]) == ("generic", 2e-6, 2e-6)
    for cell in record["conditions"][0]["cells"]:
        assert f"generic {cell}, tt, 27 C, 1.8 V" in out
    assert out.endswith("data sheet of 1 condition in cells-generic-2x2um.json\n")


def test_each_temperature_is_a_condition_and_moves_the_unit_voltage(capsys, tmp_path):
    path = tmp_path / "sheet.json"
    code, out, _ = call(capsys, "--temperature", 0, "--temperature", 70, "--out", path, "--json")
    assert code == 0
    printed = json.loads(out)
    assert printed.pop("out") == str(path)
    assert printed == json.loads(path.read_text())
    cold, warm = printed["conditions"]
    assert (cold["temperature"], warm["temperature"]) == (0.0, 70.0)
    assert warm["unit"] / cold["unit"] == pytest.approx(343.15 / 273.15, rel=0.02)


def test_a_slow_corner_needs_more_gate_voltage(capsys, tmp_path):
    path = tmp_path / "sheet.json"
    code, _, _ = call(capsys, "--corner", "ff", "--corner", "ss", "--out", path)
    assert code == 0
    fast, slow = json.loads(path.read_text())["conditions"]
    assert (fast["corner"], slow["corner"]) == ("ff", "ss")
    assert slow["cells"]["nmos"]["gate_voltage"][2] > fast["cells"]["nmos"]["gate_voltage"][2] + 0.04


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--temperature", 400), "temperature 400 is outside -40 to 125 degrees Celsius"),
        (("--corner", "fast"), "there is no corner 'fast'; there are: tt, ff, ss, sf, fs"),
    ],
)
def test_a_condition_that_the_technology_does_not_have_is_refused(capsys, tmp_path, arguments, message):
    code, out, err = call(capsys, *arguments, "--out", tmp_path / "sheet.json")
    assert (code, out) == (2, "")
    assert err.startswith("error: technology ") and err.endswith(f": {message}\n")
    assert not (tmp_path / "sheet.json").exists()
