"""What a neuron can do, in figures and numbers: the work of `mtc-hw excitability`."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtc_hw.analysis.equilibria import CurrentRange, Onset, current_ranges, onset
from mtc_hw.analysis.excitability import Excitability, classify_excitability
from mtc_hw.analysis.fi_curve import FiCurve, fi_curve, telling_span
from mtc_hw.analysis.regime_map import Axis, RegimeMap, check_axes, parse_axis, regime_map
from mtc_hw.analysis.shape import Proposal, Wish, shape
from mtc_hw.errors import DataError
from mtc_hw.excitability_plots import fi_figure, iv_figure, map_figure
from mtc_hw.hardware.design import as_spec
from mtc_hw.neuron_file import Initial, NeuronFile, Stimulus, save_neuron
from mtc_hw.neuron_run import with_current
from mtc_hw.sources import Source, load_source
from mtc_hw.spec import FILTERS, ModelSpec


@dataclass(frozen=True, eq=False)
class Subject:
    """The neuron that is looked at, and where it comes from."""

    neuron: NeuronFile
    kinds: dict[str, int]  # how many of a network's neurons are of each kind; empty otherwise
    proposal: Proposal | None  # of a shaped neuron


@dataclass(frozen=True, eq=False)
class Excitable:
    """One neuron's excitability, from its curves and from simulation."""

    subject: Subject
    excitability: Excitability
    ranges: tuple[CurrentRange, ...]
    onset: Onset | None
    curve: FiCurve
    map: RegimeMap | None


def subject_of(given: str | None, index: int | None, regime: str | None, wish: Wish) -> Subject:
    """The neuron that is given, under the wished constant current if any, or the one shaped for a regime.

    Of a network or design it is the neuron at `index`, 0 when None, at its bias current. Raises MtcError.
    """
    if regime is not None:
        if given is not None or index is not None:
            raise DataError(f"--shape {regime} makes a neuron; leave out {given or '--neuron'}, or --shape")
        proposal = shape(regime, wish)
        return Subject(proposal.neuron, {}, proposal)
    if given is None:
        raise DataError("there is no neuron; give a preset, a file or a checkpoint, or --shape with a regime")
    if wish.figures():
        raise DataError(f"--{next(iter(wish.figures()))} is a wish for --shape; leave it out")
    return _loaded(given, index, wish.current)


def _loaded(given: str, index: int | None, current: float | None) -> Subject:
    source = load_source(given)
    if source.neuron is not None:
        if index not in (None, 0):
            raise DataError(f"{given} holds one neuron, so there is no neuron {index}; leave --neuron out")
        return Subject(with_current(source.neuron, current), {}, None)
    spec, chosen = _spec(source), index or 0
    if not 0 <= chosen < spec.neurons.count:
        raise DataError(f"{given} has no neuron {chosen}; give one from 0 to {spec.neurons.count - 1}")
    kinds = Counter(str(each.kind) for each in classify_excitability(spec.neurons))
    stimulus = Stimulus(((0.0, float(spec.bias[chosen])),))
    neuron = NeuronFile(f"neuron_{chosen}", spec.neurons.take(chosen), stimulus, Initial())
    return Subject(with_current(neuron, current), dict(kinds), None)


def _spec(source: Source) -> ModelSpec:
    if source.spec is not None:
        return source.spec
    assert source.design is not None
    return as_spec(dataclasses.replace(source.design, deviations=None))


def parse_axes(texts: Sequence[str]) -> tuple[Axis, Axis] | None:
    """The two axes of a map, or None without any. Raises DataError for another number of them."""
    if not texts:
        return None
    if len(texts) != 2:
        raise DataError(f"a map has two axes, not {len(texts)}; give --map parameter:low:high:points twice")
    x, y = parse_axis(texts[0]), parse_axis(texts[1])
    check_axes(x, y)
    return x, y


def examine_neuron(
    subject: Subject, axes: tuple[Axis, Axis] | None, points: int, duration: float | None
) -> Excitable:
    """Curves, kind, f-I curve at `points` currents, and where axes are given the map. Raises SpecError."""
    neurons = subject.neuron.neurons
    return Excitable(
        subject=subject,
        excitability=classify_excitability(neurons)[0],
        ranges=current_ranges(neurons),
        onset=onset(neurons),
        curve=fi_curve(neurons, np.linspace(*telling_span(neurons), points), duration),
        map=None if axes is None else regime_map(subject.neuron, axes[0], axes[1], duration),
    )


def write_files(found: Excitable, folder: Path) -> dict[str, str]:
    """iv.png, fi.png, of a map map.png, and of a shaped neuron its file; the path of each by name."""
    subject, neurons = found.subject, found.subject.neuron.neurons
    figures = {
        "iv.png": iv_figure(neurons, [level for _, level in subject.neuron.stimulus.steps]),
        "fi.png": fi_figure(neurons, found.curve),
    }
    if found.map is not None:
        figures["map.png"] = map_figure(found.map)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=150)
    names = list(figures)
    if subject.proposal is not None:
        names.append(save_neuron(subject.neuron, folder / f"{subject.neuron.name}.toml").name)
    return {name: str(folder / name) for name in names}


def to_json(found: Excitable) -> dict[str, Any]:
    windows = zip(FILTERS, found.excitability.windows, strict=True)
    proposal = found.subject.proposal
    return {
        "name": found.subject.neuron.name,
        "kind": found.excitability.kind,
        "kinds": found.subject.kinds,
        "reasons": list(found.excitability.reasons),
        "windows": {name: [dataclasses.asdict(each) for each in own] for name, own in windows},
        "current_ranges": [dataclasses.asdict(each) for each in found.ranges],
        "onset": None if found.onset is None else dataclasses.asdict(found.onset),
        "fi": _curve_json(found.curve),
        "map": None if found.map is None else _map_json(found.map),
        "shape": None if proposal is None else _proposal_json(proposal),
    }


def _curve_json(curve: FiCurve) -> dict[str, Any]:
    both = {"from_rest": curve.from_rest, "from_firing": curve.from_firing}
    return {
        "current": curve.current.tolist(),
        **{
            name: {"rate": curve.rate(firings).tolist(), "regime": [each.regime for each in firings]}
            for name, firings in both.items()
        },
        "firing_from": curve.firing_from,
        "firing_down_to": curve.firing_down_to,
        "bistable": curve.current[curve.bistable].tolist(),
    }


def _map_json(found: RegimeMap) -> dict[str, Any]:
    return {
        "x": {"parameter": found.x.parameter, "values": found.x.values.tolist()},
        "y": {"parameter": found.y.parameter, "values": found.y.values.tolist()},
        "regime": found.regime.tolist(),
        "rate": found.rate.tolist(),
        "bistable": found.bistable.tolist(),
        "predicted": found.predicted.tolist(),
    }


def _proposal_json(proposal: Proposal) -> dict[str, Any]:
    return {
        "regime": proposal.wanted,
        "currents": list(proposal.currents),
        "figures": dict(proposal.figures),
        "verified": list(proposal.verified),
    }


def summary(found: Excitable) -> str:
    """One line: the kind, where rest ends, and what goes on from there."""
    curve, proposal = found.curve, found.subject.proposal
    text = f"{found.subject.neuron.name} is {found.excitability.kind}"
    if proposal is not None:
        low, high = proposal.currents
        figures = "".join(f", {name} {value:.3g}" for name, value in proposal.figures.items())
        text = f"shaped {proposal.wanted}, from {low:.3g} to {high:.3g} I_u{figures}; {text}"
    if found.onset is not None and curve.firing_from is not None:
        text += f"; rest ends at {found.onset.current:.3g} I_u, type {found.onset.type}"
    fires = sorted({each.regime for each in curve.from_rest if each.rate > 0.0})
    text += f"; it fires: {', '.join(fires)}" if fires else "; from rest it never fires on"
    both = curve.current[curve.bistable]
    return text + (f"; rests or fires from {both[0]:.3g} to {both[-1]:.3g} I_u" if both.size else "")
