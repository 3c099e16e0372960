"""How much the parameters of neurons differ from chip to chip."""

from dataclasses import dataclass, fields

from mtc_hw.errors import SpecError


@dataclass(frozen=True)
class Spread:
    """Standard deviations of a chip's errors: relative (log-normal) for alpha, tau, leak; else in unit voltages."""

    alpha: float = 0.0
    tau: float = 0.0
    leak: float = 0.0
    delta: float = 0.0
    rest: float = 0.0
    offset: float = 0.0  # of a filter's follower
    current: float = 0.0  # input current, I_u

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value < 2.0:
                raise SpecError(f"spread of {field.name} is {value}; it must be at least 0 and below 2")

    @property
    def none(self) -> bool:
        """Whether all chips are alike."""
        return all(getattr(self, field.name) == 0.0 for field in fields(self))

    def scaled(self, share: float) -> "Spread":
        """Every figure times a share."""
        return Spread(*(share * getattr(self, field.name) for field in fields(self)))

    @classmethod
    def uniform(cls, sigma: float) -> "Spread":
        """The same figure for everything but the input current."""
        return cls(sigma, sigma, sigma, sigma, sigma, sigma)
