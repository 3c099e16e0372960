"""Timing side by side on a machine that others use too: in rounds, everyone in each, and the least time counts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Contestant:
    """Two calls, and how many steps of single neurons each of them makes."""

    forward: Callable[[], Any]
    both: Callable[[], Any]  # forward and backward
    work: int


@dataclass(frozen=True)
class Result:
    """ns for each step of a neuron."""

    forward: float
    both: float


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def contest(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, Result]:
    """The best of some rounds, after one that warms up and compiles."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, each in contestants.items():
            times[name].append((seconds(each.forward), seconds(each.both)))
    return {
        name: Result(*(1e9 * min(column) / contestants[name].work for column in zip(*found[1:], strict=True)))
        for name, found in times.items()
    }
