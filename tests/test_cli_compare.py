import json

import numpy as np
import pytest
from test_cli import call, call_json

from mtc_hw.neuron_file import load_neuron
from mtc_hw.simulate.ode import integrate


@pytest.fixture
def scope(tmp_path, monkeypatch):
    """The tonic neuron as a scope sees it, from 100 tau_m of 1 ms on: 70 mV around 0.9 V."""
    monkeypatch.chdir(tmp_path)
    neuron = load_neuron("tonic")
    trace = integrate(neuron.neurons, neuron.stimulus, 1000.0, neuron.initial, spacing=0.5)
    later = trace.time >= 100.0
    table = np.stack([(trace.time[later] - 100.0), 0.9 + 0.07 * trace.voltage[later, 0]], axis=1)
    np.savetxt("scope.csv", table, delimiter=",", header="time,CH1", comments="")
    return "scope.csv"


SCALE = ["--time-unit", "ms", "--tau-m", "1e-3", "--voltage-unit", "V", "--unit-voltage", "0.07", "--ground", "0.9"]


def test_a_file_beside_a_preset_gives_a_comparison_and_a_picture(capsys, scope, tmp_path):
    values = call_json(
        capsys, "compare", "tonic", scope, *SCALE, "--offset", 100, "--out", tmp_path / "new" / "found.json"
    )
    assert json.loads((tmp_path / "new" / "found.json").read_text()) == values
    assert values["figure"] == str(tmp_path / "new" / "found.png")
    assert (tmp_path / "new" / "found.png").stat().st_size > 10_000
    assert values["alignment"] == {"mode": "none", "scale": 1.0, "offset": 100.0, "tau_m": 1e-3}
    assert values["comparison"]["coincidence"] == pytest.approx(1.0)


def test_options_given_twice_are_of_both_files_in_order(capsys, scope):
    np.savez("other.npz", seconds=np.linspace(0.0, 1.0, 501), volts=0.5 * np.sin(np.linspace(0.0, 60.0, 501)))
    twice = ["--time-unit", "s", "--time-unit", "ms", "--tau-m", 1e-3, "--tau-m", 2e-3, "--threshold", 0.1,
             "--threshold", 0.95, "--column", "volts", "--column", "CH1", "--time-column", "seconds", "--time-column",
             "time", "--voltage-unit", "V", "--voltage-unit", "V"]  # fmt: skip
    values = call_json(capsys, "compare", "other.npz", scope, *twice)
    assert (values["first"]["end"], values["second"]["end"]) == (1000.0, 450.0)
    assert [values[each]["column"] for each in ("first", "second")] == ["volts", "CH1"]


def test_the_line_says_what_was_found(capsys, scope):
    code, out, err = call(capsys, "compare", "tonic", scope, *SCALE, "--align", "offset")
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert "spikes in" in out and "tau_m 0.001 s; picture comparison.png; details in comparison.json" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tonic", "scope.csv"], "the unit of time in scope.csv is not known: give --time-unit"),
        (["tonic", "gone.csv"], "gone.csv does not exist or is a folder"),
        (["tonic", "scope.csv", "--time-unit", "ms", "--threshold", "0.9"], "scope.csv is in seconds; give its"),
        (["tonic", "scope.csv", "--column", "CH7"], "scope.csv has no column 'CH7'; there are: time, CH1"),
        (["tonic", "scope.csv", "--tau-m", "1", "--tau-m", "2"], "--tau-m is given 2 times for 1 file"),
        (["a.npz", "scope.csv", *["--tau-m", "1"] * 3], "--tau-m is given 3 times for 2 files"),
        (["tonic", "scope.csv", "--level", "transistor", "--jobs", "1"],
         "--level, --jobs: of no use here; leave the second file out, or leave that out"),
        (["tonic", "--align", "scale"], "--align: of no use here; give a second file, or leave that out"),
        (["tonic", "scope.csv", *SCALE, "--design", "tonic"], "'tonic' is no design"),
        (["tonic", "scope.csv", "--time-unit", "min"], "time-unit is 'min'; it must be one of s, ms, us, ns, tau_m"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_one_line_and_exit_2(capsys, scope, arguments, said):
    code, out, err = call(capsys, "compare", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ") and said in err


def test_a_preset_alone_is_compared_with_its_circuit(capsys, tmp_path):
    out = tmp_path / "comparison.json"
    values = call_json(
        capsys, "compare", "tonic", "--level", "behavioural", "--duration", 200, "--jobs", 1, "--out", out
    )
    assert (values["duration"], len(values["neurons"])) == (200.0, 1)
    assert values["same_count"] == 1
    assert not out.with_suffix(".png").exists()
