"""`mtc-hw excitability`: its files, its JSON, its one-line refusals; and its figures."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mtc_hw.analysis.excitability import classify_excitability
from mtc_hw.analysis.regime_map import PARAMETERS, Axis, parse_axis, regime_map
from mtc_hw.analysis.shape import Wish
from mtc_hw.cli import main
from mtc_hw.errors import DataError
from mtc_hw.excitability_plots import REGIMES, axis_label, boundaries, edges, iv_figure, map_figure, region_labels
from mtc_hw.excitability_run import examine_neuron, parse_axes, subject_of, summary
from mtc_hw.hardware.design_file import save_design
from mtc_hw.neuron_file import load_neuron

SHORT = ["--points", "5", "--duration", "400"]


def call(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["excitability", *[str(each) for each in arguments]])
    seen = capsys.readouterr()
    return int(stopped.value.code or 0), seen.out, seen.err


def call_json(capsys, *arguments):
    code, out, err = call(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_a_preset_gets_its_kind_its_figures_and_a_map(capsys, tmp_path):
    axes = ["--map", "current:-1.5:1.5:4", "--map", "tau.slow:20:60:3"]
    found = call_json(capsys, "tonic", *axes, *SHORT, "--out", tmp_path / "o")
    assert found["kind"] == "spiking"
    assert found["windows"]["fast"][0]["low"] == pytest.approx(-0.881, abs=1e-3)
    assert found["windows"]["slow"] == []
    assert found["onset"]["current"] == pytest.approx(-0.867, abs=1e-3)
    assert len(found["fi"]["current"]) == len(found["fi"]["from_rest"]["rate"]) == 5
    assert np.shape(found["map"]["regime"]) == (3, 4)
    assert set(found["files"]) == {"iv.png", "fi.png", "map.png"}
    for name, path in found["files"].items():
        assert Path(path).name == name
        assert Path(path).read_bytes().startswith(b"\x89PNG")


def test_a_shaped_neuron_s_file_is_written_and_can_be_given_back(capsys, tmp_path):
    shaped = call_json(capsys, "--shape", "bistable", *SHORT, "--out", tmp_path)
    assert shaped["shape"]["regime"] == "bistable"
    assert shaped["kind"] == "bistable"
    again = call_json(capsys, shaped["files"]["bistable.toml"], *SHORT, "--out", tmp_path)
    assert (again["reasons"], again["shape"]) == (shaped["reasons"], None)
    assert again["fi"] == shaped["fi"]


def test_a_network_s_neuron_is_taken_at_its_bias_and_the_kinds_are_counted(capsys, tmp_path):
    found = call_json(capsys, "mackey-glass-fast", "--neuron", 3, *SHORT, "--out", tmp_path)
    assert found["name"] == "neuron_3"
    assert sum(found["kinds"].values()) == 64


def test_a_mapped_design_is_of_its_neuron_s_kind(preset, tmp_path):
    _, _, design = preset("bursting", bits=8)
    save_design(design, tmp_path / "design.json")
    neurons = subject_of(str(tmp_path / "design.json"), None, None, Wish()).neuron.neurons
    assert neurons.alpha[2, 0] != 1.5, "the codes, not the file, are looked at"
    assert classify_excitability(neurons)[0].kind == "bursting"


def test_one_line_tells_what_matters(capsys, tmp_path):
    code, out, _ = call(capsys, "tonic", *SHORT, "--out", tmp_path)
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("tonic is spiking; rest ends at -0.867 I_u, type II; it fires: tonic; ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "there is no neuron; give a preset"),
        (["tonic", "--shape", "tonic"], "--shape tonic makes a neuron; leave out tonic, or --shape"),
        (["--neuron", "1", "--shape", "tonic"], "leave out --neuron, or --shape"),
        (["tonic", "--interval", "5"], "--interval is a wish for --shape; leave it out"),
        (["--shape", "spiky"], "'spiky' is no regime to shape; there are: tonic"),
        (["--shape", "tonic", "--interval", "-5"], "the wished interval is -5; it must be > 0"),
        (["missing"], "'missing' is no preset"),
        (["tonic", "--neuron", "2"], "tonic holds one neuron, so there is no neuron 2"),
        (["mackey-glass-fast", "--neuron", "64"], "has no neuron 64; give one from 0 to 63"),
        (["tonic", "--map", "tau.slow:1:2:3"], "a map has two axes, not 1"),
        (["tonic", "--map", "tau.slw:1:2:3", "--map", "current:0:1:2"], "did you mean tau.slow?"),
        (["tonic", "--map", "tau.slow:2:1:3", "--map", "current:0:1:2"], "runs from 2 to 1"),
        (["tonic", "--map", "current:0:1:2", "--map", "current:0:1:2"], "both axes are current"),
        (["tonic", "--duration", "0"], "duration is 0.0; it must be finite and > 0"),
        (["tonic", "--duration", "nan"], "duration is nan"),
        (["tonic", "--current", "nan"], "must be a finite number"),
        (["tonic", "--points", "1"], "greater than or equal to 2"),
    ],
)
def test_bad_input_is_one_line_and_exit_2_and_writes_nothing(capsys, monkeypatch, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_map_is_drawn_with_its_units_and_only_the_regimes_that_occur():
    found = regime_map(load_neuron("tonic"), parse_axis("current:-1.6:1.6:5"), parse_axis("tau.slow:20:60:3"))
    figure = map_figure(found)
    assert figure.axes[0].get_xlabel() == "input current (unit currents)"
    assert figure.axes[0].get_ylabel() == "tau of slow (membrane time constants)"
    texts = [each.get_text() for each in figure.legends[0].get_texts()]
    assert {each.replace(" ", "_") for each in texts} & set(REGIMES) == set(found.regime.ravel().tolist())


def test_every_regime_has_a_colour_that_stands_out_from_every_other():
    colours = np.array([to_rgb(each) for each in REGIMES.values()])
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=2) + np.eye(len(colours))
    assert distance.min() > 0.2


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_each_axis_names_its_unit(parameter):
    assert axis_label(Axis(parameter, np.array([1.0, 2.0]))).endswith(")")


def test_cells_reach_halfway_to_their_neighbours():
    assert edges(np.array([1.0, 2.0, 4.0])).tolist() == [0.5, 1.5, 3.0, 5.0]


def test_borders_run_between_unlike_cells_only():
    labels = np.array([["a", "a", "b"], ["a", "a", "b"]])
    upright, level = boundaries(labels, np.arange(4.0), np.arange(3.0))
    assert upright[0][:2].tolist() == [2.0, 2.0]
    assert np.isfinite(upright[0]).sum() == 4
    assert level[0].size == 0
    assert boundaries(np.full((2, 2), "a"), np.arange(3.0), np.arange(3.0))[0][0].size == 0


def test_a_region_is_named_inside_itself_and_a_sliver_is_not():
    labels = np.full((9, 9), "rest", dtype="<U12")
    labels[:, 5:] = "rest+fires"
    labels[0, 0] = "block"
    named = {text: (column, row) for column, row, text in region_labels(labels)}
    assert set(named) == {"rest", "rest or fires"}
    for text, (column, row) in named.items():
        assert labels[row, column] == text.replace(" or ", "+")


def test_without_stimulus_or_knees_a_curve_is_still_drawn():
    silent = load_neuron("silent").neurons
    figure = iv_figure(silent, [])
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "fast: N-shaped",
        "slow: monotone",
        "ultraslow: monotone",
    ]


def test_two_axes_or_none():
    assert parse_axes([]) is None
    with pytest.raises(DataError, match="not 3; give --map parameter:low:high:points twice"):
        parse_axes(["current:0:1:2"] * 3)


def test_a_neuron_that_never_fires_is_told_so():
    subject = subject_of("tonic", None, None, Wish())
    assert "from rest it never fires on" in summary(examine_neuron(subject, None, 2, 400.0))
