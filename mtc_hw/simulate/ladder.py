"""A run that does not converge is tried again: a bounded ladder, whose rung the outcome records."""

from collections.abc import Callable
from dataclasses import replace

from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.retry import RUNGS, on_rung
from mtc_hw.simulate.outcome import Outcome

RETRIED = ("operating point", "timestep", "truncated")


def climb(deck: Deck, run: Callable[[Deck], Outcome]) -> Outcome:
    """The deck as it is, then on each rung until it converges: the last try's outcome, with the time of all."""
    outcome = run(deck)
    for rung in RUNGS:
        if outcome.status not in RETRIED:
            break
        tried = run(on_rung(deck, rung))
        seconds = outcome.seconds + tried.seconds
        outcome = replace(tried, deck=deck.name, digest=deck.digest, rung=rung, seconds=seconds)
    return outcome
