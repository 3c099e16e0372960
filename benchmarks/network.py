"""A trained network, all of it at transistor level, against its software: R2 before and after a readout refit.

Run: python benchmarks/network.py [NETWORK] [--technology generic sky130A gf180mcuD] [--size 2] [--refit 1000]

For each technology: map, calibrate the nominal chip by its own sweeps, its readout refitted on the hidden layer's own
response to the training part, and run the test part through input transconductors, hidden layer, synapses, sums and
low-pass: with the trained readout (`raw`) and with the refitted one (`refit`). `affine` is with a scale and an offset
taken out of the answer. PDKs need PDK_ROOT.
"""

import argparse
import json
import time
from typing import Any

import numpy as np

from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.ngspice_instrument import NgspiceInstrument
from mtc_hw.calibration.plan import load_plan
from mtc_hw.calibration.result import apply
from mtc_hw.characterise import cells_for
from mtc_hw.freeze import unit_sized
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import load_technology
from mtc_hw.metrics import r2
from mtc_hw.model.run import run_spec
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.purposes import task_purpose
from mtc_hw.simulate.network import run_networks
from mtc_hw.simulate.pool import Runner, Workers, open_workers
from mtc_hw.sources import load_source
from mtc_hw.spec import Array, ModelSpec

BURN_IN, TEST = 250, 1000  # samples


def scores(answer: Array, target: Array) -> tuple[float, float]:
    """R2 after the burn-in as it is, and with the best scale and offset."""
    y, t = answer[BURN_IN:], target[BURN_IN:]
    return r2(y, t), r2(np.polyval(np.polyfit(y, t, 1), y), t)


def measure(
    spec: ModelSpec, name: str, size: float, bits: int, refitted: int, test: int, run: Runner
) -> dict[str, Any]:
    technology = unit_sized(load_technology(name), size, size)
    cells = cells_for(technology, size, size)
    design = map_spec(spec, technology, cells, MappingOptions(bits=bits))
    split, plan = mackey_glass_split(task=spec.task), load_plan("dc").with_refit(refitted)
    inputs, target = split.test.inputs[: BURN_IN + test, None], split.test.targets[: BURN_IN + test]
    found: dict[str, Any] = {"technology": name}
    found["software"] = scores(run_spec(spec, inputs, spec.step / 4).prediction[:, 0], target)[0]
    purpose, start = task_purpose(spec, split), time.perf_counter()
    result = calibrate(design, purpose, NgspiceInstrument(design, "transistor", run, purpose.course), plan)
    found["calibration_s"] = time.perf_counter() - start
    found["on_target"] = int(result.success.sum())
    start = time.perf_counter()
    first = run_networks([apply(result, design, trained_readout=True)], "transistor", inputs, run)[0]
    found["run_s"] = time.perf_counter() - start
    found["raw"], found["affine"] = scores(first.prediction[:, 0], target)
    found["nw_a_neuron"] = 1e9 * first.power / design.count
    found["failed"] = len(first.failed)
    if refitted:
        second = run_networks([apply(result, design)], "transistor", inputs, run)[0]
        found["refit"], found["refit_affine"] = scores(second.prediction[:, 0], target)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", default="mackey-glass-circuit")
    parser.add_argument("--technology", nargs="+", default=["generic"])
    parser.add_argument("--size", type=float, default=2.0, help="um, width and length of the unit transistor")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--refit", type=int, default=1000, help="samples; 0 for none")
    parser.add_argument("--quick", action="store_true", help="a short test part and no refit")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    spec = load_source(o.network).spec
    if spec is None:
        parser.error(f"{o.network} is no network")
    with open_workers(Workers()) as run:
        for name in o.technology:
            test, refitted = (50, 0) if o.quick else (TEST, o.refit)
            found = measure(spec, name, o.size * 1e-6, o.bits, refitted, test, run)
            shown = (f"{key} {value:.4f}" if isinstance(value, float) else f"{value}" for key, value in found.items())
            print(json.dumps(found) if o.json else "  ".join(shown), flush=True)


if __name__ == "__main__":
    main()
