import dataclasses
import re
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw import __version__
from mtc_hw.errors import DeckError
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.lint import lint
from mtc_hw.netlist.render import EDGE, Series, network_deck, neuron_deck
from mtc_hw.netlist.solver import NETWORK, TRANSISTOR, Solver
from mtc_hw.neuron_file import Initial, Stimulus
from mtc_hw.simulate.ngspice import executable, read_raw
from mtc_hw.spec import ModelSpec

LEVELS = ["behavioural", "transistor"]
HOLD = Stimulus(((0.0, -0.5),))
SERIES = Series(np.array([[0.0, 1.0], [0.5, -1.0], [-0.3, 0.2], [0.1, 0.1]]), 4.0)


def deck_of(design, level="behavioural", index=0, stimulus=HOLD, duration=10.0, **solver):
    return neuron_deck(design, index, level, stimulus, duration, Initial(), dataclasses.replace(NETWORK, **solver))


@pytest.mark.parametrize("level", LEVELS)
def test_the_same_design_gives_the_same_text(mapped, network, level):
    one, other = (deck_of(mapped(network, bits=8), level) for _ in range(2))
    assert one == other
    assert one.digest == other.digest


@pytest.mark.parametrize("level", LEVELS)
def test_a_changed_code_changes_the_digest(mapped, network, level):
    design = mapped(network, bits=8)
    codes = design.bias_code.copy()
    codes[0, 0] += 1.0
    assert deck_of(dataclasses.replace(design, bias_code=codes), level).digest != deck_of(design, level).digest


@pytest.mark.parametrize("level", LEVELS)
def test_the_header_says_what_made_the_deck_from_what(mapped, network, level):
    design = mapped(network)
    title, made_by = deck_of(design, level, index=2).text.splitlines()[:2]
    assert title == "* neuron_2: 1 multi-timescale conductance neuron"
    assert made_by == (
        f"* made by mtc_hw {__version__}, level {level}, technology generic, design {design.digest[:16]}"
    )


def test_a_virtual_chip_names_its_seed_and_sample(mapped, network):
    assert "* virtual chip: seed 5, sample 9\n" in deck_of(perturb(mapped(network), 5, 9)).text
    assert "virtual chip: " not in deck_of(mapped(network)).text


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("bits", [None, 8])
def test_every_deck_passes_the_lint(mapped, network, level, bits):
    design = perturb(mapped(network, bits=bits), 1, 1)
    for index in range(design.count):
        lint(deck_of(design, level, index, SERIES).text)
    lint(network_deck(design, level, SERIES, 10.0, Initial(), NETWORK).text)


def test_a_deck_prints_codes_and_steps_and_leaves_the_product_to_spice(mapped, network):
    design = mapped(network, bits=8)
    text = deck_of(design).text
    code = int(design.bias_code[0, 0])
    assert f"Xfast_negative_bias b_fast_negative vdd bias_dac code={code} lsb={design.bias_dac.lsb!r}\n" in text


def test_only_the_otas_a_neuron_has_are_drawn(mapped, network):
    text = deck_of(mapped(network), index=0).text
    assert "Xslow_negative " not in text and "Xultraslow_filter " not in text and "u_fast" not in text
    assert "Xfast_filter " in deck_of(mapped(network), index=1).text


def test_wanted_vectors_are_the_states_and_the_supply_current(mapped, network):
    design = mapped(network)
    assert deck_of(design, index=1).wanted == (
        "v(v_1)",
        "v(u_fast_1)",
        "v(u_slow_1)",
        "v(u_ultraslow_1)",
        "i(vdd)",
    )
    whole = network_deck(design, "behavioural", SERIES, 10.0, Initial(), NETWORK)
    assert whole.wanted == ("v(v_0)", "v(v_1)", "v(v_2)", "v(v_3)", "v(y_0)", "v(y_1)", "i(vdd)")


def test_initial_states_are_volts_about_analog_ground(mapped, network):
    design = mapped(network)
    deck = neuron_deck(design, 1, "behavioural", HOLD, 10.0, Initial(-1.0, 0.5, 2.0), NETWORK)
    line = next(line for line in deck.text.splitlines() if line.startswith(".ic"))
    volts = [float(v) for v in re.findall(r"=(\S+)", line)]
    ground = design.technology.analog_ground
    assert np.array(volts) == pytest.approx(ground + design.scale.volt * np.array([-1.0, -1.0, 0.5, 2.0]))


def pwl_points(deck) -> np.ndarray:
    text = deck.text.replace("\n+ ", "")
    return np.array(re.search(r"pwl\((.*?)\)", text)[1].split(), dtype=float).reshape(-1, 2)


@given(
    gaps=st.lists(st.floats(0.1, 50.0), min_size=1, max_size=6),
    levels=st.lists(st.floats(-5, 5), min_size=7, max_size=7),
)
def test_a_stepped_stimulus_is_the_same_current_but_for_its_edges(mapped, network, gaps, levels):
    design = mapped(network)
    starts = np.concatenate([[0.0], np.cumsum(gaps)])
    stimulus = Stimulus(tuple((float(t), float(c)) for t, c in zip(starts, levels, strict=False)))
    duration = float(starts[-1] + 10.0)
    points = pwl_points(deck_of(design, stimulus=stimulus, duration=duration))
    assert (np.diff(points[:, 0]) > 0).all()
    for start, end, level in stimulus.holds(duration):
        at = np.linspace(start + 2 * EDGE, end - EDGE, 5) * design.scale.second
        assert np.interp(at, *points.T) == pytest.approx(level * design.scale.amp, rel=1e-9, abs=1e-18)


def test_a_held_current_is_a_dc_source(mapped, network):
    design = mapped(network)
    assert f"\nIin_0 0 v_0 dc {-0.5 * design.scale.amp!r}\n" in deck_of(design).text


def test_a_series_must_last_as_long_as_the_run(mapped, network):
    deck_of(mapped(network), stimulus=SERIES, duration=12.0)
    text = r"^12 tau_m of input for a run of 12\.5 tau_m; give a longer series or shorten the run$"
    with pytest.raises(DeckError, match=text):
        deck_of(mapped(network), stimulus=SERIES, duration=12.5)


def test_a_series_must_have_a_column_for_each_input(mapped, network):
    with pytest.raises(DeckError, match=r"^the series has 1 columns for a network of 2 inputs$"):
        deck_of(mapped(network), stimulus=Series(SERIES.values[:, :1], 4.0))


def test_a_series_with_a_hole_is_refused(mapped, network):
    with pytest.raises(DeckError, match=r"^a netlist value is nan; every value must be finite$"):
        deck_of(mapped(network), stimulus=Series(np.array([[0.0, 1.0], [np.nan, 1.0], [0.0, 0.0]]), 10.0))


def test_the_solver_s_options_are_printed_in_full():
    assert Solver(reltol=1e-5, itl4=77).options() == [
        "method=trap",
        "gmin=1e-16",
        "abstol=1e-16",
        "vntol=1e-08",
        "chgtol=1e-19",
        "reltol=1e-05",
        "trtol=1.0",
        "itl4=77",
    ]


@pytest.mark.parametrize("level", LEVELS)
def test_plain_ngspice_runs_the_deck_as_it_is(preset, runner, tmp_path, level):
    file, _, design = preset("tonic", bits=8)
    deck = neuron_deck(design, 0, level, file.stimulus, 60.0, file.initial, TRANSISTOR)
    (tmp_path / "deck.cir").write_text(deck.text)
    command = [executable(), "-b", "-r", "out.raw", "deck.cir"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    by_hand, ours = read_raw(tmp_path / "out.raw"), runner([deck])[0].waveforms
    assert by_hand.axis[-1] == pytest.approx(deck.end)
    assert by_hand["v(v_0)"][-1] == pytest.approx(ours["v(v_0)"][-1], abs=1e-5)


def test_a_stimulus_leaves_the_network_s_inputs_at_rest(mapped, network, runner):
    bare = dataclasses.replace(network, weights=np.zeros((4, 0)))
    with_inputs, without = (deck_of(mapped(s), duration=50.0) for s in (network, bare))
    one, other = (o.waveforms for o in runner([with_inputs, without]))
    grid = np.linspace(0.0, with_inputs.end, 100)
    both = [np.interp(grid, w.axis, w["v(v_0)"]) for w in (one, other)]
    assert both[0] == pytest.approx(both[1], abs=1e-4)


def test_a_design_without_readout_has_no_readout_in_its_network_deck(mapped, network):
    bare = ModelSpec(network.neurons, network.weights, network.bias)
    deck = network_deck(mapped(bare), "behavioural", SERIES, 10.0, Initial(), NETWORK)
    assert not [name for name in deck.wanted if name.startswith("v(y_")]
