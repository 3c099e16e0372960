"""One recording's clock fitted to another's: when it began, and how long its time unit lasts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtc_hw.analysis.distances import coincident_pairs, decayed_sums
from mtc_hw.analysis.spikes import checked_spikes
from mtc_hw.errors import DataError
from mtc_hw.spec import Array

MOST_PAIRS = 2_000_000  # of spikes whose lags are weighed
SHORT, LONG = 100, 500  # spikes of either train that propose a clock
RANGE = 1.25  # to either side of the ratio of intervals: scales that are tried
MOST_SCALES = 400
PROPOSALS = 20  # of which the best is taken, after refinement
FINALISTS = 3  # whose scales are tried on the whole trains
ROUNDS = 30  # of refinement
REACH = 0.25  # of the median interval: how far a spike may be from its partner


@dataclass(frozen=True)
class Clock:
    """A time of the test becomes scale * time + offset of the reference."""

    scale: float = 1.0
    offset: float = 0.0  # in the reference's unit


def best_offset(reference: ArrayLike, test: ArrayLike, tau: float) -> float:
    """The offset at which van Rossum's distance of time constant `tau` between reference and test + offset is least.

    That is where the cross-correlation of both trains, smoothed by exp(-|t| / tau), is greatest. It is convex between
    the lags of pairs of spikes, so one of these lags is the answer, and all are tried; of longer trains only as
    many spikes from the middle that there are `MOST_PAIRS` lags. Of equally good ones the smallest is taken: between
    regular trains one interval more or less may be as good. Raises DataError for a train without spikes.
    """
    one, two = _enough(reference, test, 1)
    while one.size * two.size > MOST_PAIRS:
        longest = max(one.size, two.size)
        one, two = (_middle(train, longest // 2) for train in (one, two))
    lags = np.sort(np.subtract.outer(one, two).ravel())
    gaps = np.diff(lags) / tau
    nothing, each = np.zeros(1), np.ones(lags.size)
    before = decayed_sums(each, np.concatenate([nothing, gaps]))
    after = decayed_sums(each, np.concatenate([nothing, gaps[::-1]]))[::-1]
    overlap = before + after
    equal = lags[overlap >= overlap.max() * (1.0 - 1e-9)]
    return float(equal[np.argmin(np.abs(equal))])


def best_clock(reference: ArrayLike, test: ArrayLike) -> Clock:
    """The scale and offset that put most of the test's spikes beside one of the reference's, whatever its time unit.

    The ratios of median and of mean intervals, and scales up to `RANGE` around them, each with the `best_offset` of a
    stretch of the trains, are proposals. Those with most pairs of spikes within `REACH` of an interval are refined: a
    straight line through the pairs by least squares, pairs sought anew, until none changes. The best ones' scales are
    proposed again with the best offset of the whole trains, since a stretch of regular bursts fits a period earlier
    or later as well. The clock with most pairs wins, of these the one with the smallest residual. Raises DataError
    for fewer than 3 spikes.
    """
    one, two = _enough(reference, test, 3)
    reach = REACH * float(np.median(np.diff(one)))
    proposals = _proposals(one, two, reach)
    ranked = sorted(proposals, key=lambda clock: -_paired(one, two, clock, reach)[0].size)
    refined = sorted((_refined(one, two, clock, reach) for clock in ranked[:PROPOSALS]), key=_rank)
    scales = dict.fromkeys(clock.scale for _, _, clock in refined[:FINALISTS])
    whole = (Clock(scale, best_offset(one, scale * two, reach)) for scale in scales)
    return min([*refined, *(_refined(one, two, clock, reach) for clock in whole)], key=_rank)[2]


def _enough(reference: ArrayLike, test: ArrayLike, least: int) -> tuple[Array, Array]:
    trains = checked_spikes(reference, "reference spike times"), checked_spikes(test, "test spike times")
    if min(train.size for train in trains) < least:
        raise DataError(
            f"{trains[0].size} spikes of the first recording and {trains[1].size} of the second cannot be aligned, "
            f"which takes {least} of each; align by hand with --offset, or not at all with --align none"
        )
    return trains


def _proposals(one: Array, two: Array, reach: float) -> list[Clock]:
    most = (SHORT, LONG) if one.size < two.size else (LONG, SHORT)
    few, many = (_middle(train, limit) for train, limit in zip((one, two), most, strict=True))
    ratios = {float(average(np.diff(one)) / average(np.diff(two))) for average in (np.median, np.mean)}
    # Neighbouring scales move the ends of the shorter stretch by about `reach`.
    span = min(float(np.ptp(few)), max(ratios) * float(np.ptp(many)))
    count = min(MOST_SCALES, 1 + 2 * int(np.ceil(0.5 * np.log(RANGE) * span / reach)))
    scales = [ratio * factor for ratio in sorted(ratios) for factor in np.geomspace(1 / RANGE, RANGE, count)]
    return [Clock(float(scale), best_offset(few, scale * many, reach)) for scale in scales]


def _middle(train: Array, count: int) -> Array:
    start = max(0, (train.size - count) // 2)
    return train[start : start + count]


def _paired(one: Array, two: Array, clock: Clock, reach: float) -> tuple[Array, Array]:
    """Times of the spikes that lie beside each other."""
    first, second = coincident_pairs(one, clock.scale * two + clock.offset, reach)
    return one[first], two[second]


def _rank(found: tuple[int, float, Clock]) -> tuple[int, float]:
    return found[:2]


def _refined(one: Array, two: Array, clock: Clock, reach: float) -> tuple[int, float, Clock]:
    """Less the number of pairs, their root mean square residual, and the clock."""
    mine, theirs = _paired(one, two, clock, reach)
    for _ in range(ROUNDS):
        if mine.size < 3:
            break
        middle = theirs.mean()
        scale = float(((theirs - middle) * mine).sum() / ((theirs - middle) ** 2).sum())
        fitted = Clock(scale, float(mine.mean() - scale * middle))
        again = _paired(one, two, fitted, reach)
        if again[0].size < mine.size:
            break
        clock, (mine, theirs), last = fitted, again, (mine, theirs)
        if np.array_equal(mine, last[0]) and np.array_equal(theirs, last[1]):
            break
    residual = mine - clock.scale * theirs - clock.offset
    return -mine.size, float(np.sqrt((residual**2).mean())) if mine.size else np.inf, clock
