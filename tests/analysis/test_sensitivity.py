"""Shares of the variance, against models whose shares are known in closed form."""

import numpy as np
import pyarrow as pa
import pytest
from synthetic_chips import EFFECTS, PATHS, PLAIN, chips

from mtc_hw.analysis.chip_table import Condition, at
from mtc_hw.analysis.draw_names import groups_of
from mtc_hw.analysis.sensitivity import first_order_given, regression
from mtc_hw.errors import DataError

TRUE = {
    name: float(np.sum(EFFECTS[own] ** 2) / np.sum(EFFECTS**2)) for name, own in groups_of(PATHS, "element").items()
}


def made(x: np.ndarray, y: np.ndarray, names=None) -> tuple[pa.Table, pa.Table]:
    """Chips of which the interval is y."""
    names = names or [f"n0.{'effect' if k < 5 else 'other'}.m{k}.width" for k in range(x.shape[1])]
    plain = {name: [value] * len(y) for name, value in PLAIN.items()}
    return pa.table({"sample": np.arange(len(y)), "isi_mean": y} | plain), pa.table(
        {"sample": np.arange(len(x))} | {name: x[:, k] for k, name in enumerate(names)}
    )


def shares(result) -> dict[str, float]:
    return {share.name: share.value for share in result.shares}


@pytest.mark.parametrize("estimate", ["regression", "spline"])
def test_a_linear_model_gives_its_squared_effects(estimate):
    found = []
    for seed in range(12):
        seen = chips(400, seed)
        found.append(
            regression(*seen, "isi_mean").shares()
            if estimate == "regression"
            else first_order_given(*seen, "isi_mean")
        )
    for name, true in TRUE.items():
        values = [shares(result)[name] for result in found]
        assert np.mean(values) == pytest.approx(true, abs=4.0 * np.std(values) / 12**0.5 + 1e-4)
    some = [share for result in found for share in result.shares if TRUE[share.name] > 0.0]
    assert len(some) == 36
    # Of 95 % intervals 34.2 are expected to hold; fewer than 29 would have a chance of 0.2 %.
    assert sum(share.low <= TRUE[share.name] <= share.high for share in some) >= 29


@pytest.mark.parametrize(
    ("count", "draws", "method"), [(80, 30, "least squares"), (300, 30, "least squares"), (150, 400, "correlation")]
)
def test_intervals_hold_and_draws_without_effect_get_no_share(count, draws, method):
    held, nothing = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((count, draws))
        result = regression(*made(x, x[:, :5].sum(axis=1) + rng.standard_normal(count)), "isi_mean").shares()
        assert result.method == method
        own = next(share for share in result.shares if share.name == "n0.effect")
        held += own.low <= 5.0 / 6.0 <= own.high
        nothing.append(shares(result)["n0.other"])
    assert held >= 33  # of 40; fewer have a chance of 0.4 %
    assert abs(np.mean(nothing)) < 4.0 * np.std(nothing) / 40**0.5


def test_the_linear_models_r2_is_the_part_without_noise():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2000, 10))
    seen = made(x, 3.0 * x[:, 0] + 4.0 * rng.standard_normal(2000))
    linear = regression(*seen, "isi_mean").shares().linear
    assert linear.low < 9.0 / 25.0 < linear.high
    assert linear.high - linear.low < 0.08


def test_coefficients_have_the_sign_of_their_effect_and_an_interval():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((500, 3)) * [1.0, 1e-3, 1e6]
    fit = regression(*made(x, 2.0 * x[:, 0] - 1e3 * x[:, 1] + rng.standard_normal(500)), "isi_mean", 0.999)
    true = np.array([2.0, -1.0, 0.0]) / 6.0**0.5
    assert (fit.low < true).all() and (true < fit.high).all()
    assert fit.coefficient == pytest.approx(true, abs=0.1)


def test_a_curve_that_a_line_misses_is_seen_by_the_spline():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1500, 2))
    seen = made(x, x[:, 0] ** 2 + x[:, 1], ["n0.bent.m1.width", "n0.straight.m1.width"])
    straight = regression(*seen, "isi_mean").shares()
    curved = {share.name: share for share in first_order_given(*seen, "isi_mean").shares}
    assert shares(straight)["n0.bent"] < 0.05
    assert straight.linear.high < 0.45
    assert curved["n0.bent"].low < 2.0 / 3.0 < curved["n0.bent"].high
    assert curved["n0.straight"].low < 1.0 / 3.0 < curved["n0.straight"].high


def ishigami(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(x[:, 0]) + 7.0 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0]))


def test_given_chips_give_ishigamis_first_order_indices():
    x = np.random.default_rng(3).uniform(-np.pi, np.pi, (3000, 3))
    seen = made(x, ishigami(x), ["a", "b", "c"])
    found = {share.name: share for share in first_order_given(*seen, "isi_mean", "draw", knots=8).shares}
    for name, true in {"a": 0.3139, "b": 0.4424, "c": 0.0}.items():  # Saltelli and others 2010
        assert found[name].low <= true <= found[name].high
        assert found[name].high - found[name].low < 0.07


def test_failed_chips_are_left_out_and_counted():
    chips_table, draws = chips(300, failing=0.1)
    lost = 300 - chips_table["isi_mean"].drop_null().length()
    assert lost > 10
    result = regression(chips_table, draws, "isi_mean").shares()
    assert (result.chips, result.left_out, result.draws) == (300 - lost, lost, len(PATHS))


def test_draws_are_joined_by_sample_and_not_by_place():
    chips_table, draws = chips(200)
    turned = draws.take(np.random.default_rng(0).permutation(200))
    one, other = (regression(chips_table, each, "isi_mean").shares("device") for each in (draws, turned))
    assert shares(one) == pytest.approx(shares(other))


def test_a_draw_that_does_not_vary_has_no_share():
    rng = np.random.default_rng(4)
    x = np.column_stack([rng.standard_normal(100), np.full(100, 0.3)])
    seen = made(x, x[:, 0] + 0.1 * rng.standard_normal(100), ["a", "b"])
    assert shares(regression(*seen, "isi_mean").shares("draw"))["b"] == 0.0
    assert shares(first_order_given(*seen, "isi_mean", "draw"))["b"] == 0.0


def test_one_condition_is_chosen():
    places = (("tt", 1.8, 27.0), ("ff", 1.8, 85.0))
    chips_table, draws = chips(100, conditions=places)
    with pytest.raises(DataError, match=r"^the table has 2 conditions; choose one with chip_table\.at$"):
        regression(chips_table, draws, "isi_mean")
    hot = regression(at(chips_table, Condition(*places[1])), draws, "isi_mean").shares()
    assert hot.shares[0].name == "n0.fast_negative"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t, d: (t.slice(0, 9), d), r"^9 of 9 chips have a value of isi_mean; run more, 10 are needed$"),
        (lambda t, d: (t.slice(0, 30), d), r"^30 chips are too few for 32 draws; run at least 41$"),
        (lambda t, d: (t, d.slice(1)), r"^sample 0 has no draws; give the draws of the same run$"),
        (lambda t, d: (t, d.drop_columns(PATHS)), r"^the draws need a column sample and one for each draw; run with"),
        (
            lambda t, d: (t, d.append_column("n0.x", pa.array([np.nan] * 60))),
            r"^draw n0\.x of sample 0 is nan; it must be finite$",
        ),
        (
            lambda t, d: (t, d.append_column("again", d[PATHS[3]])),
            r"^draw again is the same as another one in all chips; give each draw once$",
        ),
        (
            lambda t, d: (t, d.append_column("sum", pa.array(np.add(d[PATHS[3]], d[PATHS[4]])))),
            r"^the 33 draws of 60 chips depend on each other; leave out those that follow from others$",
        ),
        (
            lambda t, d: (t.set_column(9, "isi_mean", pa.array([50.0] * 60)), d),
            r"^isi_mean is 50 in all 60 chips; there is no spread to explain$",
        ),
        (
            lambda t, d: (t, pa.table({"sample": np.arange(60), "x": np.ones(60)})),
            r"^none of the 1 draws differs among the 60 chips; run with variation$",
        ),
    ],
)
def test_what_cannot_be_explained_is_refused(change, said):
    with pytest.raises(DataError, match=said):
        regression(*change(*chips(60)), "isi_mean")


def test_too_few_chips_for_a_spline_are_refused():
    with pytest.raises(DataError, match=r"^20 chips are too few for a spline of 6 parts; run at least 30$"):
        first_order_given(*chips(20), "isi_mean")
