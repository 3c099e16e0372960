"""Many neurons by the compiled integrator: its accuracy against LSODA, and its time.

python benchmarks/ensemble.py [--neurons 1000] [--checked 200] [--lanes 128000] [--quick] [--json]

Accuracy: the bursting preset with 5 % on every alpha and tau and 0.05 unit voltages on every delta, and as the
circuit of as many virtual chips, both over 4,000 tau_m. LSODA at a relative tolerance of 1e-8 is exact here. Time:
lanes driven by one sampled current, a sample each tau_m, over 1,250 tau_m.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mtc_hw.analysis.firing import repeat, started
from mtc_hw.analysis.spikes import spike_times
from mtc_hw.characterise import cells_for
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.faithful import as_cells
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import load_technology
from mtc_hw.neuron_file import Stimulus, bare_spec, load_neuron
from mtc_hw.simulate.ensemble import PRECISIONS, Holds, integrate_many, step_of
from mtc_hw.simulate.ode import SampledCurrent, integrate
from mtc_hw.spec import EFFECT_ROWS, Array, CellEffects, Neurons, Trace

PRESET = load_neuron("bursting")
SPREAD = 0.05
SPACING = 0.25  # tau_m between LSODA's voltages
STEPS = (1.0, 0.5, 0.25)  # tau_m
MIDDLE, SWING = -1.0, 0.8  # I_u: the sampled current


def mismatched(count: int) -> Neurons:
    """The preset with a spread."""
    draw, many = np.random.default_rng(0), repeat(PRESET.neurons, count)
    alpha, tau = (own * np.exp(SPREAD * draw.normal(size=own.shape)) for own in (many.alpha, many.tau))
    return dataclasses.replace(many, alpha=alpha, tau=tau, delta=many.delta + SPREAD * draw.normal(size=alpha.shape))


def design() -> MappedDesign:
    technology = load_technology("generic")
    return map_spec(bare_spec(PRESET), technology, cells_for(technology, 4e-6, 4e-6), MappingOptions(bits=None))


def chips(count: int) -> tuple[Neurons, Array]:
    """The preset's circuit on as many virtual chips, and its constant currents (count,)."""
    nominal = design()
    specs = [as_cells(perturb(nominal, 0, sample)) for sample in range(count)]
    own = [spec.neurons for spec in specs]
    cells = {name: np.concatenate([getattr(each.cells, name) for each in own], axis=-1) for name in EFFECT_ROWS}
    names = ("alpha", "delta", "tau", "leak", "rest", "offset")
    arrays = {name: np.concatenate([getattr(each, name) for each in own], axis=-1) for name in names}
    return Neurons(**arrays, cells=CellEffects(**cells)), np.concatenate([spec.bias for spec in specs])


def timed(run: Callable[[], Trace], rounds: int = 1) -> tuple[float, Trace]:
    """Seconds of the fastest round, and what it gave."""
    best, found = np.inf, None
    for _ in range(rounds):
        before = time.perf_counter()
        found = run()
        best = min(best, time.perf_counter() - before)
    assert found is not None
    return best, found


def spikes(trace: Trace) -> list[Array]:
    return [spike_times(trace.time, column) for column in trace.voltage.T]


def accuracy(neurons: Neurons, bias: Array, checked: int, duration: float, rounds: int) -> list[dict[str, Any]]:
    """A row a method: LSODA's, of the checked neurons, then ours, of all."""
    current = PRESET.stimulus.steps[0][1]
    before, exact = time.perf_counter(), []
    for index in range(checked):
        stimulus = Stimulus(((0.0, current + float(bias[index])),))
        one = integrate(
            neurons.take(index), stimulus, duration, PRESET.initial, rtol=1e-8, atol=1e-8, spacing=SPACING
        )
        exact += spikes(one)
    rows: list[dict[str, Any]] = [{"method": "LSODA", "ms_a_neuron": 1e3 * (time.perf_counter() - before) / checked}]
    holds, start = Holds.constant(current + bias), started(PRESET.initial, neurons.count)
    for precision in PRECISIONS:
        for step in dict.fromkeys((step_of(neurons), *STEPS)):

            def run(step: float = step, precision: Any = precision) -> Trace:
                return integrate_many(neurons, holds, duration, start, step=step, precision=precision)

            first, trace = timed(run)
            seconds, _ = timed(run, rounds)
            rows.append(
                {"method": precision, "step": step, "seconds": seconds, "compiled_s": first - seconds}
                | {"ms_a_neuron": 1e3 * seconds / neurons.count}
                | compared(spikes(trace)[:checked], exact)
            )
    return rows


def compared(found: list[Array], exact: list[Array]) -> dict[str, float]:
    """Share of the neurons with as many spikes, in percent, and their spikes' errors, tau_m."""
    same = [(own, true) for own, true in zip(found, exact, strict=True) if own.size == true.size]
    errors = np.concatenate([np.empty(0), *(np.abs(own - true) for own, true in same)])
    return {
        "same_count": 100.0 * len(same) / len(exact),
        "median_error": float(np.median(errors)) if errors.size else 0.0,
        "largest_error": float(errors.max(initial=0.0)),
    }


def driven(lanes: int, samples: int, rounds: int) -> list[dict[str, Any]]:
    """A row a kind of neuron and a precision."""
    course = np.random.default_rng(1).normal(size=samples).cumsum() / np.sqrt(samples)
    current = SampledCurrent(MIDDLE + SWING * course, 1.0)
    circuit = as_cells(design()).neurons.cells
    assert circuit is not None
    copies = {name: np.repeat(getattr(circuit, name), lanes, axis=-1) for name in EFFECT_ROWS}
    ideal, start = mismatched(lanes), started(PRESET.initial, lanes)
    rows = []
    for name, neurons in (("ideal", ideal), ("circuit", dataclasses.replace(ideal, cells=CellEffects(**copies)))):
        for precision in PRECISIONS:

            def run(neurons: Neurons = neurons, precision: Any = precision) -> Trace:
                return integrate_many(neurons, current, samples - 1.0, start, step=0.5, precision=precision, every=2)

            seconds, trace = timed(run, rounds)
            work = lanes * (samples - 1.0)
            rows.append(
                {"neurons": name, "precision": precision, "lanes": lanes, "samples": samples, "seconds": seconds}
                | {"ns": 1e9 * seconds / work, "lost": int(np.isnan(trace.voltage[-1]).sum())}
            )
    return rows


def show(found: dict[str, Any]) -> None:
    for name in ("ideal", "circuit"):
        print(f"| {name} | step, tau_m | ms a neuron | times LSODA's speed | s | first use, s | ", end="")
        print("same count, % | median error, tau_m | largest |\n|" + "---|" * 9)
        lsoda = found[name][0]["ms_a_neuron"]
        print(f"| LSODA | | {lsoda:.2f} | 1 | | | | | |")
        for row in found[name][1:]:
            numbers = "{step:.3g} | {ms_a_neuron:.3f} | {faster:.0f} | {seconds:.2f} | {compiled_s:.2f} | "
            errors = "{same_count:.1f} | {median_error:.4f} | {largest_error:.3f} |"
            print(f"| {row['method']} | " + (numbers + errors).format(**row, faster=lsoda / row["ms_a_neuron"]))
        print()
    print("| driven | precision | lanes | samples | s | ns a lane and tau_m |\n|" + "---|" * 6)
    for row in found["driven"]:
        print("| {neurons} | {precision} | {lanes} | {samples} | {seconds:.2f} | {ns:.1f} |".format(**row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=1000)
    parser.add_argument("--checked", type=int, default=200)
    parser.add_argument("--lanes", type=int, default=128_000)
    parser.add_argument("--samples", type=int, default=1251)
    parser.add_argument("--quick", action="store_true", help="12 neurons over 600 tau_m, 300 lanes, 20 samples, once")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    size = (given.neurons, given.checked, 4000.0, given.lanes, given.samples, 3)
    neurons, checked, duration, lanes, samples, rounds = (12, 4, 600.0, 300, 20, 1) if given.quick else size
    found = {
        "ideal": accuracy(mismatched(neurons), np.zeros(neurons), checked, duration, rounds),
        "circuit": accuracy(*chips(neurons), checked, duration, rounds),
        "driven": driven(lanes, samples, 1),
    }
    print(json.dumps(found)) if given.json else show(found)


if __name__ == "__main__":
    main()
