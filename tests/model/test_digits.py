"""Synthetic words: the same seed gives the same set, classes differ more than their utterances."""

import numpy as np
import pytest

from mtc_hw.errors import DataError
from mtc_hw.model.digits import CLASSES, Voice, vocabulary, words

STILL = Voice(tempo=0.0, warp=0.0, pitch=0.0, loudness=0.0, noise=0.0)


def test_the_seed_decides_the_set() -> None:
    one, same, other = words(30, 1), words(30, 1), words(30, 2)
    assert one.inputs.tobytes() == same.inputs.tobytes() and one.labels.tolist() == same.labels.tolist()
    assert not np.array_equal(one.inputs, other.inputs)


def test_shapes_and_classes() -> None:
    found = words(25, 0, samples=50, bands=8)
    assert found.inputs.shape == (25, 50, 8)
    assert np.bincount(found.labels).tolist() == [3] * 5 + [2] * 5


def test_without_a_changing_voice_a_word_is_always_the_same() -> None:
    found = words(2 * CLASSES, 5, voice=STILL).inputs
    assert np.array_equal(found[:CLASSES], found[CLASSES:])
    assert min(np.abs(found[i] - found[j]).max() for i in range(CLASSES) for j in range(i)) > 0.5


def test_formants_stay_inside_the_bands_and_apart() -> None:
    paths = vocabulary(12)
    assert paths.min() > 0 and paths.max() < 11
    assert (paths[:, 0] < paths[:, 1]).all()


def test_too_small_a_set_is_refused() -> None:
    with pytest.raises(DataError, match=r"^9 utterances of 120 samples in 12 bands; give at least 10, 20 and 4$"):
        words(9, 0)
