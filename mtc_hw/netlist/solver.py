"""ngspice's options that give right spike counts; its defaults do not."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Solver:
    """Transient options. Trapezoidal rule; charges and currents here are far below ngspice's default floors."""

    reltol: float = 1e-4
    trtol: float = 1.0
    max_step: float = 0.5  # tau_m
    gmin: float = 1e-16  # S; the default 1e-12 is a thousandth of the unit conductance and corrupts bursts
    abstol: float = 1e-16  # A
    vntol: float = 1e-8  # V
    chgtol: float = 1e-19  # C
    itl4: int = 50

    def options(self) -> list[str]:
        names = ("gmin", "abstol", "vntol", "chgtol", "reltol", "trtol", "itl4")
        return ["method=trap", *(f"{name}={getattr(self, name)!r}" for name in names)]


ACCURATE = Solver(reltol=1e-8, trtol=0.1, max_step=0.1, vntol=1e-11, chgtol=1e-23)
"""For a free-running neuron at the behavioural level: spike times within 0.3 tau_m after 15,000 tau_m and 1,500 tonic
spikes, the case in which errors add up most. Gear's method is ten times worse at equal cost."""

NETWORK = Solver()
"""For the behavioural neurons of a driven network."""

TRANSISTOR = Solver(trtol=2.0, abstol=1e-15, vntol=1e-7, chgtol=1e-18)
"""For transistors."""

FREE_RUNNING = {"behavioural": ACCURATE, "transistor": TRANSISTOR}
"""By level, for a neuron under its own stimulus: an error in one interval stays in all later spike times."""

DRIVEN = {"behavioural": NETWORK, "transistor": TRANSISTOR}
"""By level, for the neurons of a network: the input keeps them in step."""

SWEEP_OPTIONS = ("gmin=1e-16", "abstol=1e-16", "vntol=1e-8", "reltol=1e-6", "itl1=500", "itl2=500")
"""For DC sweeps: currents down to a part in a hundred thousand of a unit current."""
