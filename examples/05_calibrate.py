"""Trim one mismatched chip from DC sweeps of its own amplifiers, and see what that does to its firing."""

import dataclasses

from mtc_hw.calibrate import apply, calibrate
from mtc_hw.calibration_plan import load_plan
from mtc_hw.courses import neuron_course
from mtc_hw.exports import design_of, spec_of
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.unit import parse_size
from mtc_hw.instrument import Bench
from mtc_hw.netlist.render import own_deck
from mtc_hw.neuron_run import observe
from mtc_hw.simulate.pool import Workers, open_workers
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.sources import load_source

DURATION = 2000.0  # tau_m


def main() -> None:
    source, plan = load_source("tonic"), load_plan("dc")
    neuron = source.neuron
    assert neuron is not None
    design = design_of(source, bits=8, technology="generic", size=parse_size("2"))
    chip, course = perturb(design, seed=3, sample=0), neuron_course(neuron)
    with open_workers(Workers()) as run:
        record = calibrate(design, spec_of(source), Bench(chip, "transistor", plan, run, course), plan, course)
        chips = {
            "as drawn": chip,
            "calibrated": apply(record, chip),
            "nominal": dataclasses.replace(chip, deviations=None),
        }
        outcomes = run([own_deck(each, neuron, "transistor", DURATION) for each in chips.values()])
    for (name, each), outcome in zip(chips.items(), outcomes, strict=True):
        if outcome.waveforms is None:
            print(f"{name}: {outcome.status}: {outcome.reason}")
            continue
        spikes, regime = observe(to_trace(outcome.waveforms, each, 0), neuron, DURATION)
        print(f"{name:10s} {len(spikes)} spikes, {regime}")
    print(f"current within {record.residual[0]:.3f} I_u of the model's along its course")


if __name__ == "__main__":
    main()
