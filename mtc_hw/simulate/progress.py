"""Decks done, failed and still to come, on the terminal while they run."""

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mtc_hw.netlist.deck import Deck
from mtc_hw.simulate.outcome import Outcome
from mtc_hw.simulate.pool import Done, Runner


def watched(run: Runner, label: str, shown: bool = True) -> Runner:
    """The runner with a bar on standard error for each batch; without one when that is no terminal."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        return run

    def watch(decks: Sequence[Deck], done: Done | None = None) -> list[Outcome]:
        text = TextColumn("{task.fields[failed]} failed")
        columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), text, TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task, failed = bar.add_task("", total=len(decks), failed=0), 0

            def count(outcome: Outcome) -> None:
                nonlocal failed
                failed += not outcome.ok
                bar.update(task, advance=1, failed=failed)
                if done is not None:
                    done(outcome)

            return run(decks, count)

    return watch
