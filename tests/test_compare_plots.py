import numpy as np
import pytest

from mtc_hw.analysis.recording import Reading
from mtc_hw.compare_plots import LONGEST_NAME, comparison_figure, envelope, short_name, table_rows
from mtc_hw.compare_run import Wanted, compare_recordings
from mtc_hw.neuron_file import load_neuron
from mtc_hw.simulate.ode import integrate


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A burst's worth of the bursting neuron in volts, its spikes alone, and nothing at all."""
    folder = tmp_path_factory.mktemp("recordings")
    neuron = load_neuron("bursting")
    trace = integrate(neuron.neurons, neuron.stimulus, 2500.0, neuron.initial)
    np.savez(folder / "trace.npz", time=trace.time, voltage=trace.voltage)
    (folder / "spikes.csv").write_text("spikes (tau_m)\n20\n80\n150\n")
    (folder / "silent.csv").write_text("t (tau_m),D0\n0,0\n2500,0\n")
    return folder


CASES = {
    "one panel of voltages": (
        ("bursting", "trace.npz", Wanted()),
        ["voltage", "spikes", "dissimilarity", "interval"],
    ),
    "two panels of voltages": (
        ("bursting", "trace.npz", Wanted(second=Reading(voltage_unit="V", threshold=0.0))),
        ["voltage", "voltage", "spikes", "dissimilarity", "interval"],
    ),
    "spike times": (("bursting", "spikes.csv", Wanted()), ["voltage", "spikes", "dissimilarity", "interval"]),
    "no spikes at all": (("silent.csv", "silent.csv", Wanted()), ["spikes", "dissimilarity", "interval"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_panel_stands_for_each_thing_that_was_recorded(recordings, tmp_path, name):
    (first, second, wanted), panels = CASES[name]
    given = first if first == "bursting" else str(recordings / first)
    figure = comparison_figure(compare_recordings(given, recordings / second, wanted))
    labels = [axes.get_ylabel().split()[0] for axes in figure.axes if axes.get_ylabel()]
    assert labels == panels
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_has_a_row_for_what_is_defined(recordings):
    found = compare_recordings("bursting", recordings / "trace.npz")
    rows = {name: values for name, *values in table_rows(found)}
    count = str(found.comparison.reference_count)
    assert rows["spikes"] == [count, count]
    assert rows["regime"] == ["bursting", "bursting"]
    assert rows["SPIKE-distance"] == [f"{found.comparison.spike_distance:#.4g}", ""]
    assert "second's tau_m, s" not in rows
    silent = compare_recordings(str(recordings / "silent.csv"), recordings / "silent.csv")
    named = [name for name, *_ in table_rows(silent)]
    assert "regime" not in named and "bursts" not in named and not any(name.startswith("Gamma") for name in named)


def test_an_envelope_keeps_every_peak():
    time = np.linspace(0.0, 100.0, 200_001)
    voltage = np.sin(time)
    voltage[[12_345, 150_000]] = 7.0, -7.0
    kept_time, kept = envelope(time, voltage, 0.0, 100.0)
    assert kept.size < 5000
    assert (kept.max(), kept.min()) == (7.0, -7.0)
    assert kept_time[np.argmax(kept)] == pytest.approx(time[12_345], abs=0.06)
    few = envelope(time, voltage, 10.0, 10.1)
    assert np.array_equal(few[1], voltage[(time >= 10.0) & (time <= 10.1)])


def test_a_long_name_keeps_its_end():
    assert short_name("scope.csv") == "scope.csv"
    shown = short_name("/a/folder/" * 9 + "scope.csv")
    assert len(shown) == LONGEST_NAME and shown.startswith("...") and shown.endswith("/scope.csv")
