"""What a finished Monte Carlo run shows: what explains its spread, and what yield costs in area."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from mtc_hw.analysis.chip_table import at, places
from mtc_hw.analysis.draw_names import Level
from mtc_hw.analysis.sensitivity import Sensitivity, regression
from mtc_hw.analysis.sobol import Distribution, SobolIndices, sobol_of
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import Deviations, MappedDesign
from mtc_hw.hardware.mismatch import device_sigmas
from mtc_hw.montecarlo.compiled import block_size, simulated
from mtc_hw.montecarlo.draws import DRAWS, draw_names
from mtc_hw.montecarlo.engine import TABLE
from mtc_hw.montecarlo.study import Study
from mtc_hw.montecarlo.table import SCHEMA, read_table
from mtc_hw.spec import Array


@dataclass(frozen=True, eq=False)
class Chips:
    """The tables of a folder that `mtc-hw montecarlo` wrote."""

    table: pa.Table
    draws: pa.Table | None


def load_chips(folder: Path) -> Chips:
    """Raises DataError for a folder without a table."""
    if not (folder / TABLE).is_file():
        raise DataError(f"{folder} holds no {TABLE}; run `mtc-hw montecarlo ... --out {folder}` first")
    draws = folder / DRAWS
    return Chips(read_table(folder / TABLE), read_table(draws) if draws.is_file() else None)


def explained(chips: Chips, quantities: Sequence[str], level: Level) -> list[list[Sensitivity]]:
    """Shares of each quantity's spread by regression on the draws, at the table's first condition."""
    if chips.draws is None:
        raise DataError(f"there is no {DRAWS} beside the table; run the same command with --keep draws")
    first = at(chips.table, places(chips.table).conditions[0])
    return [[regression(first, chips.draws, quantity).shares(level)] for quantity in quantities]


def sobol(study: Study, quantity: str, points: int, level: Level, threads: int) -> SobolIndices:
    """First-order and total indices of a quantity by Saltelli's design, Pelgrom's draws, on a compiled tier.

    `points` is a power of two; so many chips are run for each group and two times more. Raises DataError.
    """
    if not study.compiled:
        raise DataError(f"the {study.tier} tier is too slow for Sobol indices; give --tier ode or cells")
    if quantity not in SCHEMA.names or not pa.types.is_floating(SCHEMA.field(quantity).type):
        wanted = [each.name for each in SCHEMA if pa.types.is_floating(each.type)]
        raise DataError(f"no quantity {quantity!r}; there are: {', '.join(wanted)}")
    design = study.design
    names = draw_names(design)
    sigma = {
        kind: dict(zip(("threshold", "width"), device_sigmas(design.technology, kind, *_size(design)), strict=True))
        for kind in {kind for _, kind in design.rows}
    }
    dimensions: dict[str, Distribution] = {
        name: norm(scale=float(sigma[design.rows[row][1]][array][device])) for name, array, row, device, _ in names
    }

    def values(given: Array) -> Array:
        size = block_size(study)
        parts = (given[first : first + size] for first in range(0, len(given), size))
        return np.concatenate([_values(study, part, names, quantity, threads) for part in parts])

    return sobol_of(values, dimensions, points, study.seed, level, quantity)


def _size(design: MappedDesign) -> tuple[float, float]:
    return design.cells.width, design.cells.length


def _values(
    study: Study, given: Array, names: list[tuple[str, str, int, int, int]], quantity: str, threads: int
) -> Array:
    """The quantity of chips with these draws (chips, draws); NaN where it is not defined."""
    place, chips = study.places[0], []
    arrays, rows, devices, neurons = zip(*((array, *where) for _, array, *where in names), strict=True)
    for draws in given:
        empty = study.chip(place, 0).deviations
        assert empty is not None
        parts = {name: np.zeros(empty.threshold.shape) for name in ("threshold", "width")}
        for name, part in parts.items():
            own = np.array([array == name for array in arrays])
            where = tuple(np.array(each)[own] for each in (rows, devices, neurons))
            part[where] = draws[own]
        deviations = Deviations(study.seed, 0, parts["threshold"], parts["width"])
        chips.append(dataclasses.replace(place.design, deviations=deviations))
    results = simulated(study, place, range(len(chips)), chips, threads)
    return np.array([getattr(each.row, quantity) for each in results], dtype=np.float64)
