"""Populations that several tests draw."""

from collections.abc import Callable

import numpy as np
import pytest

from mtc_hw.spec import Curve, Neurons


def _population(count: int, curve: Curve | None = None, seed: int = 0, fast: float = 0.0) -> Neurons:
    draw = np.random.default_rng(seed)
    return Neurons(
        alpha=np.array([[2.0], [2.0], [1.5], [1.5]]) * (1 + 0.1 * draw.normal(size=(4, count))),
        delta=np.array([[0.0], [0.0], [-1.5], [-1.5]]) + 0.1 * draw.normal(size=(4, count)),
        tau=np.stack([np.full(count, fast), draw.uniform(2, 20, count), draw.uniform(50, 500, count)]),
        leak=draw.uniform(0.9, 1.1, count),
        rest=0.1 * draw.normal(size=count),
        offset=0.1 * draw.normal(size=(3, count)),
        leak_curve=curve,
        filter_curve=curve,
    )


@pytest.fixture
def population() -> Callable[..., Neurons]:
    """population(count, curve, seed, fast): bursting neurons with every parameter drawn."""
    return _population


@pytest.fixture(params=[None, Curve(0.45, 1.502)], ids=["linear", "curved"])
def curve(request: pytest.FixtureRequest) -> Curve | None:
    """Both laws that leak and filters can follow."""
    law: Curve | None = request.param
    return law
