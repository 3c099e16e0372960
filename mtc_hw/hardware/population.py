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
    side_by_side = 1, len(deviations)
    return dataclasses.replace(
        design,
        present=np.tile(design.present, side_by_side),
        bias_code=np.tile(design.bias_code, side_by_side),
        reference_code=np.tile(design.reference_code, side_by_side),
        input_code=np.tile(design.input_code, side_by_side[::-1]),
        offset_code=np.tile(design.offset_code, len(deviations)),
        capacitor=np.tile(design.capacitor, side_by_side),
        readout_code=np.tile(design.readout_code, side_by_side),
        deviations=dataclasses.replace(
            deviations[0],
            threshold=np.concatenate([each.threshold for each in deviations], axis=-1),
            width=np.concatenate([each.width for each in deviations], axis=-1),
            common=np.concatenate([each.common for each in deviations], axis=-1),
            capacitance=np.concatenate([each.capacitance for each in deviations]),
        ),
    )
