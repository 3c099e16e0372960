"""Monte Carlo tables that look like a run's without its hours; draws with a known effect on the interval."""

import numpy as np
import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("sample", pa.int64()),
        ("corner", pa.string()),
        ("supply", pa.float64()),
        ("temperature", pa.float64()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("rung", pa.int64()),
        ("regime", pa.string()),
        ("spikes", pa.int64()),
        *((name, pa.float64()) for name in ("isi_mean", "isi_cv", "burst_period", "spikes_per_burst")),
        *((name, pa.float64()) for name in ("intra_interval", "r2", "power", "seconds")),
    ]
)
PLAIN = {"corner": "tt", "supply": 1.8, "temperature": 27.0, "outcome": "ok", "reason": "", "rung": 0, "seconds": 0.1}
PATHS = [
    f"n0.{element}.{device}.{quantity}"
    for element in ("fast_negative", "slow_positive", "leak", "slow_filter")
    for device in ("m1", "m2", "m3", "m4")
    for quantity in ("threshold", "width")
]
EFFECTS = np.array([3.0, 0.2, 3.0, 0.2, 1.0, 0.1, 1.0, 0.1] + [1.5, 0.1] * 4 + [0.0] * 8 + [0.5, 0.5] * 4)
"""tau_m of interval a standard deviation of each draw."""


def table(*rows: dict) -> pa.Table:
    """Rows by what differs from a plain good one; samples count up where they are not given."""
    whole = [{name: None for name in SCHEMA.names} | PLAIN | {"sample": k} | row for k, row in enumerate(rows)]
    return pa.Table.from_pylist(whole, schema=SCHEMA)


def chips(count: int, seed: int = 0, conditions=(("tt", 1.8, 27.0),), failing: float = 0.0):
    """A tonic neuron's table and draws: the interval is linear in the draws, a few chips burst, some runs fail."""
    rng = np.random.default_rng(seed)
    draws = rng.standard_normal((count, len(PATHS)))
    rows = []
    for sample, own in enumerate(draws):
        for corner, supply, temperature in conditions:
            interval = 52.0 + own @ EFFECTS + {"tt": 0.0, "ff": -2.0, "ss": 3.0}[corner] + 0.02 * (temperature - 27.0)
            row = {"sample": sample, "corner": corner, "supply": supply, "temperature": temperature}
            if rng.random() < failing:
                timeout = rng.random() < 0.5
                row |= {"outcome": "timeout" if timeout else "timestep", "reason": "n0.v at 31.2 us"}
            else:
                regime = "tonic" if interval > 41.0 else "bursting"
                power = 4.2e-8 * float(np.exp(0.05 * own[0])) * (temperature + 273.0) / 300.0
                row |= {"regime": regime, "spikes": round(1000.0 / interval), "isi_mean": interval, "power": power}
            rows.append(row)
    given = {"sample": np.arange(count)} | {path: draws[:, k] for k, path in enumerate(PATHS)}
    return table(*rows), pa.table(given)
