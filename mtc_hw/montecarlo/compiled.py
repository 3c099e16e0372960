"""The tiers without ngspice: many chips side by side as lanes of one compiled integration."""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from mtc_hw.analysis.tiers import Lanes, longest_step, meant
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.population import population
from mtc_hw.montecarlo.figures import blank, network_result, neuron_results, refitted_score
from mtc_hw.montecarlo.row import Kept, Result
from mtc_hw.montecarlo.study import Block, DrivenNetwork, FreeNeuron, Place, Study
from mtc_hw.spec import Array, Trace

LANES = 1024
"""Neurons that are run together: enough for whole vectors, few enough for the processor's cache."""


def block_size(study: Study) -> int:
    """How many chips a block holds."""
    return max(1, LANES // study.places[0].design.count)


def run_compiled(study: Study, block: Block, threads: int = 1) -> list[Result]:
    """Every chip of a block. A lane does not know the others, so how samples are blocked changes no result."""
    start = time.perf_counter()
    place = study.places[block.place]
    chips = [study.chip(place, sample) for sample in block.samples]
    results = simulated(study, place, block.samples, chips, threads)
    share = (time.perf_counter() - start) / len(block.samples)
    return [dataclasses.replace(each, row=dataclasses.replace(each.row, seconds=share)) for each in results]


def simulated(
    study: Study, place: Place, samples: Sequence[int], chips: Sequence[MappedDesign], threads: int = 1
) -> list[Result]:
    """Chips of the place's design, whatever their deviations are."""
    if isinstance(study.subject, FreeNeuron):
        return _neurons(study, study.subject, place, samples, chips, threads)
    return _networks(study, study.subject, place, samples, chips, threads)


def _side_by_side(study: Study, place: Place, chips: Sequence[MappedDesign], threads: int) -> Lanes:
    assert study.tier in ("ode", "cells")
    together, step = population(chips), longest_step(place.design, study.tier)
    return Lanes(together, meant(together, study.tier), step, study.precision, threads)


def _neurons(
    study: Study,
    subject: FreeNeuron,
    place: Place,
    samples: Sequence[int],
    chips: Sequence[MappedDesign],
    threads: int,
) -> list[Result]:
    lanes = _side_by_side(study, place, chips, threads)
    trace = lanes.free(subject.neuron.stimulus, subject.neuron.initial, subject.duration)
    found = neuron_results([blank(place, sample) for sample in samples], subject, trace)
    return [dataclasses.replace(each, kept=_kept(study, trace, slice(i, i + 1))) for i, each in enumerate(found)]


def _networks(
    study: Study,
    subject: DrivenNetwork,
    place: Place,
    samples: Sequence[int],
    chips: Sequence[MappedDesign],
    threads: int,
) -> list[Result]:
    lanes = _side_by_side(study, place, chips, threads)
    trace = lanes.driven(subject.test.inputs)
    refit = None if subject.refit is None else lanes.driven(subject.refit.inputs)
    count, results = place.design.count, []
    for i, (sample, chip) in enumerate(zip(samples, chips, strict=True)):
        own = slice(i * count, (i + 1) * count)
        answers, tested = lanes.heard(trace, own, chip)
        answer, score = answers[:, 0], None
        if refit is not None and np.isfinite(trace.voltage[:, own]).all():
            tau = chip.readout_tau / chip.scale.second
            score = refitted_score(subject, lanes.heard(refit, own, chip)[1], tested, tau)
        step = float(trace.time[1])
        result = network_result(blank(place, sample), subject, answer, score, trace.voltage[:, own], step)
        results.append(dataclasses.replace(result, kept=_kept(study, trace, own, answer)))
    return results


def _kept(study: Study, trace: Trace, own: slice, answer: Array | None = None) -> Kept | None:
    if not study.keep_waveforms:
        return None
    kept = {"time": trace.time, "voltage": trace.voltage[:, own]}
    return kept if answer is None else kept | {"answer": answer}
