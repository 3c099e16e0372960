"""Many virtual chips as one design, so that their neurons are worked out, and integrated, all at once."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mtc_hw.errors import SpecError
from mtc_hw.hardware.design import Deviations, MappedDesign


def population(design: MappedDesign, deviations: Sequence[Deviations]) -> MappedDesign:
    """K chips of a design side by side: neuron n of chip k is number k N + n of K N.

    `as_spec` and `as_cells` of it hold the neurons, weights and biases of each chip bit for bit, and the readout's
    weights. The readout's tau is the first chip's; `readout_taus` has all. The deviations' seed and sample are the
    first chip's as well. Raises SpecError for no chips and for one of another design.
    """
    if not deviations:
        raise SpecError("a population needs one chip or more")
    shape = len(design.rows), design.count
    for each in deviations:
        if (len(each.threshold), each.threshold.shape[-1]) != shape:
            found = f"{len(each.threshold)} rows of {each.threshold.shape[-1]} neurons"
            raise SpecError(f"chip {each.sample} has {found}, the design {shape[0]} rows of {shape[1]}")
    chips = len(deviations)
    rows = ("present", "bias_code", "reference_code", "capacitor", "readout_code")
    joined = {
        name: np.concatenate([getattr(each, name) for each in deviations], axis=-1)
        for name in ("threshold", "width", "capacitance")
    }
    return dataclasses.replace(
        design,
        **{name: np.tile(getattr(design, name), (1, chips)) for name in rows},
        input_code=np.tile(design.input_code, (chips, 1)),
        offset_code=np.tile(design.offset_code, chips),
        deviations=Deviations(deviations[0].seed, deviations[0].sample, **joined),
    )
