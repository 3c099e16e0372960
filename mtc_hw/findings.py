"""What the main job found, for the report and for scripts: plain values, nothing to compute any more."""

from dataclasses import dataclass

from mtc_hw.analysis.yields import Yield
from mtc_hw.spec import Array, ModelSpec


@dataclass(frozen=True)
class Stage:
    """One row of the error budget."""

    name: str  # "software", "refined", "quantised", "behavioural", "transistor" ...
    meaning: str  # one sentence: what this row adds to the one before
    r2: tuple[float, ...]  # one value, or one a chip


@dataclass(frozen=True, eq=False)
class Findings:
    """One run of the whole chain on one trained network. Times in tau_m, voltages in unit voltages."""

    spec: ModelSpec
    stages: tuple[Stage, ...]
    s_comp: float
    s_comm: float
    silent: float  # fraction of neurons never active on the test part
    time: Array  # (T,) of the test stretch's input samples
    target: Array  # (T,), standardised
    predictions: dict[str, Array]  # each (T,): by stage
    burn_in: int  # samples at the start that do not count
    trace_time: Array  # (S,)
    software_voltage: Array  # (S, N), of the quantised network
    circuit_voltage: Array  # (S, N), transistors after trims, on the same grid
    software_chips: Array  # (chips,) R2 of mismatched chips by the software twin, trained readout
    software_refitted: Array  # (chips,) the same with a readout refitted to each chip
    chips_raw: Array  # (chips,) R2 of transistor-level chips before calibration
    chips_calibrated: Array  # (chips,) and after trims and readout refit
    threshold: float  # R2 that a good chip reaches
    yield_: Yield | None  # of `software_chips`; None without chips
    yield_refitted: Yield | None  # of `software_refitted`
    neuron_power: float  # W, mean of a transistor-level neuron
    simulated: int  # decks
    failures: tuple[str, ...]  # decks that did not run, with the reason
    seconds: dict[str, float]  # wall time by stage
    provenance: dict[str, str]  # seed, versions, options, digests, temperature, supply
