"""A chip's spread is what it says, and nothing else."""

from dataclasses import fields

import pytest

from mtc_hw.errors import SpecError
from mtc_hw.spread import Spread

NAMES = [field.name for field in fields(Spread)]


def test_all_chips_are_alike_by_default() -> None:
    assert Spread().none


@pytest.mark.parametrize("name", NAMES)
def test_one_figure_makes_chips_differ(name: str) -> None:
    assert not Spread(**{name: 0.01}).none


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-0.01, 2.0, float("nan"), float("inf")])
def test_a_figure_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(SpecError, match=rf"^spread of {name} is {value}; it must be at least 0 and below 2$"):
        Spread(**{name: value})


def test_scaling_takes_a_share_of_every_figure() -> None:
    spread = Spread(0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07)
    assert spread.scaled(1.0) == spread and spread.scaled(0.0).none
    half = spread.scaled(0.5)
    assert all(getattr(half, name) == getattr(spread, name) / 2 for name in NAMES)


def test_a_uniform_spread_leaves_only_the_input_current_exact() -> None:
    assert Spread.uniform(0.02) == Spread(0.02, 0.02, 0.02, 0.02, 0.02, 0.02, current=0.0)
