"""One neuron in software and in the circuit: the behavioural netlist is the equation, the transistors come close."""

import numpy as np
import pytest

from mtc_hw.hardware.technology import load_technology
from mtc_hw.neuron_file import load_neuron, preset_names
from mtc_hw.neuron_run import NeuronOptions, run_neuron

LONG = 15_000.0  # tau_m

MADE_UP = {
    "fast_spiker": ((2.2, 0.0), (2.4, 0.1), None, None, 0.0, 12.0, 500.0, [[0.0, -0.3]]),
    "slow_spiker": ((1.8, 0.1), (1.9, 0.0), None, None, 0.0, 120.0, 500.0, [[0.0, -0.4]]),
    "short_bursts": ((2.0, 0.0), (2.0, 0.0), (1.5, -0.9), (1.5, -0.9), 0.0, 20.0, 400.0, [[0.0, -1.0]]),
    "long_bursts": ((2.0, 0.0), (2.0, 0.0), (1.6, -1.5), (1.4, -1.5), 0.0, 40.0, 4000.0, [[0.0, -1.4]]),
    "strong": ((3.0, 0.0), (3.2, 0.0), (0.5, -1.0), (0.8, -1.2), 0.0, 30.0, 900.0, [[0.0, -0.5]]),
    "stepped": ((2.0, 0.0), (2.0, 0.0), None, None, 0.0, 50.0, 500.0, [[0.0, -2.0], [500.0, -0.6], [9000.0, 0.2]]),
    "released": (
        (2.0, 0.0),
        (2.0, 0.0),
        (1.5, -1.5),
        (1.5, -1.5),
        0.0,
        50.0,
        2500.0,
        [[0.0, -1.2], [4e3, -3], [7e3, -1.8]],
    ),
    "adapting_slowly": ((2.0, 0.0), (2.0, 0.0), None, (0.6, -1.5), 0.0, 45.0, 3000.0, [[0.0, -0.2]]),
    "lagging_fast": ((2.4, 0.0), (2.2, 0.0), None, None, 1.0, 50.0, 500.0, [[0.0, -0.4]]),
    "offset_rest": ((2.1, -0.2), (2.3, -0.3), (0.9, -1.8), (1.1, -1.6), 0.0, 60.0, 1800.0, [[0.0, -1.1]]),
}  # fast-, slow+, slow-, ultraslow+ as (alpha, delta); tau fast, slow, ultraslow; steps


def toml(name: str) -> str:
    *elements, fast, slow, ultraslow, steps = MADE_UP[name]
    names = ("fast_negative", "slow_positive", "slow_negative", "ultraslow_positive")
    rows = [f"{n} = {{ alpha = {e[0]}, delta = {e[1]} }}" for n, e in zip(names, elements, strict=True) if e]
    times = f"[timescales]\nfast = {fast}\nslow = {slow}\nultraslow = {ultraslow}"
    return "\n".join(
        [
            f'name = "{name}"',
            "[elements]",
            *rows,
            times,
            "[stimulus]",
            f"steps = {[list(map(float, s)) for s in steps]}",
        ]
    )


def assert_equal_spikes(result):
    assert result.outcome.ok, result.outcome.reason
    assert len(result.circuit_spikes) == len(result.software_spikes)
    assert result.circuit_spikes == pytest.approx(result.software_spikes, abs=1.0)
    assert result.circuit_regime == result.software_regime


@pytest.mark.slow
@pytest.mark.parametrize("name", preset_names())
def test_a_behavioural_preset_spikes_as_the_equation_does(name, runner):
    result = run_neuron(load_neuron(name), load_technology("generic"), NeuronOptions(duration=LONG), runner)
    assert_equal_spikes(result)
    assert result.software_regime == name


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE_UP)
def test_a_behavioural_neuron_of_ones_own_spikes_as_the_equation_does(name, runner, tmp_path):
    file = tmp_path / f"{name}.toml"
    file.write_text(toml(name))
    result = run_neuron(load_neuron(file), load_technology("generic"), NeuronOptions(duration=LONG), runner)
    assert_equal_spikes(result)


@pytest.mark.slow
def test_transistors_fire_tonically_within_five_percent(runner):
    options = NeuronOptions(level="transistor", duration=3000.0)
    result = run_neuron(load_neuron("tonic"), load_technology("generic"), options, runner)
    software, circuit = (np.median(np.diff(s)) for s in (result.software_spikes, result.circuit_spikes))
    assert circuit == pytest.approx(software, rel=0.05)


@pytest.mark.slow
def test_transistors_burst_like_the_ideal_neuron(runner):
    options = NeuronOptions(level="transistor", duration=8000.0)
    result = run_neuron(load_neuron("bursting"), load_technology("generic"), options, runner)
    assert result.circuit_regime == "bursting"
    assert abs(result.comparison.differences.intra_interval) < 0.08
    ideal, real = result.comparison.reference_bursts, result.comparison.test_bursts
    assert real.spikes_per_burst == pytest.approx(ideal.spikes_per_burst, abs=2.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", preset_names())
def test_transistors_show_every_preset_s_regime(name, runner):
    options = NeuronOptions(level="transistor", duration=6000.0)
    result = run_neuron(load_neuron(name), load_technology("generic"), options, runner)
    assert result.circuit_regime == name


def test_the_level_of_cells_needs_no_circuit():
    def refuse(decks):
        raise AssertionError("a deck was run")

    options = NeuronOptions(level="cells", duration=600.0)
    result = run_neuron(load_neuron("tonic"), load_technology("generic"), options, refuse)
    assert result.circuit is None and result.outcome is None and result.deck is None
    assert result.cells_regime == result.software_regime == "tonic"
    values = result.to_json(None)
    assert values["deck"] is values["deck_digest"] is values["comparison_cells"] is None
    assert values["cells"]["spike_times"] == result.cells_spikes.tolist()
    assert values["comparison"]["test_count"] == len(result.cells_spikes)
    interval = np.median(np.diff(result.cells_spikes)) / np.median(np.diff(result.software_spikes))
    assert 0.9 < interval < 0.99  # untrimmed cells fire faster


@pytest.mark.slow
def test_transistors_are_compared_with_their_cells(runner):
    options = NeuronOptions(level="transistor", duration=600.0)
    result = run_neuron(load_neuron("tonic"), load_technology("generic"), options, runner)
    values = result.to_json(None)
    assert values["comparison_cells"]["paired"] and values["comparison_cells"]["worst_error"] < 5.0  # of 600 tau_m
