"""The one crossing between dimensionless model and SI circuit."""

import math
from dataclasses import dataclass

from mtc_hw.errors import UnmappableError


@dataclass(frozen=True)
class Scale:
    """Model units in SI: the tanh's unit voltage 2 U_T / kappa, the unit current I_u, and tau_m."""

    volt: float  # V
    amp: float  # A
    second: float  # s

    def __post_init__(self) -> None:
        wrong = [f"Scale.{k} is {v}; it must be finite and > 0" for k, v in vars(self).items() if not _positive(v)]
        if wrong:
            raise UnmappableError(wrong)

    @property
    def farad(self) -> float:
        """The capacitor whose time constant with I_u over the unit voltage is tau_m."""
        return self.amp * self.second / self.volt

    @staticmethod
    def from_capacitor(volt: float, amp: float, farad: float) -> "Scale":
        """tau_m = C volt / amp."""
        return Scale(volt, amp, farad * volt / amp)


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
