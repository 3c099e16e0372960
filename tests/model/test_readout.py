"""Metrics and the numpy readout."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mtc_hw.errors import DataError, SpecError
from mtc_hw.metrics import r2, s_comm, s_comp, silent
from mtc_hw.readout import even_grids, features, fit_readout, lowpass, predict, rounded_readout
from mtc_hw.spec import AnySynapse, Readout, RectifiedTanh, Synapse


def test_lowpass_of_a_step_is_the_four_pole_response() -> None:
    time = np.arange(0, 20.5, 0.5)
    x = time / 3.0
    closed_form = 1 - np.exp(-x) * (1 + x + x**2 / 2 + x**3 / 6)
    assert np.abs(lowpass(np.ones((len(time), 1)), 0.5, 3.0)[:, 0] - closed_form).max() < 3e-3
    fine = lowpass(np.ones((len(time) * 20, 1)), 0.025, 3.0)[::20][: len(time), 0]
    assert np.abs(fine - closed_form).max() < 1e-5


def test_lowpass_follows_the_differential_equation() -> None:
    def slope(t: float, y: np.ndarray) -> np.ndarray:
        return (np.concatenate([[np.sin(t)], y[:-1]]) - y) / 2.0

    time = np.arange(0, 10, 0.01)
    exact = solve_ivp(slope, (0, 9.99), np.zeros(4), t_eval=time, rtol=1e-9, atol=1e-10).y[-1]
    assert np.abs(lowpass(np.sin(time)[:, None], 0.01, 2.0)[:, 0] - exact).max() < 1e-5


def test_lowpass_starts_at_zero_and_is_linear() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 50, 3))
    assert np.all(lowpass(a, 0.5, 3.0)[0] == 0)
    assert np.allclose(lowpass(2 * a - b, 0.5, 3.0), 2 * lowpass(a, 0.5, 3.0) - lowpass(b, 0.5, 3.0))


def test_a_linear_target_is_read_out_exactly() -> None:
    x = np.random.default_rng(0).normal(size=(200, 4))
    readout = fit_readout(x, x @ [1.0, -2.0, 0.0, 3.0] + 0.5, tau=3.0, ridge=1e-12)
    assert np.allclose(readout.weights, [[1, -2, 0, 3]]) and np.allclose(readout.offset, 0.5)
    assert predict(x, readout).shape == (200, 1)


def test_a_rounded_readout_has_codes_and_loses_less_than_plain_rounding() -> None:
    draw = np.random.default_rng(1)
    x = draw.normal(size=(400, 20)) @ draw.normal(size=(20, 20)) + 1.0
    t = x @ draw.normal(size=(20, 2)) + 0.1 * draw.normal(size=(400, 2))
    exact = fit_readout(x, t, tau=3.0)
    rounded = rounded_readout(exact, x, t, even_grids(exact, 5))[0]
    codes = rounded.weights / (np.abs(rounded.weights).max() / 15)
    assert np.allclose(codes, np.rint(codes))
    lsb = np.abs(exact.weights).max() / 15
    plain = lsb * np.rint(exact.weights / lsb)
    naive = Readout(plain, t.mean(0) - plain @ x.mean(0), 3.0)
    assert r2(predict(x, rounded), t) > r2(predict(x, naive), t)


def test_many_bits_round_nothing_away() -> None:
    draw = np.random.default_rng(2)
    x, t = draw.normal(size=(200, 6)), draw.normal(size=200)
    exact = fit_readout(x, t, tau=3.0)
    assert np.allclose(rounded_readout(exact, x, t, even_grids(exact, 24))[0].weights, exact.weights, atol=1e-6)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"^3 samples of features for 4 of the target; they must be as many$"):
        fit_readout(np.ones((3, 2)), np.ones(4), 3.0)
    with pytest.raises(DataError, match=r"^voltage has shape \(3,\), expected \(T, N\)$"):
        features(np.ones(3), 0.5, Synapse(), 3.0)
    with pytest.raises(SpecError, match=r"^low-pass step is 0 and tau 3 tau_m; both must be > 0$"):
        lowpass(np.ones((3, 1)), 0.0, 3.0)


def test_r2_is_one_for_the_target_and_zero_for_its_mean() -> None:
    target = np.random.default_rng(0).normal(size=50)
    assert r2(target, target) == 1.0
    assert r2(np.full(50, target.mean()), target) == pytest.approx(0.0)
    with pytest.raises(DataError, match="constant target"):
        r2([1.0, 2.0], [1.0, 1.0])
    with pytest.raises(DataError, match=r"shape \(2,\) and target \(3,\)"):
        r2([1.0, 2.0], [1.0, 1.0, 2.0])


def test_sparsities_count_active_samples_and_rising_edges() -> None:
    s = np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [0.0, 0.0], [0.2, 0.0]])
    assert s_comp(s) == pytest.approx(1 - 3 / 10)
    assert s_comm(s) == pytest.approx(1 - 2 / 10)
    assert silent(s) == 1


@pytest.mark.parametrize("synapse", [Synapse(0.1, 1.3), RectifiedTanh(0.2)], ids=str)
def test_features_are_the_low_passed_synapse(synapse: AnySynapse) -> None:
    voltage = 2 * np.random.default_rng(0).normal(size=(30, 3))
    assert np.array_equal(features(voltage, 0.5, synapse, 3.0), lowpass(synapse(voltage), 0.5, 3.0))


def test_several_outputs_are_read_out_as_if_each_were_alone() -> None:
    x, y = np.random.default_rng(0).normal(size=(200, 4)), np.random.default_rng(1).normal(size=(200, 2))
    both = fit_readout(x, y, tau=3.0)
    assert both.weights.shape == (2, 4) and predict(x, both).shape == (200, 2)
    for row in range(2):
        assert np.allclose(fit_readout(x, y[:, row], tau=3.0).weights[0], both.weights[row])
