"""Telling words apart: the same networks, losses and descent, with a readout that votes for a class."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mtc_hw.errors import DataError
from mtc_hw.metrics import s_comp
from mtc_hw.model.build import best_start
from mtc_hw.model.descent import Descent, descend
from mtc_hw.model.digits import CLASSES, Words
from mtc_hw.model.loss import Batch, fit
from mtc_hw.model.network import Network
from mtc_hw.model.options import TrainOptions
from mtc_hw.readout import fit_readout, predict
from mtc_hw.spec import Readout

LISTENED = 0.6
"""Share of an utterance after which the readout votes."""

CLASSIFICATION = TrainOptions(
    hidden=64, iterations=300, batch=64, every=4, curves="linear", chips="nominal", activity=0.05, excess=0.0
)
"""A start for words: windows and burn-in do not count, an utterance is a window."""


@dataclass(frozen=True, eq=False)
class Utterances:
    """Batches of words, drawn without regard to their class."""

    words: Words
    sample: float = 1.0  # tau_m

    @property
    def inputs(self) -> int:
        return int(self.words.inputs.shape[2])

    @property
    def kept(self) -> range:
        samples = self.words.inputs.shape[1]
        return range(int(LISTENED * samples), samples, 4)

    def batch(self, o: TrainOptions, generator: torch.Generator) -> Batch:
        return self.chosen(torch.randint(len(self.words.labels), (o.batch,), generator=generator))

    def chosen(self, index: torch.Tensor) -> Batch:
        """The utterances at some places."""
        labels = torch.from_numpy(self.words.labels)[index]
        targets = torch.nn.functional.one_hot(labels, CLASSES).float()
        inputs = torch.from_numpy(self.words.inputs).float()[index]
        return Batch(inputs, targets.unsqueeze(1).expand(-1, len(self.kept), -1), self.kept)


@dataclass(frozen=True, eq=False)
class Classified:
    """A trained classifier and how it does on words that it has not heard."""

    network: Network
    readout: Readout
    accuracy: float
    s_comp: float
    seconds: float


def train_classifier(
    heard: Words, unheard: Words, options: TrainOptions = CLASSIFICATION, progress: bool = True
) -> Classified:
    """Train on some words, test on others. Raises DataError for `bits`: no converters are modelled here."""
    if options.bits is not None:
        raise DataError(f"bits is {options.bits}; a classifier is trained without converters, so leave it out")
    began = time.monotonic()
    source, generator = Utterances(heard), torch.Generator().manual_seed(options.seed)
    o = options
    first = source.batch(o, generator)

    def score(network: Network) -> float:
        return float(fit(network.observe(first.inputs, first.kept), first.targets, o).loss)

    network = best_start(o, source.sample, source.inputs, score, generator)
    descend(Descent(network, o, generator), source, began, progress, None, None)
    features, targets = _features(network, source)
    readout = fit_readout(features, targets, network.timing.readout, o.ridge)
    test = Utterances(unheard)
    votes = predict(_features(network, test)[0], readout).reshape(len(unheard.labels), -1, CLASSES).mean(1)
    accuracy = float((votes.argmax(1) == unheard.labels).mean())
    return Classified(network, readout, accuracy, _sparsity(network, test), time.monotonic() - began)


def _features(network: Network, source: Utterances) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features (utterances * kept, N) and targets (utterances * kept, CLASSES) of all words."""
    batch = source.chosen(torch.arange(len(source.words.labels)))
    with torch.no_grad():
        seen = network.observe(batch.inputs, batch.kept)
    return seen.features.flatten(0, 1).double().numpy(), batch.targets.flatten(0, 1).double().numpy()


def _sparsity(network: Network, source: Utterances) -> float:
    """S_comp over all layers, of the first hundred words."""
    inputs = torch.from_numpy(source.words.inputs[:100]).float()
    with torch.no_grad():
        shown = network.visible(inputs)
    values = [each.double().numpy() for each in shown]
    emitted = values if network.synapse is None else [network.synapse(each) for each in values]
    return s_comp(np.concatenate([each.reshape(-1, each.shape[-1]) for each in emitted], axis=1))
