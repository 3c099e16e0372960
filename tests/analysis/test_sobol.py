"""Sobol indices of functions whose indices are known, and against scipy's own estimator."""

import numpy as np
import pytest
from scipy.stats import norm, sobol_indices, uniform

from mtc_hw.analysis.sobol import sobol_of
from mtc_hw.errors import DataError

BOX = {name: uniform(-np.pi, 2.0 * np.pi) for name in ("a", "b", "c")}
FIRST = {"a": 0.3139, "b": 0.4424, "c": 0.0}  # Saltelli and others 2010, from the closed form
TOTAL = {"a": 0.5576, "b": 0.4424, "c": 0.2437}


def ishigami(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(x[:, 0]) + 7.0 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0]))


def test_ishigamis_indices_lie_in_their_intervals():
    found = sobol_of(ishigami, BOX, 1024, seed=0)
    for result, true in ((found.first, FIRST), (found.total, TOTAL)):
        for share in result.shares:
            assert share.low <= true[share.name] <= share.high
            assert share.value == pytest.approx(true[share.name], abs=0.02)
    assert (found.runs, found.first.chips, found.first.left_out) == (5 * 1024, 1024, 0)


@pytest.mark.parametrize("seed", [0, 1])
def test_estimates_are_scipys_on_the_same_points(seed):
    ours = sobol_of(ishigami, BOX, 512, seed)
    theirs = sobol_indices(
        func=lambda x: ishigami(x.T), n=512, dists=list(BOX.values()), rng=np.random.default_rng(seed)
    )
    for result, values in ((ours.first, theirs.first_order), (ours.total, theirs.total_order)):
        by_name = {share.name: share.value for share in result.shares}
        assert [by_name[name] for name in BOX] == pytest.approx(values, rel=1e-9)


def test_a_linear_function_of_normal_draws_has_its_squared_effects():
    effects = np.array([2.0, 1.0, 0.0, 3.0])
    names = ["n0.leak.m1.width", "n0.leak.m2.width", "n1.leak.m1.width", "n1.filter.m1.width"]
    dimensions = {name: norm(scale=sigma) for name, sigma in zip(names, (1.0, 1e-3, 1.0, 1.0), strict=True)}
    found = sobol_of(lambda x: x @ (effects / [1.0, 1e-3, 1.0, 1.0]), dimensions, 512, seed=3, level="element")
    true = {"n0.leak": 5.0 / 14.0, "n1.leak": 0.0, "n1.filter": 9.0 / 14.0}
    for result in (found.first, found.total):
        assert {share.name: share.value for share in result.shares} == pytest.approx(true, abs=0.02)
        assert result.draws == 4
    assert found.runs == 5 * 512


def test_a_group_holds_the_interactions_within_it():
    dimensions = {name: norm() for name in ("n0.a.m1.w", "n0.a.m2.w", "n0.b.m1.w")}
    found = sobol_of(lambda x: x[:, 0] * x[:, 1] + x[:, 2], dimensions, 2048, seed=0, level="element")
    assert {s.name: s.value for s in found.first.shares} == pytest.approx({"n0.a": 0.5, "n0.b": 0.5}, abs=0.08)
    alone = sobol_of(lambda x: x[:, 0] * x[:, 1] + x[:, 2], dimensions, 2048, seed=0)
    assert {s.name: s.value for s in alone.first.shares}["n0.a.m1.w"] == pytest.approx(0.0, abs=0.08)
    assert {s.name: s.value for s in alone.total.shares}["n0.a.m1.w"] == pytest.approx(0.5, abs=0.08)


def test_rows_with_a_failed_chip_are_left_out_and_counted():
    def failing(x: np.ndarray) -> np.ndarray:
        return np.where(np.abs(x[:, 1]) > 3.1, np.nan, ishigami(x))

    found = sobol_of(failing, BOX, 1024, seed=0)
    # A row is lost where b of A or of B fails: 1 - (3.1 / pi)^2 of them.
    assert found.first.left_out == pytest.approx(1024 * (1.0 - (3.1 / np.pi) ** 2), abs=10)
    assert found.first.chips + found.first.left_out == 1024
    assert {s.name: s.value for s in found.first.shares} == pytest.approx(FIRST, abs=0.05)


def test_the_same_seed_gives_the_same_indices():
    assert sobol_of(ishigami, BOX, 64, seed=5) == sobol_of(ishigami, BOX, 64, seed=5)
    assert sobol_of(ishigami, BOX, 64, seed=5) != sobol_of(ishigami, BOX, 64, seed=6)


@pytest.mark.parametrize(
    ("function", "dimensions", "n", "said"),
    [
        (ishigami, BOX, 100, r"^n is 100; Sobol points come in powers of 2, such as 128$"),
        (ishigami, BOX, 0, r"^n is 0; Sobol points come in powers of 2"),
        (ishigami, {}, 64, r"^0 dimensions with n = 64 make no design; give at least one, or lower n$"),
        (lambda x: x, BOX, 64, r"^the function gave shape \(64, 3\) for 64 chips; it must give one value each$"),
        (lambda x: x[:, 0] * 0.0, BOX, 64, r"^quantity is the same in all chips; there is no spread to explain$"),
        (
            lambda x: x[:, 0] * np.nan,
            BOX,
            64,
            r"^64 of 64 rows hold a failed chip; fewer than two are left, run milder",
        ),
    ],
)
def test_what_gives_no_indices_is_refused(function, dimensions, n, said):
    with pytest.raises(DataError, match=said):
        sobol_of(function, dimensions, n, seed=0)
