"""Imported by the server of workers alone: a worker whose parent goes before it has begun ends without a word."""

import sys
import traceback
from types import TracebackType

GONE = (EOFError, ConnectionError)
"""What multiprocessing meets when the process that asked for a worker is no longer there."""


def told(kind: type[BaseException], trace: TracebackType | None) -> bool:
    """Whether an error is one to tell: not the parent's end, met where multiprocessing reads what it sent."""
    frames = traceback.extract_tb(trace)
    inside = bool(frames) and "multiprocessing" in frames[-1].filename
    return not (inside and issubclass(kind, GONE))


def _hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if told(kind, trace):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _hook
