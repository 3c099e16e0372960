"""The tiers without ngspice: many chips side by side as lanes of one compiled integration."""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from mtc_hw.analysis.firing import started
from mtc_hw.hardware.design import MappedDesign, as_spec, row_offset
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.population import population
from mtc_hw.montecarlo.figures import blank, network_row, neuron_rows, refitted_score
from mtc_hw.montecarlo.row import Kept, Result
from mtc_hw.montecarlo.study import Block, DrivenNetwork, FreeNeuron, Place, Series, Study
from mtc_hw.readout import lowpass
from mtc_hw.simulate.ensemble import Holds, integrate_many, step_of
from mtc_hw.simulate.network import GRID, SETTLED, input_spacing
from mtc_hw.simulate.ode import SampledCurrent
from mtc_hw.spec import Array, ModelSpec, Trace

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
    return [Result(dataclasses.replace(each.row, seconds=share), each.kept) for each in results]


def simulated(
    study: Study, place: Place, samples: Sequence[int], chips: Sequence[MappedDesign], threads: int = 1
) -> list[Result]:
    """Chips of the place's design, whatever their deviations are."""
    if isinstance(study.subject, FreeNeuron):
        return _neurons(study, study.subject, place, samples, chips, threads)
    return _networks(study, study.subject, place, samples, chips, threads)


def _meant(study: Study, design: MappedDesign) -> ModelSpec:
    return as_spec(design) if study.tier == "ode" else as_cells(design)


def _together(study: Study, chips: Sequence[MappedDesign]) -> ModelSpec:
    """The chips' neurons side by side."""
    return _meant(study, population(chips))


def _neurons(
    study: Study,
    subject: FreeNeuron,
    place: Place,
    samples: Sequence[int],
    chips: Sequence[MappedDesign],
    threads: int,
) -> list[Result]:
    spec = _together(study, chips)
    steps = subject.neuron.stimulus.steps
    levels = np.array([[level] for _, level in steps]) + spec.bias
    trace = integrate_many(
        spec.neurons,
        Holds(tuple(start for start, _ in steps), levels),
        subject.duration,
        started(subject.neuron.initial, spec.neurons.count),
        step=step_of(_meant(study, place.design).neurons),
        precision=study.precision,
        threads=threads,
    )
    rows = neuron_rows([blank(place, sample) for sample in samples], subject, trace)
    return [Result(row, _kept(study, trace, slice(i, i + 1))) for i, row in enumerate(rows)]


def _networks(
    study: Study,
    subject: DrivenNetwork,
    place: Place,
    samples: Sequence[int],
    chips: Sequence[MappedDesign],
    threads: int,
) -> list[Result]:
    spec = _together(study, chips)
    trace = _driven(study, place, spec, subject.test, threads)
    refit = None if subject.refit is None else _driven(study, place, spec, subject.refit, threads)
    count, results = place.design.count, []
    for i, (sample, chip) in enumerate(zip(samples, chips, strict=True)):
        own = slice(i * count, (i + 1) * count)
        answer, tested = _heard(chip, trace, own)
        score = None
        if refit is not None and np.isfinite(trace.voltage[:, own]).all():
            tau = chip.readout_tau / chip.scale.second
            score = refitted_score(subject, _heard(chip, refit, own)[1], tested, tau)
        row = network_row(blank(place, sample), subject, answer, score, trace.voltage[:, own])
        results.append(Result(row, _kept(study, trace, own, answer)))
    return results


def _driven(study: Study, place: Place, spec: ModelSpec, series: Series, threads: int) -> Trace:
    """The layers' voltage at `GRID` points a sample of the input."""
    spacing = input_spacing(place.design)
    felt = series.inputs if spec.input_curve is None else spec.input_curve(series.inputs)
    # Added one by one: a matrix product's last bit may depend on how many chips there are.
    current = np.zeros((len(felt), 1)) + spec.bias
    for column, weights in zip(felt.T, spec.weights.T, strict=True):
        current += column[:, None] * weights
    record = spacing / GRID
    every = int(np.ceil(record / step_of(_meant(study, place.design).neurons)))
    return integrate_many(
        spec.neurons,
        SampledCurrent(current, spacing),
        (len(felt) - 1) * spacing,
        started(SETTLED, spec.neurons.count),
        step=record / every,
        precision=study.precision,
        every=every,
        threads=threads,
    )


def _heard(chip: MappedDesign, trace: Trace, own: slice) -> tuple[Array, Array]:
    """A chip's answer (samples,) and its features (samples, N), each synapse with its own random offset."""
    readout, shift = as_spec(chip).readout, row_offset(chip)[-len(chip.readout_offset) :] / chip.scale.volt
    assert readout is not None
    step = float(trace.time[1])
    voltage = np.ascontiguousarray(trace.voltage[:, own], dtype=np.float64)
    sent = chip.synapse(voltage - shift[0])
    # Not a matrix product, for the same reason.
    answer = lowpass((sent * readout.weights[0]).sum(axis=1), step, readout.tau)[::GRID] + readout.offset[0]
    return answer, lowpass(sent, step, readout.tau)[::GRID]


def _kept(study: Study, trace: Trace, own: slice, answer: Array | None = None) -> Kept | None:
    if not study.keep_waveforms:
        return None
    kept = {"time": trace.time, "voltage": trace.voltage[:, own]}
    return kept if answer is None else kept | {"answer": answer}
