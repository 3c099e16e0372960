"""Writes `golden/pyspike.json`: random pairs of trains and the distances that PySpike finds between them.

PySpike comes as source only and wants a C compiler, so it is no dependency. In an environment of its own:
`pip install numpy pyspike==0.9.0`, then `python tests/pyspike_oracle.py`.
"""

import json
from pathlib import Path

FILE = Path(__file__).parent / "golden" / "pyspike.json"
PAIRS = 400
COUNTS = [0, 1, 1, 2, 3, 6, 12, 20]  # spikes of a train
GRAIN = 64  # parts of a time unit; a coarse grain of 2 makes spikes coincide and fall on the ends


def main() -> None:
    import numpy as np
    import pyspike

    rng = np.random.default_rng(20130115)
    rows = []
    for pair in range(PAIRS):
        start, length = int(rng.integers(-20, 20)), int(rng.integers(1, 60))
        grain = GRAIN if pair % 2 else 2
        trains = [
            np.unique(rng.integers(0, length * grain + 1, rng.choice(COUNTS))) / grain + start for _ in range(2)
        ]
        one, two = (pyspike.SpikeTrain(train, [start, start + length]) for train in trains)
        row = {"start": start, "end": start + length, "trains": [train.tolist() for train in trains]}
        distances = {"isi": pyspike.isi_distance(one, two), "spike": pyspike.spike_distance(one, two)}
        assert np.isfinite(list(distances.values())).all()
        rows.append(row | {name: float(value) for name, value in distances.items()})
    lines = ",\n".join(json.dumps(row) for row in rows)
    FILE.write_text(f'{{"pyspike": "{pyspike.__version__}", "pairs": [\n{lines}\n]}}\n', encoding="ascii")


if __name__ == "__main__":
    main()
