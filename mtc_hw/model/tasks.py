"""Series to predict: the Mackey-Glass benchmark or a user's own, split into a training and a test part."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtc_hw.errors import DataError
from mtc_hw.spec import Task

Array = NDArray[np.float64]

MACKEY_GLASS = Task("mackey-glass", horizon=135.0, sample=1.0, mean=0.0, scale=1.0)
"""675 steps of 0.2 ahead, one Lyapunov time of the attractor at delay 17."""


@dataclass(frozen=True)
class MackeyGlass:
    """dx/dt = beta x(t - delay) / (1 + x(t - delay)^power) - gamma x. Mackey and Glass, Science 197, 1977."""

    gamma: float = 0.1
    beta: float = 0.2
    power: float = 10.0
    delay: float = 17.0


@dataclass(frozen=True, eq=False)
class Examples:
    """Standardised input and what the network shall answer at each of its samples."""

    inputs: Array  # (T,)
    targets: Array  # (T,)


@dataclass(frozen=True, eq=False)
class Split:
    """A training and a test part that share no time, targets included; standardised by the training part."""

    task: Task
    train: Examples
    test: Examples

    def digest(self) -> str:
        """SHA-256 over what is learned from, hexadecimal."""
        return hashlib.sha256(self.train.inputs.tobytes() + self.train.targets.tobytes()).hexdigest()


def _multiple(length: float, unit: float, what: str) -> int:
    count = round(length / unit)
    if count < 1 or abs(count * unit - length) > 1e-9 * length:
        raise DataError(f"{what} {length:g} is no multiple of {unit:g} time units; choose one that is")
    return count


def mackey_glass(
    samples: int,
    sample: float = 1.0,
    seed: int = 0,
    step: float = 0.2,
    equation: MackeyGlass | None = None,
    transient: float = 1000.0,
) -> Array:
    """The attractor at `samples` instants `sample` time units apart, from a random history; (samples,).

    Classical Runge-Kutta; the delayed value in the middle of a step is the cubic Hermite interpolant, so the order
    stays four. Raises DataError when `step` does not divide the delay and the sample.
    """
    e = equation or MackeyGlass()
    lag = _multiple(e.delay, step, "delay")
    stride = _multiple(sample, step, "sample")
    skip = round(transient / step)
    phase, level = np.random.default_rng(seed).uniform((0.0, 0.7), (2 * np.pi, 1.1))
    angle = 2 * np.pi * np.arange(lag + 1) / lag + phase
    x = list(level + 0.2 * np.sin(angle))
    slope = list(0.4 * np.pi / (lag * step) * np.cos(angle))
    # Of every step, the slope at its start and at its end: they differ where the history meets the solution.
    leaving, arriving = slope[:-1], slope[1:]
    now, h = x[-1], step
    for n in range(skip + (samples - 1) * stride):
        early, late = x[n], x[n + 1]
        middle = (early + late) / 2 + h / 8 * (leaving[n] - arriving[n])
        push, half, full = (e.beta * d / (1 + d**e.power) for d in (early, middle, late))
        k1 = push - e.gamma * now
        k2 = half - e.gamma * (now + h / 2 * k1)
        k3 = half - e.gamma * (now + h / 2 * k2)
        k4 = full - e.gamma * (now + h * k3)
        now += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        x.append(now)
        leaving.append(k1)
        arriving.append(full - e.gamma * now)
    return np.array(x[lag + skip :: stride])


def resample(time: ArrayLike, value: ArrayLike, sample: float) -> Array:
    """A (time, value) series, linear between its own points, at every `sample` time units from its first time on.

    Raises DataError for shapes that differ, times that do not increase, values that are not finite.
    """
    t, x = np.asarray(time, dtype=np.float64), np.asarray(value, dtype=np.float64)
    if t.ndim != 1 or t.shape != x.shape or t.size < 2:
        raise DataError(
            f"time has shape {t.shape} and value {x.shape}; give two equally long columns of at least 2 rows"
        )
    bad = np.flatnonzero(~(np.isfinite(t) & np.isfinite(x)))
    if bad.size:
        raise DataError(f"row {bad[0]} is ({t[bad[0]]}, {x[bad[0]]}); every time and value must be finite")
    back = np.flatnonzero(np.diff(t) <= 0)
    if back.size:
        raise DataError(
            f"time {t[back[0] + 1]:g} in row {back[0] + 1} does not come after {t[back[0]]:g}; sort the rows"
        )
    count = int(np.floor((t[-1] - t[0]) / sample * (1 + 1e-12))) + 1
    return np.asarray(np.interp(t[0] + sample * np.arange(count), t, x))


def split_series(series: ArrayLike, task: Task, train: int, test: int) -> Split:
    """Two stretches of a series sampled every `task.sample`: `train` samples, then, after the last of their targets,
    `test`. The task's mean and scale become the training inputs' own.

    Raises DataError when the series is too short, constant, or the horizon is no multiple of the sample.
    """
    x = np.asarray(series, dtype=np.float64)
    ahead = _multiple(task.horizon, task.sample, "horizon")
    needed = train + test + 2 * ahead
    if x.ndim != 1 or x.size < needed:
        raise DataError(
            f"the series has shape {x.shape}; {train} + {test} samples and twice the horizon need {needed}"
        )
    mean, scale = float(x[:train].mean()), float(x[:train].std())
    if not scale > 0:
        raise DataError(f"the series is constant at {mean:g}; there is nothing to predict")
    z = (x - mean) / scale
    second = train + ahead
    return Split(
        replace(task, mean=mean, scale=scale),
        Examples(z[:train], z[ahead : ahead + train]),
        Examples(z[second : second + test], z[second + ahead : second + ahead + test]),
    )


def mackey_glass_split(train: int = 12000, test: int = 5000, task: Task = MACKEY_GLASS, seed: int = 0) -> Split:
    """The benchmark, ready to train on."""
    ahead = _multiple(task.horizon, task.sample, "horizon")
    return split_series(mackey_glass(train + test + 2 * ahead, task.sample, seed), task, train, test)
