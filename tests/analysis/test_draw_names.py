"""Groups of draws by instance paths."""

import pytest

from mtc_hw.analysis.draw_names import group_of, groups_of
from mtc_hw.errors import DataError

NAMES = ["n0.leak.m1.threshold", "n0.leak.m1.width", "n1.leak.m2.width", "n12.alpha/fast_negative.mb.width"]


@pytest.mark.parametrize(
    ("level", "groups"),
    [
        ("draw", {name: [k] for k, name in enumerate(NAMES)}),
        ("device", {"n0.leak.m1": [0, 1], "n1.leak.m2": [2], "n12.alpha/fast_negative.mb": [3]}),
        ("element", {"n0.leak": [0, 1], "n1.leak": [2], "n12.alpha/fast_negative": [3]}),
        ("kind", {"leak": [0, 1, 2], "alpha/fast_negative": [3]}),
        ("quantity", {"threshold": [0], "width": [1, 2, 3]}),
    ],
)
def test_each_level_gathers_its_draws(level, groups):
    assert groups_of(NAMES, level) == groups


@pytest.mark.parametrize(
    ("draw", "device", "element", "kind"),
    [
        ("capacitance", "capacitance", "capacitance", "capacitance"),
        ("n3.capacitance", "n3", "n3", "n3"),
        ("global.nmos.threshold", "global.nmos", "global", "global"),
    ],
)
def test_a_short_path_keeps_its_first_part(draw, device, element, kind):
    assert [group_of(draw, level) for level in ("device", "element", "kind")] == [device, element, kind]


def test_an_unknown_level_is_refused():
    with pytest.raises(
        DataError, match=r"^no level 'cell' of draws; there are: draw, device, element, kind, quantity$"
    ):
        groups_of(NAMES, "cell")
