"""The map and budget commands: what was sized, changed and estimated is said, and saved."""

import json

import pytest

from mtc_hw.cli import main
from mtc_hw.errors import DataError
from mtc_hw.hardware.budget import Activity, budget
from mtc_hw.hardware.design_file import load_design, save_design
from mtc_hw.hardware.mismatch import spread_of
from mtc_hw.hardware.sizing import MismatchBudget
from mtc_hw.map_run import Wishes, budget_table, estimated, in_words, map_source
from mtc_hw.sources import Source, load_source

HUNGRY = """
name = "hungry"
[elements]
fast_negative = { alpha = 9.0 }
slow_positive = { alpha = 2.0 }
[timescales]
slow = 50.0
[stimulus]
current = -0.5
"""


def call(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(each) for each in arguments])
    seen = capsys.readouterr()
    return int(stopped.value.code or 0), seen.out, seen.err


def test_map_picks_a_size_for_a_mismatch_and_says_so(capsys, tmp_path):
    out = tmp_path / "design.json"
    code, text, err = call(capsys, "map", "tonic", "--sigma-alpha", 0.085, "--out", out)
    assert code == 0, err
    design = load_design(out)
    assert 1.9e-6 < design.cells.width < 2.1e-6
    assert spread_of(design.technology, design.cells).alpha <= 0.085
    assert (
        f"unit transistor {design.cells.width * 1e6:.4g}/{design.cells.length * 1e6:.4g} um: sigma_alpha 0.08" in text
    )
    assert "alpha decides" in text


def test_a_refused_neuron_is_adapted_on_request(capsys, tmp_path):
    file, out = tmp_path / "hungry.toml", tmp_path / "design.json"
    file.write_text(HUNGRY)
    code, text, err = call(capsys, "map", file, "--out", out)
    assert (code, text, err.count("\n")) == (2, "", 1)
    assert (
        "(rule: converter reach)" in err and "alpha max 11.3 unit currents instead of 4" in err and "--adapt" in err
    )
    assert not out.exists()
    code, text, err = call(capsys, "map", file, "--out", out, "--adapt", "--json")
    assert code == 0, err
    answer = json.loads(text)
    assert [change["option"] for change in answer["changes"]] == ["alpha_max"]
    assert load_design(out).digest == answer["digest"]


def test_budget_is_printed_with_formulas(capsys):
    code, text, err = call(capsys, "budget", "tonic")
    assert code == 0, err
    assert "measured" not in text
    for name in ("area", "layer power", "energy per spike"):
        assert f"\n{name}  " in text
    assert "V_dd (2 sum I_b - mean input current)" in text


def test_a_measured_budget_stands_next_to_the_estimate(capsys):
    code, text, err = call(capsys, "budget", "tonic", "--measure", "--jobs", 1, "--json")
    assert code == 0, err
    answer = json.loads(text)
    guess, seen = ({row["name"]: row["value"] for row in answer[name]} for name in ("estimate", "measured"))
    assert set(seen) == {"layer power", "energy per spike"}
    for name, value in seen.items():
        assert guess[name] == pytest.approx(value, rel=0.2)


def test_a_network_has_an_energy_per_prediction():
    source = load_source("mackey-glass-fast")
    design = map_source(source, Wishes()).design
    found = estimated(source, design)
    sample = design.task.sample * design.task.time_unit * design.scale.second
    assert found["energy per prediction"] == pytest.approx(sample * found["power"])
    assert 0.0 < found["energy per spike"] < 1e-8


def test_heat_takes_larger_capacitors():
    source = load_source("bursting")
    cool, hot = (map_source(source, Wishes(hottest=hottest)).design for hottest in (None, 60.0))
    assert hot.capacitor[3, 0] > 1.5 * cool.capacitor[3, 0]
    assert hot.bias()[7, 0] > 1.5 * cool.bias()[7, 0]


def test_a_design_is_taken_as_it_is_and_not_sized_again(preset, tmp_path):
    path = tmp_path / "design.json"
    save_design(preset("tonic")[2], path)
    source = load_source(str(path))
    assert map_source(source, Wishes()).design is source.design
    for wish in ({"adapt": True}, {"hottest": 85.0}, {"mismatch": MismatchBudget(0.1)}):
        with pytest.raises(
            DataError, match=r"^this is a design already: give its network or neuron to size or adapt it$"
        ):
            map_source(source, Wishes(**wish))


def test_a_design_of_something_else_has_no_budget_here(capsys, preset, tmp_path):
    path = tmp_path / "design.json"
    save_design(preset("tonic")[2], path)
    assert call(capsys, "budget", "tonic", "--design", path)[0] == 0
    code, _, err = call(capsys, "budget", "bursting", "--design", path)
    assert (code, err) == (2, f"error: {path} is not a design of this network or neuron; map it again\n")


@pytest.mark.parametrize("aspect", ["nan", 0, -2, 1e6])
def test_an_aspect_without_meaning_is_one_line(capsys, tmp_path, aspect):
    code, _, err = call(capsys, "map", "tonic", "--aspect", aspect, "--out", tmp_path / "design.json")
    assert (code, err) == (2, f"error: aspect is {float(aspect)}; use 0.01 to 100, length over width\n")


@pytest.mark.parametrize(("name", "has"), [("tonic", True), ("phasic_burst", False), ("silent", False)])
def test_only_firing_that_goes_on_has_an_energy_per_spike(name, has):
    source = load_source(name)
    assert ("energy per spike" in estimated(source, map_source(source, Wishes()).design)) == has


def test_a_bare_design_has_power_and_no_energy_per_spike(preset):
    design = preset("tonic")[2]
    found = estimated(Source(design=design), design)
    assert found["power"] > 0.0
    assert "energy per spike" not in found


def test_the_table_holds_every_figure_of_both(preset):
    one = budget(preset("tonic")[2], Activity(interval=1e-2))
    table = budget_table(one, one).splitlines()
    assert table[0].split() == ["figure", "estimate", "measured", "formula"]
    for item in one.items:
        assert any(
            line.startswith(f"{item.name} ") and line.count(in_words(item.value, item.unit)) == 2 for line in table
        )


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3.84e-8, "W", "38.4 nW"),
        (0.0, "W", "0 W"),
        (2.5e-9, "m^2", "2.5e+03 um^2"),
        (4.75e-10, "J", "475 pJ"),
        (1e-15, "J", "1 fJ"),
        (2.0, "W", "2 W"),
    ],
)
def test_figures_have_engineering_prefixes(value, unit, text):
    assert in_words(value, unit) == text
