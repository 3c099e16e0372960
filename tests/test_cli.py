"""The command line: one line for a user's fault, one JSON object on request, the fixed forms that others script."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from minipdk import write_pdk, write_record

from mtc_hw.cli import app, main
from mtc_hw.hardware.design_file import load_design
from mtc_hw.netlist.readback import with_deck
from mtc_hw.neuron_file import preset_names

COMMANDS = {
    "train", "predict", "map", "netlist", "simulate", "montecarlo",
    "analyse", "sobol", "pareto", "compare", "calibrate", "report", "neuron", "run",
    "excitability", "doctor", "budget", "characterise", "corners", "codesign",
}  # fmt: skip


def call(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(each) for each in arguments])
    seen = capsys.readouterr()
    return int(stopped.value.code or 0), seen.out, seen.err


def call_json(capsys, *arguments):
    code, out, err = call(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_every_command_is_there_and_in_the_readme():
    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert names == COMMANDS
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    assert {name for name in names if f"| `mtc-hw {name}` |" in readme} == COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_shows_an_example(capsys, command):
    code, out, _ = call(capsys, command, "--help")
    assert code == 0
    assert f"Example: mtc-hw {command}" in " ".join(out.split())


def test_the_version_is_printed(capsys):
    code, out, _ = call(capsys, "--version")
    assert (code, bool(re.fullmatch(r"mtc-hw \d+\.\d+\.\d+\n", out))) == (0, True)


NEURON = """
name = "{name}"
[elements]
fast_negative = {{ alpha = {alpha}, delta = 0.0 }}
{key} = {{ alpha = 2.0, delta = {delta} }}
[timescales]
slow = {slow}
[stimulus]
current = -0.5
"""
GOOD = {"name": "mine", "alpha": "2.0", "key": "slow_positive", "delta": "0.0", "slow": "50.0"}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"key": "slow_positiv"}, "did you mean slow_positive"),
        ({"alpha": "-2.0"}, r"alpha is -2\.0; it must be >= 0"),
        ({"delta": "nan"}, r"delta is nan; it must be a finite number"),
        ({"slow": "0.0"}, r"timescales\.slow is 0\.0"),
        ({"name": "a\\nb"}, r"name is 'a\\nb'"),
        ({"name": "x\\n.control"}, "name is"),
    ],
)
def test_a_wrong_neuron_file_is_one_line_and_exit_2(capsys, tmp_path, fault, said):
    file = tmp_path / "neuron.toml"
    file.write_text(NEURON.format(**(GOOD | fault)))
    code, out, err = call(capsys, "neuron", file)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.match(rf"error: .*{said}", err)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["neuron", "missing.toml"], "does not exist"),
        (["neuron", "tonic", "--current", "nan"], "must be a finite number"),
        (["neuron", "tonic", "--duration", "0"], "duration is 0"),
        (["neuron", "tonic", "--level", "analog"], "'analog' is not one of"),
        (["neuron", "tonic", "--technology", "tin"], "no technology 'tin'; there are: generic"),
        (["neuron", "tonic", "--corner", "typical"], "there is no corner 'typical'; there are: tt, ff, ss, sf, fs"),
        (["netlist", "tonic", "--level", "behavioural", "--converters", "transistor"], "for the transistor level"),
        (["neuron", "tonic", "--level", "transistor", "--converters", "transistor"], "map with --bits 8"),
        (["netlist", "tonic", "--supply", "9"], "supply 9 is outside 1.5 to 2.2 V"),
        (["map", "missing.json"], "'missing.json' is no preset"),
        (["netlist", "tonic", "--duration", "inf"], "must be finite"),
        (["predict", "tonic", "--series", "x.csv"], "is no trained network"),
        (["simulate", "missing.cir"], "cannot be read"),
        (["report", "missing"], "holds no finished run"),
        (["sing"], "No such command 'sing'"),
        (["train", "--hidden", "1"], "greater than or equal to 2"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(capsys, monkeypatch, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert said in err


def test_a_pdk_of_another_version_is_one_line_of_warning(tmp_path):
    write_pdk(tmp_path)
    record = write_record(tmp_path / "mini.toml", tt="00", ff="00")
    flags = ("--level", "transistor", "--duration", "50", "--trim", "none", "--technology", str(record))
    done = subprocess.run(
        [sys.executable, "-m", "mtc_hw", "neuron", "tonic", *flags],
        cwd=tmp_path,
        env=os.environ
        | {"PDK_ROOT": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert re.fullmatch(r"warning: the PDK in \S+mini\.lib is another version: .* mini 1 \(00\); .*\n", done.stderr)


def test_without_ngspice_one_line_says_what_to_install(tmp_path):
    environment = os.environ | {"NGSPICE_LIBRARY_PATH": "/nowhere/libngspice.so"}
    done = subprocess.run(
        [sys.executable, "-m", "mtc_hw", "neuron", "tonic"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    for system in ("Debian", "Fedora", "macOS", "conda"):
        assert system in done.stderr


@pytest.mark.slow
def test_the_neuron_command_keeps_its_form(capsys, tmp_path):
    result = call_json(
        capsys,
        "neuron",
        "tonic",
        "--duration",
        400,
        "--level",
        "behavioural",
        "--technology",
        "generic",
        "--out",
        tmp_path,
    )
    assert set(result) >= {"software", "circuit", "comparison", "deck"}
    assert result["circuit"]["outcome"] == "ok"
    assert result["software"]["regime"] == result["circuit"]["regime"] == "tonic"
    assert result["circuit"]["spike_times"] == pytest.approx(result["software"]["spike_times"], abs=0.1)
    assert Path(result["deck"]).is_file()


@pytest.mark.slow
def test_a_given_current_replaces_the_stimulus(capsys, tmp_path):
    quiet = call_json(capsys, "neuron", "tonic", "--current", -2.0, "--duration", 400, "--out", tmp_path)
    assert quiet["software"]["regime"] == quiet["circuit"]["regime"] == "silent"


@pytest.mark.slow
def test_the_same_chip_has_the_same_spikes_and_another_has_others(capsys, tmp_path):
    def spikes(sample):
        arguments = ["neuron", "tonic", "--duration", 600, "--seed", 7, "--sample", sample, "--out", tmp_path]
        return call_json(capsys, *arguments)["circuit"]["spike_times"]

    first = spikes(0)
    assert spikes(0) == first
    assert spikes(1) != first


@pytest.mark.slow
def test_decks_go_to_disk_and_run(capsys, tmp_path):
    exported = call_json(
        capsys, "netlist", "phasic", "--level", "transistor", "--duration", 200, "--out", tmp_path / "d"
    )
    ran = call_json(capsys, "simulate", tmp_path / "d", "--driver", "ngspice", "--out", tmp_path / "w")
    assert len(exported["decks"]) == ran["n_ok"] == 1
    assert len(list((tmp_path / "w").glob("*.npz"))) == 1


@pytest.mark.parametrize("dialect", ["ngspice", "xyce", "spectre"])
def test_an_exported_folder_maps_to_the_same_design(capsys, tmp_path, dialect):
    arguments = ["--dialect", dialect, "--duration", 50]
    exported = call_json(capsys, "netlist", "tonic", *arguments, "--out", tmp_path / "d")
    assert exported["dialect"] == dialect
    assert call_json(capsys, "map", tmp_path / "d", "--out", tmp_path / "m")["digest"] == exported["design_digest"]
    again = call_json(capsys, "netlist", tmp_path / "d", *arguments, "--out", tmp_path / "e")
    assert again["design_digest"] == exported["design_digest"]
    one, other = (Path(each["decks"][0]).read_text() for each in (exported, again))
    assert one == other
    table = tmp_path / "d" / "codes.csv"
    table.write_text(table.read_text().replace("0,leak,bias,", "0,leak,bias,9"))
    code, out, err = call(capsys, "map", tmp_path / "d", "--out", tmp_path / "m")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.search(r"d/codes\.csv:\d+: neuron 0 'leak' 'bias': code is 9\d+; the converter has 0 to 255", err)


def test_converters_of_transistors_hold_the_same_codes(capsys, tmp_path):
    arguments = ["netlist", "tonic", "--duration", 50]
    ideal, drawn = (
        call_json(capsys, *arguments, "--converters", each, "--out", tmp_path / each)
        for each in ("ideal", "transistor")
    )
    assert ideal["design_digest"] == drawn["design_digest"]
    known = load_design(tmp_path / "ideal" / "design.json")
    texts = [Path(each["decks"][0]).read_text() for each in (ideal, drawn)]
    assert [with_deck(known, text).digest for text in texts] == [known.digest] * 2
    assert re.findall(r"^\.subckt (\w*dac\w*)", texts[1], re.MULTILINE) == [
        "bias_dac", "offset_dac", "series_dac", "bias_dac_8", "split_bias_dac_8_12", "reference_dac",
    ]  # fmt: skip
    assert (
        "whatever the level: bias_dac, offset_dac, series_dac." in (tmp_path / "transistor" / "README.md").read_text()
    )


def test_a_deck_with_commands_in_it_is_refused(capsys, tmp_path):
    deck = tmp_path / "evil.cir"
    deck.write_text("* t\nV1 a 0 1\n.control\nshell id\n.endc\n.save v(a)\n.tran 1 1\n.end\n")
    code, _, err = call(capsys, "simulate", deck)
    assert code == 2
    assert ".control is not allowed" in err


@pytest.mark.slow
def test_montecarlo_of_a_neuron_counts_every_chip(capsys, tmp_path):
    drawn = call_json(
        capsys, "montecarlo", "tonic", "--tier", "behavioural", "--samples", 4, "--seed", 3, "--duration", 600,
        "--keep", "csv", "--out", tmp_path / "m",
    )  # fmt: skip
    assert drawn["n_ok"] + drawn["n_failed"] == 4
    assert 0.0 <= drawn["yield"]["low"] <= drawn["yield"]["value"] <= drawn["yield"]["high"] <= 1.0
    assert Path(drawn["table"]).is_file()
    assert len((tmp_path / "m" / "chips.csv").read_text().splitlines()) == 5


def test_presets_are_known_to_map(capsys, tmp_path):
    for name in preset_names():
        mapped = call_json(capsys, "map", name, "--out", tmp_path / f"{name}.json")
        assert mapped["neurons"] == 1


@pytest.mark.slow
def test_interrupting_a_training_keeps_the_best_network(tmp_path):
    soon = "from mtc_hw.model import descent; descent.SAVED = 0.5; from mtc_hw.cli import main; main()"
    flags = ["train", "--hidden", "8", "--iterations", "1000000", "--out", str(tmp_path), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", soon, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 240.0
        while not list(tmp_path.glob("*.safetensors")):  # the state, which is written now and then
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, err
    result = json.loads(out)
    assert result["interrupted"] is True
    assert Path(result["checkpoint"]).is_file()


@pytest.mark.slow
def test_a_calibration_gives_its_codes_to_its_own_design_only(capsys, tmp_path):
    record = tmp_path / "chip.json"
    done = call_json(capsys, "calibrate", "tonic", "--seed", 4, "--out", record)
    assert done["calibrated"] == done["neurons"] == 1
    arguments = ["--level", "transistor", "--duration", 100, "--seed", 4]
    plain = call_json(capsys, "netlist", "tonic", *arguments, "--out", tmp_path / "a")
    trimmed = call_json(capsys, "netlist", "tonic", *arguments, "--record", record, "--out", tmp_path / "b")
    assert plain["design_digest"] != trimmed["design_digest"]
    code, _, err = call(capsys, "netlist", "bursting", *arguments, "--record", record, "--out", tmp_path / "c")
    assert code == 2
    assert "this calibration, plan dc, does not fit: it is of network" in err


@pytest.mark.slow
def test_ctrl_c_during_simulation_ends_soon_and_leaves_nothing_running(tmp_path):
    command = [sys.executable, "-m", "mtc_hw", "montecarlo", "bursting", "--tier", "transistor", "--samples", "50"]
    process = subprocess.Popen(
        [*command, "--duration", "20000", "--out", str(tmp_path / "m")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    time.sleep(8.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in err
    assert "Traceback" not in err
    assert list(tmp_path.glob("mtc_hw_*")) == []


def test_many_chips_are_calibrated_into_a_folder(capsys, tmp_path):
    arguments = ["calibrate", "tonic", "--size", 2, "--level", "ode", "--duration", 600, "--samples-from", 3]
    done = call_json(capsys, *arguments, "--chips", 2, "--trim-bits", 5, "--out", tmp_path / "c")
    assert (done["n_ok"], done["n_failed"], done["provenance"]["trim_bits"]) == (2, 0, 5)
    assert Path(done["report"]) == tmp_path / "c" / "report.html"
    assert sorted(path.name[:7] for path in (tmp_path / "c" / "records").iterdir()) == ["chip-3-", "chip-4-"]
    again = call_json(capsys, *arguments, "--chips", 2, "--trim-bits", 5, "--out", tmp_path / "c")
    assert (again["calibrated"], again["table_digest"]) == (0, done["table_digest"])
    code, out, err = call(capsys, *arguments, "--chips", 1, "--plan", "missing", "--out", tmp_path / "d")
    assert (code, out) == (2, "")
    assert "shipped plans" in err
