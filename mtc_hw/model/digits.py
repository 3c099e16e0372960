"""Ten synthetic words, spoken-digit-like: two formants glide over a bank of bands, at changing speed and pitch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtc_hw.errors import DataError

Array = NDArray[np.float64]

CLASSES = 10
FORMANTS = 2
KNOTS = 5
"""Points of a formant's path."""

VOCABULARY_SEED = 20
"""The words are the same in every set."""


@dataclass(frozen=True)
class Voice:
    """How utterances of a word differ; standard deviations."""

    tempo: float = 0.12  # relative length
    warp: float = 0.06  # of a path's knots in time, share of the length
    pitch: float = 0.5  # bands
    loudness: float = 0.2  # relative
    noise: float = 0.3  # of a band, its largest value being about one


@dataclass(frozen=True, eq=False)
class Words:
    """Utterances of equal length with silence behind them; each band standardised by the first set drawn."""

    inputs: Array  # (utterances, samples, bands)
    labels: NDArray[np.int64]  # (utterances,)


def vocabulary(bands: int) -> Array:
    """Formant paths of every word, bands, (CLASSES, FORMANTS, KNOTS)."""
    draw = np.random.default_rng(VOCABULARY_SEED)
    low = draw.uniform(0.05, 0.45, (CLASSES, 1, KNOTS))
    high = draw.uniform(0.5, 0.95, (CLASSES, 1, KNOTS))
    return (bands - 1) * np.concatenate([low, high], axis=1)


def words(count: int, seed: int, samples: int = 120, bands: int = 12, voice: Voice | None = None) -> Words:
    """`count` utterances, classes in turn; the same seed gives the same set.

    Raises DataError for fewer utterances than words, or a length or band count that holds none.
    """
    if count < CLASSES or samples < 20 or bands < 4:
        raise DataError(
            f"{count} utterances of {samples} samples in {bands} bands; give at least {CLASSES}, 20 and 4"
        )
    v, draw = voice or Voice(), np.random.default_rng([seed, VOCABULARY_SEED])
    paths = vocabulary(bands)
    labels = np.arange(count) % CLASSES
    sounds = np.stack([_utterance(paths[label], samples, bands, v, draw) for label in labels])
    return Words((sounds - 0.15) / 0.3, labels)


def _utterance(paths: Array, samples: int, bands: int, voice: Voice, draw: np.random.Generator) -> Array:
    """One sounding word, (samples, bands)."""
    length = int(np.clip(0.8 * samples * (1 + voice.tempo * draw.normal()), 10, samples))
    knots = np.linspace(0.0, 1.0, KNOTS)
    knots[1:-1] = np.sort(knots[1:-1] + voice.warp * draw.normal(size=KNOTS - 2))
    time = np.linspace(0.0, 1.0, length)
    shift, loud = voice.pitch * draw.normal(), 1 + voice.loudness * draw.normal()
    band = np.arange(bands)
    envelope = loud * np.sin(np.pi * time) ** 0.5
    sound = np.zeros((samples, bands))
    for path in paths:
        centre = np.interp(time, knots, path) + shift
        sound[:length] += envelope[:, None] * np.exp(-0.5 * (band - centre[:, None]) ** 2)
    return sound + voice.noise * 0.3 * draw.normal(size=sound.shape)
