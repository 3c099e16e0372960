"""What is told of one virtual chip: a row of the table."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from mtc_hw.spec import Array


@dataclass(frozen=True)
class ChipRow:
    """One virtual chip at one condition. Times in tau_m unless said; None where a figure does not apply."""

    sample: int
    corner: str
    supply: float  # V
    temperature: float  # degrees Celsius
    outcome: str  # ok, or why the run failed: `simulate.outcome.Status`
    reason: str = ""
    node: str | None = None  # where ngspice had trouble
    failed_at: float | None = None  # s of simulated time, where ngspice tells it
    rung: int = 0  # of the retry ladder; the worst of a network's decks
    regime: str | None = None
    spikes: int | None = None  # of a network, all neurons'
    isi_mean: float | None = None
    isi_cv: float | None = None
    burst_period: float | None = None
    spikes_per_burst: float | None = None
    intra_interval: float | None = None  # mean within bursts
    r2: float | None = None  # with the network's own readout
    r2_refitted: float | None = None  # with one fitted to this chip
    power: float | None = None  # W from the supply, mean; of circuits in ngspice
    seconds: float = 0.0  # this chip's share of the simulation's wall time

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"

    def to_json(self) -> str:
        """A number that is not finite becomes null: the row's outcome says why."""
        values = dataclasses.asdict(self)
        held = {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in values.items()}
        return json.dumps(held, allow_nan=False)

    def cells(self) -> dict[str, object]:
        """The table's, by column."""
        return dataclasses.asdict(self)

    def untimed(self) -> str:
        """All but the seconds, which no two runs have alike."""
        return dataclasses.replace(self, seconds=0.0).to_json()

    @staticmethod
    def from_json(text: str) -> "ChipRow":
        return ChipRow(**json.loads(text))


Kept = Mapping[str, Array]
"""Waveforms of a chip by name, where they were asked for."""


@dataclass(frozen=True, eq=False)
class Result:
    """A chip's row, its waveforms where they were asked for, when its neurons spiked, and what a network answered."""

    row: ChipRow
    kept: Kept | None = None
    spikes: Array | None = None  # (spikes,), tau_m, neuron after neuron
    counts: Array | None = None  # (N,) how many of them are each neuron's
    answer: Array | None = None  # (samples,), standardised
