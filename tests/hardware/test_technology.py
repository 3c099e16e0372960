import shutil

import pytest

from mtc_hw.errors import TechnologyError
from mtc_hw.hardware.process import CORNERS
from mtc_hw.hardware.technology import load_technology, read_technology, technology_names
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
            r"diffusion is .*: Field required; difusion is 3e-07: Extra inputs",
        ),
        ('model = "nch"', 'model = "nch x"', r"nmos\.model is 'nch x': String should match pattern"),
        ('model = "nch"', r'model = "nch\n"', r"nmos\.model is 'nch\\n': String should match pattern"),
        ('model = "nch"', 'model = "1nch"', r"nmos\.model is '1nch': String should match pattern"),
        ('models = "generic.cir"', 'models = "gone.cir"', r"\[Errno 2\] No such file or directory: .*gone\.cir"),
        ("supply = 1.8", "supply = ", "Invalid value"),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused(copied, old, new, text):
    with pytest.raises(TechnologyError, match=rf"^technology \S+generic\.toml: {text}"):
        read_technology(copied(old, new))
