"""Some of the chips again on the tier nearer to silicon: how far a fast tier can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtc_hw.errors import DataError
from mtc_hw.montecarlo.row import ChipRow
from mtc_hw.montecarlo.study import BELOW, Tier
from mtc_hw.spec import Array


@dataclass(frozen=True)
class Agreement:
    """A tier against the one below on the same chips. None where no two chips define a figure."""

    tier: Tier
    below: Tier
    chips: int  # compared: those that ran on both
    failed: int  # those that did not
    classes: float | None  # share of chips with the same regime
    isi_correlation: float | None  # Pearson's, of the mean interval; of bursting chips within bursts
    isi_difference: float | None  # mean of (below - tier) / below
    r2_difference: float | None  # mean of below - tier
    r2_worst: float | None  # the difference with the largest size

    def summary(self) -> str:
        """One line."""
        said = {
            "same class": self.classes,
            "ISI correlation": self.isi_correlation,
            "R2 difference": self.r2_difference,
            "at worst": self.r2_worst,
        }
        told = ", ".join(f"{name} {value:.3g}" for name, value in said.items() if value is not None)
        text = f"{self.chips} chips on the {self.below} tier: {told or 'nothing to compare'}"
        return f"{text}; {self.failed} failed on one of the two" if self.failed else text


def below(tier: Tier) -> Tier:
    """The tier that confirms this one. Raises DataError for the last."""
    if tier not in BELOW:
        raise DataError(f"no tier is below {tier}; confirm a run of: {', '.join(BELOW)}")
    return BELOW[tier]


def chosen(worst_first: Sequence[int], count: int) -> frozenset[int]:
    """Samples to confirm: half of them the worst, the others evenly from the rest, down to the best."""
    count = min(count, len(worst_first))
    worst = (count + 1) // 2
    rest = worst_first[worst:]
    even = np.linspace(0, max(len(rest) - 1, 0), count - worst).round().astype(int)
    return frozenset([*worst_first[:worst], *(rest[i] for i in even)])


def agreement(tier: Tier, rows: Sequence[ChipRow], lower: Tier, confirmed: Sequence[ChipRow]) -> Agreement:
    """Rows of both tiers, matched by sample and condition."""
    known = {_place(row): row for row in rows}
    pairs = [(known[_place(row)], row) for row in confirmed if _place(row) in known]
    both = [(one, other) for one, other in pairs if one.ok and other.ok]
    named = [one.regime == other.regime for one, other in both if one.regime is not None]
    intervals = _pairs([(interval(one), interval(other)) for one, other in both])
    scores = _pairs([(one.r2, other.r2) for one, other in both])
    moved = np.diff(scores, axis=1)[:, 0]
    return Agreement(
        tier=tier,
        below=lower,
        chips=len(both),
        failed=len(pairs) - len(both),
        classes=float(np.mean(named)) if named else None,
        isi_correlation=_correlation(intervals),
        isi_difference=float(np.mean(1.0 - intervals[:, 0] / intervals[:, 1])) if len(intervals) else None,
        r2_difference=float(np.mean(moved)) if len(moved) else None,
        r2_worst=float(moved[np.argmax(np.abs(moved))]) if len(moved) else None,
    )


def interval(row: ChipRow) -> float | None:
    """The mean interval between spikes; of a bursting chip the one within bursts."""
    return row.intra_interval if row.regime == "bursting" else row.isi_mean


def _place(row: ChipRow) -> tuple[int, str, float, float]:
    return row.sample, row.corner, row.supply, row.temperature


def _pairs(values: list[tuple[float | None, float | None]]) -> Array:
    """Those of which both are known, (pairs, 2)."""
    return np.array([pair for pair in values if None not in pair], dtype=np.float64).reshape(-1, 2)


def _correlation(pairs: Array) -> float | None:
    if len(pairs) < 2 or not pairs.std(axis=0).all():
        return None
    return float(np.asarray(np.corrcoef(pairs.T))[0, 1])
