"""What neurons under their own stimulus and networks on their task are to do, for calibration."""

import dataclasses

from mtc_hw.calibration.purpose import Lesson, Purpose
from mtc_hw.courses import neuron_course, task_course
from mtc_hw.model.tasks import Split
from mtc_hw.neuron_file import NeuronFile, bare_spec
from mtc_hw.spec import ModelSpec


def neuron_purpose(neuron: NeuronFile) -> Purpose:
    """A free neuron's: to fire as its file says."""
    return Purpose(bare_spec(neuron), neuron_course(neuron), neuron.stimulus, neuron.initial)


def task_purpose(spec: ModelSpec, split: Split) -> Purpose:
    """A network's: its task, whose training part a chip's readout may be refitted on."""
    lesson = Lesson(split.train.inputs[:, None], split.train.targets)
    return Purpose(spec, task_course(spec, split), lesson=lesson)


def without_refit(purpose: Purpose) -> Purpose:
    """The same with the readout that was trained."""
    return dataclasses.replace(purpose, lesson=None)
