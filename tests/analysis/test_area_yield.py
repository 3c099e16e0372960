"""Area against yield: a curve that never falls, and the size of a wanted yield."""

import numpy as np
import pytest

from mtc_hw.analysis.area_yield import area_yield, required
from mtc_hw.errors import DataError

GOOD = {1.0: 20, 2.0: 50, 4.0: 40, 8.0: 90}  # of 100


def run(size: float) -> tuple[float, int, int]:
    return 30e-12 * size**2, GOOD[size], 100


CURVE = area_yield(run, [8.0, 1.0, 4.0, 2.0])


def test_points_come_by_area_with_their_intervals():
    assert [point.size for point in CURVE.points] == [1.0, 2.0, 4.0, 8.0]
    assert [point.rate.value for point in CURVE.points] == [0.2, 0.5, 0.4, 0.9]
    assert CURVE.areas == pytest.approx(30e-12 * np.array([1.0, 4.0, 16.0, 64.0]))


def test_the_fitted_curve_pools_what_falls():
    assert CURVE.fitted == pytest.approx([0.2, 0.45, 0.45, 0.9])


@pytest.mark.parametrize(
    ("wanted", "size"), [(0.2, 1.0), (0.325, 2**0.5), (0.45, 2.0), (0.675, 4.0 * 2**0.5), (0.9, 8.0)]
)
def test_a_wanted_yield_lies_between_its_neighbours(wanted, size):
    found = required(CURVE, wanted)
    assert (found.size, found.area) == pytest.approx((size, 30e-12 * size**2))
    assert found.low_area is None or found.low_area <= found.area
    assert found.high_area is None or found.area <= found.high_area


def test_the_ends_of_an_interval_beyond_the_sizes_are_unknown():
    assert required(CURVE, 0.9).high_area is None
    assert required(CURVE, 0.22).low_area is None
    assert required(CURVE, 0.675).low_area < required(CURVE, 0.675).high_area


@pytest.mark.parametrize(("wanted", "side", "remedy"), [(0.95, "above", "larger"), (0.1, "below", "smaller")])
def test_nothing_is_told_of_sizes_that_were_not_run(wanted, side, remedy):
    said = rf"^a yield of {wanted} lies {side} the curve, 0\.2 to 0\.9; run a {remedy} size$"
    with pytest.raises(DataError, match=said):
        required(CURVE, wanted)


def test_no_good_chip_at_any_size_is_a_curve_at_zero():
    curve = area_yield(lambda size: (size, 0, 20), [1.0, 2.0])
    assert curve.fitted.tolist() == [0.0, 0.0]
    with pytest.raises(DataError, match=r"lies above the curve, 0 to 0; run a larger size$"):
        required(curve, 0.5)


@pytest.mark.parametrize("wanted", [0.0, 1.0, float("nan")])
def test_a_yield_that_no_run_can_show_is_refused(wanted):
    with pytest.raises(DataError, match=r"^the wanted yield is .*; it must be above 0 and below 1$"):
        required(CURVE, wanted)


@pytest.mark.parametrize("sizes", [[], [4.0], [4.0, 4.0], [4.0, -1.0], [4.0, float("nan")]])
def test_sizes_must_be_several_and_positive(sizes):
    with pytest.raises(DataError, match=r"^sizes are .*; give two or more, each above 0 and once$"):
        area_yield(run, sizes)


def test_areas_must_be_positive_and_rise():
    with pytest.raises(DataError, match=r"^size 1 has an area of 0 m2; it must be above 0$"):
        area_yield(lambda size: (0.0, 1, 2), [1.0, 2.0])
    with pytest.raises(DataError, match=r"^areas do not rise with the size: 1, 0\.5 m2$"):
        area_yield(lambda size: (1.0 / size, 1, 2), [1.0, 2.0])
