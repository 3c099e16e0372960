import numpy as np
import pytest

from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate.outcome import judge
from mtc_hw.simulate.waveforms import Waveforms

DECK = Deck("run", "* text\n", ("v(a)", "V(B)"), 2.0)


def waves(end: float = 2.0, **changed) -> Waveforms:
    axis = np.linspace(0.0, end, 5)
    return Waveforms(axis, {"time": axis, "v(a)": np.ones(5), "v(b)": np.zeros(5)} | changed)


def verdict(waveforms, log: str = "") -> tuple[str, str]:
    outcome = judge(DECK, waveforms, log, 0.5, "ngspice")
    assert outcome.ok == (outcome.status == "ok")
    assert (outcome.waveforms is not None) == outcome.ok
    assert (outcome.deck, outcome.digest, outcome.seconds) == ("run", DECK.digest, 0.5)
    return outcome.status, outcome.reason


@pytest.mark.parametrize("log", ["", "Warning: v(a) error", "Note: gmin stepping failed", "unknown subckt mentioned"])
def test_a_run_with_every_vector_to_the_end_counts_whatever_the_log_says(log):
    assert verdict(waves(), log) == ("ok", "")


def test_no_data_is_a_broken_netlist_and_says_what_ngspice_said():
    assert verdict(None, "Note\nError: unknown subckt: x1 a b nothing\nmore") == (
        "netlist",
        "Error: unknown subckt: x1 a b nothing",
    )
    assert verdict(None, "first\nlast \n\n") == ("netlist", "last")
    assert verdict(None) == ("netlist", "ngspice gave no data")
    assert verdict(waves(**{"time": np.empty(0)}) and Waveforms(np.empty(0), {})) == (
        "netlist",
        "ngspice gave no data",
    )


def test_no_data_after_an_abort_is_a_lack_of_convergence():
    assert verdict(None, "Warning: singular\nTimestep too small; time = 0") == (
        "convergence",
        "Timestep too small; time = 0",
    )


def test_a_run_that_ends_early_says_where():
    assert verdict(waves(1.5)) == ("truncated", "stopped at 1.5 of 2")
    assert verdict(waves(1.5), "doAnalyses: TRAN:  Timestep too small") == (
        "convergence",
        "stopped at 1.5 of 2: doAnalyses: TRAN:  Timestep too small",
    )


def test_a_vector_that_was_asked_for_must_be_there():
    less = Waveforms(waves().axis, {"v(a)": np.ones(5)})
    assert verdict(less) == ("missing", "no V(B) in the result")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_every_vector_that_was_asked_for_must_be_finite(value):
    assert verdict(waves(**{"v(b)": np.array([0, 0, value, 0, 0])})) == ("not finite", "V(B) is not finite at 1")


def test_a_sweep_has_no_end_to_reach():
    outcome = judge(Deck("sweep", "", ("v(a)",), None), waves(0.1), "", 0.0, "ngspice")
    assert outcome.ok
