"""How chips are judged."""

import dataclasses

import numpy as np
import pytest

from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.observables import Driven, Request
from mtc_hw.calibration.plan import load_plan
from mtc_hw.codesign.trimming import ByPlan, Trimmed
from mtc_hw.codesign.verify import BURN_IN, VerifyOptions, verify
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.metrics import r2
from mtc_hw.model.tasks import mackey_glass_split

OPTIONS = VerifyOptions(test=200, refit=400)


@pytest.fixture(scope="module")
def split():
    return mackey_glass_split(3000, 600)


@pytest.fixture(scope="module")
def trimmed(mapped, small_network, split):
    design = mapped(small_network, bits=8)
    return ByPlan(load_plan("dc"))(small_network, [perturb(design, 0, sample) for sample in range(3)], split)


def test_a_chip_s_score_is_that_of_its_own_answer_whatever_the_others_are(trimmed, split):
    scores = verify(trimmed, split, OPTIONS)
    series, kept = split.test.inputs[: BURN_IN + OPTIONS.test + 1, None], slice(BURN_IN, BURN_IN + OPTIONS.test + 1)
    for found, chips in ((scores.raw, trimmed.chips), (scores.refitted, trimmed.refitted)):
        for value, chip in zip(found, chips, strict=True):
            codes = dataclasses.replace(chip, deviations=None)
            answer = CompiledInstrument([chip], "cells").measure(codes, Request(driven=Driven(series))).driven
            assert value == pytest.approx(r2(answer.prediction[kept, 0], split.test.targets[kept]), abs=2e-3)


def test_chips_without_readouts_of_their_own_get_one(trimmed, split):
    found = verify(Trimmed(trimmed.chips), split, OPTIONS)
    assert np.array_equal(found.raw, verify(trimmed, split, OPTIONS).raw)
    assert np.isfinite(found.refitted).all() and not np.array_equal(found.refitted, found.raw)


def test_the_summary_leaves_out_what_did_not_run(trimmed, split):
    found = verify(trimmed, split, OPTIONS)
    lost = dataclasses.replace(found, raw=np.array([np.nan, 0.5, 0.7]))
    told = lost.to_json()
    assert (told["chips"], told["failed"], told["raw_median"]) == (3, 1, pytest.approx(0.6))
    assert told["raw"] == [None, 0.5, 0.7]
