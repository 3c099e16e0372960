"""Virtual chips draw one row of errors each."""

import pytest
import torch

from mtc_hw.model.chips import Chips
from mtc_hw.spread import Spread


def chips(rows: int, seed: int = 0) -> Chips:
    return Chips(Spread(), rows, torch.Generator().manual_seed(seed))


def test_a_row_stands_for_each_chip() -> None:
    assert chips(3).error(0.1, 4, 5).shape == (4, 3, 5) and chips(3).factor(0.1, 5).shape == (3, 5)


def test_no_deviation_is_a_single_exact_row() -> None:
    assert torch.equal(chips(3).error(0.0, 4, 5), torch.zeros((4, 1, 5)))
    assert torch.equal(chips(3).factor(0.0, 5), torch.ones((1, 5)))


def test_no_deviation_draws_nothing() -> None:
    one, other = chips(2), chips(2)
    one.error(0.0, 7)
    assert torch.equal(one.error(0.1, 7), other.error(0.1, 7))


def test_the_same_seed_draws_the_same_chips() -> None:
    assert torch.equal(chips(2).error(0.1, 7), chips(2).error(0.1, 7))
    assert not torch.equal(chips(2).error(0.1, 7), chips(2, seed=1).error(0.1, 7))


def test_errors_scale_with_their_deviation() -> None:
    assert torch.allclose(chips(2).error(0.2, 7), 2 * chips(2).error(0.1, 7))
    assert torch.allclose(chips(2).factor(0.2, 7), chips(2).factor(0.1, 7) ** 2)


def test_factors_have_their_median_at_one() -> None:
    factors = chips(100).factor(0.3, 200)
    assert float(factors.median()) == pytest.approx(1.0, abs=0.01) and (factors > 0).all()


def test_rows_of_one_chip_are_alike_and_next_to_each_other() -> None:
    drawn = Chips(Spread(), 2, torch.Generator().manual_seed(0), each=3).error(0.1, 4, 5)
    assert drawn.shape == (4, 6, 5)
    assert torch.equal(drawn, chips(2).error(0.1, 4, 5).repeat_interleave(3, 1))
