"""Findings that look like a run's without its hours: real neurons, an invented series, predictions and chips."""

import dataclasses

import numpy as np

from mtc_hw.analysis.yields import clopper_pearson
from mtc_hw.findings import Findings, Stage
from mtc_hw.spec import ELEMENT_FILTER, SIGNS, ModelSpec, Neurons, Readout, Task

ATTACK = "<script>alert(1)</script>"
MEANINGS = {
    "software": "the trained network, float weights and ideal tanh elements",
    "refined": "leak and filters bend as the circuit's wide-range amplifiers do",
    "quantised": "every parameter rounded to its converter's steps",
    "behavioural": "ideal amplifiers in ngspice",
    "transistor": "transistors in ngspice, biases trimmed once for all chips",
    "mismatch": "devices drawn with mismatch, a chip a value",
    "calibrated": "the same chips after their own trims and a refitted readout",
}
LEVELS = {"software": 0.988, "refined": 0.987, "quantised": 0.984, "behavioural": 0.979, "transistor": 0.951}


def findings(count: int = 64, samples: int = 1250, seed: int = 0) -> Findings:
    """A run that went well, on the same path as a real one."""
    rng = np.random.default_rng(seed)
    spec = network(count, rng)
    time = np.arange(samples, dtype=np.float64)
    target = series(samples)
    predictions = {name: at_r2(target, value, rng) for name, value in LEVELS.items()}
    chips = np.array([0.62, -0.35, 0.81])
    calibrated = np.array([0.942, 0.931, 0.948])
    predictions["calibrated"] = at_r2(target, 0.942, rng)
    twins = 1.0 - 10.0 ** rng.normal(-0.95, 0.35, 200)
    software, circuit = simulate(spec, target), simulate(nearby(spec, rng), target)
    stages = [Stage(name, MEANINGS[name], (value,)) for name, value in LEVELS.items()]
    groups = {"mismatch": chips, "calibrated": calibrated}
    stages += [Stage(name, MEANINGS[name], tuple(v)) for name, v in groups.items()]
    return Findings(
        spec=spec,
        stages=tuple(stages),
        s_comp=0.917,
        s_comm=0.991,
        silent=2 / 64,
        time=time,
        target=target,
        predictions=predictions,
        burn_in=samples // 5,
        trace_time=np.arange(software.shape[0]) * 0.25,
        software_voltage=software,
        circuit_voltage=circuit,
        software_chips=twins,
        software_refitted=1.0 - 0.3 * (1.0 - twins),
        chips_raw=chips,
        chips_calibrated=calibrated,
        threshold=0.9,
        yield_=clopper_pearson(int((twins >= 0.9).sum()), twins.size),
        yield_refitted=clopper_pearson(int((1.0 - 0.3 * (1.0 - twins) >= 0.9).sum()), twins.size),
        neuron_power=43.2e-9,
        simulated=8 * count,
        failures=(),
        seconds={"map": 1.3, "behavioural": 41.0, "transistor": 612.5, "monte carlo": 1893.0, "calibrate": 2210.0},
        provenance={
            "seed": "1",
            "spec digest": "9f2c" * 16,
            "mtc_hw": "0.1.0",
            "ngspice": "42",
            "technology": "generic",
            "temperature": "27 C",
            "supply": "1.8 V",
            "command": "mtc-hw run --seed 1 --out demo",
        },
    )


def failed(count: int = 2) -> Findings:
    """A run in which nearly all that can go wrong did, with hostile text wherever text comes in."""
    good = findings(count, samples=300)
    circuit = np.full_like(good.circuit_voltage, -1.8)
    circuit[:, -1] = np.nan
    return dataclasses.replace(
        good,
        stages=(
            Stage("software", f"float {ATTACK}", (0.62,)),
            Stage(f"odd {ATTACK} $x_2$", "a stage that the report does not know", (-41.0,)),
            Stage("transistor", "transistors", (float("nan"),)),
            Stage("mismatch", "chips", (float("nan"), -0.1)),
        ),
        predictions={"software": np.zeros(300), "transistor": np.full(300, np.nan)},
        circuit_voltage=circuit,
        software_chips=np.empty(0),
        software_refitted=np.empty(0),
        chips_raw=np.array([np.nan, -0.1]),
        chips_calibrated=np.empty(0),
        yield_=None,
        yield_refitted=None,
        neuron_power=float("nan"),
        failures=tuple(f"neuron{k}: timestep too small {ATTACK}" for k in range(40)),
        provenance={f"key {ATTACK}": f"value {ATTACK}"},
        seconds={},
    )


def network(count: int, rng: np.random.Generator) -> ModelSpec:
    """Half of the neurons spike, the other half burst."""
    burst = np.arange(count) >= count // 2
    alpha = np.stack([np.full(count, 2.0), np.full(count, 2.0), 1.5 * burst, 1.5 * burst])
    delta = np.stack([np.zeros(count), np.zeros(count), -1.5 * burst, -1.5 * burst])
    tau = np.stack([np.zeros(count), rng.uniform(12.0, 50.0, count), rng.uniform(200.0, 900.0, count)])
    neurons = Neurons(alpha * rng.uniform(0.95, 1.05, (4, count)), delta, tau)
    bias = np.where(burst, -1.6, -0.8) + rng.normal(0.0, 0.15, count)
    readout = Readout(rng.normal(0.0, 0.2, (1, count)), np.zeros(1), tau=20.0)
    task = Task("Mackey-Glass", horizon=135.0, sample=1.0, mean=0.9, scale=0.23)
    return ModelSpec(neurons, rng.normal(0.0, 0.3, (count, 1)), bias, readout=readout, task=task)


def nearby(spec: ModelSpec, rng: np.random.Generator) -> ModelSpec:
    """The same network, its parameters a little off, as a circuit's are."""
    neurons = dataclasses.replace(
        spec.neurons,
        alpha=spec.neurons.alpha * rng.normal(1.0, 0.004, spec.neurons.alpha.shape),
        tau=spec.neurons.tau * rng.normal(1.0, 0.004, spec.neurons.tau.shape),
    )
    return dataclasses.replace(spec, neurons=neurons)


def simulate(spec: ModelSpec, series: np.ndarray, step: float = 0.25) -> np.ndarray:
    """Explicit Euler over the series, one sample a tau_m: (4 samples, N)."""
    neurons = spec.neurons
    state = np.full((3, neurons.count), -1.8)  # V, slow, ultraslow
    rows = np.empty((4 * series.size, neurons.count))
    for k in range(len(rows)):
        seen = state[list(ELEMENT_FILTER)]
        current = spec.bias + spec.weights[:, 0] * series[k // 4]
        elements = np.array(SIGNS)[:, None] * neurons.alpha * np.tanh(seen - neurons.delta)
        drift = np.vstack([(current - state[:1] + elements.sum(0)), (state[0] - state[1:]) / neurons.tau[1:]])
        state = state + step * drift
        rows[k] = state[0]
    return rows


def series(samples: int) -> np.ndarray:
    """Mackey-Glass with delay 17 by Euler, standardised, one sample a unit of time."""
    step, delay = 0.1, 170
    x = np.full(delay + 1, 1.2)
    values = np.empty(10 * (samples + 300))
    for k in range(values.size):
        past = x[k % (delay + 1)]
        now = x[(k - 1) % (delay + 1)]
        values[k] = now + step * (0.2 * past / (1.0 + past**10) - 0.1 * now)
        x[k % (delay + 1)] = values[k]
    shown = values[3000::10]
    return np.asarray((shown - shown.mean()) / shown.std())


def at_r2(target: np.ndarray, value: float, rng: np.random.Generator) -> np.ndarray:
    """The target with a smooth error that leaves this R2."""
    noise = np.convolve(rng.normal(size=target.size), np.hanning(25), mode="same")
    noise *= np.sqrt((1.0 - value) * np.var(target) / np.mean(noise**2))
    return np.asarray(target + noise)
