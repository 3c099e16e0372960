"""The projected loss, its penalties, and windows of a series."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mtc_hw.errors import DataError
from mtc_hw.model.loss import fit, project, windows
from mtc_hw.model.network import Observation
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.tasks import Examples
from mtc_hw.readout import fit_readout, predict

OPTIONS = TrainOptions(ridge=1e-3, activity=0.1, excess=0.5)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("outputs", [1, 3])
def test_projected_gradient_is_that_of_the_best_readout(outputs: int) -> None:
    x, y = normal(0, 40, 3).requires_grad_(), normal(1, 40, outputs)
    (gradient,) = torch.autograd.grad(project(x, y, 1e-12), x)
    nudge = 1e-4 * normal(2, 40, 3)
    with torch.no_grad():
        change = project(x + nudge, y, 1e-12) - project(x - nudge, y, 1e-12)
    assert float(change) == pytest.approx(2 * float((nudge * gradient).sum()), rel=1e-5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_projected_error_is_that_of_the_numpy_readout(outputs: int) -> None:
    x, y = normal(0, 50, 4), normal(1, 50, outputs)
    answer = predict(x.numpy(), fit_readout(x.numpy(), y.numpy(), tau=3.0, ridge=1e-9))
    assert float(project(x, y, 1e-9)) == pytest.approx(((answer - y.numpy()) ** 2).sum(1).mean(), rel=1e-6)


def test_errors_of_several_outputs_add_up() -> None:
    x, y = normal(0, 50, 4), normal(1, 50, 3)
    each = sum(float(project(x, y[:, [column]], 1e-3)) for column in range(3))
    assert float(project(x, y, 1e-3)) == pytest.approx(each)


def test_a_linear_target_has_no_error() -> None:
    x = normal(0, 50, 4)
    assert float(project(x, x @ normal(1, 4, 2) + 3.0, 1e-12)) < 1e-12


def test_a_silent_neuron_is_no_obstacle() -> None:
    x = normal(0, 50, 4).float()
    x[:, 2] = 0.0
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(project(x, normal(1, 50, 1).float(), 1e-5), x)
    assert torch.isfinite(gradient).all()


def test_features_of_any_scale_have_the_same_error_without_ridge() -> None:
    x, y = normal(0, 50, 4), normal(1, 50, 1)
    assert float(project(1e-3 * x, y, 0.0)) == pytest.approx(float(project(x, y, 0.0)))


def observed(features: Tensor, activity: Sequence[float] = (0.0,), excess: Sequence[float] = (0.0,)) -> Observation:
    return Observation(features, torch.tensor(activity), torch.tensor(excess))


def test_the_loss_is_the_error_and_its_penalties() -> None:
    features, targets = normal(0, 4, 10, 3), normal(1, 4, 10, 2)
    found, bare = (
        fit(seen, targets, OPTIONS) for seen in (observed(features, (0.1, 0.3), (0.0, 0.8)), observed(features))
    )
    assert float(bare.loss) == pytest.approx(float(project(features.flatten(0, 1), targets.flatten(0, 1), 1e-3)))
    assert float(found.loss) == pytest.approx(float(bare.loss) + 0.1 * 0.2 + 0.5 * 0.4)
    assert found.activity == pytest.approx(0.2) and found.r2 == bare.r2
    assert found.r2 == pytest.approx(1 - float(bare.loss) / float(targets.flatten(0, 1).var(0, correction=0).sum()))


def test_activity_costs_only_beyond_a_neurons_allowance() -> None:
    features, targets = normal(0, 4, 10, 3), normal(1, 4, 10, 1)
    seen, bare = observed(features, (0.1, 0.5)), fit(observed(features), targets, OPTIONS)
    for allowance, mean in ((0.0, 0.3), (0.2, 0.15), (0.5, 0.0)):
        found = fit(seen, targets, replace(OPTIONS, allowance=allowance))
        assert float(found.loss - bare.loss) == pytest.approx(OPTIONS.activity * mean, abs=1e-7)
        assert found.activity == pytest.approx(0.3)


GROUPED = TrainOptions(chips="per_chip", groups=2, batch=4, ridge=1e-9, activity=0.0)


def test_chips_with_readouts_of_their_own_are_fitted_apart() -> None:
    features = normal(0, 4, 10, 3)
    targets = torch.cat([features[:2, :, :1], -features[2:, :, :1]])
    apart, together = (
        fit(observed(features), targets, GROUPED),
        fit(observed(features), targets, replace(GROUPED, groups=1)),
    )
    assert float(apart.loss) < 1e-6 < 0.1 < float(together.loss)
    assert apart.r2 == pytest.approx(1.0) and together.r2 < 0.9


def test_groups_are_only_for_chips_with_readouts_of_their_own() -> None:
    features, targets = normal(0, 4, 10, 3), normal(1, 4, 10, 1)
    losses = [fit(observed(features), targets, replace(GROUPED, chips="per_sample", groups=n)).loss for n in (1, 2)]
    assert losses[0] == losses[1]


def test_r2_of_a_perfect_fit_is_one() -> None:
    features = normal(0, 4, 10, 3)
    assert fit(observed(features), features[..., :1], TrainOptions(ridge=1e-12)).r2 == pytest.approx(1.0)


def test_a_batch_whose_targets_are_constant_has_a_loss() -> None:
    found = fit(observed(normal(0, 4, 10, 3)), torch.ones((4, 10, 1), dtype=torch.float64), OPTIONS)
    assert math.isfinite(float(found.loss))


SERIES = Examples(np.arange(30.0), 100 + np.arange(30.0))


def test_windows_are_stretches_with_their_own_targets() -> None:
    batch = windows(SERIES, 5, 10, range(4, 11, 3), torch.Generator().manual_seed(0))
    assert batch.inputs.shape == (5, 11) and batch.targets.shape == (5, 3, 1) and batch.kept == range(4, 11, 3)
    assert (batch.inputs.diff(dim=1) == 1).all()
    assert torch.equal(batch.targets[..., 0], 100 + batch.inputs[:, [4, 7, 10]])


def test_windows_reach_both_ends_of_a_series() -> None:
    batch = windows(SERIES, 500, 27, range(1, 2), torch.Generator().manual_seed(0))
    assert set(batch.inputs[:, 0].tolist()) == {0.0, 1.0, 2.0}


def test_targets_of_several_outputs_stay_columns() -> None:
    several = Examples(SERIES.inputs, np.stack([SERIES.targets, -SERIES.targets], 1))
    batch = windows(several, 5, 10, range(4, 11, 3), torch.Generator().manual_seed(0))
    assert batch.targets.shape == (5, 3, 2) and torch.equal(batch.targets[..., 1], -batch.targets[..., 0])


def test_a_series_shorter_than_a_window_is_refused() -> None:
    windows(SERIES, 1, 29, range(1, 2), torch.Generator())
    with pytest.raises(DataError, match=r"^30 training samples are too few for windows of 30; give more$"):
        windows(SERIES, 1, 30, range(1, 2), torch.Generator())
