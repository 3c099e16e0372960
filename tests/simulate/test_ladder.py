import dataclasses

import numpy as np
import pytest

from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.retry import on_rung
from mtc_hw.simulate.ladder import RETRIED, climb
from mtc_hw.simulate.outcome import Loss
from mtc_hw.simulate.pool import Workers, command_runner, open_workers

END = 5e-3


def trigger(gain: str, feedback: str, lag: str, reltol: str) -> Deck:
    """A Schmitt trigger that switches within a femtosecond: ngspice's step may go to nothing."""
    text = f"""* Schmitt trigger
Vin in 0 sin(0 1 1000)
B1 x 0 v=tanh({gain}*(v(in)+{feedback}*v(y)))
R2 x y 1
C2 y 0 {lag}
R1 x out 1k
C1 out 0 1e-9
.options method=trap reltol={reltol}
.save v(out)
.tran 1e-05 5e-3 0 1e-05
.end
"""
    return Deck("trigger", text, ("v(out)",), END)


DECKS = {
    0: trigger("1e+02", "0.5", "1e-09", "1e-06"),
    1: trigger("8e+03", "0.35", "2e-15", "7e-10"),
    2: trigger("6e+02", "0.32", "1e-15", "6e-09"),
}
NEVER = trigger("3e+02", "0.75", "4e-16", "7e-08")
NEVER = dataclasses.replace(
    NEVER, text=NEVER.text.replace("R1 x", "B9 0 z i=v(z)^3+1\nC9 z 0 1e-6\nR9 z 0 1k\n.ic v(z)=0\nR1 x")
)


@pytest.fixture(scope="module", params=["pyspice", "ngspice", "command"])
def run(request):
    if request.param == "command":
        yield command_runner(Workers(timeout=30.0))
        return
    with open_workers(Workers(driver=request.param, jobs=1, timeout=30.0)) as pool:
        yield pool


@pytest.mark.parametrize("rung", DECKS)
def test_the_rung_that_converged_is_recorded(run, rung):
    deck = DECKS[rung]
    outcome = run([deck])[0]
    assert outcome.ok, outcome.reason
    assert (outcome.rung, outcome.deck, outcome.digest) == (rung, "trigger", deck.digest)
    assert outcome.waveforms.axis[-1] == pytest.approx(END)
    # It switches between the supplies once every half period.
    assert np.abs(outcome.waveforms["v(out)"]).max() == pytest.approx(1.0, abs=0.01)


def test_the_result_is_that_of_the_rung_s_own_deck(run):
    retried, own = run([DECKS[2], on_rung(DECKS[2], 2)])
    assert (retried.rung, own.rung) == (2, 0)
    assert np.array_equal(retried.waveforms["v(out)"], own.waveforms["v(out)"])


def test_a_deck_that_never_converges_ends_on_the_last_rung(run):
    outcome = run([NEVER])[0]
    assert (outcome.status, outcome.rung, outcome.node) == ("timestep", 2, "z")
    assert 0.0 < outcome.time < END
    assert outcome.waveforms is None


@pytest.mark.parametrize(
    "status", ["ok", "syntax", "missing model", "missing vector", "not finite", "timeout", "killed"]
)
def test_only_a_lack_of_convergence_is_retried(status):
    tried = []

    def once(deck: Deck):
        tried.append(deck)
        return Loss(status, "", 1.0).of(deck, "ngspice")

    outcome = climb(DECKS[0], once)
    assert tried == [DECKS[0]]
    assert (outcome.status, outcome.rung, outcome.seconds) == (status, 0, 1.0)


@pytest.mark.parametrize("status", RETRIED)
def test_the_ladder_ends_and_counts_all_of_its_time(status):
    tried = []

    def fail(deck: Deck):
        tried.append(deck.name)
        return Loss(status, "", 1.0).of(deck, "ngspice")

    outcome = climb(DECKS[0], fail)
    assert tried == ["trigger", "trigger at rung 1", "trigger at rung 2"]
    assert (outcome.rung, outcome.seconds, outcome.digest) == (2, 3.0, DECKS[0].digest)


def test_a_fault_on_a_rung_ends_the_ladder():
    statuses = iter(["timestep", "killed"])
    outcome = climb(DECKS[0], lambda deck: Loss(next(statuses), "", 1.0).of(deck, "ngspice"))
    assert (outcome.status, outcome.rung) == ("killed", 1)
