"""Standard normal numbers for a chip's instances: from a stream of their own each, or from one point of a design.

A Latin hypercube (McKay, Beckman and Conover, Technometrics 21(2), 1979) has one sample in each of as many slices of
every dimension; Sobol' points, scrambled (Owen, 1995), fill the cube evenly. Both are SciPy's; the dimensions are the
parts' numbers in order, so another instance changes the draws of those after it. Plain streams change nothing.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import numpy as np

from mtc_hw.errors import SpecError
from mtc_hw.spec import Array

Sampling = Literal["plain", "lhs", "sobol"]
MOST_NUMBERS = 2**25
"""Numbers in a set of points: 256 MiB, which every process of a run holds."""
LEAST = 2.0**-32
"""Sobol' points are multiples of 2^-30, zero among them, whose normal is minus infinity."""


def stream(seed: int, sample: int, path: str) -> np.random.Generator:
    """An instance's own random numbers, keyed by seed, sample and path."""
    return np.random.Generator(np.random.Philox(key=_key(f"{seed}/{sample}/{path}")))


def normals(
    parts: Mapping[str, int], seed: int, sample: int, sampling: Sampling = "plain", samples: int | None = None
) -> dict[str, Array]:
    """So many standard normal numbers for each part, by path.

    `samples` is how many a Latin hypercube or Sobol' set has. Raises SpecError for a set that cannot be made and for
    a sample beyond it.
    """
    if sampling == "plain":
        return _plain(parts, seed, sample)
    from scipy.special import ndtri  # with its statistics two seconds that no plain draw needs

    counts = list(parts.values())
    assert samples is not None, "Variation sees to it"
    if not 0 <= sample < samples:
        raise SpecError(f"sample is {sample}; the {sampling} set has samples 0 to {samples - 1}")
    point = ndtri(np.maximum(_points(sampling, seed, samples, sum(counts))[sample], LEAST))
    ends = np.cumsum(counts, dtype=int)
    return {path: point[end - count : end] for (path, count), end in zip(parts.items(), ends, strict=True)}


def _plain(parts: Mapping[str, int], seed: int, sample: int) -> dict[str, Array]:
    """Each path's `stream`, from one generator that is set anew: making one takes five times as long."""
    philox = np.random.Philox(key=0)
    generator, state, drawn = np.random.Generator(philox), philox.state, {}
    for path, count in parts.items():
        key = _key(f"{seed}/{sample}/{path}")
        state["state"]["key"] = np.array([key % 2**64, key >> 64], dtype=np.uint64)
        philox.state = state
        drawn[path] = generator.standard_normal(count)
    return drawn


@lru_cache(maxsize=2)
def _points(sampling: Sampling, seed: int, samples: int, dimensions: int) -> Array:
    """The whole set in the unit cube, (samples, dimensions)."""
    from scipy.stats import qmc

    wrong = []
    if samples * dimensions > MOST_NUMBERS:
        wrong.append(f"{samples} samples of {dimensions} dimensions are more than {MOST_NUMBERS} numbers")
    if sampling == "sobol" and dimensions > qmc.Sobol.MAXDIM:
        wrong.append(f"Sobol' points have at most {qmc.Sobol.MAXDIM} dimensions, the design has {dimensions}")
    if wrong:
        raise SpecError(f"{'; '.join(wrong)}; use plain sampling, or vary fewer neurons or samples")
    if not dimensions:
        return np.empty((samples, 0))  # which no engine makes
    engine = qmc.LatinHypercube if sampling == "lhs" else qmc.Sobol
    points = engine(dimensions, rng=_key(f"{seed}/{sampling}")).random(samples)
    points.setflags(write=False)
    return np.asarray(points)


def _key(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
