"""The two kinds of numbers that formulas are compiled for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """Numbers of a size, and how powers of two and tangents are made of them."""

    name: str  # numpy's
    word: int  # bytes
    mantissa: int  # bits
    powers: tuple[float, ...]  # 2^f on [-1/2, 1/2], in powers of f
    largest: float  # |x| up to which e^x is exact
    saturated: float
    """|x| beyond which tanh(x - d) is that at this x, so that |d| <= offset and a shared division find room."""
    offset: float
    """|d| up to which tanh(x - d) is exact where tangents of x share its exponential."""

    @property
    def whole(self) -> float:
        """A number so large that it holds whole numbers only, so adding it rounds."""
        return 1.5 * 2.0**self.mantissa


FLOAT32 = Precision(
    name="float32",
    word=4,
    mantissa=23,
    # To 7.5e-8, relative: Lawson's iteration on 400 Chebyshev nodes.
    powers=(1.0000000717, 6.9314696695e-1, 2.4022119736e-1, 5.5507134659e-2, 9.6755408366e-3, 1.3276409797e-3),
    largest=87.0,
    saturated=15.25,
    offset=6.5,
)

FLOAT64 = Precision(
    name="float64",
    word=8,
    mantissa=52,
    # To 2e-17, relative: (2^f - 1) / f on 11 Chebyshev nodes, so that 2^0 is 1.
    powers=(
        1.0,
        0.6931471805599453,
        0.24022650695910097,
        0.0555041086648216,
        0.009618129107606888,
        0.0013333558146416936,
        0.0001540353044173605,
        1.525273382983612e-05,
        1.321544258792169e-06,
        1.0178062445845774e-07,
        7.072585949269223e-09,
        4.4549605981865186e-10,
    ),
    largest=708.0,
    saturated=98.0,
    offset=78.0,
)
