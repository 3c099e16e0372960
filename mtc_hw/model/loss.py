"""The loss of a batch: the error of the best linear readout, and penalties on activity and excess voltage."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mtc_hw.errors import DataError
from mtc_hw.model.network import Observation
from mtc_hw.model.options import TrainOptions
from mtc_hw.model.tasks import Examples


class Batch(NamedTuple):
    """Inputs, and what the readout shall give at the kept samples."""

    inputs: Tensor  # (B, samples) or (B, samples, inputs)
    targets: Tensor  # (B, kept, outputs)
    kept: range  # samples


class Source(Protocol):
    """Where batches come from."""

    @property
    def inputs(self) -> int:
        """Numbers that the network sees at a sample."""

    @property
    def sample(self) -> float:
        """tau_m between two samples."""

    def batch(self, o: TrainOptions, generator: torch.Generator) -> Batch: ...


def windows(examples: Examples, count: int, window: int, kept: range, generator: torch.Generator) -> Batch:
    """Random stretches of window + 1 samples of a series."""
    room = len(examples.inputs) - window
    if room < 1:
        raise DataError(f"{len(examples.inputs)} training samples are too few for windows of {window}; give more")
    first = torch.randint(room, (count, 1), generator=generator)
    index = first + torch.arange(window + 1)
    inputs = torch.from_numpy(examples.inputs).float()[index]
    targets = torch.from_numpy(examples.targets).float()[index[:, list(kept)]]
    return Batch(inputs, targets.reshape(count, len(kept), -1), kept)


def project(x: Tensor, y: Tensor, ridge: float) -> Tensor:
    """Mean squared error of the best ridge readout of x (samples, N) onto y (samples, outputs), summed over outputs.

    The readout is held during the backward pass: by the envelope theorem that is the gradient of the projected loss
    (variable projection, Golub and Pereyra 1973), up to the ridge. The Gram matrix is float32, its solution float64.
    """
    x = torch.nn.functional.pad(x, (0, 1), value=1.0)
    with torch.no_grad():
        gram = (x.T @ x).double()
        gram.diagonal().add_(ridge * len(x))
        weights = torch.linalg.solve(gram, (x.T @ y).double()).to(x.dtype)
    error: Tensor = ((x @ weights - y) ** 2).sum(1).mean()
    return error


class Fit(NamedTuple):
    """A batch's loss and what it is made of."""

    loss: Tensor
    r2: float  # 0 where the targets do not vary
    activity: float


def fit(seen: Observation, targets: Tensor, o: TrainOptions) -> Fit:
    """The loss with its penalties, and R2 on the batch. Chips with readouts of their own are fitted apart."""
    y = targets.flatten(0, 1)
    groups = o.groups if o.chips == "per_chip" else 1
    parts = zip(seen.features.chunk(groups), targets.chunk(groups), strict=True)
    errors = [project(x.flatten(0, 1), part.flatten(0, 1), o.ridge) for x, part in parts]
    error = torch.stack(errors).mean()
    activity = seen.activity.mean()
    dear = torch.relu(seen.activity - o.allowance).mean()
    loss = error + o.activity * dear + o.excess * seen.excess.mean()
    spread = float(y.var(0, correction=0).sum())
    r2 = 1.0 - float(error.detach()) / spread if spread > 0 else 0.0
    return Fit(loss, r2, float(activity.detach()))
