"""The tiers in ngspice: a chip is built, rendered, run and measured where its decks run; only its row travels."""

import dataclasses

from mtc_hw.hardware.design import MappedDesign
from mtc_hw.montecarlo.figures import blank, network_result, neuron_results, refitted_score
from mtc_hw.montecarlo.row import ChipRow, Result
from mtc_hw.montecarlo.study import Block, DrivenNetwork, FreeNeuron, Place, Study
from mtc_hw.netlist.render import own_deck
from mtc_hw.netlist.views import Level
from mtc_hw.simulate.network import layer_features, mean_power, run_layers, run_networks
from mtc_hw.simulate.outcome import Outcome
from mtc_hw.simulate.pool import Runner
from mtc_hw.simulate.waveforms import to_trace


def run_circuits(study: Study, block: Block, run: Runner) -> list[Result]:
    """Every chip of a block, by decks that `run` runs here."""
    place = study.places[block.place]
    return [run_chip(study, place, sample, study.chip(place, sample), run) for sample in block.samples]


def run_chip(study: Study, place: Place, sample: int, chip: MappedDesign, run: Runner) -> Result:
    """A chip of the place's design, whatever its codes and deviations are."""
    row = blank(place, sample)
    level: Level = "transistor" if study.tier == "transistor" else "behavioural"
    if isinstance(study.subject, FreeNeuron):
        return _neuron(study, study.subject, row, chip, level, run)
    return _network(study, study.subject, row, chip, level, run)


def _neuron(study: Study, subject: FreeNeuron, row: ChipRow, chip: MappedDesign, level: Level, run: Runner) -> Result:
    outcome = run([own_deck(chip, subject.neuron, level, subject.duration)])[0]
    row = dataclasses.replace(_fate(row, outcome), rung=outcome.rung, seconds=outcome.seconds)
    if outcome.waveforms is None:
        return Result(row)
    trace = to_trace(outcome.waveforms, chip, 0)
    row = dataclasses.replace(row, power=mean_power(chip, outcome))
    kept = outcome.waveforms.values if study.keep_waveforms else None
    return dataclasses.replace(neuron_results([row], subject, trace)[0], kept=kept)


def _network(
    study: Study, subject: DrivenNetwork, row: ChipRow, chip: MappedDesign, level: Level, run: Runner
) -> Result:
    """A chip with a failed neuron or readout has failed: what it answers is not what the chip would."""
    found = run_networks([chip], level, subject.test.inputs, run)[0]
    row = dataclasses.replace(row, rung=found.rung, seconds=found.layer.seconds)
    if found.failed:
        return Result(_fate(row, found.failed[0]))
    score = None
    if subject.refit is not None:
        fitted = run_layers([chip], level, subject.refit.inputs, run)[0]
        if fitted.failed:
            return Result(_fate(row, fitted.failed[0]))
        row = dataclasses.replace(row, rung=max(row.rung, fitted.rung), seconds=row.seconds + fitted.seconds)
        tau = chip.readout_tau / chip.scale.second
        score = refitted_score(subject, layer_features(chip, fitted), layer_features(chip, found.layer), tau)
    row = dataclasses.replace(row, power=found.power)
    layer = found.layer
    result = network_result(row, subject, found.prediction[:, 0], score, layer.voltage, layer.step)
    kept = {"voltage": layer.voltage, "answer": found.prediction}
    return dataclasses.replace(result, kept=kept if study.keep_waveforms else None)


def _fate(row: ChipRow, outcome: Outcome) -> ChipRow:
    reason = f"{outcome.deck}: {outcome.reason}" if outcome.reason else ""
    return dataclasses.replace(
        row, outcome=outcome.status, reason=reason, node=outcome.node, failed_at=outcome.time, rung=outcome.rung
    )
