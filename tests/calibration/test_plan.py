"""Plans: the shipped one is the default, and what is wrong with another is one line."""

import pytest

from mtc_hw.calibration_plan import Plan, load_plan
from mtc_hw.errors import DataError


def test_the_shipped_plan_is_the_documented_default():
    assert load_plan("dc") == Plan(name="dc")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('name = "a b"', r"name is 'a b': String should match pattern .*"),
        ("rounds = 2", r"name is \{'rounds': 2\}: Field required"),
        ('name = "x"\nrounds = 0', r"rounds is 0: Input should be greater than or equal to 1"),
        ('name = "x"\nround = 1', r"round is 1: Extra inputs are not permitted"),
        ('name = "x"\nstep = 0.0', r"step is 0\.0: Input should be greater than 0\.001"),
        (
            'name = "x"\nsweep = [1.0, -1.0]',
            r"sweep is \[1\.0, -1\.0\]: Value error, the second value must be the larger",
        ),
        ('name = "x"\nsweep = [-4.5, inf]', r"sweep\.1 is inf: .*"),
        ('name = "x"\nsweep = [-1.0, 0.2]', r"it is .*Value error, the sweep must hold five steps of 0\.25"),
        ('name = "x"\noutputs = [-1.0, 0.0, 2.0]', r"it is .*Value error, outputs must rise in equal steps"),
        ('name = "x"\noutputs = [1.0, 0.0, -1.0]', r"it is .*Value error, outputs must rise in equal steps"),
        ('name = "x"\noutputs = [-1.0, 0.0]', r"outputs is \[-1\.0, 0\.0\]: Tuple should have at least 3 items.*"),
        ('name = "x"\n[field]\naccuracy = 0.0', r"field\.accuracy is 0\.0: Input should be greater than 0"),
        ('name = "x"\n[field]\nrounds = -1', r"field\.rounds is -1: Input should be greater than or equal to 0"),
        ('name = "x"\n[readout]\nridge = nan', r"readout\.ridge is nan: .*"),
        (
            'name = "x"\nrounds = 0\nstep = 9.0',
            r"rounds is 0: .*; step is 9\.0: Input should be less than or equal to 1",
        ),
        ("name = ", r".*; shipped plans: .*dc.*"),
    ],
)
def test_a_plan_with_violations_gives_one_line(tmp_path, content, text):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(DataError, match=rf"^plan \S+mine\.toml: {text}$") as caught:
        load_plan(str(path))
    assert str(caught.value).isprintable()


def test_an_unknown_plan_is_answered_with_those_there_are():
    with pytest.raises(DataError, match=r"^plan dcc: .*; shipped plans: .*dc"):
        load_plan("dcc")
