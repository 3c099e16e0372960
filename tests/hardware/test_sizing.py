"""The smallest legal transistor that keeps a mismatch budget, and draws that keep the promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from mtc_hw.characterise import cells_for
from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.mismatch import perturb, spread_of
from mtc_hw.hardware.process import Grid
from mtc_hw.hardware.sizing import MismatchBudget, size_for, spread_at
from mtc_hw.spec import ModelSpec, Neurons

BUDGET = MismatchBudget(0.05, 0.05)


@pytest.fixture(scope="module")
def measure(technology):
    """Cells by ngspice, each size once."""
    known = {}

    def cells(width, length):
        return known.setdefault((width, length), cells_for(technology, width, length))

    return cells


@pytest.fixture(scope="module")
def size(technology, measure):
    return size_for(technology, BUDGET, measure)


@given(st.floats(3e-7, 9e-5))
def test_rounding_up_is_legal_and_less_than_a_step_away(value):
    grid = Grid(width=(2e-7, 1e-4), length=(2e-7, 1e-4), step=5e-9)
    rounded = grid.up(value)
    assert grid.holds(rounded)
    assert -1e-14 < rounded - value < grid.step
    assert grid.up(rounded) == rounded


def test_four_times_the_area_is_half_the_spread(technology, cells):
    area = cells.width * cells.length
    one, other = (spread_at(technology, cells, factor * area) for factor in (1.0, 4.0))
    assert one == spread_of(technology, cells)
    for name in ("alpha", "tau", "delta", "offset", "current"):
        assert getattr(other, name) == pytest.approx(0.5 * getattr(one, name), rel=1e-12)


def test_pelgrom_scaling_agrees_with_cells_measured_at_another_size(technology, cells, measure):
    scaled, seen = spread_at(technology, cells, 4e-12), spread_of(technology, measure(2e-6, 2e-6))
    for name in ("alpha", "tau", "leak", "delta", "rest", "offset"):
        assert getattr(scaled, name) == pytest.approx(getattr(seen, name), rel=0.02)


def test_the_size_meets_its_budget_on_the_grid_and_a_smaller_one_would_not(technology, size):
    grid = technology.grid
    assert grid.holds(size.width) and grid.holds(size.length)
    ratio, name = BUDGET.excess(size.spread)
    assert ratio <= 1.0 and name == size.limited_by
    smaller = (size.width - 2 * grid.step) * (size.length - 2 * grid.step)
    assert BUDGET.excess(spread_at(technology, size.cells, smaller))[0] > 1.0


@pytest.mark.slow
def test_a_long_transistor_needs_hardly_another_area(technology, size, measure):
    long = size_for(technology, BUDGET, measure, aspect=4.0)
    assert long.length / long.width == pytest.approx(4.0, rel=0.02)
    assert long.width * long.length == pytest.approx(size.width * size.length, rel=0.1)


def test_two_thousand_chips_scatter_as_promised(technology, size):
    n = 2000
    alpha, delta = np.full((4, n), 1.5), np.tile([[0.0], [0.0], [-1.5], [-1.5]], n)
    spec = ModelSpec(Neurons(alpha, delta, np.tile([[2.0], [50.0], [2500.0]], n)), np.zeros((n, 0)), np.zeros(n))
    nominal = map_spec(spec, technology, size.cells, MappingOptions(bits=None))
    drawn = as_spec(perturb(nominal, 7, 0)).neurons
    low, high = np.sqrt(np.array(chi2.interval(0.999, n - 1)) / (n - 1))
    for row in range(4):
        gain = np.log(drawn.alpha[row] / 1.5).std(ddof=1)
        assert low < gain / size.spread.alpha < high
        assert gain < BUDGET.sigma_alpha * high
        assert low < (drawn.delta[row] - delta[row]).std(ddof=1) / size.spread.delta < high
    for row in range(3):
        assert low < np.log(drawn.tau[row] / spec.neurons.tau[row]).std(ddof=1) / size.spread.tau < high
        offset = drawn.offset[row].std(ddof=1)
        assert low < offset / size.spread.offset < high
        assert offset < BUDGET.sigma_delta * high


@pytest.mark.parametrize(
    ("alpha", "delta", "said"),
    [
        (0.0, 0.05, r"^sigma_alpha is 0\.0; it must be above 0 and at most 1$"),
        (0.05, float("nan"), r"^sigma_delta is nan; it must be above 0 and at most 1$"),
        (-1.0, 2.0, r"^sigma_alpha is -1\.0; .*; sigma_delta is 2\.0; it must be above 0 and at most 1$"),
        (None, None, r"^a mismatch budget has neither sigma_alpha nor sigma_delta; give one of them$"),
    ],
)
def test_a_budget_without_meaning_is_refused(alpha, delta, said):
    with pytest.raises(UnmappableError, match=said):
        MismatchBudget(alpha, delta)


def test_a_budget_beyond_the_grid_says_what_the_largest_transistor_does(technology, measure):
    text = (
        r"^a mismatch of sigma_alpha 0\.001 needs a unit transistor of 169/169 um, more than the grid's 100/100 um, "
        r"where sigma_alpha is 0\.0017 and sigma_delta 0\.0021; allow more mismatch or calibrate each chip$"
    )
    with pytest.raises(UnmappableError, match=text):
        size_for(technology, MismatchBudget(0.001), measure)


@pytest.mark.parametrize("aspect", [0.0, -1.0, float("nan"), 1e3])
def test_an_aspect_without_meaning_is_refused(technology, measure, aspect):
    with pytest.raises(UnmappableError, match=r"^aspect is \S+; use 0\.01 to 100, length over width$"):
        size_for(technology, BUDGET, measure, aspect=aspect)
