import shutil

import pytest

from mtc_hw.errors import TechnologyError
from mtc_hw.hardware.process import CORNERS
from mtc_hw.hardware.technology import card_name, load_technology, read_technology, technology_names
from mtc_hw.resources import folder


@pytest.fixture
def copied(tmp_path):
    """A user's copy of the generic technology with one text replaced."""

    def write(old: str = "", new: str = ""):
        for name in ("generic.toml", "generic.cir"):
            shutil.copy(folder("models") / "devices" / name, tmp_path)
        path = tmp_path / "generic.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return path

    return write


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("name", technology_names())
def test_every_shipped_technology_loads_at_every_corner(name, corner):
    technology = load_technology(name, corner)
    assert (technology.name, technology.corner) == (name, corner)
    assert bool(technology.cards) == (technology.library is None)


def test_a_copy_is_the_same_technology(copied, technology):
    assert read_technology(copied()) == technology
    assert read_technology(copied()).digest() == technology.digest()


def test_any_figure_changes_the_digest(copied, technology):
    assert read_technology(copied("supply = 1.8", "supply = 1.7")).digest() != technology.digest()


def test_a_path_is_a_technology_of_one_s_own(copied, technology):
    assert load_technology(str(copied())) == technology


def test_a_corner_sets_the_cards_parameters(technology):
    slow = load_technology("generic", "ss")
    assert slow.cards.startswith(".param nshift=0.03\n.param pshift=-0.03\n.param nmobility=0.92\n")
    assert slow.cards.split(".model")[1:] == technology.cards.split(".model")[1:]
    assert slow.digest() != technology.digest()


def test_supply_and_temperature_are_chosen_within_the_range():
    technology = load_technology("generic", supply=1.62, temperature=85.0)
    assert (technology.supply, technology.temperature) == (1.62, 85.0)


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"corner": "typical"}, "there is no corner 'typical'; there are: tt, ff, ss, sf, fs$"),
        ({"supply": 3.3}, "supply 3.3 is outside 1.5 to 2.2 V$"),
        ({"supply": float("nan")}, "supply nan is outside 1.5 to 2.2 V$"),
        ({"temperature": -50.0}, "temperature -50 is outside -40 to 125 degrees Celsius$"),
        (
            {"corner": "x", "supply": 0.0, "temperature": 1e9},
            "there is no corner 'x'; .*; supply 0 .*; temperature 1e",
        ),
    ],
)
def test_a_choice_outside_the_technology_is_refused(choice, text):
    with pytest.raises(TechnologyError, match=rf"^technology \S+generic\.toml: {text}"):
        load_technology("generic", **choice)


def test_a_pdk_s_technology_loads_without_the_pdk(monkeypatch):
    """So that shipped cells serve a machine without it."""
    monkeypatch.setenv("PDK_ROOT", "/no/such/folder")
    technology = load_technology("sky130A", "ss")
    assert technology.library.version == "open_pdks 1.0.278" and technology.library.section == "ss"
    with pytest.raises(
        TechnologyError, match=r"^technology sky130A has no card for W/L 4/4 um, only for: none; freeze"
    ):
        technology.card("nmos", 4e-6, 4e-6)


@pytest.mark.parametrize(
    ("width", "length", "name"),
    [(4e-6, 4e-6, "x_4000x4000"), (0.42e-6, 1.5e-7, "x_420x150"), (1e-6, 2.5e-9, "x_1000x2p5")],
)
def test_a_card_s_name_tells_the_size_in_nanometres(width, length, name):
    assert card_name("x", width, length) == name


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(TechnologyError, match=r"^no technology 'tsmc5'; there are: .*generic"):
        load_technology("tsmc5")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("supply = 1.8", "supply = -1.8", r"supply is -1\.8: Input should be greater than 0"),
        ("supply = 1.8", "supply = inf", r"supply is inf: Input should be a finite number"),
        (
            "diffusion = 0.3e-6",
            "difusion = 0.3e-6",
            r"diffusion is missing; difusion is no known key",
        ),
        ('model = "nch"', 'model = "nch x"', r"nmos\.model is 'nch x': String should match pattern"),
        ('model = "nch"', r'model = "nch\n"', r"nmos\.model is 'nch\\n': String should match pattern"),
        ('model = "nch"', 'model = "1nch"', r"nmos\.model is '1nch': String should match pattern"),
        ('models = "generic.cir"', 'models = "gone.cir"', r"\[Errno 2\] No such file or directory: .*gone\.cir"),
        ('models = "generic.cir"', "", "give either `models`, a card file, or a \\[library\\] of a PDK"),
        ("supply = 1.8", "supply = ", "Invalid value"),
        ("supply = 1.8", "supply = 2.5", "supply is 2.5, outside 1.5 to 2.2$"),
        ("temperature = 27.0", "temperature = 200.0", "temperature is 200, outside -40 to 125$"),
        ("analog_ground = 1.1", "analog_ground = 1.9", "analog_ground is 1.9, outside 0 to 1.8$"),
        (
            "width = [0.2e-6, 100e-6]",
            "width = [100e-6, 0.2e-6]",
            "grid.width runs from 0.0001 to 2e-07; put the small",
        ),
        ("nshift = -0.03, ", "", "every corner sets the same parameters"),
        ("ff = {", "quick = {", "corners 'quick' are not among tt, ff, ss, sf, fs$"),
        ("tt = {", "ff2 = {", "corners 'ff2' are not among .*; there is no corner 'tt'$"),
        (
            'threshold_source = "5 mV um',
            'threshold_source = "5 \u03bcm',
            "nmos.threshold_source is .*: String should match",
        ),
        ('gain_source = "1 % um, usual (Pelgrom 1989)"', "", "nmos.gain_source is missing"),
        ('model = "nch"', 'model = "pch"', "the card file is refused: it holds no `.model pch nmos`$"),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused(copied, old, new, text):
    with pytest.raises(TechnologyError, match=rf"^technology \S+generic\.toml: {text}"):
        read_technology(copied(old, new))
