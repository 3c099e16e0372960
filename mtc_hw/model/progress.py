"""A line on the terminal while a network trains."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress


class Progress:
    """Bar with loss, R2, sparsity and the time left, on stderr; silent unless `shown` and stderr is a terminal."""

    def __init__(self, total: int, shown: bool = True) -> None:
        console = Console(stderr=True)
        text = TextColumn(
            "loss {task.fields[loss]:.4f}  R2 {task.fields[r2]:.4f}  sparsity {task.fields[sparsity]:.2f}"
        )
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), text, TimeRemainingColumn())
        self._bar = RichProgress(*columns, console=console, disable=not (shown and console.is_terminal))
        self._task = self._bar.add_task("", total=total, loss=0.0, r2=0.0, sparsity=0.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, done: int, total: int, loss: float, r2: float, sparsity: float) -> None:
        self._bar.update(self._task, completed=done, total=total, loss=loss, r2=r2, sparsity=sparsity)
