"""What was measured, part by part: as plain arrays for files and wires, put together again, NaN where it failed."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mtc_hw.calibration.observables import PREDICTIONS, Answer, Observables, Request, Table
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.spec import Array


def split(request: Request) -> tuple[Request, ...]:
    """Requests of one thing each, in the order in which they are measured."""
    curves = [Request(curves=request.curves)] if request.curves else []
    readout = [Request(readout=True)] if request.readout else []
    driven = [Request(driven=request.driven)] if request.driven else []
    return (*curves, *(Request(firing=(each,)) for each in request.firing), *readout, *driven)


def pieces(seen: Observables) -> tuple[Observables, ...]:
    """What was measured, by the requests of `split`."""
    curves = [Observables(curves=seen.curves)] if seen.curves else []
    readout = [] if seen.readout is None else [Observables(readout=seen.readout)]
    driven = [Observables(driven=seen.driven)] if seen.driven else []
    return (*curves, *(Observables(spikes=(each,)) for each in seen.spikes), *readout, *driven)


def joined(found: Sequence[Observables]) -> Observables:
    """The inverse of `pieces`."""
    return Observables(
        curves=next((each.curves for each in found if each.curves), None),
        spikes=tuple(spikes for each in found for spikes in each.spikes),
        readout=next((each.readout for each in found if each.readout is not None), None),
        driven=next((each.driven for each in found if each.driven), None),
    )


def blank(codes: MappedDesign, request: Request, chips: int = 1) -> Observables:
    """What comes of a request where nothing could be measured, on one chip or on several side by side."""
    return joined([unpacked(codes, part, _failed(codes, part, chips), chips) for part in split(request)])


def without(seen: Observables, neurons: NDArray[np.bool_], outputs: bool = False) -> Observables:
    """What was measured with these neurons (N,) failed, and with them what the network predicts.

    `outputs`: the readout's own answers failed too.
    """
    curves, driven, readout = seen.curves, seen.driven, seen.readout
    if curves is not None:
        curves = dataclasses.replace(curves, current=np.where(neurons, np.nan, curves.current))
    if driven is not None:
        lost = outputs or bool(neurons.any())
        prediction = np.full_like(driven.prediction, np.nan) if lost else driven.prediction
        driven = Answer(np.where(neurons, np.nan, driven.features), prediction)
    if readout is not None and outputs:
        readout = np.full_like(readout, np.nan)
    spikes = tuple(
        tuple(np.array([np.nan]) if lost else own for own, lost in zip(each, neurons, strict=True))
        for each in seen.spikes
    )
    return Observables(curves, spikes, readout, driven)


def packed(piece: Observables) -> dict[str, Array]:
    """One part as arrays by name. Spike times come behind their number in each neuron, all in one (N + spikes,)."""
    found: dict[str, Array] = {}
    if piece.curves is not None:
        found["curves"] = piece.curves.current
    for spikes in piece.spikes:
        counts = np.array([each.size for each in spikes], np.float64)
        found["firing"] = np.concatenate([counts, *spikes])
    if piece.readout is not None:
        found["readout"] = piece.readout
    if piece.driven is not None:
        found |= {"features": piece.driven.features, "prediction": piece.driven.prediction}
    return found


def names(part: Request) -> tuple[str, ...]:
    """Of the arrays that hold one part."""
    if part.driven is not None:
        return "features", "prediction"
    return ("curves" if part.curves else "firing" if part.firing else "readout",)


def unpacked(codes: MappedDesign, part: Request, found: Mapping[str, Array], chips: int = 1) -> Observables:
    """The inverse of `packed`; the arrays may be flat. Raises ValueError for arrays of another size.

    Chips side by side, as `population` puts them, have the outputs of each, one chip's after the other's.
    """
    outputs = chips * len(codes.readout_offset)
    if part.curves is not None:
        shape = len(codes.rows), part.curves.voltage.size, len(part.curves.outputs), codes.count
        current = _shaped(found["curves"], shape, "curves")
        return Observables(curves=Table(part.curves.voltage, np.array(part.curves.outputs), current))
    if part.firing:
        return Observables(spikes=(_spikes(found["firing"].ravel(), codes.count),))
    if part.driven is not None:
        samples = len(part.driven.inputs)
        features = _shaped(found["features"], (samples, codes.count), "features")
        return Observables(driven=Answer(features, _shaped(found["prediction"], (samples, outputs), "prediction")))
    return Observables(readout=_shaped(found["readout"], (outputs, PREDICTIONS.size), "readout"))


def sizes(codes: MappedDesign, part: Request) -> dict[str, int]:
    """How many numbers each array has; of spike times, how many there are at least."""
    return {name: array.size for name, array in _failed(codes, part).items()}


def _failed(codes: MappedDesign, part: Request, chips: int = 1) -> dict[str, Array]:
    count, outputs = codes.count, chips * len(codes.readout_offset)
    if part.curves is not None:
        shape = len(codes.rows), part.curves.voltage.size, len(part.curves.outputs), count
        return {"curves": np.full(shape, np.nan)}
    if part.firing:
        return {"firing": np.concatenate([np.ones(count), np.full(count, np.nan)])}
    if part.driven is not None:
        samples = len(part.driven.inputs)
        return {"features": np.full((samples, count), np.nan), "prediction": np.full((samples, outputs), np.nan)}
    return {"readout": np.full((outputs, PREDICTIONS.size), np.nan)}


def _shaped(values: Array, shape: tuple[int, ...], name: str) -> Array:
    if values.size != np.prod(shape, dtype=int):
        raise ValueError(f"{name}: {values.size} numbers, expected {' x '.join(map(str, shape))}")
    return values.reshape(shape)


def _spikes(values: Array, count: int) -> tuple[Array, ...]:
    """Times that are no rising numbers are a neuron that failed."""
    counts = values[:count]
    whole = counts.size == count and bool(((counts >= 0.0) & (counts == np.floor(counts))).all())
    if not whole or counts.sum() != values.size - count:
        raise ValueError(f"firing: {values.size} numbers are not {count} counts and as many times as they say")
    trains = np.split(values[count:], np.cumsum(counts[:-1]).astype(int))
    return tuple(each if _rises(each) else np.array([np.nan]) for each in trains)


def _rises(times: Array) -> bool:
    return bool(np.isfinite(times).all() and (np.diff(times) >= 0.0).all())
