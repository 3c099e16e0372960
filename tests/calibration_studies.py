"""A small study of calibrations that several tests share: `python calibration_studies.py FOLDER CHIPS` runs it."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from mtc_hw.analysis.datasheet import datasheet
from mtc_hw.calibration import study as module
from mtc_hw.calibration.block import calibrate_block
from mtc_hw.calibration.chip_row import Calibrated
from mtc_hw.calibration.plan import load_plan
from mtc_hw.calibration.study import CalibrationStudy
from mtc_hw.calibration.study_run import run_study
from mtc_hw.exports import design_of, purpose_of
from mtc_hw.hardware.unit import parse_size
from mtc_hw.hardware.variation import Variation
from mtc_hw.montecarlo.engine import EngineOptions
from mtc_hw.montecarlo.study import FreeNeuron, Study, one_place
from mtc_hw.simulate.pool import Runner, Workers
from mtc_hw.sources import load_source

SHEET = datasheet("tonic", {"regime": {"wanted": "tonic"}})
LANES = 3  # chips of a block, so that a few chips are several blocks


def tonic_study(tier="ode", duration=600.0, seed=1, size="2", plan="dc", **more):
    """A tonic neuron's chips; before calibration they have the codes of the mapping."""
    source = load_source("tonic")
    design = design_of(source, bits=8, technology="generic", size=parse_size(size))
    chips = Study(FreeNeuron(source.neuron, duration), design, one_place(design), tier, Variation(), seed)
    return CalibrationStudy(chips, design, purpose_of(source, design), load_plan(plan), **more)


def options(count, **more):
    return EngineOptions(count, **({"workers": Workers(jobs=2)} | more))


def deadly_fourth(study: CalibrationStudy, samples: Sequence[int], run: Runner) -> list[Calibrated]:
    """As `calibrate_block`, but chip 4 kills its worker."""
    if 4 in samples:
        os.kill(os.getpid(), signal.SIGKILL)
    return calibrate_block(study, samples, run)


if __name__ == "__main__":
    module.LANES = LANES
    run_study(tonic_study(), options(int(sys.argv[2])), Path(sys.argv[1]), SHEET)
