"""Fronts, intervals and choices on points that are made up."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw.codesign.pareto import (
    Estimate,
    Grid,
    Point,
    Requirement,
    Setting,
    choose,
    front,
    median,
    parse_requirement,
    share,
)
from mtc_hw.errors import DataError
from mtc_hw.hardware.unit import parse_size

YIELD = (Requirement("yield", 0.9),)


def point(area, power, value, low=None, bits=8):
    quality = {"yield": Estimate(value, value if low is None else low, 1.0)}
    return Point(Setting(bits=bits), costs={"area": area * 1e-6, "power": power * 1e-6}, quality=quality, chips=20)


def unmapped():
    return Point(Setting(), unmapped="too small")


def test_a_grid_is_every_combination_in_order():
    grid = Grid(size=(parse_size("1"), parse_size("2")), bits=(6, 8))
    assert grid.swept == ("size", "bits")
    assert [(str(each.size), each.bits) for each in grid.settings] == [("1/1", 6), ("1/1", 8), ("2/2", 6), ("2/2", 8)]
    assert Grid().swept == ("size",) and Grid().settings == (Setting(),)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"bits": ()}, "^bits is empty; give one value or more, each once$"),
        ({"bits": (8, 8)}, "^bits is 8, 8; give one value or more, each once$"),
    ],
)
def test_an_axis_without_values_or_with_one_twice_is_refused(axes, said):
    with pytest.raises(DataError, match=said):
        Grid(**axes)


def test_a_setting_is_told_in_the_units_of_the_field():
    setting = Setting(parse_size("2/8"), 0.5e-9, 2e-12, 8, 6)
    told = setting.told(("size", "unit_current", "capacitor", "bits", "trim_bits"))
    assert told == "2/8 um, 0.5 nA, 2 pF, 8 bits, 6-bit trims"


@pytest.mark.parametrize(("good", "chips"), [(0, 20), (10, 20), (19, 20), (20, 20)])
def test_the_interval_of_a_share_is_wilsons(good, chips):
    z, p = 1.959964, good / chips
    centre = (p + z**2 / (2 * chips)) / (1 + z**2 / chips)
    half = z * math.sqrt(p * (1 - p) / chips + z**2 / (4 * chips**2)) / (1 + z**2 / chips)
    found = share(good, chips)
    assert found.value == p
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_a_share_of_nothing_is_refused():
    with pytest.raises(DataError, match=r"^0 good of 0 chips give no yield; run at least one$"):
        share(0, 0)


def test_the_interval_of_a_median_of_twenty_is_the_sixth_and_the_fifteenth():
    values = np.random.default_rng(0).permutation(np.arange(1.0, 21.0)) / 100.0
    assert median(values) == Estimate(pytest.approx(0.105), 0.06, 0.15)


def test_the_interval_of_a_median_holds_it_as_often_as_said():
    random = np.random.default_rng(1)
    found = [median(random.normal(size=20)) for _ in range(400)]
    assert np.mean([each.low <= 0.0 <= each.high for each in found]) >= 0.94


def test_chips_that_failed_are_below_all_others():
    values = np.arange(1.0, 21.0)
    values[:6] = np.nan
    found = median(values)
    assert (found.value, found.low, found.high) == (10.5, None, 15.0)
    assert median(np.full(20, np.nan)) == Estimate(None, None, None)
    assert median(np.array([])) == Estimate(None, None, None)


def test_five_chips_have_no_interval():
    assert median(np.arange(5.0)) == Estimate(2.0, None, None)


def test_a_point_that_is_beaten_in_everything_is_on_no_front():
    points = [point(1, 1, 0.5), point(2, 2, 0.4), point(2, 0.5, 0.4), point(3, 3, 0.9), unmapped()]
    assert front(points, "yield") == (True, False, True, True, False)
    assert front([unmapped()], "yield") == (False,)


def test_equal_points_do_not_beat_each_other():
    assert front([point(1, 1, 0.5), point(1, 1, 0.5)], "yield") == (True, True)


figures = st.tuples(*[st.integers(0, 4)] * 3)


@given(st.lists(figures, min_size=1, max_size=12))
def test_each_point_off_the_front_is_beaten_by_one_on_it(rows):
    points = [point(1 + area, 1 + power, value / 4) for area, power, value in rows]
    best = front(points, "yield")
    assert any(best)
    for row, here in zip(rows, best, strict=True):
        beaten = [
            a <= row[0] and p <= row[1] and v >= row[2] and (a, p, v) != row
            for (a, p, v), other in zip(rows, best, strict=True)
            if other
        ]
        assert any(beaten) != here


def test_the_smallest_area_that_keeps_the_requirement_is_chosen():
    points = [
        point(4, 1, 1.0, 0.95, bits=8),
        point(2, 1, 0.97, 0.91, bits=6),
        point(1, 1, 0.95, 0.8, bits=5),
        unmapped(),
    ]
    found = choose(points, YIELD, "area", ("bits",))
    assert found.index == 1
    assert found.reason == (
        "6 bits (2 mm2): the smallest area of 2 points that have yield >= 0.9 at the lower end of the 95 % interval "
        "(yield 0.970 [0.910, 1.000]); the next smaller, 5 bits (1 mm2), misses yield >= 0.9: 0.950 [0.800, 1.000]"
    )


def test_the_least_power_may_be_chosen_instead_and_the_smallest_of_all_says_so():
    points = [point(4, 1, 1.0, 0.95), point(2, 3, 1.0, 0.95, bits=6)]
    assert choose(points, YIELD, "area", ("bits",)).index == 1
    found = choose(points, YIELD, "power", ("bits",))
    assert found.index == 0
    assert found.reason.endswith("; no point that was mapped has a smaller power")


def test_every_requirement_counts():
    one = Point(
        Setting(),
        costs={"area": 1e-6, "power": 1e-6},
        quality={"yield": Estimate(1.0, 0.95, 1.0), "r2": Estimate(0.96, 0.95, 0.97)},
    )
    both = (*YIELD, Requirement("r2", 0.97))
    found = choose([one], both, "area", ("size",))
    assert found.index is None
    assert found.reason == (
        "no point of 1 that were mapped has yield >= 0.9 and r2 >= 0.97 at the lower end of the 95 % interval; "
        "nearest is 4/4 um with yield 1.000 [0.950, 1.000], r2 0.960 [0.950, 0.970]"
    )


def test_where_only_the_interval_is_too_wide_more_chips_are_advised():
    found = choose([point(1, 1, 0.95, 0.8), point(2, 1, 0.5, 0.3)], YIELD, "area", ("bits",))
    assert found.index is None
    assert found.reason.endswith("with yield 0.950 [0.800, 1.000]: more chips would make the interval narrower")


def test_without_a_mapped_point_there_is_nothing_to_choose():
    assert choose([unmapped()], YIELD, "area", ("size",)).reason == "none of 1 points can be mapped"


@pytest.mark.parametrize("text", ["r2>=0.97", " r2 >= 0.97 ", "r2>=9.7e-1"])
def test_a_requirement_is_read(text):
    found = parse_requirement(text)
    assert found == Requirement("r2", 0.97) and parse_requirement(found) is found


@pytest.mark.parametrize("text", ["", "r2", "r2>0.9", "r3>=0.9", "r2>=one", "r2>=1.5", "r2>=nan", "yield>=--1"])
def test_what_is_no_requirement_is_refused(text):
    with pytest.raises(DataError, match=r"^requirement is '.*'; give one of r2, r2_refitted, yield, nominal_r2, "):
        parse_requirement(text)
