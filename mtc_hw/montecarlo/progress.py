"""How far a run is: a bar on a terminal, lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mtc_hw.analysis.yields import clopper_pearson

EVERY = 5.0  # s between two lines


class Tally:
    """Chips done, failed and good so far."""

    def __init__(self, total: int, before: int = 0) -> None:
        self.total, self.done, self.failed, self.good = total, before, 0, 0
        self.judged = 0
        self._before = before
        self._start = time.monotonic()

    def add(self, failed: bool, good: bool) -> None:
        self.done += 1
        self.judged += 1
        self.failed += failed
        self.good += good

    @property
    def rate(self) -> float:
        """Chips a second since the start."""
        return (self.done - self._before) / max(time.monotonic() - self._start, 1e-9)

    def __str__(self) -> str:
        text = f"{self.failed} failed, {self.rate:.3g}/s"
        if not self.judged:
            return text
        y = clopper_pearson(self.good, self.judged)
        return f"{text}, yield {y.value:.2f} ({y.low:.2f} to {y.high:.2f})"


class Watcher:
    """Shows a tally while it changes."""

    def __init__(self, tally: Tally, console: Console, bar: Progress | None) -> None:
        self.tally, self._console, self._bar = tally, console, bar
        self._task = None if bar is None else bar.add_task("", total=tally.total, completed=tally.done, said="")
        self._said = time.monotonic()

    def show(self) -> None:
        tally = self.tally
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=tally.done, said=str(tally))
        elif time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            left = (tally.total - tally.done) / max(tally.rate, 1e-9)
            self._console.print(f"{tally.done} of {tally.total} chips, {tally}, {left:.0f} s left")


@contextmanager
def watching(tally: Tally, shown: bool) -> Iterator[Watcher]:
    """On standard error; nothing when not `shown`."""
    console = Console(stderr=True, quiet=not shown, highlight=False)
    if not (shown and console.is_terminal):
        yield Watcher(tally, console, None)
        return
    columns = (
        TextColumn("chips"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield Watcher(tally, console, bar)
