"""Calibration: trims that are turned until what is measured is what the model asks for.

A calibration sees a chip only through an instrument: codes in, observables out. Its deviations stay hidden.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from mtc_hw import __version__
from mtc_hw.calibration.knobs import at_bounds
from mtc_hw.calibration.neuron_steps import Neurons
from mtc_hw.calibration.observables import Instrument
from mtc_hw.calibration.plan import Plan
from mtc_hw.calibration.purpose import Purpose, side_by_side
from mtc_hw.calibration.readout_steps import ReadoutFound, calibrate_readout
from mtc_hw.calibration.result import TRIMS, Identity, Look, ReadoutSetting, Result
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import BY_COLUMN, BY_LINE, MappedDesign
from mtc_hw.hardware.population import population
from mtc_hw.spec import Array, Readout

LOST = "its features could not be measured, so the refit gave it no weight"


def calibrate(design: MappedDesign, purpose: Purpose, instrument: Instrument, plan: Plan) -> Result:
    """Trims one chip of a design towards its purpose. A neuron that cannot be trimmed is marked, and keeps its codes.

    Raises DataError for a plan that the design cannot follow; whatever the instrument does raises nothing.
    """
    return calibrate_chips(design, purpose, instrument, [instrument], plan)[0]


def calibrate_chips(
    design: MappedDesign, purpose: Purpose, together: Instrument, single: Sequence[Instrument], plan: Plan
) -> list[Result]:
    """Several chips of a design: `together` measures their neurons side by side, `single` each chip alone."""
    nominal, chips = dataclasses.replace(design, deviations=None), len(single)
    if purpose.spec.neurons.count != design.count:
        raise DataError(
            f"the design has {design.count} neurons, its model {purpose.spec.neurons.count}; give its own"
        )
    # One thread: bits do not depend on how many there are, and small matrices gain nothing from more.
    with threadpool_limits(limits=1):
        neurons = Neurons(population([nominal] * chips), side_by_side(purpose, chips), together, plan)
        neurons.run()
        return [_finished(nominal, purpose, each, plan, neurons, k) for k, each in enumerate(single)]


def _finished(
    nominal: MappedDesign, purpose: Purpose, instrument: Instrument, plan: Plan, neurons: Neurons, chip: int
) -> Result:
    """Chip number `chip` of those side by side, its readout done too."""
    own = slice(chip * nominal.count, (chip + 1) * nominal.count)
    codes = _columns(nominal, neurons.codes, own)
    reasons = neurons.reasons[own]
    found = ReadoutFound(codes, codes, np.zeros(codes.count, bool), "", 0)
    if purpose.spec.readout is not None:
        share = _share(nominal, purpose.spec.readout, neurons.synapses[:, own])
        found = calibrate_readout(codes, purpose, plan.readout_steps, instrument, share)
        reasons = [_also(reason, LOST if gone else "") for reason, gone in zip(reasons, found.lost, strict=True)]
    codes = found.codes
    return Result(
        plan=plan.name,
        plan_digest=plan.digest(),
        identity=Identity.of(nominal),
        instrument=instrument.identity,
        version=__version__,
        **{name: getattr(codes, name) for name in TRIMS},
        readout=ReadoutSetting.of(codes),
        trained=ReadoutSetting.of(found.trained),
        residual=neurons.residual[own],
        success=np.array([not each for each in reasons]),
        reason=tuple(reasons),
        readout_reason=found.wrong,
        bounds=at_bounds(codes),
        measurements=neurons.spent[own] + found.runs,
        history=tuple(_part(each, own) for each in neurons.history),
    )


def _also(reason: str, other: str) -> str:
    return "; ".join(each for each in (reason, other) if each)


def _columns(nominal: MappedDesign, codes: MappedDesign, own: slice) -> MappedDesign:
    """One chip's codes out of those of chips side by side."""
    cut = {name: getattr(codes, name)[:, own] for name in BY_COLUMN}
    return dataclasses.replace(nominal, **cut, **{name: getattr(codes, name)[own] for name in BY_LINE})


def _part(look: Look, own: slice) -> Look:
    return dataclasses.replace(
        look,
        bias_trim=look.bias_trim[:, own],
        reference_trim=look.reference_trim[:, own],
        input_trim=look.input_trim[own],
        offset_trim=look.offset_trim[own],
        observed=look.observed[:, own],
    )


def _share(nominal: MappedDesign, readout: Readout, synapses: Array) -> Array:
    """By how much each synapse's bias is off the nominal one's for the same weight, (outputs, N); 1 unmeasured."""
    usual, found = nominal.cells.synapse.bias_for(np.abs(readout.weights) * nominal.readout_unit), np.abs(synapses)
    return np.where((usual > 0.0) & (found > 0.0), found / np.where(usual > 0.0, usual, 1.0), 1.0)
