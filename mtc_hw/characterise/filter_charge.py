"""What a spike does to a slow filter beyond the follower's DC transfer."""

from collections.abc import Sequence

import numpy as np

from mtc_hw.characterise.bench import Bench
from mtc_hw.hardware.cells import Cells
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.spec import Array

SPIKE, HELD = (-1.9, 2.4), -1.0  # unit voltages: a spike's foot and top, and where the filter's output is
REST, EDGE, TOP, END, STEP = 0.01, 5e-4, 2e-3, 0.3, 2e-4  # s


def spike_charge(bench: Bench, cells: Cells, biases: Sequence[float]) -> Array:
    """Charge that one spike pushes into a follower's output beyond what the closed form gives, C, by bias.

    Up, the pair's tail follows the input at once and takes its charge from the mirror; down, only the tail current
    discharges it. Of a bias of some pA the transistors' own capacitance so makes a filter faster than its bias says.
    """
    low, high = (each * cells.unit for each in SPIKE)
    held = HELD * cells.unit
    names = [f"i(vo{i})" for i in range(len(biases))]
    times = {"rest": REST, "edge": EDGE, "top": TOP, "duration": END, "step": STEP}
    levels = {"low": low, "high": high, "held": held}
    seen = bench.run("filter.cir.j2", names, END, biases=biases, options=TRANSISTOR.options(), **levels, **times)
    corners = np.cumsum([0.0, REST, EDGE, TOP, EDGE])
    inp = np.interp(seen.axis, corners, [low, low, high, high, low])
    flat = np.full_like(inp, held)
    extra = [seen[name] - cells.wide_ota.current(b, inp, flat, flat) for name, b in zip(names, biases, strict=True)]
    return np.array([np.trapezoid(each - each[0], seen.axis) for each in extra])
