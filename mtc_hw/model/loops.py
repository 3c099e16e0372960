"""The loops around a step's formula: rows, records of the tape, steps, vectors; the adjoint's run back in time.

One step at a time for all vectors, so that a processor finds independent chains of operations next to each other.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from llvmlite import ir

from mtc_hw.formula.emit import BLOCK, FLAGS, I64, Code, Emitter, vector_width
from mtc_hw.formula.node import topological
from mtc_hw.model.record import Formula, Name, Recipe, adjoint, forward_formula


class Entry(IntEnum):
    """What the machine code's table holds: sizes and pointers. A row is an item of the batch, lanes are neurons."""

    STEPS = 0
    LANES = 1  # padded to whole vectors
    COEFFICIENTS = 2  # (rows or 1, arrays, lanes)
    COEFFICIENT_ROW = 3  # floats from one row's coefficients to the next, 0 when shared
    DRIVE = 4  # (rows, steps), or currents (rows, samples + 1, lanes)
    SHARES = 5  # (substeps,): the way between two currents
    WEIGHTS = 6  # (sums, lanes): loss gradients of the sums
    TAPE = 7  # (rows, records of the tape + 1, slots, lanes)
    OUTPUTS = 8  # (rows, records, lanes): values, or their loss gradients
    PLACES = 9  # (steps,) int64: the record of a step's output, -1 for none
    RECORDS = 10
    NOWHERE = 11  # (lanes,): zeros, or a dump, for steps without a record
    SUMS = 12  # (rows, sums, lanes), or the coefficients' gradients (rows, arrays, lanes)
    INWARD = 13  # (rows, samples + 1, lanes): gradients of the currents


SIZES = (Entry.STEPS, Entry.LANES, Entry.COEFFICIENT_ROW, Entry.RECORDS)


@dataclass(frozen=True, eq=False)
class Kernel:
    """Machine code of a recipe, and the sizes of what it reads and writes."""

    forward: Code
    backward: Code
    steps: int  # in a record of the tape
    slots: int  # numbers that a record keeps of each neuron


@lru_cache(maxsize=64)
def compiled(recipe: Recipe) -> Kernel:
    """The recipe's kernel, made once in a session: it takes a fraction of a second."""
    back = adjoint(recipe)
    forward = _Forward(recipe, forward_formula(recipe), len(back.steps), back.starts)
    backward = _Backward(recipe, back.steps[0], len(back.steps), back.starts, back.steps)
    return Kernel(forward.code(), backward.code(), len(back.steps), back.slots)


AHEAD = 2
"""Records of the tape that this and the outputs' gradients are fetched before they are needed."""


class _Loops(ABC):
    """What both directions share: where arrays lie for a row, a record, a step."""

    def __init__(self, recipe: Recipe, formula: Formula, steps: int, starts: list[int]) -> None:
        self.recipe = recipe
        self.e = Emitter(self.vectors * vector_width())
        self.formula, self.steps, self.starts = formula, steps, starts
        self.states, self.arrays = len(recipe.program.initial), len(recipe.arrays)
        self.first = len(formula.hoisted)
        b = self.e.build
        self.base = {entry: self.e.entry(entry) if entry in SIZES else self.e.address(entry) for entry in Entry}
        self.lanes = self.base[Entry.LANES]
        self.records = b.sdiv(self.base[Entry.STEPS], I64(steps))
        self.samples = b.sdiv(self.base[Entry.STEPS], I64(recipe.program.substeps))
        self.block: ir.Value = I64(0)
        self.end: ir.Value = I64(0)
        self.row: ir.Value = I64(0)
        self.room: ir.Value = I64(0)

    @property
    def vectors(self) -> int:
        """Vectors that are computed together: two chains of operations side by side keep a processor busier."""
        return 2 if self.recipe.even else 1

    @property
    @abstractmethod
    def lists(self) -> int:
        """Lists of `BLOCK` floats in the scratch memory."""

    def code(self) -> Code:
        e, b = self.e, self.e.build
        self.room = e.room(self.lists * BLOCK)
        with e.loop(I64(0), self.lanes, BLOCK) as self.block:
            far = b.add(self.block, I64(BLOCK))
            self.end = b.select(b.icmp_signed("<", far, self.lanes), far, self.lanes)
            with e.loop(e.first, e.last) as self.row:
                with e.loop(self.block, self.end, e.lanes) as lane:
                    self.prologue(lane)
                with e.loop(I64(0), self.records) as count:
                    self.record(count)
                with e.loop(self.block, self.end, e.lanes) as lane:
                    self.epilogue(lane)
        return e.finish()

    def prologue(self, lane: ir.Value) -> None:
        """Before a row: what its coefficients fix."""
        hoisted = Formula(self.formula.hoisted, [])
        values = self.e.compute(hoisted.roots, self.coefficients(hoisted.inputs("coefficient"), lane), {})
        for index, result in enumerate(values):
            self.e.store(result, self.scratch(index, lane))

    @abstractmethod
    def record(self, count: ir.Value) -> None:
        """The steps of the count-th record."""

    @abstractmethod
    def epilogue(self, lane: ir.Value) -> None:
        """After a row."""

    def scratch(self, index: int, lane: ir.Value) -> ir.Value:
        return self.e.offset(self.room, index * BLOCK, self.e.build.sub(lane, self.block))

    def coefficients(self, names: Iterable[Name], lane: ir.Value) -> dict[Name, ir.Value]:
        start = self.e.build.mul(self.row, self.base[Entry.COEFFICIENT_ROW])
        base = self.e.offset(self.base[Entry.COEFFICIENTS], start)
        return {name: self.e.load(self.e.offset(base, (self.lanes, name[1]), lane)) for name in names}

    def element(self, entry: Entry, count: ir.Value, index: ir.Value | int, width: int = 1) -> ir.Value:
        """Pointer to an element of an array (rows, count, width, lanes)."""
        b = self.e.build
        place = b.add(b.mul(self.row, count), I64(index) if isinstance(index, int) else index)
        return self.e.offset(self.base[entry], (b.mul(place, self.lanes), width))

    def tape(self, record: ir.Value) -> ir.Value:
        return self.element(Entry.TAPE, self.e.build.add(self.records, I64(1)), record, self.steps + len(self.starts))

    def fetch(self, record: ir.Value, step: int, lane: ir.Value, write: bool) -> None:
        """Ask for a step's share of a later record of the tape: the processor itself does so too late."""
        slots = self.steps + len(self.starts)
        for slot in range(step * slots // self.steps, (step + 1) * slots // self.steps):
            self.e.fetch(self.e.offset(self.tape(record), (self.lanes, slot), lane), write)

    def output(self, step: ir.Value) -> ir.Value:
        """Record of a step's output, or the place for those that have none."""
        b = self.e.build
        place = b.load(b.gep(self.base[Entry.PLACES], [step], source_etype=I64), typ=I64)
        kept = self.element(Entry.OUTPUTS, self.base[Entry.RECORDS], place)
        return b.select(b.icmp_signed(">=", place, I64(0)), kept, self.base[Entry.NOWHERE])

    def current(self, entry: Entry, sample: ir.Value) -> ir.Value:
        return self.element(entry, self.e.build.add(self.samples, I64(1)), sample)

    def drives(self, formula: Formula, number: ir.Value, step: int, lane: ir.Value) -> dict[Name, ir.Value]:
        """What drives the neurons in the number-th step, the step-th of those that the formula knows."""
        e, b, substeps = self.e, self.e.build, I64(self.recipe.program.substeps)
        values: dict[Name, ir.Value] = {}
        start = b.add(b.mul(self.row, self.base[Entry.STEPS]), number)
        for name in formula.inputs("drive"):
            values[name] = e.everywhere(e.offset(self.base[Entry.DRIVE], start, name[1] - step))
        for name in formula.inputs("share"):
            values[name] = e.everywhere(e.offset(self.base[Entry.SHARES], b.srem(number, substeps)))
        for name in formula.inputs("current"):
            ends = self.current(Entry.DRIVE, b.add(b.sdiv(number, substeps), I64(name[1])))
            values[name] = e.load(e.offset(ends, lane))
        return values

    def compute(self, formula: Formula, inputs: dict[Name, ir.Value], lane: ir.Value) -> list[ir.Value]:
        """The formula's roots, from its inputs and what the prologue left."""
        inputs = inputs | self.coefficients(formula.inputs("coefficient"), lane)
        hoisted = {n: index for index, n in enumerate(formula.hoisted)}
        used = [n for n in topological(formula.roots, hoisted) if n in hoisted]
        return self.e.compute(formula.roots, inputs, {n: self.e.load(self.scratch(hoisted[n], lane)) for n in used})

    def add(self, value: ir.Value, place: ir.Value) -> None:
        self.e.store(self.e.build.fadd(self.e.load(place), value, flags=FLAGS), place)


class _Forward(_Loops):
    """States step by step. Scratch: hoisted values, states, sums."""

    @property
    def sums(self) -> int:
        return len(self.formula.roots) - self.states - 1

    @property
    def lists(self) -> int:
        return self.first + self.states + self.sums

    def prologue(self, lane: ir.Value) -> None:
        super().prologue(lane)
        for index, start in enumerate([*self.recipe.program.initial, *[0.0] * self.sums], self.first):
            self.e.store(self.e.number(start), self.scratch(index, lane))

    def record(self, count: ir.Value) -> None:
        e, b = self.e, self.e.build
        tape = self.tape(count)
        for step in range(self.steps):
            number = b.add(b.mul(count, I64(self.steps)), I64(step))
            output = self.output(number)
            with e.loop(self.block, self.end, e.lanes) as lane:
                inputs = {("state", i): e.load(self.scratch(self.first + i, lane)) for i in range(self.states)}
                self.fetch(b.add(count, I64(AHEAD)), step, lane, write=True)
                e.store(inputs["state", 0], e.offset(tape, (self.lanes, step), lane))
                for slot, index in enumerate(self.starts if step == 0 else [], self.steps):
                    e.store(inputs["state", index], e.offset(tape, (self.lanes, slot), lane))
                inputs |= self.drives(self.formula, number, 0, lane)
                results = self.compute(self.formula, inputs, lane)
                for index in range(self.states):
                    e.store(results[index], self.scratch(self.first + index, lane))
                e.store(results[self.states], e.offset(output, lane))
                for index, result in enumerate(results[self.states + 1 :], self.first + self.states):
                    self.add(result, self.scratch(index, lane))

    def epilogue(self, lane: ir.Value) -> None:
        e = self.e
        e.store(e.load(self.scratch(self.first, lane)), e.offset(self.tape(self.records), lane))
        for index in range(self.sums):
            value = e.load(self.scratch(self.first + self.states + index, lane))
            e.store(value, e.offset(self.element(Entry.SUMS, I64(self.sums), index), lane))


class _Backward(_Loops):
    """Adjoints step by step. Scratch: hoisted values, adjoints, sums for coefficients and for currents."""

    def __init__(
        self, recipe: Recipe, formula: Formula, steps: int, starts: list[int], formulas: list[Formula]
    ) -> None:
        super().__init__(recipe, formula, steps, starts)
        self.formulas = formulas
        self.total = self.first + self.states
        self.carry = self.total + self.arrays  # gradients of left and right current, and from the sample after

    @property
    def vectors(self) -> int:
        # Only the 32 registers of AVX-512 hold two of the adjoint's chains.
        return super().vectors if vector_width() >= 16 else 1

    @property
    def lists(self) -> int:
        return self.carry + 3

    def prologue(self, lane: ir.Value) -> None:
        super().prologue(lane)
        for index in range(self.first, self.lists):
            self.e.store(self.e.number(0.0), self.scratch(index, lane))

    def record(self, count: ir.Value) -> None:
        e, b = self.e, self.e.build
        record = b.sub(b.sub(self.records, I64(1)), count)
        for step in reversed(range(self.steps)):
            number = b.add(b.mul(record, I64(self.steps)), I64(step))
            output = self.output(number)
            with e.loop(self.block, self.end, e.lanes) as lane:
                self._step(record, step, number, e.offset(output, lane), lane)
            if self.recipe.dense:
                self._flush(number)

    def _step(self, record: ir.Value, step: int, number: ir.Value, output: ir.Value, lane: ir.Value) -> None:
        e, formula = self.e, self.formulas[step]
        here, following = self.tape(record), self.tape(e.build.add(record, I64(1)))
        inputs = self.drives(formula, number, step, lane)
        for name in formula.inputs("kept"):
            place = (following, 0) if name[1] == self.steps else (here, name[1])
            inputs[name] = e.load(e.offset(place[0], (self.lanes, place[1]), lane))
        for name in formula.inputs("start"):
            slot = self.steps + self.starts.index(name[1])
            inputs[name] = e.load(e.offset(here, (self.lanes, slot), lane))
        self.fetch(e.build.sub(record, I64(AHEAD)), step, lane, write=False)
        for name in formula.inputs("adjoint"):
            inputs[name] = e.load(self.scratch(self.first + name[1], lane))
        for name in formula.inputs("weight"):
            inputs[name] = e.load(e.offset(self.base[Entry.WEIGHTS], (self.lanes, name[1]), lane))
        inputs["outer", 0] = e.load(output)
        e.fetch(e.offset(output, (self.lanes, -AHEAD * self.steps)))
        results = self.compute(formula, inputs, lane)
        for index in range(self.states):
            e.store(results[index], self.scratch(self.first + index, lane))
        # Sums for the coefficients, then for the currents at the sample's ends, one behind the other.
        for index, result in enumerate(results[self.states :], self.total):
            self.add(result, self.scratch(index, lane))

    def _flush(self, number: ir.Value) -> None:
        """After the first step of a sample: the gradient of the current at the sample's end is complete."""
        e, b, substeps = self.e, self.e.build, I64(self.recipe.program.substeps)
        with b.if_then(b.icmp_signed("==", b.srem(number, substeps), I64(0))):
            sample = b.sdiv(number, substeps)
            end = self.current(Entry.INWARD, b.add(sample, I64(1)))
            with e.loop(self.block, self.end, e.lanes) as lane:
                left, right, waiting = (e.load(self.scratch(self.carry + i, lane)) for i in range(3))
                e.store(b.fadd(right, waiting), e.offset(end, lane))
                for index, value in enumerate((e.number(0.0), e.number(0.0), left), self.carry):
                    e.store(value, self.scratch(index, lane))

    def epilogue(self, lane: ir.Value) -> None:
        e = self.e
        for index in range(self.arrays):
            value = e.load(self.scratch(self.total + index, lane))
            e.store(value, e.offset(self.element(Entry.SUMS, I64(self.arrays), index), lane))
        if self.recipe.dense:
            e.store(e.load(self.scratch(self.carry + 2, lane)), e.offset(self.current(Entry.INWARD, I64(0)), lane))
