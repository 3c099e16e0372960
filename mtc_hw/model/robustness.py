"""How a trained network does on mismatched chips, with its own readout and with one refitted to each chip."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtc_hw.errors import DataError
from mtc_hw.metrics import r2
from mtc_hw.model.chips import Chips
from mtc_hw.model.network import Network
from mtc_hw.model.tasks import Examples, Split
from mtc_hw.readout import fit_readout, predict
from mtc_hw.spec import Readout
from mtc_hw.spread import Spread

Array = NDArray[np.float64]

TOGETHER = 10
"""Chips that run at once: bounds the memory."""

EVERY = 2
"""Samples of the training part from one that a refit sees to the next."""


@dataclass(frozen=True, eq=False)
class Robustness:
    """R2 of every chip on the test part, (chips,)."""

    raw: Array  # with the network's own readout
    refitted: Array  # with a ridge readout of its own, from the training part

    def summary(self) -> dict[str, Any]:
        """Median and 5th percentile of both."""
        return {
            f"{name}_{what}": float(np.quantile(values, share))
            for name, values in (("raw", self.raw), ("refitted", self.refitted))
            for what, share in (("median", 0.5), ("p5", 0.05))
        }


def robustness(
    network: Network,
    readout: Readout,
    split: Split,
    spread: Spread,
    chips: int = 50,
    seed: int = 0,
    burn_in: int = 250,
    ridge: float = 1e-5,
) -> Robustness:
    """Draw virtual chips of a network and predict with each. Raises DataError for less than one chip."""
    if chips < 1:
        raise DataError(f"chips is {chips}; draw at least one")
    generator = torch.Generator().manual_seed(seed)
    raw: list[float] = []
    refitted: list[float] = []
    for first in range(0, chips, TOGETHER):
        rows = min(TOGETHER, chips - first)
        state = generator.get_state()
        taught = _features(
            network, split.train, Chips(spread, rows, generator), range(burn_in, _end(split.train), EVERY)
        )
        # The same draws again: the same chips.
        generator.set_state(state)
        tested = _features(network, split.test, Chips(spread, rows, generator), range(burn_in, _end(split.test)))
        for x, y in zip(taught, tested, strict=True):
            targets = split.train.targets[burn_in::EVERY][: len(x)]
            own = fit_readout(x, targets, network.timing.readout, ridge)
            for scores, with_readout in ((raw, readout), (refitted, own)):
                scores.append(r2(predict(y, with_readout)[:, 0], split.test.targets[burn_in : burn_in + len(y)]))
    return Robustness(np.array(raw), np.array(refitted))


def _end(examples: Examples) -> int:
    return len(examples.inputs)


def _features(network: Network, examples: Examples, chips: Chips, kept: range) -> Array:
    """(chips, kept, N)."""
    inputs = torch.from_numpy(examples.inputs).float().expand(chips.count, -1)
    with torch.no_grad():
        return np.asarray(network.observe(inputs, kept, chips).features.double())
