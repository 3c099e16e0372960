"""What the commands do with a preset, a network or a design: decks, chips, comparisons, a calibration."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from mtc_hw.analysis.compare import Comparison, compare_traces
from mtc_hw.calibration.purpose import Purpose
from mtc_hw.calibration.result import apply, load_result
from mtc_hw.characterise import cells_for
from mtc_hw.errors import DataError
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.design import MappedDesign, as_spec
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import load_technology
from mtc_hw.hardware.unit import UnitSize
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import Split, mackey_glass_split
from mtc_hw.netlist.converter_views import Converters
from mtc_hw.netlist.deck import Deck
from mtc_hw.netlist.render import Series, network_deck, own_deck
from mtc_hw.netlist.solver import DRIVEN
from mtc_hw.netlist.views import Level
from mtc_hw.neuron_file import bare_spec
from mtc_hw.purposes import neuron_purpose, task_purpose
from mtc_hw.simulate.network import SETTLED, input_spacing, layer_decks
from mtc_hw.simulate.ode import integrate
from mtc_hw.simulate.pool import Workers, open_workers
from mtc_hw.simulate.progress import watched
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.sources import Source
from mtc_hw.spec import Array, ModelSpec, Trace

BURN_IN = 250  # samples of a network's input that only bring it into step


def design_of(
    source: Source,
    bits: int | None,
    technology: str,
    size: UnitSize,
    seed: int | None = None,
    sample: int = 0,
    record: Path | None = None,
    corner: str = "tt",
    supply: float | None = None,
    temperature: float | None = None,
    trim_bits: int | None = 6,
) -> MappedDesign:
    """The design that was given, or the mapping of the network or neuron that was.

    With a seed a virtual chip of it, with a calibration record its codes. `size` is the unit transistor's; corner,
    supply, V, and temperature, degrees Celsius, are those of the technology, not of a design that was given.
    Raises DataError for the record of another design.
    """
    design = source.design
    if design is None:
        chosen = unit_sized(load_technology(technology, corner, supply, temperature), size.width, size.length)
        cells = cells_for(chosen, size.width, size.length)
        design = map_spec(spec_of(source), chosen, cells, MappingOptions(bits=bits, trim_bits=trim_bits))
    chip = design if seed is None else perturb(design, seed, sample)
    return chip if record is None else apply(load_result(record), chip)


def spec_of(source: Source) -> ModelSpec:
    """The model that a source stands for."""
    if source.neuron is not None:
        return bare_spec(source.neuron)
    if source.spec is not None:
        return source.spec
    assert source.design is not None
    return as_spec(dataclasses.replace(source.design, deviations=None))


def purpose_of(source: Source, design: MappedDesign) -> Purpose:
    """What the source's chips are to do."""
    if source.neuron is not None:
        return neuron_purpose(source.neuron)
    return task_purpose(spec_of(source), task_parts(design))


def decks_of(
    source: Source,
    design: MappedDesign,
    level: Level,
    duration: float,
    whole: bool,
    converters: Converters | None = None,
) -> list[Deck]:
    """A deck for each neuron, or one for the whole network; networks are driven by the task's test part.

    Converters are ideal unless given.
    """
    if source.neuron is not None:
        return [own_deck(design, source.neuron, level, duration, converters)]
    inputs, _ = _test_part(design, duration)
    if whole:
        spacing = input_spacing(design)
        end = (len(inputs) - 1) * spacing
        return [network_deck(design, level, Series(inputs, spacing), end, SETTLED, DRIVEN[level], converters)]
    return layer_decks(design, level, inputs, converters)


def task_parts(design: MappedDesign) -> Split:
    """The benchmark's series, standardised as the network was trained."""
    if design.task is None or design.task.name != "mackey-glass":
        raise DataError("this design is of a bare neuron or another task: give the preset or neuron file itself")
    return mackey_glass_split(task=design.task)


def _test_part(design: MappedDesign, duration: float) -> tuple[Array, Array]:
    """Inputs (T, 1) and targets (T,) of the test part over `duration` tau_m."""
    test = task_parts(design).test
    count = round(duration / input_spacing(design)) + 1
    if not 2 <= count <= len(test.inputs):
        raise DataError(
            f"duration is {duration:g} tau_m; the test part has {len(test.inputs) - 1:g}, and 1 is the least"
        )
    return test.inputs[:count, None], test.targets[:count]


def compare_levels(
    source: Source, design: MappedDesign, level: Level, duration: float, workers: Workers
) -> dict[str, Any]:
    """Every neuron's spikes in the circuit against those of the float model in software."""
    spec, neuron = spec_of(source), source.neuron
    decks = decks_of(source, design, level, duration, whole=False)
    with open_workers(workers) as run:
        outcomes = watched(run, "neurons")(decks)
    software = _software(spec, source, design, duration)
    rows, compared = [], []
    for index, outcome in enumerate(outcomes):
        row: dict[str, Any] = {"neuron": index, "outcome": outcome.status, "reason": outcome.reason}
        if outcome.waveforms is not None:
            one = dataclasses.replace(software, voltage=software.voltage[:, index : index + 1])
            circuit = to_trace(outcome.waveforms, design, index)
            comparison = compare_traces(one, circuit, stimulus=neuron.stimulus if neuron else None)
            row |= {"comparison": comparison.to_json()}
            compared.append(comparison)
        rows.append(row)
    return _comparison_summary(compared) | {
        "level": level,
        "duration": duration,
        "spec_digest": spec.digest(),
        "design_digest": design.digest,
        "neurons": rows,
    }


def _software(spec: ModelSpec, source: Source, design: MappedDesign, duration: float) -> Trace:
    """The float model: a neuron accurately, a network at a quarter of its training step."""
    if source.neuron is not None:
        return integrate(spec.neurons, source.neuron.stimulus, duration, source.neuron.initial)
    inputs, _ = _test_part(design, duration)
    return run_spec(spec, inputs, spec.step / 4).trace


def _comparison_summary(compared: list[Comparison]) -> dict[str, Any]:
    factors = [each.coincidence for each in compared if each.coincidence is not None]
    return {
        "same_count": sum(each.reference_count == each.test_count for each in compared),
        "coincidence": float(np.mean(factors)) if factors else None,
        "reference_spikes": sum(each.reference_count for each in compared),
        "test_spikes": sum(each.test_count for each in compared),
    }
