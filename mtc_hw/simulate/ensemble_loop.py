"""The classical Runge-Kutta method as machine code over lanes and time. Kutta, Z. Math. Phys. 46, 1901.

A few lanes at a time go through the whole run, so that what they need stays in the first-level cache; within it, one
stage for all of them, so that a processor finds independent operations next to each other. A lane sees only
operations on itself: neither its neighbours nor its place nor the width of vectors change a bit of it. Processors
with and without fused multiplication and addition differ in the last bits.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from llvmlite import ir

from mtc_hw.formula.emit import F64, I64, UNSURE, Code, Emitter, vector_width
from mtc_hw.formula.lower import Lowering
from mtc_hw.formula.node import Node, node, topological
from mtc_hw.formula.precision import Precision
from mtc_hw.simulate.ensemble_flow import Structure, flow

CACHE = 24_000  # bytes that a block of lanes may take
MOST_VECTORS = 16  # of a block
STAGES = 4


class Entry(IntEnum):
    """What the machine code's table holds: sizes and pointers."""

    LANES = 0  # whole vectors
    COEFFICIENTS = 1  # (names, lanes)
    STATES = 2  # (states, lanes), carried along
    STAGES = 3  # (8,): how far each stage moves the next one's start, tau_m, and its weight in the step
    INTERVALS = 4  # over each of which the current is linear
    SUBSTEPS = 5  # of an interval
    SHARES = 6  # (2 substeps + 1,): the way through the interval at each half step
    CURRENT = 7  # (intervals + 1, lanes) at the intervals' ends, float64
    CURRENT_ROW = 8  # numbers from one end to the next
    CURRENT_LANE = 9  # numbers from one lane to the next, 1, or 0 where a vector serves all
    OUTPUT = 10  # (records, lanes): the voltage after the last of each `EVERY` steps
    OUTPUT_ROW = 11
    EVERY = 12


@dataclass(frozen=True, eq=False)
class Loop:
    """Machine code of a structure."""

    code: Code
    names: tuple[str, ...]  # of the coefficients


@lru_cache(maxsize=64)
def compiled(structure: Structure, names: tuple[str, ...], precision: Precision) -> Loop:
    """The loop for neurons of a structure with these coefficients, made once in a process: a fraction of a second."""
    return _Writer(structure, names, precision).loop()


class _Writer:
    """Scratch memory of a block, lists of as many numbers as it has lanes: constants, then three of each state."""

    def __init__(self, structure: Structure, names: tuple[str, ...], precision: Precision) -> None:
        coefficients = {name: Node("input", value=("coefficient", index)) for index, name in enumerate(names)}
        states = {name: Node("input", value=("state", index)) for index, name in enumerate(structure.states)}
        left, right, share = (Node("input", value=(kind, 0)) for kind in ("left", "right", "share"))
        lowering = Lowering({}, precision)
        rates = flow(structure, coefficients, states, left + share * (right - left))
        self.roots = lowering([node(rate) for rate in rates])
        order = topological(self.roots)
        moving = [n for n in order if not lowering.is_fixed(n)]
        wanted = {arg for n in moving for arg in n.args} | set(self.roots)
        self.fixed = [n for n in order if n in wanted and lowering.is_fixed(n) and n.op != "const"]
        self.count, self.names, self.structure = len(states), names, structure
        width = vector_width(precision)
        lists = len(self.fixed) + 3 * self.count
        self.block = width * max(2, min(MOST_VECTORS, CACHE // (lists * width * precision.word)))
        self.lists = lists
        self.e = Emitter(width, precision, UNSURE)

    def loop(self) -> Loop:
        e, b = self.e, self.e.build
        pointers = (Entry.COEFFICIENTS, Entry.STATES, Entry.STAGES, Entry.SHARES, Entry.CURRENT, Entry.OUTPUT)
        self.base = {entry: e.address(entry) if entry in pointers else e.entry(entry) for entry in Entry}
        self.room, lanes = e.room(self.lists * self.block), self.base[Entry.LANES]
        with e.loop(I64(0), lanes, self.block) as self.start:
            far = b.add(self.start, I64(self.block))
            self.end = b.select(b.icmp_signed("<", far, lanes), far, lanes)
            with e.loop(self.start, self.end, e.lanes) as lane:
                self._prologue(lane)
            intervals, substeps = self.base[Entry.INTERVALS], self.base[Entry.SUBSTEPS]
            with e.loop(I64(0), intervals) as interval, e.loop(I64(0), substeps) as substep:
                self._step(interval, substep)
            with e.loop(self.start, self.end, e.lanes) as lane:
                for index in range(self.count):
                    e.store(e.load(self._state(0, index, lane)), self._array(Entry.STATES, index, lane))
        return Loop(e.finish(), self.names)

    def _prologue(self, lane: ir.Value) -> None:
        """A block's constants and states into the scratch memory."""
        e = self.e
        read = {n.value for n in topological(self.fixed) if n.op == "input"}
        inputs = {name: e.load(self._array(Entry.COEFFICIENTS, name[1], lane)) for name in sorted(read)}
        for index, value in enumerate(e.compute(self.fixed, inputs, {})):
            e.store(value, self._scratch(index, lane))
        for index in range(self.count):
            value = e.load(self._array(Entry.STATES, index, lane))
            for part, start in enumerate((value, value, e.number(0.0))):
                e.store(start, self._state(part, index, lane))

    def _step(self, interval: ir.Value, substep: ir.Value) -> None:
        e, b = self.e, self.e.build
        with e.loop(I64(0), I64(STAGES)) as stage:
            half = b.add(b.mul(substep, I64(2)), b.sdiv(b.add(stage, I64(1)), I64(2)))
            share = e.everywhere(e.offset(self.base[Entry.SHARES], half))
            move = e.everywhere(e.offset(self.base[Entry.STAGES], stage))
            weight = e.everywhere(e.offset(self.base[Entry.STAGES], stage, STAGES))
            with e.loop(self.start, self.end, e.lanes) as lane:
                self._stage(interval, lane, share, move, weight)
        number = b.add(b.mul(interval, self.base[Entry.SUBSTEPS]), substep)
        row = b.mul(b.sdiv(number, self.base[Entry.EVERY]), self.base[Entry.OUTPUT_ROW])
        with e.loop(self.start, self.end, e.lanes) as lane:
            for index in range(self.count):
                own, gained = e.load(self._state(0, index, lane)), e.load(self._state(2, index, lane))
                after = b.fadd(own, gained, flags=e.flags)
                after = self._bounded(after) if index == 0 and self.structure.lags else after
                for part, value in enumerate((after, after, e.number(0.0))):
                    e.store(value, self._state(part, index, lane))
                if index == 0:
                    e.store(after, e.offset(self.base[Entry.OUTPUT], row, lane))

    def _bounded(self, voltage: ir.Value) -> ir.Value:
        """The voltage, or NaN where its exponential is beyond what the precision holds."""
        e, b, largest = self.e, self.e.build, self.e.precision.largest
        below = b.fcmp_ordered("<=", voltage, e.number(largest))
        above = b.fcmp_ordered(">=", voltage, e.number(-largest))
        return b.select(b.and_(below, above), voltage, e.number(math.nan))

    def _stage(self, interval: ir.Value, lane: ir.Value, share: ir.Value, move: ir.Value, weight: ir.Value) -> None:
        """Slopes at the trial state: they enter the step's sum, and move the next trial off the step's start."""
        e, b = self.e, self.e.build
        inputs = {("state", index): e.load(self._state(1, index, lane)) for index in range(self.count)}
        inputs |= {("left", 0): self._current(interval, lane), ("share", 0): share}
        inputs["right", 0] = self._current(b.add(interval, I64(1)), lane)
        known = {n: e.load(self._scratch(index, lane)) for index, n in enumerate(self.fixed)}
        for index, slope in enumerate(e.compute(self.roots, inputs, known)):
            own, total = self._state(0, index, lane), self._state(2, index, lane)
            trial = b.fadd(e.load(own), b.fmul(move, slope, flags=e.flags), flags=e.flags)
            summed = b.fadd(e.load(total), b.fmul(weight, slope, flags=e.flags), flags=e.flags)
            e.store(trial, self._state(1, index, lane))
            e.store(summed, total)

    def _current(self, end: ir.Value, lane: ir.Value) -> ir.Value:
        """At one of the intervals' ends."""
        b, base, wide = self.e.build, self.base, ir.VectorType(F64, self.e.lanes)
        place = b.add(b.mul(end, base[Entry.CURRENT_ROW]), b.mul(lane, base[Entry.CURRENT_LANE]))
        value = b.load(b.gep(base[Entry.CURRENT], [place], source_etype=F64), typ=wide, align=8)
        return value if self.e.real is F64 else b.fptrunc(value, self.e.vector)

    def _array(self, entry: Entry, row: int, lane: ir.Value) -> ir.Value:
        return self.e.offset(self.base[entry], (self.base[Entry.LANES], row), lane)

    def _scratch(self, index: int, lane: ir.Value) -> ir.Value:
        return self.e.offset(self.room, index * self.block, self.e.build.sub(lane, self.start))

    def _state(self, part: int, index: int, lane: ir.Value) -> ir.Value:
        """Part 0: before the step; 1: at which the stage is evaluated; 2: what the step adds."""
        return self._scratch(len(self.fixed) + part * self.count + index, lane)
