"""Co-design: train in the circuit's measured curves, then with calibrated chips in the loop, and one on a bench."""

from dataclasses import replace
from pathlib import Path

from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.plan import load_plan
from mtc_hw.codesign.loop import FINE, CodesignOptions, codesign
from mtc_hw.codesign.report import table, write_codesign
from mtc_hw.codesign.silicon import MeasuredChips
from mtc_hw.codesign.trimming import ByPlan
from mtc_hw.codesign.verify import VerifyOptions
from mtc_hw.hardware.unit import parse_size
from mtc_hw.model.in_the_loop import hardware_in_the_loop
from mtc_hw.model.options import load_recipe
from mtc_hw.model.tasks import mackey_glass_split

SHORT = {"batch": 8, "window": 250, "burn_in": 120}


def main() -> None:
    split = mackey_glass_split(4000, 1000)
    recipe = replace(load_recipe("circuit"), hidden=24, iterations=150, candidates=4, **SHORT)
    options = CodesignOptions(
        size=parse_size("2"),  # um: small transistors, which differ much from each other
        chips=6,
        looped=4,
        tune=replace(FINE, iterations=60, **SHORT),
        verify=VerifyOptions(test=500),
    )
    trim = ByPlan(load_plan("dc"))
    found = codesign(recipe, split, options, trim, progress=False)
    write_codesign(found, Path("codesign"), "examples/12_codesign.py")
    print(table(found))

    # One chip for itself, behind an instrument: any that answers `Driven` with the synapses' low-passed outputs.
    last = found.steps[-1]
    chip = trim(last.spec, [options.variation.draw(last.design, seed=9, sample=0)], split).chips[0]
    bench = MeasuredChips((replace(chip, deviations=None),), (CompiledInstrument([chip], "cells"),))
    _, told = hardware_in_the_loop(last.spec, bench, split, replace(options.tune, iterations=10), progress=False)
    print(f"one chip: {told.before.apart:.1%} from the model before, {told.after.apart:.1%} after ten iterations")
    print(f"R2 of the last batch, as measured: {told.history[-1][2]:.3f}")


if __name__ == "__main__":
    main()
