"""What a simulator gives back, and how it becomes a Trace in model units."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtc_hw.errors import DataError
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.spec import Array, Trace


@dataclass(frozen=True, eq=False)
class Waveforms:
    """Vectors of one run. `axis` is the time of a transient, s, or the swept voltage of a DC sweep, V."""

    axis: Array  # (T,)
    values: Mapping[str, Array]  # each (T,), by ngspice's name in lower case

    def __getitem__(self, name: str) -> Array:
        return self.values[name.lower()]

    def save(self, path: Path) -> None:
        """As npz, without pickle."""
        names = np.array(list(self.values))
        np.savez_compressed(path, axis=self.axis, names=names, values=np.array(list(self.values.values())))


def load_waveforms(path: Path) -> Waveforms:
    """Raises DataError for a file that is not one of ours."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            values = dict(zip(stored["names"].tolist(), stored["values"], strict=True))
            return Waveforms(stored["axis"], values)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} holds no waveforms: {error}") from None


def to_trace(waveforms: Waveforms, design: MappedDesign, index: int) -> Trace:
    """Neuron `index` in unit voltages over tau_m, on the simulator's own time points."""

    def units(state: str) -> Array | None:
        name = f"v({state}_{index})"
        if name not in waveforms.values:
            return None
        return ((waveforms[name] - design.technology.analog_ground) / design.scale.volt)[:, None]

    voltage = units("v")
    if voltage is None:
        raise DataError(f"no v(v_{index}) in the waveforms; they hold {', '.join(waveforms.values)}")
    return Trace(waveforms.axis / design.scale.second, voltage, units("u_slow"), units("u_ultraslow"))
