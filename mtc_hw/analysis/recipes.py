"""One set of elements a regime, built the way of Ribar and Sepulchre (IEEE TCAS-I 66(8):3028, 2019).

The leak's slope is 1. A fast negative alpha above it makes the fast curve N-shaped, and a slow positive alpha as
large gives the slow curve back the leak's slope: spiking. A slow negative alpha above it, with its knees below the
fast ones, bends the slow curve again: rest beside spiking. An ultraslow positive alpha as large at the same delta
straightens the ultraslow curve: bursting. A smaller one only takes current away while it fires: adaptation.
"""

from dataclasses import dataclass, replace
from typing import Literal

from mtc_hw.analysis.excitability import Kind
from mtc_hw.analysis.regimes import Regime
from mtc_hw.neuron_file import Initial, Stimulus

Wanted = Literal["tonic", "phasic", "adapting", "phasic_burst", "bistable", "bursting", "rebound"]
Figure = Literal["interval", "period", "spikes"]

FAST = (2.0, 0.0)  # alpha, delta: knees at -0.88 and 0.88
RESTORED = (2.0, 0.0)
ABSENT = (0.0, 0.0)
DEEP = (1.5, -1.5)  # knees at -2.16 and -0.84
RIBARS = (1.5, -0.9)  # knees at -1.56 and -0.24


def rounded(value: float) -> float:
    """To six figures, which a file shows better than the sixteen of a sum."""
    return float(f"{value:.6g}")


@dataclass(frozen=True)
class Recipe:
    """Elements as (alpha, delta) in the order of ELEMENTS, time constants, and the currents that show the regime."""

    regime: Regime  # what `classify` calls the run
    kind: Kind  # what the I-V curves must say
    elements: tuple[tuple[float, float], ...]
    current: float  # I_u, of the last hold
    slow: float = 50.0  # tau_m
    ratio: float = 50.0  # tau_ultraslow / tau_slow
    shift: float = 0.0  # by which everything is moved, `moved`
    before: tuple[tuple[float, float], ...] = ()  # holds before it: (length in tau_slow, current beside `current`)
    figures: tuple[Figure, ...] = ()  # what may be wished for

    def stimulus(self, current: float, slow: float) -> Stimulus:
        """The holds that show the regime at a current, for a slow time constant."""
        ends = [0.0]
        for length, _ in self.before:
            ends.append(ends[-1] + length * slow)
        levels = [current + beside for _, beside in self.before] + [current]
        return Stimulus(tuple((rounded(end), rounded(level)) for end, level in zip(ends, levels, strict=True)))

    def rest_time(self, slow: float) -> float:
        """When the first hold ends, tau_m; 0 where there is only one."""
        return self.before[0][0] * slow if self.before else 0.0

    def initial(self, current: float) -> Initial:
        """Near rest at the first hold, where that is quiet; else the presets' start."""
        quiet = -1.8 + self.shift
        if not self.before:
            return Initial(quiet - 0.1, quiet, quiet)
        rest = min(current + self.before[0][1], quiet)
        return Initial(rest, rest, rest)

    def moved(self, shift: float) -> "Recipe":
        """Every delta and current higher by `shift`, unit voltages: with a leak of slope 1 the equations are the same
        in V - shift."""
        elements = tuple((alpha, delta + shift) for alpha, delta in self.elements)
        return replace(self, elements=elements, current=self.current + shift, shift=self.shift + shift)


RECIPES: dict[str, Recipe] = {
    "tonic": Recipe("tonic", "spiking", (FAST, RESTORED, ABSENT, ABSENT), -0.5, figures=("interval",)),
    "phasic": Recipe("phasic", "spiking", (FAST, RESTORED, ABSENT, ABSENT), -1.0, before=((2.0, -1.0),)),
    "adapting": Recipe(
        "adapting", "spiking", (FAST, RESTORED, ABSENT, (0.5, -1.5)), -0.3, ratio=10.0,
        before=((10.0, -1.7),), figures=("interval",),
    ),
    "phasic_burst": Recipe(
        "phasic_burst", "spiking", (FAST, RESTORED, ABSENT, (1.0, -1.5)), -0.6, ratio=10.0, before=((30.0, -1.4),)
    ),
    "bistable": Recipe(
        "tonic", "bistable", (FAST, RESTORED, RIBARS, ABSENT), -0.8,
        before=((6.0, 0.0), (1.0, 1.0)), figures=("interval",),
    ),
    "bursting": Recipe(
        "bursting", "bursting", (FAST, RESTORED, DEEP, DEEP), -1.5, figures=("interval", "period", "spikes")
    ),
    "rebound": Recipe("rebound", "bursting", (FAST, RESTORED, DEEP, DEEP), -2.3, before=((10.0, 0.0), (50.0, -0.7))),
}  # fmt: skip
"""By the wanted regime. `bistable` rests, is kicked by a higher current, and goes on firing."""
