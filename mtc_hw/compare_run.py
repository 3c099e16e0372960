"""Two recordings from anywhere, or the software neuron and one, aligned and compared."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mtc_hw.analysis.alignment import Clock, best_clock, best_offset
from mtc_hw.analysis.compare import Comparison, Metrics, compare
from mtc_hw.analysis.distances import waveform_rmse
from mtc_hw.analysis.profiles import Profile, spike_profile
from mtc_hw.analysis.recording import Reading, Recording, read_recording
from mtc_hw.analysis.spikes import spike_times
from mtc_hw.errors import DataError, SpecError
from mtc_hw.neuron_file import NeuronFile, Stimulus, load_neuron, preset_names
from mtc_hw.neuron_run import ACCURACY, LONGEST, with_current
from mtc_hw.simulate.ode import integrate
from mtc_hw.sources import load_source
from mtc_hw.spec import Array

Align = Literal["none", "offset", "scale"]
FIRST_RUN = 2000.0  # tau_m of a neuron whose file names no duration, to learn its interval
AS_IT_IS = Reading()
METRICS = Metrics()


@dataclass(frozen=True)
class Wanted:
    """How two recordings are read and aligned."""

    first: Reading = AS_IT_IS
    second: Reading = AS_IT_IS
    align: Align = "none"
    offset: float | None = None  # tau_m, added to the second's times; not with an alignment that fits it
    duration: float | None = None  # tau_m of the software neuron; None: the second's length
    current: float | None = None  # of the software neuron, I_u, in place of its stimulus
    metrics: Metrics = METRICS


@dataclass(frozen=True, eq=False)
class Compared:
    """Both recordings on the first one's clock, and what was found where they overlap."""

    first: Recording
    second: Recording
    align: Align
    clock: Clock  # a time in the second's file, in tau_m or s, to a time of the first, in tau_m
    tau_m: float | None  # s, of the second, as the clock says; None: its file counts in tau_m
    window: tuple[float, float]  # tau_m
    comparison: Comparison

    def spikes(self) -> tuple[Array, Array]:
        """Of both within the window, in tau_m."""
        low, high = self.window
        first, second = (
            each.spikes[(each.spikes >= low) & (each.spikes <= high)] for each in (self.first, self.second)
        )
        return first, second

    def profile(self) -> Profile:
        """The dissimilarity over the window."""
        return spike_profile(*self.spikes(), *self.window)

    def to_json(self) -> dict[str, Any]:
        spikes = self.spikes()
        return {
            **{name: _recording_json(each, own) for name, each, own in zip(
                ("first", "second"), (self.first, self.second), spikes, strict=True)},
            "alignment": {"mode": self.align, **dataclasses.asdict(self.clock), "tau_m": self.tau_m},
            "window": list(self.window),
            "comparison": self.comparison.to_json(),
        }  # fmt: skip

    def summary(self) -> str:
        """One line."""
        found = self.comparison
        change = found.differences.interval_mean
        parts = [
            f"{found.reference_count} and {found.test_count} spikes in {self.window[1] - self.window[0]:.4g} tau_m",
            "mean interval " + ("not defined" if change is None else f"{change:+.2%}"),
            f"SPIKE-distance {found.spike_distance:.3g}",
            "Gamma " + ("not defined" if found.coincidence is None else f"{found.coincidence:.3g}"),
        ]
        if self.clock != Clock():
            parts.append(f"second's times x {self.clock.scale:.6g} + {self.clock.offset:.6g} tau_m")
        if self.tau_m is not None:
            parts.append(f"tau_m {self.tau_m:.4g} s")
        return ", ".join(parts)


def _recording_json(each: Recording, spikes: Array) -> dict[str, Any]:
    names = ("name", "kind", "column", "voltage_unit")
    own = {name: getattr(each, name) for name in names if name != "voltage_unit" or each.voltage is not None}
    start, end = each.span()
    return own | {"start": start, "end": end, "spike_times": spikes.tolist()}


def is_neuron(name: str) -> bool:
    """Whether this names a preset or a neuron file, not a recording."""
    return name in preset_names() or Path(name).suffix == ".toml"


def of_design(reading: Reading, design: str | None) -> Reading:
    """With the tau_m, unit voltage and ground of a design where the reading does not say them. Raises DataError."""
    if design is None:
        return reading
    source = load_source(design).design
    if source is None:
        raise DataError(f"{design!r} is no design; give what `mtc-hw map` or `mtc-hw netlist` wrote")
    scale, ground = source.scale, source.technology.analog_ground
    return dataclasses.replace(
        reading,
        tau_m=scale.second if reading.tau_m is None else reading.tau_m,
        unit_voltage=scale.volt if reading.unit_voltage is None else reading.unit_voltage,
        ground=ground if reading.ground is None else reading.ground,
    )


def compare_recordings(first: str, second: Path, wanted: Wanted = Wanted()) -> Compared:
    """`first` is a file, or a preset or neuron file whose equations are then integrated over the second's length.

    Distances and differences are over the time that both cover once aligned. Raises DataError or SpecError.
    """
    if wanted.align != "none" and wanted.offset is not None:
        raise DataError(f"--align {wanted.align} finds the offset itself; leave --offset {wanted.offset:g} out")
    test = read_recording(second, wanted.second)
    if test.time_unit == "s" and wanted.align != "scale":
        raise DataError(f"{second} is in seconds; give its --tau-m or --design, or find tau_m with --align scale")
    stimulus = None
    if is_neuron(first):
        neuron = with_current(load_neuron(first), wanted.current)
        stimulus = neuron.stimulus
        reference = _software(neuron, _length(neuron, test, wanted))
    else:
        reference = read_recording(Path(first), wanted.first)
        if reference.time_unit == "s":
            raise DataError(f"{first} is in seconds; give its tau_m too: --tau-m or --design twice, first and second")
    clock = _clock(reference, test, wanted)
    # A file in seconds counts as one whose tau_m is a second.
    before = test.tau_m if test.tau_m is not None else 1.0 if test.time_unit == "s" else None
    moved = dataclasses.replace(test.moved(clock.scale, clock.offset), time_unit="tau_m")
    window = _window(reference, moved)
    return Compared(
        first=reference,
        second=moved,
        align=wanted.align,
        clock=clock,
        tau_m=None if before is None else before / clock.scale,
        window=window,
        comparison=_compared(reference, moved, window, stimulus, wanted.metrics),
    )


def _clock(reference: Recording, test: Recording, wanted: Wanted) -> Clock:
    if wanted.align == "scale":
        return best_clock(reference.spikes, test.spikes)
    if wanted.align == "offset":
        return Clock(offset=best_offset(reference.spikes, test.spikes, wanted.metrics.van_rossum_tau))
    return Clock(offset=wanted.offset or 0.0)


def _length(neuron: NeuronFile, test: Recording, wanted: Wanted) -> float:
    """tau_m that the software neuron runs: those asked for, or the second's length."""
    if wanted.duration is not None:
        return wanted.duration
    start, end = test.span()
    length = end - start if wanted.align != "none" else end + (wanted.offset or 0.0)
    if test.kind == "spikes" and test.spikes.size > 1:
        length += float(np.diff(test.spikes).mean())  # past the last spike, so that it is not the end of the run
    if test.time_unit == "s":
        once = _software(neuron, neuron.duration or FIRST_RUN)
        if min(once.spikes.size, test.spikes.size) < 3:
            raise DataError(
                f"{once.spikes.size} spikes of {neuron.name} and {test.spikes.size} of {test.name} do not tell "
                "tau_m, which takes 3 of each; give --tau-m or --design"
            )
        length *= float(np.median(np.diff(once.spikes)) / np.median(np.diff(test.spikes)))
    return length


def _software(neuron: NeuronFile, duration: float) -> Recording:
    """The neuron as its file says, by accurate integration."""
    if not (np.isfinite(duration) and 0.0 < duration <= LONGEST):
        raise SpecError(f"the software neuron would run {duration:g} tau_m; give --duration, at most {LONGEST:g}")
    trace = integrate(neuron.neurons, neuron.stimulus, duration, neuron.initial, rtol=ACCURACY)
    voltage = trace.voltage[:, 0]
    spikes = spike_times(trace.time, voltage)
    name = f"{neuron.name}, software"
    return Recording(name, "voltage", "v", spikes, 0.0, duration, "tau_m", None, trace.time, voltage)


def _window(reference: Recording, test: Recording) -> tuple[float, float]:
    """The time that both cover; of spike times alone, whose end is not known, all that the other covers."""
    low, high = max(reference.start, test.start), min(reference.end, test.end)
    if not np.isfinite([low, high]).all():
        spans = [each.span() for each in (reference, test)]
        low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    if not low < high:
        raise DataError(
            f"the recordings do not overlap: {reference.name} is from {reference.start:g} to {reference.end:g}, "
            f"{test.name} from {test.start:g} to {test.end:g} tau_m; align them with --align or --offset"
        )
    return low, high


def _compared(
    reference: Recording, test: Recording, window: tuple[float, float], stimulus: Stimulus | None, metrics: Metrics
) -> Comparison:
    low, high = window
    trains, finals = [], []
    for each in (reference, test):
        inside = each.spikes[(each.spikes >= low) & (each.spikes <= high)]
        trains.append(np.clip(inside - low, 0.0, high - low))
        trace = each.trace()
        finals.append(None if trace is None else float(np.interp(high, trace.time, trace.voltage[:, 0])))
    found = compare(
        trains[0],
        trains[1],
        high - low,
        stimulus=None if stimulus is None else _later(stimulus, low),
        final_voltages=(finals[0], finals[1]),
        metrics=metrics,
    )
    one, two = reference.trace(), test.trace()
    rmse = None if one is None or two is None else waveform_rmse(one, two)
    return dataclasses.replace(found, waveform_rmse=rmse)


def _later(stimulus: Stimulus, start: float) -> Stimulus:
    """The stimulus with its clock begun at `start`."""
    steps = tuple((time - start, level) for time, level in stimulus.steps if time > start)
    return Stimulus(((0.0, stimulus.current(start)), *steps))
