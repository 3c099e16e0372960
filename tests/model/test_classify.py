"""Networks of one to three layers learn to tell synthetic words apart."""

from dataclasses import replace

import pytest

from mtc_hw.errors import DataError
from mtc_hw.model.classify import CLASSIFICATION, Utterances, train_classifier
from mtc_hw.model.digits import CLASSES, words

SMALL = replace(CLASSIFICATION, hidden=24, iterations=40, batch=40, candidates=2)


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_words_are_told_apart_by_any_depth(layers: int) -> None:
    heard, unheard = words(300, 0), words(100, 1)
    options = replace(SMALL, layers=layers, hidden=32, iterations=120, learning_rate=2e-2, activity=0.0)
    found = train_classifier(heard, unheard, options, progress=False)
    assert found.accuracy > 3 / CLASSES
    assert 0 < found.s_comp < 1
    assert len(found.network.layers) == layers


def test_training_beats_the_untrained_network() -> None:
    heard, unheard = words(200, 0), words(100, 1)
    options = replace(SMALL, candidates=1)
    before = train_classifier(heard, unheard, replace(options, iterations=1), progress=False)
    after = train_classifier(heard, unheard, replace(options, iterations=80), progress=False)
    assert after.accuracy > before.accuracy


def test_a_spiking_baseline_learns_them_too() -> None:
    found = train_classifier(words(100, 0), words(50, 1), replace(SMALL, neuron="adlif"), progress=False)
    assert found.accuracy > 4 / CLASSES


def test_converters_are_refused() -> None:
    with pytest.raises(DataError, match=r"^bits is 6; a classifier is trained without converters, so leave it out$"):
        train_classifier(words(20, 0), words(20, 1), replace(SMALL, bits=6), progress=False)


def test_targets_are_one_hot_at_the_end_of_the_word() -> None:
    import torch

    source = Utterances(words(20, 0))
    batch = source.chosen(torch.tensor([3, 14]))
    assert batch.targets.shape == (2, len(batch.kept), CLASSES)
    assert batch.targets[1, 0].argmax() == 4 and batch.targets.sum() == 2 * len(batch.kept)
    assert batch.kept[0] == 72 and batch.kept[-1] < 120
