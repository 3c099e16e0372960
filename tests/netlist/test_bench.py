import dataclasses

import numpy as np
import pytest

from mtc_hw.hardware.design import BRANCHES, LEAK, as_spec, branch_constant
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.bench import FILTER_CLAMP, sweep_deck
from mtc_hw.spec import SIGNS


@pytest.fixture(scope="module")
def swept(mapped, network, runner):
    """A mismatched chip's design and the bench sweeps of its four neurons, behavioural."""
    chip = perturb(mapped(network, bits=8), 2, 0)
    outcomes = runner([sweep_deck(chip, i, "behavioural", -4.0, 4.0, 0.1) for i in range(chip.count)])
    return chip, [outcome.waveforms for outcome in outcomes]


@pytest.mark.parametrize("neuron", range(4))
def test_every_branch_gives_the_current_of_its_equation(swept, neuron):
    chip, waveforms = swept
    model, scale = as_spec(chip).neurons, chip.scale
    x = (waveforms[neuron].axis - chip.technology.analog_ground) / scale.volt
    for branch in np.flatnonzero(chip.present[:, neuron]):
        got = waveforms[neuron][f"i(vo_{BRANCHES[branch]})"] / scale.amp
        if branch < LEAK:
            expected = SIGNS[branch] * model.alpha[branch, neuron] * np.tanh(x - model.delta[branch, neuron])
            expected = expected + branch_constant(chip)[branch, neuron] / scale.amp
        elif branch == LEAK:
            expected = -model.leak[neuron] * model.leak_curve(x - model.rest[neuron])
        else:
            row = branch - LEAK - 1
            size = (1.0, 1.0, 2.0)[row] / model.tau[row, neuron]
            expected = size * model.filter_curve(x - FILTER_CLAMP + model.offset[row, neuron])
        assert got == pytest.approx(expected, rel=1e-4, abs=1e-7), BRANCHES[branch]


def test_the_sweep_covers_the_range_asked_for(swept):
    chip, waveforms = swept
    x = (waveforms[0].axis - chip.technology.analog_ground) / chip.scale.volt
    assert x == pytest.approx(np.linspace(-4.0, 4.0, 81), abs=1e-9)


def test_a_bench_deck_is_named_and_stamped(mapped, network):
    design = mapped(network)
    deck = sweep_deck(design, 3, "transistor", -1.0, 1.0, 0.5)
    assert deck.name == "bench_3"
    assert deck.end == pytest.approx(design.technology.analog_ground + 0.75 * design.scale.volt)
    assert deck.text.splitlines()[1].endswith(f"level transistor, technology generic, design {design.digest[:16]}")


def test_what_an_ota_does_on_the_bench_does_not_depend_on_the_others(mapped, network, runner):
    design = mapped(network)
    present = design.present.copy()
    present[2:4] = False
    present[LEAK + 3] = False
    fewer = dataclasses.replace(design, present=present)
    whole, part = (
        o.waveforms for o in runner([sweep_deck(d, 1, "transistor", -3, 3, 0.25) for d in (design, fewer)])
    )
    for name in ("fast_negative", "slow_positive", "leak", "slow_filter"):
        assert part[f"i(vo_{name})"] == pytest.approx(whole[f"i(vo_{name})"], rel=1e-4, abs=1e-14)
