"""A fake bench: the software neuron, sampled, in other units, noisy, begun late; compared with the software again."""

import json

import numpy as np
import pytest

from mtc_hw.analysis.alignment import Clock
from mtc_hw.analysis.recording import Reading
from mtc_hw.compare_run import Wanted, compare_recordings, is_neuron, of_design
from mtc_hw.errors import DataError, SpecError
from mtc_hw.hardware.design_file import save_design
from mtc_hw.neuron_file import load_neuron
from mtc_hw.simulate.ode import integrate

TAU_M, UNIT, GROUND = 1.2e-3, 0.07, 0.9
BENCH = Reading(tau_m=TAU_M, unit_voltage=UNIT, ground=GROUND, hysteresis=0.05)
OWN = Reading(threshold=GROUND, hysteresis=0.05)
LATE = 700.0  # tau_m into the run at which the bench began


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Folder of recordings of the bursting neuron over 5,000 tau_m: its trace, a scope's and a logic analyser's."""
    folder = tmp_path_factory.mktemp("bench")
    rng = np.random.default_rng(1)
    neuron = load_neuron("bursting")
    trace = integrate(neuron.neurons, neuron.stimulus, 5000.0, neuron.initial)
    time = np.arange(LATE, 5000.0, 0.5)
    volts = GROUND + UNIT * np.interp(time, trace.time, trace.voltage[:, 0]) + rng.normal(0.0, 0.005, time.size)
    table = np.stack([(time - LATE) * TAU_M * 1e3, volts], axis=1)
    np.savetxt(folder / "scope.csv", table, delimiter=",", header="time (ms),CH1 (V)", comments="", fmt="%.7g")
    np.savez(folder / "trace.npz", time=trace.time, voltage=trace.voltage)
    high = volts > GROUND
    edges = np.flatnonzero(np.diff(high.astype(int), prepend=0))
    rows = [f"{(time[i] - LATE) * TAU_M:.7f},{int(high[i])}" for i in edges]
    (folder / "logic.csv").write_text("\n".join(["Time [s],Channel 0", "0,0", *rows]) + "\n")
    return folder


def test_a_scope_s_recording_is_found_to_be_the_software_neuron(bench):
    found = compare_recordings("bursting", bench / "scope.csv", Wanted(second=BENCH, align="offset"))
    assert found.clock.scale == 1.0
    assert found.clock.offset == pytest.approx(LATE, abs=1.0)
    assert found.tau_m == TAU_M
    assert found.window == pytest.approx((LATE, 4299.5), abs=1.0)  # the software ran as long as the recording
    comparison = found.comparison
    assert comparison.reference_count == comparison.test_count > 10
    assert comparison.worst_error < 1.5 and comparison.coincidence == pytest.approx(1.0)
    assert comparison.same_regime and comparison.test_regime == "bursting"
    assert comparison.waveform_rmse < 0.3
    assert comparison.spike_distance == pytest.approx(found.profile().mean()) and comparison.spike_distance < 0.01


def test_tau_m_is_found_where_it_is_not_known(bench):
    wanted = Wanted(second=OWN, align="scale", duration=5000.0)
    found = compare_recordings("bursting", bench / "scope.csv", wanted)
    assert found.tau_m == pytest.approx(TAU_M, rel=1e-3)
    assert found.clock.offset == pytest.approx(LATE, abs=2.0)
    assert found.comparison.worst_error < 2.0
    assert found.comparison.waveform_rmse is None


def test_the_software_runs_as_long_as_a_recording_in_seconds(bench):
    found = compare_recordings("bursting", bench / "scope.csv", Wanted(second=OWN, align="scale"))
    assert found.first.end == pytest.approx(5000.0 - LATE, rel=0.05)
    assert found.tau_m == pytest.approx(TAU_M, rel=1e-2)


def test_a_tau_m_that_is_a_little_wrong_is_mended(bench):
    wrong = Reading(tau_m=1.1 * TAU_M, unit_voltage=UNIT, ground=GROUND, hysteresis=0.05)
    found = compare_recordings("bursting", bench / "scope.csv", Wanted(second=wrong, align="scale", duration=5000.0))
    assert found.clock.scale == pytest.approx(1.1, rel=1e-3)
    assert found.tau_m == pytest.approx(TAU_M, rel=1e-3)


def test_an_offset_by_hand_is_added_to_the_second_s_times(bench):
    found = compare_recordings("bursting", bench / "scope.csv", Wanted(second=BENCH, offset=LATE))
    assert found.clock == Clock(1.0, LATE)
    assert found.window == pytest.approx((LATE, 4999.5))
    assert found.comparison.coincidence == pytest.approx(1.0)


def test_two_files_are_compared_as_they_are(bench):
    wanted = Wanted(Reading(), BENCH, offset=LATE)
    found = compare_recordings(str(bench / "trace.npz"), bench / "scope.csv", wanted)
    assert found.comparison.reference_regime is None
    assert found.comparison.coincidence == pytest.approx(1.0)
    assert found.comparison.waveform_rmse < 0.3


def test_a_logic_analyser_sees_the_same_spikes(bench):
    found = compare_recordings("bursting", bench / "logic.csv", Wanted(second=Reading(tau_m=TAU_M), offset=LATE))
    assert found.second.kind == "levels"
    assert found.comparison.reference_count == found.comparison.test_count > 10
    assert found.comparison.worst_error < 1.5


def test_of_a_list_of_spikes_all_that_the_first_covers_is_compared(bench, tmp_path):
    whole = compare_recordings("bursting", bench / "trace.npz")
    (tmp_path / "spikes.csv").write_text("spikes\n" + "\n".join(map(repr, whole.spikes()[1][:-5].tolist())))
    reading = Reading(time_unit="tau_m")
    found = compare_recordings("bursting", tmp_path / "spikes.csv", Wanted(second=reading, duration=5000.0))
    assert found.window == (0.0, 5000.0)
    assert found.comparison.reference_count - found.comparison.test_count == 5
    again = compare_recordings(str(tmp_path / "spikes.csv"), tmp_path / "spikes.csv", Wanted(reading, reading))
    assert again.window == (again.spikes()[0][0], again.spikes()[0][-1])
    assert again.comparison.spike_distance == 0.0


def test_the_stimulus_counts_from_where_the_comparison_begins(tmp_path):
    neuron = load_neuron("rebound")
    end = neuron.duration or 2000.0
    trace = integrate(neuron.neurons, neuron.stimulus, end, neuron.initial)
    step = neuron.stimulus.steps[1][0]
    later = trace.time >= 0.5 * step
    np.savez(tmp_path / "late.npz", time=trace.time[later], voltage=trace.voltage[later])
    found = compare_recordings("rebound", tmp_path / "late.npz")
    assert found.window[0] == pytest.approx(0.5 * step, abs=0.2)
    assert (found.comparison.reference_regime, found.comparison.test_regime) == ("rebound", "rebound")


def test_a_current_takes_the_stimulus_place(bench):
    found = compare_recordings("bursting", bench / "trace.npz", Wanted(current=-5.0))
    assert found.comparison.reference_count == 0
    assert found.comparison.reference_regime == "silent"


def test_a_comparison_is_json_of_finite_numbers(bench):
    found = compare_recordings("bursting", bench / "logic.csv", Wanted(second=Reading(tau_m=TAU_M), align="offset"))
    read = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert read["alignment"] == {"mode": "offset", "scale": 1.0, "offset": found.clock.offset, "tau_m": TAU_M}
    assert read["first"]["voltage_unit"] == "unit" and "voltage_unit" not in read["second"]
    assert len(read["second"]["spike_times"]) == read["comparison"]["test_count"]
    assert read["comparison"]["isi_distance"] == found.comparison.isi_distance
    assert "spikes in" in found.summary() and f"tau_m {TAU_M:.4g} s" in found.summary()


def test_a_design_gives_the_scale_that_is_not_said(preset, tmp_path):
    design = preset("tonic")[2]
    save_design(design, tmp_path / "design.json")
    found = of_design(Reading(ground=0.5), str(tmp_path / "design.json"))
    assert (found.tau_m, found.unit_voltage, found.ground) == (design.scale.second, design.scale.volt, 0.5)
    with pytest.raises(DataError, match=r"^'tonic' is no design; give what `mtc-hw map` or `mtc-hw netlist` wrote$"):
        of_design(Reading(), "tonic")


def test_a_preset_and_a_toml_file_are_neurons():
    assert [is_neuron(name) for name in ("tonic", "a/b.toml", "tonic.csv", "tonics")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(second=OWN), r"scope\.csv is in seconds; give its --tau-m or --design, or find tau_m with"),
        (Wanted(second=BENCH, align="offset", offset=3.0), r"^--align offset finds the offset itself; leave"),
        (Wanted(second=BENCH, offset=-1e5), r"^the software neuron would run -\S+ tau_m; give --duration, at most"),
        (Wanted(second=BENCH, offset=-1e5, duration=100.0),
         r"^the recordings do not overlap: bursting, software is from 0 to 100, \S+scope\.csv from -100000 to "
         r"-95700\.5 tau_m; align them with --align or --offset$"),
        (Wanted(second=OWN, align="scale", current=-5.0), r"^0 spikes of bursting and \d+ of \S+ do not tell tau_m"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_says_why(bench, wanted, message):
    with pytest.raises((DataError, SpecError), match=message):
        compare_recordings("bursting", bench / "scope.csv", wanted)


def test_a_first_file_in_seconds_needs_its_tau_m(bench):
    with pytest.raises(DataError, match=r"scope\.csv is in seconds; give its tau_m too: --tau-m or --design twice"):
        compare_recordings(str(bench / "scope.csv"), bench / "trace.npz", Wanted(first=OWN))
