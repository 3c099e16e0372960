"""Virtual chips of a trained network."""

import numpy as np
import pytest

from mtc_hw.errors import DataError
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.robustness import robustness
from mtc_hw.model.tasks import Split, mackey_glass_split
from mtc_hw.model.train import Trained, train
from mtc_hw.spread import Spread


@pytest.fixture(scope="module")
def split() -> Split:
    return mackey_glass_split(1500, 600)


@pytest.fixture(scope="module")
def trained(split: Split) -> Trained:
    return train(split, TrainOptions(hidden=16, iterations=40, candidates=2, chips="nominal"), progress=False)


def test_without_spread_every_chip_is_the_nominal_one(trained: Trained, split: Split) -> None:
    found = robustness(trained.network, trained.readout, split, Spread(), chips=2, burn_in=200)
    assert found.raw == pytest.approx([trained.report.r2] * 2, abs=1e-5)


def test_the_seed_decides_the_chips(trained: Trained, split: Split) -> None:
    spread = Spread.uniform(0.05)
    one, same, other = (
        robustness(trained.network, trained.readout, split, spread, chips=3, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(one.raw, same.raw) and np.array_equal(one.refitted, same.refitted)
    assert not np.array_equal(one.raw, other.raw)
    assert len(set(one.raw.tolist())) == 3


def test_a_refit_mends_what_mismatch_breaks(trained: Trained, split: Split) -> None:
    found = robustness(trained.network, trained.readout, split, Spread.uniform(0.1), chips=12).summary()
    assert found["raw_median"] < found["refitted_median"] < trained.report.r2 + 0.02
    assert found["raw_p5"] <= found["raw_median"]


def test_no_chips_are_refused(trained: Trained, split: Split) -> None:
    with pytest.raises(DataError, match=r"^chips is 0; draw at least one$"):
        robustness(trained.network, trained.readout, split, Spread(), chips=0)
