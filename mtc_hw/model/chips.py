"""Virtual chips for training: mismatch drawn in torch, a row of parameters for each chip."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtc_hw.spread import Spread


@dataclass(frozen=True, eq=False)
class Chips:
    """Chips whose errors a generator draws, in the order in which they are asked for; each has `each` rows."""

    spread: Spread
    count: int
    generator: torch.Generator
    each: int = 1

    def factor(self, sigma: float, *shape: int) -> Tensor:
        """Log-normal factors (*shape[:-1], rows, shape[-1]) around one; a single row of ones for sigma 0."""
        return self.error(sigma, *shape).exp()

    def error(self, sigma: float, *shape: int) -> Tensor:
        """Normal errors (*shape[:-1], rows, shape[-1]); a single row of zeros for sigma 0."""
        if sigma == 0.0:
            return torch.zeros((*shape[:-1], 1, shape[-1]))
        draws = torch.randn((*shape[:-1], self.count, shape[-1]), generator=self.generator)
        return sigma * draws.repeat_interleave(self.each, -2)
