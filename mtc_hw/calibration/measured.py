"""An instrument as a calibration sees it: whatever goes wrong there is an observation that is missing."""

import numpy as np

from mtc_hw.calibration.observables import Answer, Instrument, Observables, Request, Table
from mtc_hw.calibration.parts import blank
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.spec import Array


def measured(instrument: Instrument, codes: MappedDesign, request: Request) -> tuple[Observables, str]:
    """What was measured, and why it was not; all that was asked for is there, NaN where it is missing.

    An instrument is not to raise, and one of a lab's own may: a time-out, a broken line and an answer of another
    shape are no news of the chip, and end no calibration.
    """
    nothing = blank(codes, request)
    try:
        seen = instrument.measure(codes, request)
        wrong = _differs(seen, nothing)
    except Exception as error:
        return nothing, f"the instrument failed: {type(error).__name__}: {error}"
    return (nothing, f"the instrument answered with {wrong}") if wrong else (seen, "")


def _differs(seen: Observables, wanted: Observables) -> str:
    """Where an answer has not the shape of what was asked for, or nothing."""
    pairs = (
        ("curves", _of(seen.curves, "current"), _of(wanted.curves, "current")),
        ("a readout", seen.readout, wanted.readout),
        ("features", _of(seen.driven, "features"), _of(wanted.driven, "features")),
        ("a prediction", _of(seen.driven, "prediction"), _of(wanted.driven, "prediction")),
    )
    for name, found, asked in pairs:
        if asked is not None and np.shape(np.array(found)) != asked.shape:
            return f"{name} of shape {np.shape(np.array(found))}, not {asked.shape}"
    if [len(each) for each in seen.spikes] != [len(each) for each in wanted.spikes]:
        return f"{len(seen.spikes)} runs' spikes, not {len(wanted.spikes)} of every neuron"
    return ""


def _of(holder: Table | Answer | None, name: str) -> Array | None:
    return None if holder is None else np.asarray(getattr(holder, name))
