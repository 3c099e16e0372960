"""Trim one mismatched chip from DC sweeps of its own amplifiers, and see what that does to its firing."""

import dataclasses

from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.plan import load_plan
from mtc_hw.calibration.result import apply
from mtc_hw.exports import design_of
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.unit import parse_size
from mtc_hw.netlist.render import own_deck
from mtc_hw.neuron_run import observe
from mtc_hw.purposes import neuron_purpose
from mtc_hw.simulate.pool import Workers, open_workers
from mtc_hw.simulate.waveforms import to_trace
from mtc_hw.sources import load_source

DURATION = 2000.0  # tau_m


def main() -> None:
    source = load_source("tonic")
    neuron = source.neuron
    assert neuron is not None
    design = design_of(source, bits=8, technology="generic", size=parse_size("2"))
    chip, purpose = perturb(design, seed=3, sample=0), neuron_purpose(neuron)
    with open_workers(Workers()) as run:
        instrument = NgspiceInstrument(chip, "transistor", run, purpose.course)
        result = calibrate(design, purpose, instrument, load_plan("dc"))
        chips = {
            "as drawn": chip,
            "calibrated": apply(result, chip),
            "nominal": dataclasses.replace(chip, deviations=None),
        }
        outcomes = run([own_deck(each, neuron, "transistor", DURATION) for each in chips.values()])
    for (name, each), outcome in zip(chips.items(), outcomes, strict=True):
        if outcome.waveforms is None:
            print(f"{name}: {outcome.status}: {outcome.reason}")
            continue
        spikes, regime = observe(to_trace(outcome.waveforms, each, 0), neuron, DURATION)
        print(f"{name:10s} {len(spikes)} spikes, {regime}")
    print(
        f"current within {result.residual[0]:.3f} I_u of the model's along its course, "
        f"{result.measurements[0]:.0f} measurements, {result.reason[0] or 'on target'}"
    )


if __name__ == "__main__":
    main()
