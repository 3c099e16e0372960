"""Many virtual chips as one design, so that their neurons are worked out, and integrated, all at once."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtc_hw.errors import SpecError
from mtc_hw.hardware.design import BY_COLUMN, BY_LINE, Deviations, MappedDesign


def population(chips: Sequence[MappedDesign]) -> MappedDesign:
    """K chips of a design side by side: neuron n of chip k is number k N + n of K N. Codes and draws may differ.

    `as_spec` and `as_cells` of it hold the neurons, weights and biases of each chip bit for bit, and the readout's
    weights where the chips share its converter. What belongs to a chip as a whole, such as the readout's low-pass,
    is the first one's; `readout_taus` has all. The deviations' seed and sample are the first chip's as well. Raises
    SpecError for no chips, for one of another design, and for one with deviations among others without.
    """
    if not chips:
        raise SpecError("a population needs one chip or more")
    first = chips[0]
    for each in chips:
        if (each.spec_digest, each.rows, each.count) != (first.spec_digest, first.rows, first.count):
            raise SpecError(
                f"a chip has {len(each.rows)} rows of {each.count} neurons of network {each.spec_digest[:16]}, the "
                f"first one {len(first.rows)} of {first.count} of {first.spec_digest[:16]}; give chips of one design"
            )
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(each, name) for each in chips], axis=-1) for name in BY_COLUMN
    }
    arrays |= {name: np.concatenate([getattr(each, name) for each in chips]) for name in BY_LINE}
    return dataclasses.replace(first, **arrays, deviations=_drawn([each.deviations for each in chips]))


def _drawn(deviations: Sequence[Deviations | None]) -> Deviations | None:
    there = [each for each in deviations if each is not None]
    if not there:
        return None
    if len(there) < len(deviations):
        raise SpecError("some chips of a population have deviations and some none; draw all or none")
    names = [each.name for each in dataclasses.fields(Deviations) if each.name not in ("seed", "sample")]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(each, name) for each in there], axis=-1) for name in names
    }
    return dataclasses.replace(there[0], **joined)
