"""What holds of every search over codes, whatever it was asked: the checks that its tests share."""

import numpy as np

from mtc_hw.calibration.search import Found, Goal, Space


def space(knobs: int, neurons: int, top: int = 31, start=0.0) -> Space:
    ones = np.ones((knobs, neurons))
    return Space(tuple(f"k{i}" for i in range(knobs)), -top * ones, top * ones, start * ones)


def goal(target, tolerance, noise=0.0, relative_noise=0.0) -> Goal:
    target = np.atleast_2d(target)
    return Goal(tuple(f"q{i}" for i in range(len(target))), target, np.asarray(tolerance), noise, relative_noise)


class Box:
    """A black box that notes what it was asked; with its exact answers known apart from its noise."""

    def __init__(self, exact, noise=0.0, relative=0.0, seed=0):
        self.exact, self.noise, self.relative = exact, noise, relative
        self.rng = np.random.default_rng(seed)
        self.asked = []

    def __call__(self, codes):
        self.asked.append(codes)
        truth = self.exact(codes)
        return truth + self.bound(truth) * self.rng.uniform(-1.0, 1.0, truth.shape)

    def bound(self, truth):
        """What its answers are off by at most."""
        return self.noise + (self.relative * np.abs(truth) if self.relative else np.zeros_like(truth))


def check(found: Found, box: Box, where: Space, wanted: Goal, budget: int) -> None:
    """Success is what was measured, every failure has its reason, limits and budget were kept."""
    assert len(box.asked) == len(found.history) <= budget
    assert found.measurements.max(initial=0) == len(found.history)
    for asked, (codes, _) in zip(box.asked, found.history, strict=True):
        assert np.array_equal(asked, codes, equal_nan=True)
    for codes in (*box.asked, found.codes):
        here = np.isfinite(where.start)
        assert np.array_equal(np.isfinite(codes), here)
        assert (np.rint(codes[here]) == codes[here]).all()
        assert (codes[here] >= where.low[here]).all() and (codes[here] <= where.high[here]).all()
    truth = box.exact(found.codes)
    doubt = box.bound(truth)
    for n in range(where.count):
        assert found.success[n] == (found.reason[n] == "")
        free = np.isnan(wanted.target[:, n])
        assert np.isnan(found.residual[free, n]).all()
        if found.success[n]:
            off = np.abs(truth - wanted.target)[~free, n]
            assert not free.all() and (np.abs(found.residual[~free, n]) <= wanted.tolerance[~free, n]).all()
            assert (off <= (wanted.tolerance + doubt)[~free, n] * (1.0 + 1e-9)).all()
            measured = [q[:, n] for c, q in found.history if np.array_equal(c[:, n], found.codes[:, n], True)]
            best = found.residual[:, n] + wanted.target[:, n]
            assert any(np.allclose(best[~free], q[~free], rtol=1e-12, atol=1e-12) for q in measured)
