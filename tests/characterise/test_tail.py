"""The tail capacitance: what a spike gives to a slow follower."""

import numpy as np
import pytest

from mtc_hw.characterise.bench import open_bench
from mtc_hw.characterise.tail import BIASES, FINE, _boost, tail_capacitance


def test_a_tail_that_follows_at_once_gives_nothing():
    voltage = np.sin(np.arange(0.0, 20.0, FINE))
    assert _boost(voltage, 1e-4) == pytest.approx(1.0, abs=0.06)


def test_what_a_tail_gives_is_its_lag_times_the_rise():
    """dq/dt = (p - q) / lag, so that p / q integrates to the time and lag times the change of ln q."""
    rise, held = np.linspace(-2.0, 2.0, 40), np.full(400, 2.0)
    up = np.concatenate([np.full(10, -2.0), rise, held])
    given = _boost(up, 3.0)
    assert given.sum() * FINE == pytest.approx(len(up) * FINE + 3.0 * 4.0, rel=0.01)
    assert given.max() > 2.0
    down = _boost(up[::-1], 3.0)
    assert down.min() < 0.2 and down.max() == pytest.approx(1.0)


def test_smaller_transistors_have_a_smaller_tail(technology, cells):
    """By less than the area, because overlap goes with the width."""
    with open_bench(technology, 2e-6, 2e-6) as bench:
        small = tail_capacitance(bench, cells.unit)
    assert cells.tail_bias == pytest.approx(BIASES)
    ratio = cells.tail_capacitance / small
    assert ((ratio > 2.0) & (ratio < 4.2)).all()
