"""Noise has the size that it is given, a budget ends where it says."""

import numpy as np
import pytest
from tanh_chip import EVERYTHING, TanhChip, bits, failed

from mtc_hw.calibration.noise import Budgeted, Noisy
from mtc_hw.calibration.observables import Curves, Firing, Request
from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import Stimulus


@pytest.fixture(scope="module")
def design(mapped, network):
    return mapped(network, bits=8)


CURVES = Request(curves=Curves(sweep=(-2.0, 2.0), outputs=(0.0,)))


def test_no_noise_changes_no_bit(design):
    chip = TanhChip(design, dead=(0,))
    assert bits(Noisy(chip, 0.0, 5).measure(design, EVERYTHING)) == bits(chip.measure(design, EVERYTHING))


def test_a_sequence_is_reproducible_and_every_measurement_draws_anew(design):
    runs = []
    for seed in (3, 3, 4):
        noisy = Noisy(TanhChip(design), 0.01, seed)
        runs.append([bits(noisy.measure(design, EVERYTHING)) for _ in range(3)])
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1] != runs[0][2] and runs[0][0] != runs[2][0]


def test_a_curve_s_noise_is_relative_to_its_full_scale(design):
    chip, noisy = TanhChip(design), Noisy(TanhChip(design), 0.01, 0)
    clean = chip.measure(design, CURVES).curves.current
    seen = np.stack([noisy.measure(design, CURVES).curves.current for _ in range(200)])
    scale = np.abs(clean).max(axis=1, keepdims=True)
    deviation = ((seen - clean) / scale)[:, np.isfinite(clean)]
    # The standard error of a deviation from n draws is its value over sqrt(2 n).
    assert abs(deviation.std() - 0.01) < 5 * 0.01 / np.sqrt(2 * deviation.size)
    assert abs(deviation.mean()) < 5 * 0.01 / np.sqrt(deviation.size)


def test_a_spike_s_jitter_is_relative_to_the_mean_interval(design):
    request = Request(firing=(Firing(Stimulus(((0.0, 0.0),)), 2000.0),))
    chip, noisy = TanhChip(design), Noisy(TanhChip(design), 0.02, 0)
    clean = chip.measure(design, request).spikes[0][0]
    seen = np.stack([noisy.measure(design, request).spikes[0][0] for _ in range(50)])
    moved = (seen - clean) / np.diff(clean).mean()
    assert abs(moved.std() - 0.02) < 5 * 0.02 / np.sqrt(2 * moved.size)
    assert (np.diff(seen) >= 0.0).all()


def test_noise_measures_nothing_that_could_not_be_measured(design):
    seen = Noisy(TanhChip(design, dead=(1,)), 0.01, 0).measure(design, EVERYTHING)
    assert seen.curves.complete(design).tolist() == [True, False, True, True]
    assert np.isnan(seen.spikes[0][1]).all() and np.isnan(seen.driven.features[:, 1]).all()


def test_the_network_s_answers_are_noisy_too(design):
    clean, seen = (each.measure(design, EVERYTHING) for each in (TanhChip(design), Noisy(TanhChip(design), 0.01, 0)))
    for one, other in (
        (clean.readout, seen.readout),
        (clean.driven.features, seen.driven.features),
        (clean.driven.prediction, seen.driven.prediction),
    ):
        assert (one != other).all() and np.abs(one - other).max() < 0.06 * np.abs(one).max()


@pytest.mark.parametrize("relative", [-0.1, np.nan, np.inf])
def test_noise_that_is_none_is_refused(design, relative):
    with pytest.raises(SpecError, match=rf"^noise of {relative}; give a number >= 0, relative to full scale$"):
        Noisy(TanhChip(design), relative, 0)


def test_a_negative_seed_is_refused(design):
    with pytest.raises(SpecError, match=r"^seed of the noise is -1; give an integer >= 0$"):
        Noisy(TanhChip(design), 0.1, -1)


def test_wrappers_name_what_they_are(design):
    noisy = Budgeted(Noisy(TanhChip(design), 0.01, 3), 40)
    assert noisy.identity == "tanh chip 1; noise 0.01, seed 3; at most 40 measurements a neuron"


def test_within_the_budget_nothing_changes(design):
    chip, budgeted = TanhChip(design), Budgeted(TanhChip(design), 1000)
    assert bits(budgeted.measure(design, EVERYTHING)) == bits(chip.measure(design, EVERYTHING))
    assert budgeted.spent.tolist() == EVERYTHING.cost(design).tolist() and budgeted.notes == ()


def test_what_exceeds_the_budget_is_nan_for_that_neuron_alone(design):
    cost = CURVES.cost(design)
    assert len(set(cost)) > 1
    budgeted = Budgeted(TanhChip(design), cost.min())
    seen = budgeted.measure(design, CURVES)
    assert seen.curves.complete(design).tolist() == (cost == cost.min()).tolist()
    assert budgeted.spent.tolist() == np.where(cost == cost.min(), cost, 0.0).tolist()
    dear = int(np.flatnonzero(cost > cost.min())[0])
    assert budgeted.notes[0] == (f"neuron {dear}: {cost[dear]:g} measurements refused, 0 of {cost.min():g} are spent")


def test_a_spent_budget_measures_nothing_but_what_is_free(design):
    chip = TanhChip(design)
    budgeted = Budgeted(chip, 0)
    assert failed(budgeted.measure(design, EVERYTHING)) == {"curves", "firing", "features", "prediction"}
    assert [request for _, request in chip.asked] == [Request(readout=True)]
    budgeted.measure(design, CURVES)
    assert len(chip.asked) == 1 and budgeted.spent.tolist() == [0.0] * 4


def test_a_negative_budget_is_refused(design):
    with pytest.raises(SpecError, match=r"^budget of -1 measurements; give a number >= 0$"):
        Budgeted(TanhChip(design), -1)
