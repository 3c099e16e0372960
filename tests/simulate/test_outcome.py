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
    outcome = judge(DECK, waveforms, log, 0.5, "ngspice", 1 << 30)
    assert outcome.ok == (outcome.status == "ok")
    assert (outcome.waveforms is not None) == outcome.ok
    assert (outcome.deck, outcome.digest, outcome.seconds) == ("run", DECK.digest, 0.5)
    return outcome.status, outcome.reason


@pytest.mark.parametrize("log", ["", "Warning: v(a) error", "Note: gmin stepping failed", "unknown subckt mentioned"])
def test_a_run_with_every_vector_to_the_end_counts_whatever_the_log_says(log):
    assert verdict(waves(), log) == ("ok", "")


LOGS = {
    "undefined subcircuit": (
        "Error: unknown subckt: x1 a b nothing\nmore",
        "missing model",
        "unknown subckt: x1 a b nothing",
    ),
    "undefined model": (
        "warning, can't find model 'n' from line\nError on line 4",
        "missing model",
        "can't find model 'n'",
    ),
    "undefined parameter": ("Undefined parameter [gone]\nCannot compute", "syntax", "Undefined parameter [gone]"),
    "expression": ("PTerror: syntax error, parsing stopped at\nError on line 4", "syntax", "PTerror: syntax error"),
    "operating point": ("Transient op failed, timestep too small\naborted", "operating point", "Transient op failed"),
    "step": ("TRAN:  Timestep too small; time = 1e-3\nrun simulation(s) aborted", "timestep", "Timestep too small"),
    "memory": (
        "malloc: Internal Error: can't allocate 8 bytes.",
        "killed",
        "out of memory, the limit is 1 GiB: malloc",
    ),
    "nothing known": ("first\nlast \n\n", "syntax", "last"),
    "nothing": ("", "syntax", "ngspice gave no data"),
}


@pytest.mark.parametrize("said", LOGS)
@pytest.mark.parametrize("waveforms", [None, Waveforms(np.empty(0), {})])
def test_without_data_the_class_is_what_ngspice_said(said, waveforms):
    log, status, reason = LOGS[said]
    found = verdict(waveforms, log)
    assert found[0] == status
    assert reason in found[1]


def test_a_run_that_ends_early_says_where():
    assert verdict(waves(1.5)) == ("truncated", "stopped at 1.5 of 2")
    assert verdict(waves(1.5), "doAnalyses: TRAN:  Timestep too small") == (
        "timestep",
        "doAnalyses: TRAN:  Timestep too small",
    )


@pytest.mark.parametrize(
    ("log", "node", "time"),
    [
        ('TRAN:  Timestep too small; time = 1.25e-4, timestep = 0: trouble with node "v_0"', "v_0", 1.25e-4),
        (
            "Warning: singular matrix: check node a#b\nTimestep too small; initial timepoint: cause unrecorded.",
            "a#b",
            0.0,
        ),
        ("TRAN:  Timestep too small", None, 1.5),
    ],
)
def test_a_failure_names_its_node_and_its_time(log, node, time):
    outcome = judge(DECK, waves(1.5), log, 0.5, "ngspice", 1 << 30)
    assert (outcome.node, outcome.time) == (node, time)


def test_a_good_run_has_neither_node_nor_time_of_failure():
    outcome = judge(DECK, waves(), "Warning: singular matrix:  check node x", 0.5, "ngspice", 1 << 30)
    assert (outcome.node, outcome.time, outcome.rung) == (None, None, 0)


def test_a_vector_that_was_asked_for_must_be_there():
    less = Waveforms(waves().axis, {"v(a)": np.ones(5)})
    assert verdict(less) == ("missing vector", "no V(B) in the result")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_every_vector_that_was_asked_for_must_be_finite(value):
    assert verdict(waves(**{"v(b)": np.array([0, 0, value, 0, 0])})) == ("not finite", "V(B) is not finite at 1")


def test_a_sweep_has_no_end_to_reach():
    outcome = judge(Deck("sweep", "", ("v(a)",), None), waves(0.1), "", 0.0, "ngspice", 1 << 30)
    assert outcome.ok
